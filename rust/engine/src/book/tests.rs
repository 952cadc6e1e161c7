//! Reading and binding against a naive book of maps, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::types::UInt8Type;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::contract::Venue;
use crate::decimal::Decimal;
use crate::testing;

fn venue() -> Venue {
    Venue::bind(&testing::tape([vec![(0, 1)], vec![(0, 1)], vec![(0, 1)]])).unwrap()
}

fn frame(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

fn floats(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

#[derive(Debug, Clone)]
struct Row {
    account: String,
    market: String,
    size: i32,
    entry: i32,
    isolated: bool,
    collateral: i32,
    asset: Option<String>,
    key: Option<String>,
    owner: Option<String>,
}

#[derive(Debug, Clone)]
struct CashRow {
    account: String,
    asset: String,
    amount: i32,
    owner: Option<String>,
}

#[derive(Debug, Clone)]
struct Event {
    account: String,
    market: Option<String>,
    key: Option<String>,
    asset: String,
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let name = one_of(&["ann", "bob", "carl", "dora", "outside"]);
    let name = prop_oneof![40 => name, 60 => (0..40u32).prop_map(|n| format!("a{n}"))];
    let market = one_of(&["C", "A", "B", "A", "B", "C", "D"]);
    let row = (
        (name, market, -300..300i32, 1..50_000i32, any::<bool>(), 0..1000i32),
        prop::option::weighted(0.2, one_of(&["USD", "COIN"])),
        prop::option::weighted(0.7, (0..200u32).prop_map(|n| n.to_string())),
        prop::option::weighted(0.2, one_of(&["ann", "o"])),
    );
    let row = row.prop_map(
        |((account, market, size, entry, isolated, collateral), asset, key, owner)| Row {
            account,
            market: if market == "D" && size % 5 != 0 {
                "A".to_owned()
            } else {
                market
            },
            size: if size == 0 { 1 } else { size },
            entry,
            isolated,
            collateral,
            asset,
            key,
            owner,
        },
    );
    prop::collection::vec(row, 0..60)
}

fn cash_rows() -> impl Strategy<Value = Vec<CashRow>> {
    let name = one_of(&["ann", "bob", "carl", "dora", "ed"]);
    let name = prop_oneof![30 => name, 70 => (0..40u32).prop_map(|n| format!("a{n}"))];
    let row = (
        name,
        one_of(&["USD", "COIN", "USD"]),
        0..1000i32,
        prop::option::weighted(0.2, one_of(&["p", "ann"])),
    );
    let row = row.prop_map(|(account, asset, amount, owner)| CashRow {
        account,
        asset,
        amount,
        owner,
    });
    prop::collection::vec(row, 0..80)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        one_of(&["ann", "bob", "carl", "nobody"]),
        prop::option::of(one_of(&["A", "B"])),
        prop::option::of(one_of(&["1", "2"])),
        one_of(&["USD", "COIN"]),
    );
    let event = event.prop_map(|(account, market, key, asset)| Event {
        account,
        key: key.filter(|_| market.is_some()),
        market,
        asset,
    });
    prop::collection::vec(event, 0..2)
}

/// A margin account as the naive book has it.
#[derive(Debug, Default, PartialEq)]
struct Account {
    name: String,
    owner: Option<String>,
    isolated: Option<usize>,
    legs: Vec<Leg>,
    cash: BTreeMap<AssetId, Amount>,
}

/// Market and key of an isolated position.
type Scope = Option<(String, Option<String>)>;

/// A book of maps, row by row; an error is what must be in the message.
fn naive(
    venue: &Venue,
    positions: &[Row],
    cash: &[CashRow],
    events: &[Event],
) -> std::result::Result<(Vec<Account>, Vec<usize>), [String; 2]> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut numbers: BTreeMap<(String, Scope), usize> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let wrong = |frame: &str, row: usize, what: &str| Err([format!("{frame} frame, row {row}, "), what.to_owned()]);
    for (row, p) in positions.iter().enumerate() {
        if p.account == "outside" {
            return wrong("positions", row, "reserved");
        }
        let scope = p.isolated.then(|| (p.market.clone(), p.key.clone()));
        if seen
            .insert((p.account.clone(), p.isolated, p.market.clone(), p.key.clone()), row)
            .is_some()
        {
            return wrong("positions", row, "two rows for one position");
        }
        numbers.entry((p.account.clone(), scope)).or_insert_with(|| {
            accounts.push(Account::default());
            accounts.len() - 1
        });
    }
    for (row, p) in positions.iter().enumerate() {
        if !p.isolated && cash.iter().all(|c| c.account != p.account) {
            return wrong("positions", row, "no row in the accounts frame");
        }
    }
    let id = |market: &str| venue.market(market);
    for (row, p) in positions.iter().enumerate() {
        let Some(market) = id(&p.market) else {
            return wrong("positions", row, "no market \"D\"");
        };
        let scope = p.isolated.then(|| (p.market.clone(), p.key.clone()));
        let account = &mut accounts[numbers[&(p.account.clone(), scope)]];
        account.name = p.account.clone();
        account.owner = account.owner.take().or_else(|| p.owner.clone());
        account.isolated = p.isolated.then_some(market);
        let size = Size(i64::from(p.size));
        let entry = Decimal {
            mantissa: i128::from(p.entry),
            scale: 3,
        };
        account.legs.push(Leg {
            market,
            size,
            entry_value: venue.markets[market].cost(size, entry).unwrap(),
        });
        let settlement = venue.markets[market].settlement;
        account.cash.entry(settlement).or_default();
        if p.isolated {
            let asset = p.asset.as_ref().map_or(settlement, |a| venue.asset(a).unwrap());
            account.cash.insert(asset, units(venue, asset, p.collateral));
        }
    }
    for c in cash {
        let number = *numbers.entry((c.account.clone(), None)).or_insert_with(|| {
            accounts.push(Account::default());
            accounts.len() - 1
        });
        let (account, asset) = (&mut accounts[number], venue.asset(&c.asset).unwrap());
        account.name = c.account.clone();
        account.owner = account.owner.take().or_else(|| c.owner.clone());
        let slot = account.cash.entry(asset).or_default();
        *slot = slot.plus(units(venue, asset, c.amount)).unwrap();
    }
    let mut touched = Vec::new();
    for (row, e) in events.iter().enumerate() {
        let scope = e.market.clone().map(|market| (market, e.key.clone()));
        let Some(&number) = numbers.get(&(e.account.clone(), scope)) else {
            return wrong("events", row, "no such margin account");
        };
        accounts[number].cash.entry(venue.asset(&e.asset).unwrap()).or_default();
        touched.push(number);
    }
    for account in &mut accounts {
        account.legs.sort_by_key(|leg| leg.market);
    }
    Ok((accounts, touched))
}

