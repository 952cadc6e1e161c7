//! The search against a scan of every instant, on random small worlds.

use proptest::prelude::*;

use std::sync::Arc;

use super::{Index, Scratch, Search, Trigger, TriggerSearch};
use crate::book::{Book, Holding};
use crate::feeds::Feeds;
use crate::margin::{Bound, Reach, Requirement};
use crate::progress::Silent;
use crate::state::{Board, Moment, Setup};
use crate::testing::{book, setup, tape};
use crate::units::Price;

/// Random walks with ties, gaps and crashes.
pub(super) fn path() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0i64..4, -900i64..900), 1..400).prop_map(|steps| {
        let (mut ts, mut price) = (0, 10_000);
        steps
            .into_iter()
            .map(|(gap, move_)| {
                ts += if gap == 3 { 50 } else { gap };
                price = (price + move_ / 4).clamp(500, 60_000);
                (ts, price)
            })
            .collect()
    })
}

/// True if the account is liquidatable.
fn fails(moment: &Moment<'_>, book: &Book) -> bool {
    let setup = moment.setup;
    let health = setup
        .margin
        .health(&setup.venue, book, 0, moment, Requirement::Maintenance);
    health.unwrap().fails()
}

/// The instants of the account.
fn instants(setup: &Setup, feeds: &Arc<Feeds>, book: &Book, after: Option<i64>) -> Vec<i64> {
    let legs = book.legs(0);
    let mut instants: Vec<i64> = legs
        .iter()
        .flat_map(|l| feeds.trigger[l.market].series.ts.to_vec())
        .collect();
    if book.cash(0).len() > 1 {
        for &(asset, _) in book.cash(0) {
            if let Some(m) = setup.venue.assets[asset].price_market {
                instants.extend(&feeds.collateral[m].series.ts[..]);
            }
        }
    }
    if after.is_none() {
        instants.push(setup.opening);
    }
    instants.retain(|&t| t >= setup.opening && t <= setup.end && after.is_none_or(|a| t > a));
    instants.sort_unstable();
    instants.dedup();
    instants
}

/// What an account fails at, by testing every instant of the tape.
fn scan(setup: &Setup, feeds: &Arc<Feeds>, book: &Book, after: Option<i64>) -> Option<Trigger> {
    let board = Board::new(Arc::clone(feeds));
    let legs = book.legs(0);
    let single = legs.len() == 1 && book.cash(0).len() == 1;
    for t in instants(setup, feeds, book, after) {
        let feed = &feeds.trigger[legs[0].market];
        let prints = Some(&feed.series).filter(|_| single && feed.each_print);
        let mut moment = Moment::new(setup, &board, t);
        match prints.filter(|p| p.ts.contains(&t)) {
            Some(prints) => {
                for (_, &price) in prints.ts.iter().zip(&prints.price[..]).filter(|(ts, _)| **ts == t) {
                    moment.seen = Some((legs[0].market, Price(price)));
                    if fails(&moment, book) {
                        return Some(Trigger {
                            ts: t,
                            seen: Some(Price(price)),
                        });
                    }
                }
            }
            None if fails(&moment, book) => return Some(Trigger { ts: t, seen: None }),
            None => {}
        }
    }
    None
}

