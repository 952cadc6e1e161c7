//! The queues against a full rank, on random small worlds in which anything may happen between two events.

mod parts;
mod world;

use proptest::prelude::*;

use super::capacity::Demand;
use super::{Match, Wanted, everyone, from_outside, matches};
use crate::config::OutsideInventory;
use crate::ledger::{Entity, Holder, Inventory};
use crate::search::PriceRanges;
use crate::state::{Board, Moment, Setup, State};
use crate::testing::{setup, tape};
use crate::units::{Amount, Price, Size};
use world::{Kind, Stretches, apply, book_of, kind, path, price_at, protocol, rules, state};

#[derive(Debug, Clone)]
enum Step {
    /// Time passes.
    Wait(i64),
    /// Somebody's position is to be matched: market, loser, signed units, ADL price in per cent of the mark; then it is booked, or not.
    Match {
        market: usize,
        loser: usize,
        units: i64,
        price: i64,
        /// Which end of the finest range was seen as a print.
        seen: Option<bool>,
        book: bool,
    },
    /// Dollars or coins come to an account, or leave it.
    Credit { account: usize, coins: bool, amount: i64 },
    /// Something happens to the account at a place of the rank: it is closed, or gets or loses dollars.
    Touch {
        market: usize,
        long: bool,
        place: usize,
        amount: Option<i64>,
    },
    /// A new window.
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let matched = (
        0usize..3,
        0usize..120,
        prop_oneof![-4000i64..-1, 1i64..4000, -100i64..-1, 1i64..100],
        60i64..140,
        prop::option::weighted(0.2, any::<bool>()),
        any::<bool>(),
    );
    let matched = matched.prop_map(|(market, loser, units, price, seen, book)| Step::Match {
        market,
        loser,
        units: if market == 2 { units * 100 } else { units },
        price,
        seen,
        book,
    });
    let touch = (0usize..3, any::<bool>(), 0usize..12, prop::option::of(-20i64..20));
    let credit = (0usize..120, any::<bool>(), -200i64..200);
    prop_oneof![
        3 => (1i64..12).prop_map(Step::Wait),
        12 => matched,
        2 => credit.prop_map(|(account, coins, amount)| Step::Credit { account, coins, amount }),
        8 => touch.prop_map(|(market, long, place, amount)| Step::Touch { market, long, place, amount }),
        1 => Just(Step::Clear),
    ]
}

/// The rank as it is defined: everyone gets a score, and all are sorted.
fn full_rank(state: &State, moment: &Moment<'_>, wanted: &Wanted) -> Vec<Match> {
    let demand = Demand::new(moment, wanted).unwrap();
    let mut out = everyone::take(&state.book, &state.holders[wanted.market], moment, &demand).unwrap();
    out.extend(from_outside(&state.ledger, moment, wanted, &out).unwrap());
    out
}

