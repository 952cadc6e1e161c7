//! The queues against a full rank, on random small worlds in which anything may happen between two events.

use proptest::prelude::*;

use super::capacity::{Demand, reach};
use super::order::{Cursor, Key, Order};
use super::outlook::Outlook;
use super::score::Score;
use super::standing::Standing;
use super::{Match, Queues, Wanted, full_rank, matches};
use crate::book::Book;
use crate::config::OutsideInventory;
use crate::contract::{AssetId, MarketId};
use crate::ledger::{Entity, Holder, Inventory, Ledger, released};
use crate::records::Records;
use crate::search::{BlockScan, PriceRanges};
use crate::state::{Moment, Setup, State};
use crate::testing::{book, setup, tape};
use crate::units::{Amount, Price, Size};

/// Ranges over stretches of any length, by looking at every state.
struct Stretches<'a> {
    setup: &'a Setup,
    /// Length of a stretch, by level.
    lengths: Vec<i64>,
}

impl Stretches<'_> {
    fn range(&self, feed: &crate::feeds::Feed, level: usize, stretch: usize) -> (f64, f64) {
        let (from, length) = (stretch as i64 * self.lengths[level], self.lengths[level]);
        let inside = |t: &i64| (from..from + length).contains(t);
        let states = feed.states.ts.iter().zip(&feed.states.price);
        let prices = states.filter(|(t, _)| inside(t)).map(|(_, &p)| p);
        let prices = prices.chain([feed.states.at(from).0]);
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

    fn market(&self, market: MarketId, level: usize, stretch: usize) -> (f64, f64) {
        self.range(&self.setup.feeds.trigger[market], level, stretch)
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        let market = self.setup.venue.assets[asset].price_market;
        market.map_or((1.0, 1.0), |m| {
            self.range(&self.setup.feeds.collateral[m], level, stretch)
        })
    }
}

fn state(setup: &Setup, book: Book) -> State {
    let mut holders = vec![Vec::new(); setup.venue.markets.len()];
    for account in 0..book.len() {
        for leg in book.legs(account) {
            let list: &mut Vec<u32> = &mut holders[leg.market];
            if list.last() != Some(&(account as u32)) {
                list.push(account as u32);
            }
        }
    }
    State {
        book,
        ledger: Ledger::new(&setup.venue),
        records: Records::default(),
        holders,
        deleveraging: Queues::default(),
        cover: Vec::new(),
    }
}

