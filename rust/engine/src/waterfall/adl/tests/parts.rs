//! The parts of the queues: bounds, reach, order, ranges.

use proptest::prelude::*;

use super::world::{book_of, kind, path, price_at, protocol, rules};
use crate::contract::AssetId;
use crate::ledger::Holder;
use crate::progress::Silent;
use crate::search::{Index, PriceRanges};
use crate::state::{Board, Moment};
use crate::testing::{setup, tape};
use crate::units::{Price, Size};
use crate::waterfall::adl::Wanted;
use crate::waterfall::adl::capacity::{Demand, reach};
use crate::waterfall::adl::order::{Cursor, Key, Order};
use crate::waterfall::adl::outlook::{Outlook, Question};
use crate::waterfall::adl::standing::Standing;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_score_is_nowhere_above_its_bound(
        kind in kind(),
        corners in [(500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000)],
        rules in rules(),
        narrow in any::<bool>(),
        inside in prop::collection::vec([0f64..1.0, 0f64..1.0, 0f64..1.0], 20),
    ) {
        let corners = corners.map(|(low, width)| (low, low + if narrow { width / 1000 } else { width }));
        let interval = |m: usize| (corners[m].0 as f64, corners[m].1 as f64);
        for share in inside {
            let at = |m: usize| corners[m].0 + ((corners[m].1 - corners[m].0) as f64 * share[m]).round() as i64;
            let tape = tape([vec![(0, at(0))], vec![(0, at(1))], vec![(0, at(2))]]);
            let (setup, feeds) = setup(&tape, &protocol(&rules, false));
            let board = Board::new(feeds);
            let rules = setup.protocol.deleveraging();
            let book = book_of(&setup, std::slice::from_ref(&kind), &[0]);
            let moment = Moment::new(&setup, &board, 0);
            for leg in 0..book.legs(0).len() {
                let priced = |a: AssetId| setup.venue.assets[a].price_market.map_or((1.0, 1.0), interval);
                let outlook = Outlook::over(&setup.venue, &book, Question::of(rules), (0, leg), |m, _| interval(m), priced);
                if let Some(standing) = Standing::of(&book, &moment, 0, leg).unwrap() {
                    let market = book.legs(0)[leg].market;
                    let score = rules.score.of(&setup.venue, market, &standing).unwrap() as f64;
                    let bound = outlook.map_or(f64::NEG_INFINITY, |o| rules.score.bound(&setup.venue, market, &o));
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
        rules in rules(),
    ) {
        let tape = tape([vec![(0, prices[0])], vec![(0, prices[1])], vec![(0, prices[2])]]);
        let (setup, feeds) = setup(&tape, &protocol(&rules, false));
        let board = Board::new(feeds);
        let book = book_of(&setup, &[kind], &[0]);
        let moment = Moment::new(&setup, &board, 0);
        for (leg, l) in book.legs(0).iter().enumerate() {
            let position = Size(if l.size.0 > 0 { -units.abs() } else { units.abs() });
            let market = &setup.venue.markets[l.market];
            let wanted = Wanted {
                market: l.market,
                loser: Holder::Account(1),
                leg: 0,
                position,
                amount: market.value(position, price_at(price, moment.trigger(l.market, l.size))).unwrap(),
                quantity: position.units(),
            };
            let demand = Demand::new(&moment, &wanted).unwrap();
            if let Some(standing) = Standing::of(&book, &moment, 0, leg).unwrap()
                && demand.capacity(&book, &moment, (0, leg), &standing).unwrap() > 0
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
        let (setup, feeds) = setup(&tape, &protocol("", false));
        let board = Board::new(feeds);
        let span = (setup.opening, setup.end);
        let index = Index::new(&setup.venue, board.feeds(), span, 8, &Silent).unwrap();
        let t = t.clamp(setup.opening, setup.end);
        let moment = Moment::new(&setup, &board, t);
        let within = |(low, high): (f64, f64), price: Price| low <= price.0 as f64 && price.0 as f64 <= high;
        for level in 0..index.levels() {
            let stretch = index.stretch(level, t);
            for m in 0..3 {
                prop_assert!(within(index.market(m, Size(1), level, stretch), moment.trigger(m, Size(1))));
            }
            for a in 0..2 {
                prop_assert!(within(index.asset(a, level, stretch), moment.collateral(a)));
            }
            if level > 0 {
                prop_assert_eq!(stretch, index.stretch(level, t).min(stretch));
                let (finer, coarser) = (index.market(0, Size(1), level - 1, index.stretch(level - 1, t)), index.market(0, Size(1), level, stretch));
                prop_assert!(coarser.0 <= finer.0 && finer.1 <= coarser.1);
            }
        }
    }
}