/// Hundredths of an asset.
fn units(venue: &Venue, asset: AssetId, hundredths: i32) -> Amount {
    Amount(i128::from(hundredths) * 10i128.pow(venue.assets[asset].decimals - 2))
}

fn read(positions: &[Row], cash: &[CashRow], events: &[Event], coded: bool) -> Result<BookFrames> {
    let hundredths = |value: i32| Some(f64::from(value) / 100.0);
    let code = |array: ArrayRef| {
        let kind = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        if coded { cast(&array, &kind).unwrap() } else { array }
    };
    let mode = |p: &Row| if p.isolated { "isolated" } else { "cross" };
    let table = frame(vec![
        (
            "account",
            code(texts(positions.iter().map(|p| Some(p.account.as_str())))),
        ),
        ("market", code(texts(positions.iter().map(|p| Some(p.market.as_str()))))),
        ("size", floats(positions.iter().map(|p| hundredths(p.size)))),
        (
            "entry_price",
            floats(positions.iter().map(|p| Some(f64::from(p.entry) / 1000.0))),
        ),
        ("margin_mode", code(texts(positions.iter().map(|p| Some(mode(p)))))),
        (
            "collateral",
            floats(
                positions
                    .iter()
                    .map(|p| hundredths(p.collateral).filter(|_| p.isolated)),
            ),
        ),
        ("collateral_asset", texts(positions.iter().map(|p| p.asset.as_deref()))),
        ("position", code(texts(positions.iter().map(|p| p.key.as_deref())))),
        ("owner", texts(positions.iter().map(|p| p.owner.as_deref()))),
    ]);
    // In two batches: rows count through.
    let half = table.num_rows() / 2;
    let positions = [table.slice(0, half), table.slice(half, table.num_rows() - half)];
    let cash = frame(vec![
        ("account", texts(cash.iter().map(|c| Some(c.account.as_str())))),
        ("asset", code(texts(cash.iter().map(|c| Some(c.asset.as_str()))))),
        ("collateral", floats(cash.iter().map(|c| hundredths(c.amount)))),
        ("owner", code(texts(cash.iter().map(|c| c.owner.as_deref())))),
    ]);
    let times: Int64Array = (0..events.len() as i64).collect();
    let events = frame(vec![
        (
            "ts",
            cast(&times, &DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap(),
        ),
        ("account", texts(events.iter().map(|e| Some(e.account.as_str())))),
        ("market", texts(events.iter().map(|e| e.market.as_deref()))),
        ("position", texts(events.iter().map(|e| e.key.as_deref()))),
        ("kind", texts(events.iter().map(|_| Some("deposit")))),
        ("asset", texts(events.iter().map(|e| Some(e.asset.as_str())))),
        ("amount", floats(events.iter().map(|_| Some(1.0)))),
    ]);
    BookFrames::read(&positions, &[cash], &[events])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_book_is_what_maps_make_of_it(
        positions in rows(),
        cash in cash_rows(),
        events in events(),
        keyed: bool,
        complete in prop::bool::weighted(0.8),
        coded: bool,
    ) {
        let (mut positions, mut cash) = (positions, cash);
        if keyed {
            // Otherwise most books have two rows for some position.
            for (row, p) in positions.iter_mut().enumerate() {
                p.key = Some(row.to_string());
            }
        }
        if complete {
            positions.retain(|p| p.account != "outside" && p.market != "D");
            for p in positions.iter().filter(|p| !p.isolated) {
                cash.push(CashRow { account: p.account.clone(), asset: "USD".to_owned(), amount: 5, owner: None });
            }
        }
        let venue = venue();
        let bound = read(&positions, &cash, &events, coded).and_then(|frames| {
            let (book, events) = Book::bind(&frames, &venue)?;
            Ok((frames.accounts(), book, events))
        });
        match (naive(&venue, &positions, &cash, &events), bound) {
            (Err(parts), Err(error)) => {
                let message = error.to_string();
                prop_assert!(parts.iter().all(|part| message.contains(part)), "{message:?} is not {parts:?}");
            }
            (Ok((accounts, touched)), Ok((names, book, events))) => {
                prop_assert_eq!(book.len(), accounts.len());
                let different: std::collections::BTreeSet<&str> = accounts.iter().map(|a| a.name.as_str()).collect();
                prop_assert_eq!(names, different.len());
                prop_assert_eq!(events.iter().map(|e| e.account).collect::<Vec<_>>(), touched);
                for (number, account) in accounts.iter().enumerate() {
                    prop_assert_eq!(book.name(number), &account.name);
                    prop_assert_eq!(book.owner(number), account.owner.as_ref().unwrap_or(&account.name));
                    prop_assert_eq!(book.isolated(number), account.isolated);
                    prop_assert_eq!(book.legs(number), &account.legs);
                    let cash: Vec<_> = account.cash.iter().map(|(&asset, &amount)| (asset, amount)).collect();
                    prop_assert_eq!(book.cash(number), &cash);
                }
            }
            (expected, got) => {
                prop_assert!(false, "expected {:?}, got {:?}", expected.map(|_| ()), got.map(|_| ()).map_err(|e| e.to_string()));
            }
        }
    }
}

/// A frame of long positions of one account each, all good.
fn good(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let names: Vec<String> = (0..rows).map(|n| format!("a{n}")).collect();
    vec![
        ("account", texts(names.iter().map(|name| Some(name.as_str())))),
        ("market", texts(vec![Some("A"); rows])),
        ("size", floats(vec![Some(1.5); rows])),
        ("entry_price", floats(vec![Some(20.25); rows])),
        ("collateral", floats(vec![Some(3.0); rows])),
    ]
}

fn refusal(columns: Vec<(&str, ArrayRef)>) -> String {
    let bound = BookFrames::read(&[frame(columns)], &[], &[]).and_then(|frames| Book::bind(&frames, &venue()));
    bound.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_first_row_that_is_wrong_is_named() {
    // Many rows, so that several threads find something; the column that is read first is not the one to be named.
    let rows = 300_000;
    for (column, value, expected) in [
        (2, f64::NAN, "row 70001, column size: expected a finite number, got NaN"),
        (
            3,
            -1.5,
            "row 70001, column entry_price: expected a positive price, got -1.5",
        ),
        (
            2,
            0.125,
            "row 70001, column size: 0.125 does not fit the 2 decimals of market A",
        ),
        (
            2,
            1e17,
            "row 70001, column size: 100000000000000000 does not fit the 2 decimals",
        ),
        (3, 1e37, "row 70001, column entry_price: the cost of 1.5 at 1"),
        (
            4,
            1e-7,
            "row 70001, column collateral: 0.0000001 does not fit the 6 decimals of USD",
        ),
    ] {
        let mut columns = good(rows);
        let mut values = columns[column]
            .1
            .as_ref()
            .as_any()
            .downcast_ref::<Float64Array>()
            .unwrap()
            .values()
            .to_vec();
        values[70_001] = value;
        values[299_999] = value;
        columns[column].1 = floats(values.into_iter().map(Some));
        // Wrong in an earlier column, but a later row.
        let mut markets = vec![Some("A"); rows];
        markets[299_998] = if value.is_nan() || value < 0.0 { None } else { Some("D") };
        columns[1].1 = texts(markets);
        let message = refusal(columns);
        assert!(message.contains(expected), "{message}");
    }
    let mut columns = good(rows);
    let mut names: Vec<String> = (0..rows).map(|n| format!("a{n}")).collect();
    names[200_000] = "a7".to_owned();
    names[250_000] = "a5".to_owned();
    columns[0].1 = texts(names.iter().map(|name| Some(name.as_str())));
    assert_eq!(
        refusal(columns.clone()),
        "positions frame, row 200000, column market: account a7 has two rows for one position in A"
    );
    names[199_999] = "vault".to_owned();
    columns[0].1 = texts(names.iter().map(|name| Some(name.as_str())));
    assert_eq!(
        refusal(columns),
        "positions frame, row 199999, column account: \"vault\" is a reserved name"
    );
}

#[test]
fn columns_of_nulls_are_no_columns() {
    let empty: [ArrayRef; 3] = [
        Arc::new(NullArray::new(2)),
        texts([None, None]),
        Arc::new(DictionaryArray::<UInt8Type>::from_iter([None::<&str>, None])),
    ];
    for nulls in empty {
        for column in ["margin_mode", "collateral_asset", "position", "owner"] {
            let mut columns = good(2);
            columns.push((column, Arc::clone(&nulls)));
            let frames = BookFrames::read(&[frame(columns)], &[], &[]).unwrap();
            assert_eq!(Book::bind(&frames, &venue()).unwrap().0.len(), 2);
        }
        for column in 0..5 {
            let mut columns = good(2);
            columns[column].1 = Arc::clone(&nulls);
            let expected = format!("positions frame, row 0, column {}: ", columns[column].0);
            let message = refusal(columns);
            assert!(message.starts_with(&expected), "{message}");
        }
    }
}

#[test]
fn sums_of_cash_stay_in_range() {
    let cash = frame(vec![
        ("account", texts(vec![Some("a"); 3])),
        ("asset", texts(vec![Some("USD"); 3])),
        (
            "collateral",
            cast(
                &floats([Some(1e30), Some(1.0), Some(1.7e32)]),
                &DataType::Decimal128(38, 0),
            )
            .unwrap(),
        ),
    ]);
    let frames = BookFrames::read(&[], &[cash], &[]).unwrap();
    let error = Book::bind(&frames, &venue()).unwrap_err().to_string();
    assert_eq!(
        error,
        "accounts frame, row 2, column collateral: the account's USD add up to too much"
    );
}
