//! The opening against one that takes the accounts one by one, with any number of threads.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use crate::book::BookFrames;
use crate::config::OpeningPolicy::{Keep, Reject, Rescale};
use crate::progress::Silent;
use crate::testing;

/// Account, market, size, entry, collateral of an isolated position (hundredths).
type Row = (u32, usize, i32, i32, Option<i32>);

const MARKETS: [&str; 3] = ["A", "B", "C"];

fn frames(rows: &[Row], cash: &[(u32, bool, i32)]) -> BookFrames {
    let text = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
    let hundredths = |values: Vec<Option<i32>>| {
        let floats = values.into_iter().map(|v| v.map(|v| f64::from(v) / 100.0));
        Arc::new(floats.collect::<Float64Array>()) as ArrayRef
    };
    let frame = |columns: Vec<(&str, ArrayRef)>| {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    };
    let mode = |row: &Row| if row.4.is_some() { "isolated" } else { "cross" };
    let positions = frame(vec![
        ("account", text(rows.iter().map(|r| format!("a{}", r.0)).collect())),
        ("market", text(rows.iter().map(|r| MARKETS[r.1].to_owned()).collect())),
        ("size", hundredths(rows.iter().map(|r| Some(r.2)).collect())),
        ("entry_price", hundredths(rows.iter().map(|r| Some(r.3)).collect())),
        ("margin_mode", text(rows.iter().map(|r| mode(r).to_owned()).collect())),
        ("collateral", hundredths(rows.iter().map(|r| r.4).collect())),
        ("position", text((0..rows.len()).map(|n| n.to_string()).collect())),
    ]);
    let asset = |coin: bool| if coin { "COIN" } else { "USD" };
    let accounts = frame(vec![
        ("account", text(cash.iter().map(|c| format!("a{}", c.0)).collect())),
        ("asset", text(cash.iter().map(|c| asset(c.1).to_owned()).collect())),
        ("collateral", hundredths(cash.iter().map(|c| Some(c.2)).collect())),
    ]);
    BookFrames::read(&[positions], &[accounts], &[]).unwrap()
}

/// Account by account, as semantics tell it. Returns book, ledger of the opening, book and ledger after it, accounts turned down.
fn one_by_one(
    setup: &Setup,
    board: &Board,
    frames: &BookFrames,
    policy: OpeningPolicy,
) -> (Book, Ledger, State, Vec<usize>) {
    let (bound, _) = Book::bind(frames, &setup.venue).unwrap();
    let moment = Moment::new(setup, board, setup.opening);
    let mut state = State::new(
        bound.clone(),
        Ledger::new(&setup.venue),
        Records::default(),
        Arc::default(),
    );
    fund_layers(setup, &mut state).unwrap();
    let counterparty = setup.protocol.counterparty.entity();
    let (mut flagged, mut refused) = (Vec::new(), Vec::new());
    for account in 0..bound.len() {
        for leg in bound.legs(account) {
            let settlement = setup.venue.markets[leg.market].settlement;
            state
                .book
                .credit(account, settlement, leg.entry_value.negated())
                .unwrap();
        }
        let health = |which| {
            setup
                .margin
                .health(&setup.venue, &state.book, account, &moment, which)
                .unwrap()
        };
        let initial = health(Requirement::Initial);
        let fails = state.book.has_position(account) && (health(Requirement::Maintenance).fails() || initial.fails());
        let out = fails && (policy == Reject || policy == Rescale && initial.equity <= 0);
        if out {
            for leg in state.book.legs_mut(account) {
                *leg = Leg {
                    market: leg.market,
                    ..Leg::default()
                };
            }
            for (asset, amount) in state.book.cash(account).to_vec() {
                state.book.credit(account, asset, amount.negated()).unwrap();
            }
            refused.push(account);
            continue;
        }
        if fails {
            flagged.push(account);
        }
        for &(asset, amount) in bound.cash(account) {
            state.book.credit(account, asset, amount.negated()).unwrap();
            let (from, to) = (Holder::Entity(Entity::External), Holder::Account(account));
            state.ledger.transfer(&mut state.book, from, to, asset, amount).unwrap();
        }
        for leg in bound.legs(account) {
            let asset = setup.venue.markets[leg.market].settlement;
            state.book.credit(account, asset, leg.entry_value).unwrap();
            let (from, to) = (Holder::Account(account), Holder::Entity(counterparty));
            state
                .ledger
                .transfer(&mut state.book, from, to, asset, leg.entry_value)
                .unwrap();
            state
                .ledger
                .take(counterparty, leg.market, leg.size.negated(), leg.entry_value.negated())
                .unwrap();
        }
    }
    let (book, ledger) = (state.book.clone(), state.ledger.clone());
    if policy == Rescale {
        for account in flagged {
            rescale(&moment, &mut state, &Marks::at(&moment), account).unwrap();
        }
    }
    (book, ledger, state, refused)
}