pub(super) fn protocol(kind: usize) -> &'static str {
    match kind {
        0 => r#"{"margin":{"maintenance":{"kind":"flat","rate":"0.03"}}}"#,
        1 => {
            r#"{"margin":{"maintenance":{"kind":"brackets","tiers":[{"lower":"0","rate":"0.01"},{"lower":"300","rate":"1/30"},
                {"lower":"1000","rate":"0.1"}]}},"collateral":{"COIN":{"weight":"0.9"}}}"#
        }
        2 => {
            r#"{"feeds":{"p":{"kind":"push","source":"last","deviation":"0.01","heartbeat":60,"latency":7}},"trigger_feed":"p",
                "margin":{"maintenance":{"kind":"brackets","tiers":[{"lower":"0","rate":"0.02","deduction":"0"},
                {"lower":"500","rate":"0.05","deduction":"9"}]}}}"#
        }
        _ => {
            r#"{"feeds":{"last":{"kind":"last","prints":"each"}},"collateral_feed":"last",
                "margin":{"maintenance":{"kind":"flat","rate":"1/7"}}}"#
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_a_scan_finds(
        paths in [path(), path(), path()],
        kind in 0usize..4,
        legs in prop::collection::vec((0usize..3, -2000i64..2000, 8000i64..12000), 1..4),
        cash in 0i64..400,
        coins in prop::option::of(0i64..300),
        after in prop::option::of(0i64..200),
        block in prop::sample::select(vec![1usize, 2, 8, 16, 128]),
    ) {
        let tape = tape(paths);
        let (setup, feeds) = setup(&tape, protocol(kind));
        let decimal = |cents: i64| format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        let positions: Vec<_> = legs
            .iter()
            .filter(|l| l.1 != 0)
            .map(|&(m, size, entry)| ("a", ["A", "B", "C"][m], decimal(size), decimal(entry)))
            .collect();
        prop_assume!(!positions.is_empty());
        let only_coin = positions.iter().all(|p| p.1 == "C");
        let mut money = vec![("a", if only_coin { "COIN" } else { "USD" }, cash.to_string())];
        if let Some(coins) = coins.filter(|_| !only_coin) {
            money.push(("a", "COIN", decimal(coins)));
        }
        let book = book(&setup, &positions, &money);
        let index = Index::new(&setup.venue, &feeds, (setup.opening, setup.end), block, &Silent).unwrap();
        let search = Search::new(&setup.venue, &setup.margin, &index);
        let found = search.first(&book, 0, after, &mut Scratch::default()).unwrap();
        prop_assert_eq!(found, scan(&setup, &feeds, &book, after));

        let since = found.map_or(after.unwrap_or(0), |trigger| trigger.ts);
        let recovery = search.recovery(&book, 0, since, &mut Scratch::default()).unwrap();
        let board = Board::new(Arc::clone(&feeds));
        let healthy = |t: &i64| !fails(&Moment::new(&setup, &board, *t), &book);
        prop_assert_eq!(recovery, instants(&setup, &feeds, &book, Some(since)).into_iter().find(healthy));
    }

    #[test]
    fn a_bound_is_below_every_point_of_its_interval(
        kind in 0usize..4,
        legs in prop::collection::vec((0usize..3, -2000i64..2000, 8000i64..12000), 1..4),
        cash in 0i64..400,
        corners in [(500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000), (500i64..60_000, 0i64..30_000)],
        inside in [0f64..1.0, 0f64..1.0, 0f64..1.0],
    ) {
        let at = |m: usize| corners[m].0 + (corners[m].1 as f64 * inside[m]) as i64;
        let tape = tape([vec![(0, at(0))], vec![(0, at(1))], vec![(0, at(2))]]);
        let (setup, feeds) = setup(&tape, protocol(kind));
        let positions: Vec<_> = legs
            .iter()
            .filter(|l| l.1 != 0)
            .map(|&(m, size, entry)| ("a", ["A", "B", "C"][m], size.to_string(), entry.to_string()))
            .collect();
        prop_assume!(!positions.is_empty());
        let interval = |m: usize| (corners[m].0 as f64, (corners[m].0 + corners[m].1) as f64);
        let several = [("a", "USD", cash.to_string()), ("a", "COIN", cash.to_string())];
        let one = positions.iter().all(|p| p.1 != "C");
        for cash in [&several[..], &several[..1]].into_iter().take(1 + usize::from(one)) {
            let book = book(&setup, &positions, cash);
            let mut bound = Bound::default();
            let reach = bound.take(&setup.margin, &setup.venue, Holding::gross(&book, 0), interval);
            let board = Board::new(Arc::clone(&feeds));
            let moment = Moment::new(&setup, &board, 0);
            let exact = setup.margin.health(&setup.venue, &book, 0, &moment, Requirement::Maintenance).unwrap();
            let mut best = Bound::default();
            best.take_for_recovery(&setup.margin, &setup.venue, Holding::gross(&book, 0));
            let upper = best.best_over(interval, |_| interval(2));
            prop_assert!(upper >= (exact.equity - exact.requirement) as f64, "{upper} below {exact:?}");
            if reach == Reach::Assets {
                let lower = bound.over_assets(interval, |_| interval(2));
                prop_assert!(lower <= (exact.equity - exact.requirement) as f64, "{lower} above {exact:?}");
                continue;
            }
            let lower = bound.base() + bound.terms().iter().map(|t| {
                let (low, high) = interval(t.market);
                bound.between(t, low, high)
            }).sum::<f64>();
            prop_assert!(lower <= (exact.equity - exact.requirement) as f64, "{lower} above {exact:?}");
            match reach {
                Reach::Below(m, price) => prop_assert!(at(m) as f64 <= price || !exact.fails()),
                Reach::Above(m, price) => prop_assert!(at(m) as f64 >= price || !exact.fails()),
                _ => {}
            }
        }
    }
}