/// Books what was matched: the counterparties take the loser's position and pay its amount.
fn apply(state: &mut State, setup: &Setup, wanted: &Wanted, matched: &[Match]) {
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
type Kind = (Vec<(usize, i64, i64)>, i64, Option<i64>);

fn kind() -> impl Strategy<Value = Kind> {
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

fn book_of(setup: &Setup, kinds: &[Kind], accounts: &[usize]) -> Book {
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
fn path() -> impl Strategy<Value = Vec<(i64, i64)>> {
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

fn protocol(capacity: usize, keeps: bool) -> String {
    let capacity = ["equity", "position", "profit"][capacity];
    let outside = if keeps { r#","outside":"keeps""# } else { "" };
    format!(
        r#"{{"margin":{{"maintenance":{{"kind":"flat","rate":"0.01"}}}},"adl":{{"capacity":"{capacity}"}}{outside}}}"#
    )
}

fn price_at(percent: i64, mark: Price) -> Price {
    Price((mark.0 * percent / 100).max(1))
}

/// Plays the steps, comparing every event with a full rank.
fn play(setup: &Setup, state: &mut State, ranges: &dyn PriceRanges, steps: &[Step]) -> Result<(), TestCaseError> {
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
                let mut moment = Moment::new(setup, ts);
                let (low, high) = ranges.market(market, 0, ranges.stretch(0, ts));
                moment.seen = seen.map(|up| (market, Price(if up { high } else { low } as i64)));
                let position = Size(units);
                let at = price_at(price, moment.trigger(market));
                let wanted = Wanted {
                    market,
                    loser: loser % accounts,
                    position,
                    amount: setup.venue.markets[market].value(position, at).unwrap(),
                    quantity: position.units() - position.units() / 3,
                };
                let expected = full_rank::matches(state, &moment, &wanted).unwrap();
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
                    loser: accounts,
                    position: Size(if long { -1_000_000 } else { 1_000_000 }),
                    amount: Amount::ZERO,
                    quantity: 1_000_000,
                };
                let ranked = full_rank::matches(state, &Moment::new(setup, ts), &wanted).unwrap();
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
        capacity in 0usize..3,
        keeps in prop::option::of(-4000i64..4000),
    ) {
        let tape = tape(paths);
        let setup = setup(&tape, &protocol(capacity, keeps.is_some()));
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
        play(&setup, &mut state, &Stretches { setup: &setup, lengths }, &steps)?;
    }

    #[test]
    fn a_score_is_nowhere_above_its_bound(
        kind in kind(),
        corners in [(500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000)],
        narrow in any::<bool>(),
        inside in prop::collection::vec([0f64..1.0, 0f64..1.0, 0f64..1.0], 20),
    ) {
        let corners = corners.map(|(low, width)| (low, low + if narrow { width / 1000 } else { width }));
        let interval = |m: usize| (corners[m].0 as f64, corners[m].1 as f64);
        for share in inside {
            let at = |m: usize| corners[m].0 + ((corners[m].1 - corners[m].0) as f64 * share[m]).round() as i64;
            let tape = tape([vec![(0, at(0))], vec![(0, at(1))], vec![(0, at(2))]]);
            let setup = setup(&tape, &protocol(0, false));
            let book = book_of(&setup, std::slice::from_ref(&kind), &[0]);
            let moment = Moment::new(&setup, 0);
            for leg in 0..book.legs(0).len() {
                let priced = |a: AssetId| setup.venue.assets[a].price_market.map_or((1.0, 1.0), interval);
                let outlook = Outlook::over(&setup.venue, &book, (0, leg), interval, priced);
                if let Some(standing) = Standing::of(&book, &moment, 0, leg).unwrap() {
                    let score = Score::default().of(&standing).unwrap() as f64;
                    let bound = outlook.map_or(f64::NEG_INFINITY, |o| Score::default().bound(&o));
                    prop_assert!(score <= bound, "{score} above {bound} of {outlook:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_below_the_least_reach_has_anything_to_give(
        kind in kind(),
        prices in [2000i64..40_000, 2000i64..40_000, 2000i64..40_000],
        units in prop_oneof![-4_000_000i64..-1, 1i64..4_000_000],
        price in 1i64..1000,
        capacity in 0usize..3,
    ) {
        let tape = tape([vec![(0, prices[0])], vec![(0, prices[1])], vec![(0, prices[2])]]);
        let setup = setup(&tape, &protocol(capacity, false));
        let book = book_of(&setup, &[kind], &[0]);
        let moment = Moment::new(&setup, 0);
        for (leg, l) in book.legs(0).iter().enumerate() {
            let position = Size(if l.size.0 > 0 { -units.abs() } else { units.abs() });
            let market = &setup.venue.markets[l.market];
            let wanted = Wanted {
                market: l.market,
                loser: 1,
                position,
                amount: market.value(position, price_at(price, moment.trigger(l.market))).unwrap(),
                quantity: position.units(),
            };
            let demand = Demand::new(&moment, &wanted).unwrap();
            if let Some(standing) = Standing::of(&book, &moment, 0, leg).unwrap()
                && demand.capacity(&moment, &standing).unwrap() > 0
            {
                prop_assert!(reach(&moment, market.settlement, &standing) >= demand.least_reach());
            }
        }
    }

    #[test]
    fn an_order_is_a_sorted_list(
        steps in prop::collection::vec((0u32..2000, 0u32..6, 0i64..100, any::<bool>()), 1..3000),
        least in 0i64..100,
    ) {
        let mut order = Order::default();
        let mut list: std::collections::BTreeMap<Key, f64> = std::collections::BTreeMap::new();
        for (account, score, reach, gone) in steps {
            let key = Key { score: i128::from(score), account, leg: 0 };
            if list.contains_key(&key) || gone {
                list.remove(&key);
                order.remove(key);
            } else {
                list.insert(key, reach as f64);
                order.insert(key, reach as f64);
            }
        }
        prop_assert_eq!(order.last(), list.last_key_value().map(|(key, _)| *key));
        let mut cursor = Cursor::default();
        let found: Vec<_> = std::iter::from_fn(|| order.next(&mut cursor, least as f64)).collect();
        let expected: Vec<_> = list.iter().enumerate().filter(|(_, (_, r))| **r >= least as f64).map(|(n, (key, _))| (*key, n)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_index_of_the_search_gives_ranges(paths in [path(), path(), path()], t in 0i64..600) {
        let tape = tape(paths);
        let setup = setup(&tape, &protocol(0, false));
        let index = BlockScan::new(&setup.venue, &setup.margin, &setup.feeds, setup.opening, setup.end);
        let t = t.clamp(setup.opening, setup.end);
        let moment = Moment::new(&setup, t);
        let within = |(low, high): (f64, f64), price: Price| low <= price.0 as f64 && price.0 as f64 <= high;
        for level in 0..index.levels() {
            let stretch = index.stretch(level, t);
            for m in 0..3 {
                prop_assert!(within(index.market(m, level, stretch), moment.trigger(m)));
            }
            for a in 0..2 {
                prop_assert!(within(index.asset(a, level, stretch), moment.collateral(a)));
            }
            if level > 0 {
                prop_assert_eq!(stretch, index.stretch(level, t).min(stretch));
                let (finer, coarser) = (index.market(0, level - 1, index.stretch(level - 1, t)), index.market(0, level, stretch));
                prop_assert!(coarser.0 <= finer.0 && finer.1 <= coarser.1);
            }
        }
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
    for capacity in 0..3 {
        let setup = setup(&tape, &protocol(capacity, false));
        let accounts: Vec<usize> = (0..4000).map(|n| if n % 7 == 0 { n % 4 } else { 0 }).collect();
        let mut state = state(&setup, book_of(&setup, &kinds, &accounts));
        let ranges = Stretches {
            setup: &setup,
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
        play(&setup, &mut state, &ranges, &steps).unwrap();
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
    let setup = setup(&tape, &protocol(0, false));
    let accounts: Vec<usize> = (0..3000).collect();
    let mut state = state(&setup, book_of(&setup, &kinds, &accounts));
    let ranges = Stretches {
        setup: &setup,
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
    play(&setup, &mut state, &ranges, &steps).unwrap();
}
