//! Random small worlds.

use proptest::prelude::*;

use crate::book::Book;
use crate::contract::{AssetId, MarketId};
use crate::feeds::Feeds;
use crate::ledger::{Holder, Ledger, released};
use crate::records::Records;
use crate::search::PriceRanges;
use crate::state::{Setup, State};
use crate::testing::book;
use crate::units::{Amount, Price, Size};
use crate::waterfall::adl::{Match, Wanted};

/// Ranges over stretches of any length, by looking at every state.
pub struct Stretches<'a> {
    pub setup: &'a Setup,
    pub feeds: &'a Feeds,
    /// Length of a stretch, by level.
    pub lengths: Vec<i64>,
}

impl Stretches<'_> {
    fn range(&self, feed: &crate::feeds::Feed, level: usize, stretch: usize) -> (f64, f64) {
        let (from, length) = (stretch as i64 * self.lengths[level], self.lengths[level]);
        let inside = |t: &i64| (from..from + length).contains(t);
        let states = feed.series.ts.iter().zip(&feed.series.price[..]);
        let prices = states.filter(|(t, _)| inside(t)).map(|(_, &p)| p);
        let prices = prices.chain([feed.series.at(from).0]);
        prices.fold((f64::INFINITY, 0.0), |(low, high), p| {
            (low.min(p as f64), high.max(p as f64))
        })
    }
}

impl PriceRanges for Stretches<'_> {
    fn levels(&self) -> usize {
        self.lengths.len()
    }

    fn stretch(&self, level: usize, t: i64) -> usize {
        (t / self.lengths[level]) as usize
    }

    fn market(&self, market: MarketId, size: Size, level: usize, stretch: usize) -> (f64, f64) {
        self.range(self.feeds.adl.of(market, size), level, stretch)
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        let market = self.setup.venue.assets[asset].price_market;
        market.map_or((1.0, 1.0), |m| self.range(&self.feeds.collateral[m], level, stretch))
    }
}

pub fn state(setup: &Setup, book: Book) -> State {
    let mut holders = vec![Vec::new(); setup.venue.markets.len()];
    for account in 0..book.len() {
        for leg in book.legs(account) {
            let list: &mut Vec<u32> = &mut holders[leg.market];
            if list.last() != Some(&(account as u32)) {
                list.push(account as u32);
            }
        }
    }
    State::new(book, Ledger::new(&setup.venue), Records::default(), holders.into())
}

/// Books what was matched: the counterparties take the loser's position and pay its amount.
pub fn apply(state: &mut State, setup: &Setup, wanted: &Wanted, matched: &[Match]) {
    let asset = setup.venue.markets[wanted.market].settlement;
    for m in matched {
        let Holder::Account(account) = m.holder else { continue };
        let leg = &mut state.book.legs_mut(account)[m.leg];
        leg.entry_value = leg
            .entry_value
            .minus(released(leg.entry_value, m.units, leg.size.units()).unwrap())
            .unwrap();
        leg.size = leg.size.plus(wanted.position.of_same_sign(m.units).unwrap()).unwrap();
        let paid = wanted.amount.0 * i128::from(m.units) / i128::from(wanted.position.units());
        state.book.credit(account, asset, Amount(-paid)).unwrap();
    }
}

const MARKETS: [&str; 3] = ["A", "B", "C"];

/// An account of which there may be several: legs (market, size in hundredths, entry), dollars, coins in thousandths.
pub type Kind = (Vec<(usize, i64, i64)>, i64, Option<i64>);

pub fn kind() -> impl Strategy<Value = Kind> {
    (
        prop::collection::vec((0usize..3, -2000i64..2000, 8000i64..12000), 1..4),
        0i64..400,
        prop::option::of(0i64..3000),
    )
}

fn decimal(n: i64, places: usize) -> String {
    let sign = if n < 0 { "-" } else { "" };
    let scale = 10u64.pow(places as u32);
    let n = n.unsigned_abs();
    format!("{sign}{}.{:0places$}", n / scale, n % scale)
}

pub fn book_of(setup: &Setup, kinds: &[Kind], accounts: &[usize]) -> Book {
    let names: Vec<String> = (0..accounts.len()).map(|n| format!("a{n}")).collect();
    let (mut positions, mut cash) = (Vec::new(), Vec::new());
    for (name, &k) in names.iter().zip(accounts) {
        let (legs, dollars, coins) = &kinds[k % kinds.len()];
        for &(m, size, entry) in legs {
            // A contract of C is a dollar; a size of nothing is no position.
            let size = if m == 2 { size * 100 } else { size };
            let size = if size == 0 { 1 } else { size };
            positions.push((name.as_str(), MARKETS[m], decimal(size, 2), decimal(entry, 2)));
        }
        let inverse = legs.iter().all(|l| l.0 == 2);
        if !inverse || coins.is_none() {
            cash.push((name.as_str(), "USD", dollars.to_string()));
        }
        if let Some(coins) = coins {
            cash.push((name.as_str(), "COIN", decimal(*coins, 3)));
        }
    }
    book(setup, &positions, &cash)
}

/// Random walks with gaps, from calm to wild: where it is calm the bounds are tight, and little is looked at.
pub fn path() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let steps = prop::collection::vec((1i64..4, -900i64..900), 1..120);
    (steps, prop_oneof![Just(3), Just(30), Just(300)]).prop_map(|(steps, calm)| {
        let (mut ts, mut price) = (0, 10_000);
        let path = steps.into_iter().map(|(gap, step)| {
            ts += if gap == 3 { 20 } else { gap };
            price = (price + step / calm).clamp(2000, 40_000);
            (ts, price)
        });
        path.collect()
    })
}

pub fn protocol(adl: &str, keeps: bool) -> String {
    let outside = if keeps { r#","outside":"keeps""# } else { "" };
    format!(r#"{{"margin":{{"maintenance":{{"kind":"flat","rate":"0.01"}}}},"adl":{{{adl}}}{outside}}}"#)
}

/// Fields of the rules of ADL, with which a queue is made.
pub fn rules() -> impl Strategy<Value = String> {
    let scores = [
        "profit_leverage",
        "bitmex",
        "hyperliquid_docs",
        "hyperliquid_docs_literal",
        "binance",
        "leverage",
        "profit",
        "position",
    ];
    (
        prop::sample::select(&["equity", "position", "profit"][..]),
        prop::sample::select(scores.to_vec()),
        prop::sample::select(&["in_profit", "in_profit", "overlap", "any"][..]),
        prop::option::weighted(0.2, 1u32..4),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(capacity, score, eligibility, counterparties, partial)| {
            let most = counterparties.map_or("null".to_owned(), |n| n.to_string());
            format!(
                r#""capacity":"{capacity}","score":"{score}","eligibility":"{eligibility}","counterparties":{most},"partial_last":{partial}"#
            )
        })
}

pub fn price_at(percent: i64, mark: Price) -> Price {
    Price((mark.0 * percent / 100).max(1))
}
