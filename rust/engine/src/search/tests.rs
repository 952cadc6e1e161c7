//! The search against a scan of every instant, on random small worlds.

use proptest::prelude::*;

use super::{BlockScan, Trigger, TriggerSearch};
use crate::book::Book;
use crate::margin::{Bound, Requirement};
use crate::state::{Moment, Setup};
use crate::testing::{book, setup, tape};
use crate::units::Price;

/// Random walks with ties, gaps and crashes.
fn path() -> impl Strategy<Value = Vec<(i64, i64)>> {
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

/// What an account fails at, by testing every instant of the tape.
fn scan(setup: &Setup, book: &Book, after: Option<i64>) -> Option<Trigger> {
    let legs = book.legs(0);
    let single = legs.len() == 1 && book.cash(0).len() == 1;
    let fails = |moment: &Moment<'_>| {
        setup
            .margin
            .health(&setup.venue, book, 0, moment, Requirement::Maintenance)
            .unwrap()
            .fails()
    };
    let mut instants: Vec<i64> = legs
        .iter()
        .flat_map(|l| setup.feeds.trigger[l.market].states.ts.clone())
        .collect();
    if book.cash(0).len() > 1 {
        for &(asset, _) in book.cash(0) {
            if let Some(m) = setup.venue.assets[asset].price_market {
                instants.extend(&setup.feeds.collateral[m].states.ts);
            }
        }
    }
    if after.is_none() {
        instants.push(setup.opening);
    }
    instants.retain(|&t| t >= setup.opening && t <= setup.end && after.is_none_or(|a| t > a));
    instants.sort_unstable();
    instants.dedup();
    for t in instants {
        let prints = setup.feeds.trigger[legs[0].market].prints.as_ref().filter(|_| single);
        let mut moment = Moment::new(setup, t);
        match prints.filter(|p| p.ts.contains(&t)) {
            Some(prints) => {
                for (_, &price) in prints.ts.iter().zip(&prints.price).filter(|(ts, _)| **ts == t) {
                    moment.seen = Some((legs[0].market, Price(price)));
                    if fails(&moment) {
                        return Some(Trigger {
                            ts: t,
                            seen: Some(Price(price)),
                        });
                    }
                }
            }
            None if fails(&moment) => return Some(Trigger { ts: t, seen: None }),
            None => {}
        }
    }
    None
}

fn protocol(kind: usize) -> &'static str {
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
    ) {
        let tape = tape(paths);
        let setup = setup(&tape, protocol(kind));
        let mut seen = [false; 3];
        let decimal = |cents: i64| format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        let positions: Vec<_> = legs
            .iter()
            .filter(|l| l.1 != 0 && !std::mem::replace(&mut seen[l.0], true))
            .map(|&(m, size, entry)| ("a", ["A", "B", "C"][m], decimal(size), decimal(entry)))
            .collect();
        prop_assume!(!positions.is_empty());
        let only_coin = positions.iter().all(|p| p.1 == "C");
        let mut money = vec![("a", if only_coin { "COIN" } else { "USD" }, cash.to_string())];
        if let Some(coins) = coins.filter(|_| !only_coin) {
            money.push(("a", "COIN", decimal(coins)));
        }
        let book = book(&setup, &positions, &money);
        let index = BlockScan::new(&setup.venue, &setup.margin, &setup.feeds, setup.opening, setup.end);
        prop_assert_eq!(index.first(&book, 0, after).unwrap(), scan(&setup, &book, after));
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
        let setup = setup(&tape, protocol(kind));
        let mut seen = [false; 3];
        let positions: Vec<_> = legs
            .iter()
            .filter(|l| l.1 != 0 && !std::mem::replace(&mut seen[l.0], true))
            .map(|&(m, size, entry)| ("a", ["A", "B", "C"][m], size.to_string(), entry.to_string()))
            .collect();
        prop_assume!(!positions.is_empty());
        let book = book(&setup, &positions, &[("a", "USD", cash.to_string()), ("a", "COIN", cash.to_string())]);
        let interval = |m: usize| (corners[m].0 as f64, (corners[m].0 + corners[m].1) as f64);
        let lower = Bound::new(&setup.margin, &setup.venue, &book, 0).lower(interval, |_| interval(2));
        let moment = Moment::new(&setup, 0);
        let exact = setup.margin.health(&setup.venue, &book, 0, &moment, Requirement::Maintenance).unwrap();
        prop_assert!(lower <= (exact.equity - exact.requirement) as f64, "{lower} above {exact:?}");
    }
}