fn same_ledgers(setup: &Setup, a: &Ledger, b: &Ledger) -> bool {
    let (assets, markets) = (setup.venue.assets.len(), setup.venue.markets.len());
    Entity::ALL.into_iter().all(|entity| {
        (0..assets).all(|asset| a.balance(entity, asset) == b.balance(entity, asset))
            && (0..markets).all(|market| a.inventory(entity, market) == b.inventory(entity, market))
    })
}

fn row() -> impl Strategy<Value = Row> {
    let size = (1..500i32, any::<bool>()).prop_map(|(size, long)| if long { size } else { -size });
    let collateral = prop::option::of(0..200_000i32);
    (0..30u32, 0..3usize, size, 5_000..15_000i32, collateral)
}

proptest! {
    #[test]
    fn the_opening_takes_the_accounts_in_order(
        rows in prop::collection::vec(row(), 1..80),
        cash in prop::collection::vec((0..30u32, any::<bool>(), 0..200_000i32), 0..20),
        policy in prop::sample::select(&[Keep, Reject, Rescale]),
        threads in 1..4usize,
        initial: bool,
    ) {
        let mut cash = cash;
        cash.extend(rows.iter().filter(|row| row.4.is_none()).map(|row| (row.0, row.2 % 2 == 0, row.3 * 10)));
        let tape = testing::tape([vec![(0, 10_000), (5, 9_000)], vec![(0, 9_500)], vec![(0, 10_500)]]);
        let protocol = if initial {
            r#"{"margin":{"maintenance":{"kind":"flat","rate":"0.05"},"initial_rate":"0.1"},"counterparty":"pool","pool":{"balance":"1000"}}"#
        } else {
            r#"{"margin":{"maintenance":{"kind":"flat","rate":"0.05"}}}"#
        };
        let (setup, feeds) = testing::setup(&tape, protocol);
        let board = Board::new(Arc::clone(&feeds));
        let frames = frames(&rows, &cash);
        let (book, ledger, after, refused) = one_by_one(&setup, &board, &frames, policy);

        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let open = || {
            let here = Board::new(feeds);
            let bound = Bound::new(&frames, &setup.venue, &Silent)?;
            Opened::new(&setup, &here, &bound, policy, &Silent)?.begin(&setup, &here, &bound, policy, &Silent)
        };
        let (state, opened) = pool.install(open).unwrap();
        state.ledger.check().unwrap();
        state.ledger.recount(&state.book).unwrap();
        prop_assert!(same_ledgers(&setup, &opened.ledger, &ledger));
        prop_assert!(same_ledgers(&setup, &state.ledger, &after.ledger));
        prop_assert!(opened.held.sizes.iter().copied().eq(book.all_legs().iter().map(|leg| leg.size.0)));
        prop_assert!(opened.held.cash.iter().copied().eq(book.all_cash().iter().map(|cash| cash.1)));
        prop_assert_eq!(state.book.all_legs(), after.book.all_legs());
        prop_assert_eq!(state.book.all_cash(), after.book.all_cash());
        prop_assert_eq!(state.records.postings.since(0), after.records.postings.since(0));
        prop_assert_eq!(state.records.rejected.iter().map(|r| r.account).collect::<Vec<_>>(), refused);
        let moment = Moment::new(&setup, &board, setup.opening);
        for account in 0..state.book.len() {
            prop_assert_eq!(state.records.opening_equity[account], moment.account_equity(&after.book, account).unwrap());
            for market in 0..3 {
                let holds = state.book.legs(account).iter().any(|leg| leg.market == market);
                prop_assert_eq!(state.holders[market].binary_search(&(account as u32)).is_ok(), holds);
            }
        }
        prop_assert!(state.holders.iter().all(|accounts| accounts.is_sorted_by(|a, b| a < b)));
    }
}
