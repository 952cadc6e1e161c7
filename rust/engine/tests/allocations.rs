//! The budget of memory allocations on the hot path: a query of the trigger search makes none once its memory has grown, and a close
//! makes a few.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::alloc::System;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use underwater_engine::book::{Book, BookFrames};
use underwater_engine::config::{Options, Protocol};
use underwater_engine::contract::Venue;
use underwater_engine::feeds::FeedMaker;
use underwater_engine::margin::Margin;
use underwater_engine::market::{AssetSpec, MarketSpec};
use underwater_engine::progress::Silent;
use underwater_engine::replay::replay;
use underwater_engine::rng::Rng;
use underwater_engine::search::{Index, Scratch, Search, TriggerSearch};
use underwater_engine::tape::{MarketTicks, Quality, Tape};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations that one close may make, records, queue and re-search included.
const PER_CLOSE: usize = 24;

const MARKETS: usize = 4;
const ACCOUNTS: usize = 4_000;

/// Markets that fall by a third over 20,000 ticks each.
fn tape(rng: &mut Rng) -> Tape {
    let markets = (0..MARKETS).map(|m| {
        let (mut ts, mut price) = (0i64, 100_000.0);
        let (times, prices): (Vec<i64>, Vec<i64>) = (0..20_000)
            .map(|_| {
                ts += 1 + (rng.uniform() * 4.0) as i64;
                price *= 1.0 - 0.00002 + (rng.uniform() - 0.5) * 0.001;
                (ts, price as i64)
            })
            .unzip();
        MarketTicks {
            spec: MarketSpec {
                price_decimals: Some(2),
                size_decimals: Some(3),
                settlement: Some("USD".to_owned()),
                ..MarketSpec::named(format!("M{m}"))
            },
            ts: times.into(),
            price: prices.into(),
            size: None,
            side: None,
        }
    });
    Tape {
        markets: markets.collect(),
        assets: vec![AssetSpec {
            name: "USD".to_owned(),
            decimals: 6,
            price_market: None,
        }],
        quality: vec![Quality::default(); MARKETS],
    }
}

/// Half isolated accounts, half cross accounts with a leg in every market.
fn book(rng: &mut Rng) -> BookFrames {
    let text = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
    let (mut account, mut market, mut size, mut mode, mut collateral) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut owner, mut cash) = (vec![], vec![]);
    for a in 0..ACCOUNTS {
        let cross = a % 2 == 0;
        for m in if cross {
            0..MARKETS
        } else {
            a % MARKETS..a % MARKETS + 1
        } {
            account.push(format!("a{a}"));
            market.push(format!("M{m}"));
            size.push(if rng.uniform() < 0.7 { 1.0 } else { -1.0 });
            mode.push(if cross { "cross" } else { "isolated" }.to_owned());
            collateral.push((!cross).then(|| (50.0 + 900.0 * rng.uniform()).round()));
        }
        if cross {
            owner.push(format!("a{a}"));
            cash.push((200.0 + 3_000.0 * rng.uniform()).round());
        }
    }
    let rows = account.len();
    let positions = RecordBatch::try_from_iter_with_nullable([
        ("account", text(account), true),
        ("market", text(market), true),
        ("size", Arc::new(Float64Array::from(size)) as ArrayRef, true),
        ("entry_price", Arc::new(Float64Array::from(vec![1_000.0; rows])), true),
        ("margin_mode", text(mode), true),
        ("collateral", Arc::new(Float64Array::from(collateral)), true),
    ]);
    let usd = vec!["USD".to_owned(); owner.len()];
    let accounts = RecordBatch::try_from_iter([
        ("account", text(owner)),
        ("asset", text(usd)),
        ("collateral", Arc::new(Float64Array::from(cash)) as ArrayRef),
    ]);
    BookFrames::read(&[positions.unwrap()], &[accounts.unwrap()], &[]).unwrap()
}

// One test, because the counter counts what all threads of the process allocate.
#[test]
fn the_hot_path_keeps_its_budget() {
    let mut rng = Rng::new(5, &["allocations"]);
    let (tape, frames) = (tape(&mut rng), book(&mut rng));
    let protocol = |more: &str| {
        let margin = r#""margin":{"maintenance":{"kind":"brackets","tiers":[{"lower":"0","rate":"0.01"},{"lower":"900","rate":"0.02"}]}}"#;
        Protocol::from_json(&format!("{{{margin}{more}}}")).unwrap()
    };

    let options = Options::default();
    let venue = Venue::bind(&tape).unwrap();
    let (book, _) = Book::bind(&frames, &venue).unwrap();
    let first: Vec<_> = tape.first_states().into_iter().map(Option::unwrap).collect();
    let (start, end) = (tape.start().unwrap(), tape.end().unwrap());
    let rules = protocol("");
    let mut maker = FeedMaker::new(&tape, start, &venue, &rules, &options).unwrap();
    let feeds = maker.advance(&tape, &first, end).unwrap();
    let margin = Margin::bind(&rules, &venue).unwrap();
    let index = Index::new(&venue, &feeds, (start, end), options.block_ticks, &Silent).unwrap();
    let search = Search::new(&venue, &margin, &index);
    let mut scratch = Scratch::default();
    let mut found = 0;
    let mut all = || {
        for account in 0..book.len() {
            for after in [None, Some(start + 9_000)] {
                found += usize::from(search.first(&book, account, after, &mut scratch).unwrap().is_some());
            }
        }
    };
    all();
    let region = Region::new(ALLOCATOR);
    all();
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0, "{change:?}");

    let solvent = protocol(r#","keeper":{"latency":5}"#);
    let calm = protocol(r#","keeper":{"latency":5000000000}"#);
    let count = |protocol: Protocol| {
        let region = Region::new(ALLOCATOR);
        let run = replay(&tape, &frames, protocol, Options::default(), &Silent).unwrap();
        let change = region.change();
        (
            change.allocations + change.reallocations,
            run.state.records.events as usize,
        )
    };
    let (without, none) = count(calm);
    let (with, closes) = count(solvent);
    assert_eq!(none, 0);
    assert!(closes > 500, "{closes}");
    let each = with.saturating_sub(without) / closes;
    assert!(each <= PER_CLOSE, "{each} allocations a close, over {closes} closes");
    assert!(each >= 1, "a close that makes no record is not a close");
}
