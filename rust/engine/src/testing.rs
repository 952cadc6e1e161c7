//! Small worlds for the tests of the engine.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};

use crate::book::{Book, BookFrames};
use crate::config::{Options, Protocol};
use crate::contract::Venue;
use crate::feeds::{FeedMaker, Feeds};
use crate::margin::Margin;
use crate::market::{AssetSpec, MarketSpec, Payoff};
use crate::payout::Payout;
use crate::state::Setup;
use crate::tape::{MarketTicks, Quality, Tape};
use crate::units::Price;
use crate::waterfall::funds::Funds;

/// Two linear markets (A, B) settled in USD and an inverse one (C) settled in COIN, which C itself prices; prices with two decimals.
pub fn tape(ticks: [Vec<(i64, i64)>; 3]) -> Tape {
    let spec = |name: &str, kind: Payoff, settlement: &str| MarketSpec {
        kind,
        price_decimals: Some(2),
        size_decimals: Some(2),
        settlement: Some(settlement.to_owned()),
        ..MarketSpec::named(name)
    };
    let specs = [
        spec("A", Payoff::Linear, "USD"),
        spec("B", Payoff::Linear, "USD"),
        spec("C", Payoff::Inverse, "COIN"),
    ];
    let markets = specs
        .into_iter()
        .zip(ticks)
        .map(|(spec, rows)| MarketTicks {
            spec,
            ts: rows.iter().map(|r| r.0).collect(),
            price: rows.iter().map(|r| r.1).collect(),
            size: None,
            side: None,
        })
        .collect();
    Tape {
        markets,
        assets: vec![
            AssetSpec {
                name: "COIN".to_owned(),
                decimals: 8,
                price_market: Some("C".to_owned()),
            },
            AssetSpec {
                name: "USD".to_owned(),
                decimals: 6,
                price_market: None,
            },
        ],
        quality: vec![Quality::default(); 3],
    }
}

/// Binds a protocol (JSON) to a tape.
pub fn setup(tape: &Tape, protocol: &str) -> (Setup, Arc<Feeds>) {
    let protocol = Protocol::from_json(protocol).unwrap();
    let venue = Venue::bind(tape).unwrap();
    let end = tape.end().unwrap();
    let first: Vec<Price> = tape.first_states().into_iter().map(|p| p.unwrap()).collect();
    let feeds = FeedMaker::new(tape, tape.start().unwrap(), &venue, &protocol, &Options::default())
        .and_then(|mut maker| maker.advance(tape, &first, end))
        .unwrap();
    let margin = Margin::bind(&protocol, &venue).unwrap();
    let payout = Payout::bind(&protocol, &venue).unwrap();
    let funds = Funds::bind(&protocol, &venue).unwrap();
    let setup = Setup {
        venue,
        protocol,
        margin,
        payout,
        funds,
        opening: tape.start().unwrap(),
        end,
    };
    (setup, Arc::new(feeds))
}

/// A book of cross accounts: (name, market, size, entry price) and (name, asset, collateral), with the cost of the positions already
/// taken from their cash. Every position has a key of its own.
pub fn book(setup: &Setup, positions: &[(&str, &str, String, String)], cash: &[(&str, &str, String)]) -> Book {
    let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let numbers = |values: Vec<&String>| {
        let text: StringArray = values.into_iter().map(|v| Some(v.as_str())).collect();
        arrow_cast::cast(&text, &arrow_schema::DataType::Decimal128(38, 8)).unwrap()
    };
    let frame = |columns: Vec<(&str, ArrayRef)>| RecordBatch::try_from_iter(columns).unwrap();
    let keys: Vec<String> = (0..positions.len()).map(|row| row.to_string()).collect();
    let positions = frame(vec![
        ("account", column(positions.iter().map(|p| p.0).collect())),
        ("market", column(positions.iter().map(|p| p.1).collect())),
        ("size", numbers(positions.iter().map(|p| &p.2).collect())),
        ("entry_price", numbers(positions.iter().map(|p| &p.3).collect())),
        ("margin_mode", column(positions.iter().map(|_| "cross").collect())),
        ("position", column(keys.iter().map(String::as_str).collect())),
    ]);
    let accounts = frame(vec![
        ("account", column(cash.iter().map(|c| c.0).collect())),
        ("asset", column(cash.iter().map(|c| c.1).collect())),
        ("collateral", numbers(cash.iter().map(|c| &c.2).collect())),
    ]);
    let frames = BookFrames::read(&[positions], &[accounts], &[]).unwrap();
    let (mut book, _) = Book::bind(&frames, &setup.venue).unwrap();
    for account in 0..book.len() {
        for leg in book.legs(account).to_vec() {
            let asset = setup.venue.markets[leg.market].settlement;
            book.credit(account, asset, leg.entry_value.negated()).unwrap();
        }
    }
    book
}