/// Plays the steps, comparing every event with a full rank.
fn play(
    setup: &Setup,
    board: &Board,
    state: &mut State,
    ranges: &dyn PriceRanges,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let mut ts = setup.opening;
    let accounts = state.book.len();
    for step in steps {
        match *step {
            Step::Wait(dt) => ts = (ts + dt).min(setup.end),
            Step::Match {
                market,
                loser,
                units,
                price,
                seen,
                book,
            } => {
                let mut moment = Moment::new(setup, board, ts);
                let (low, high) = ranges.market(market, Size(1), 0, ranges.stretch(0, ts));
                moment.seen = seen.map(|up| (market, Price(if up { high } else { low } as i64)));
                let position = Size(units);
                let at = price_at(price, moment.trigger(market, Size(1)));
                let wanted = Wanted {
                    market,
                    loser: Holder::Account(loser % accounts),
                    leg: 0,
                    position,
                    amount: setup.venue.markets[market].value(position, at).unwrap(),
                    quantity: position.units() - position.units() / 3,
                };
                let expected = full_rank(state, &moment, &wanted);
                let found = matches(state, &moment, ranges, &wanted).unwrap();
                prop_assert_eq!(&found, &expected);
                if book {
                    apply(state, setup, &wanted, &found);
                }
            }
            Step::Credit { account, coins, amount } => {
                let account = account % accounts;
                let held = state.book.cash(account);
                let (asset, _) = held[usize::from(!coins) % held.len()];
                let unit = 10i128.pow(setup.venue.assets[asset].decimals) / if asset == 0 { 100 } else { 1 };
                state
                    .book
                    .credit(account, asset, Amount(i128::from(amount) * unit))
                    .unwrap();
            }
            Step::Touch {
                market,
                long,
                place,
                amount,
            } => {
                let wanted = Wanted {
                    market,
                    loser: Holder::Account(accounts),
                    leg: 0,
                    position: Size(if long { -1_000_000 } else { 1_000_000 }),
                    amount: Amount::ZERO,
                    quantity: 1_000_000,
                };
                let ranked = full_rank(state, &Moment::new(setup, board, ts), &wanted);
                let Some(Holder::Account(account)) = ranked.get(place).map(|m| m.holder) else {
                    continue;
                };
                if let Some(amount) = amount {
                    let (asset, _) = state.book.cash(account)[0];
                    state
                        .book
                        .credit(account, asset, Amount(i128::from(amount) * 1_000_000))
                        .unwrap();
                } else {
                    for leg in state.book.legs_mut(account) {
                        (leg.size, leg.entry_value) = (Size::ZERO, Amount::ZERO);
                    }
                }
            }
            Step::Clear => state.deleveraging.clear(),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn matches_what_a_full_rank_matches(
        paths in [path(), path(), path()],
        kinds in prop::collection::vec(kind(), 1..40),
        accounts in prop::collection::vec(0usize..40, 1..120),
        steps in prop::collection::vec(step(), 1..80),
        finest in 1i64..40,
        factors in prop::collection::vec(1i64..6, 0..5),
        rules in rules(),
        keeps in prop::option::of(-4000i64..4000),
    ) {
        let tape = tape(paths);
        let (setup, feeds) = setup(&tape, &protocol(&rules, keeps.is_some()));
        let board = Board::new(feeds);
        let mut state = state(&setup, book_of(&setup, &kinds, &accounts));
        if let Some(units) = keeps {
            prop_assert_eq!(setup.protocol.outside, OutsideInventory::Keeps);
            let inventory = Inventory { size: Size(units), entry_value: Amount(i128::from(units) * 1_000_000) };
            state.ledger.try_inventory(Entity::Outside, 0, inventory);
        }
        let mut lengths = vec![finest];
        for factor in factors {
            lengths.push(lengths[lengths.len() - 1] * factor);
        }
        play(&setup, &board, &mut state, &Stretches { setup: &setup, feeds: board.feeds(), lengths }, &steps)?;
    }
}

/// Thousands of accounts that do not differ but by their number, and others between them.
#[test]
fn equal_scores_in_thousands_are_taken_by_number() {
    let path = |move_: i64| (0..200).map(|t| (t, 10_000 + move_ * t)).collect::<Vec<_>>();
    let tape = tape([path(10), path(-5), path(3)]);
    let kinds: Vec<Kind> = vec![
        (vec![(0, 700, 10_000)], 30, None),
        (vec![(0, 700, 10_000), (1, -300, 9_900)], 40, None),
        (vec![(2, 700, 10_000)], 0, Some(2000)),
        (vec![(0, -200, 10_000)], 400, None),
    ];
    for capacity in ["equity", "position", "profit"] {
        let (setup, feeds) = setup(&tape, &protocol(&format!(r#""capacity":"{capacity}""#), false));
        let board = Board::new(feeds);
        let accounts: Vec<usize> = (0..4000).map(|n| if n % 7 == 0 { n % 4 } else { 0 }).collect();
        let mut state = state(&setup, book_of(&setup, &kinds, &accounts));
        let ranges = Stretches {
            setup: &setup,
            feeds: board.feeds(),
            lengths: vec![8, 32, 256],
        };
        let mut steps = Vec::new();
        for n in 0..60 {
            let (loser, units) = (n * 13, -300 - 40 * (n as i64 % 9));
            let price = 100 + (n as i64 * 7) % 23;
            steps.push(Step::Match {
                market: 0,
                loser,
                units,
                price,
                seen: None,
                book: true,
            });
            if n % 10 == 9 {
                steps.push(Step::Wait(11));
            }
        }
        play(&setup, &board, &mut state, &ranges, &steps).unwrap();
    }
}

/// Many events of one instant: the drained stay on top of the rank and are stepped over.
#[test]
fn many_events_of_one_instant() {
    let path = |step: i64| (0..50).map(|t| (t, 10_000 + step * t)).collect::<Vec<_>>();
    let tape = tape([path(40), path(-5), path(3)]);
    let kinds: Vec<Kind> = (0..40)
        .map(|k| (vec![(0, 400 + 10 * k, 9_000 + 30 * k)], 40 + 3 * k, None))
        .collect();
    let (setup, feeds) = setup(&tape, &protocol("", false));
    let board = Board::new(feeds);
    let accounts: Vec<usize> = (0..3000).collect();
    let mut state = state(&setup, book_of(&setup, &kinds, &accounts));
    let ranges = Stretches {
        setup: &setup,
        feeds: board.feeds(),
        lengths: vec![4, 16],
    };
    let mut steps = vec![Step::Wait(30)];
    for n in 0..250usize {
        let (units, price) = (-900 - (n as i64 * 37) % 600, 95 + (n as i64 * 11) % 40);
        steps.push(Step::Match {
            market: 0,
            loser: n,
            units,
            price,
            seen: None,
            book: true,
        });
    }
    play(&setup, &board, &mut state, &ranges, &steps).unwrap();
}
