//! The search against a scan of every instant, on random small worlds.

use proptest::prelude::*;

use std::sync::Arc;

use super::{Index, Scratch, Search, Trigger, TriggerSearch};
use crate::aggregate::{Claim, Side, Summed};
use crate::book::{Book, Holding};
use crate::decimal::Decimal;
use crate::feeds::{Feeds, Sides};
use crate::margin::{Bound, Reach, Requirement, Scale};
use crate::progress::Silent;
use crate::state::{Board, Moment, Published, Setup};
use crate::terms::{MarketTerms, Term, Terms};
use crate::testing::{book, setup, tape};
use crate::units::{Amount, Price, Ratio, Size};

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
fn instants(
    setup: &Setup,
    feeds: &Arc<Feeds>,
    terms: Option<&Arc<Terms>>,
    book: &Book,
    after: Option<i64>,
) -> Vec<i64> {
    let legs = book.legs(0);
    let mut instants: Vec<i64> = legs
        .iter()
        .flat_map(|l| feeds.trigger.of(l.market, l.size).series.ts.to_vec())
        .collect();
    if book.cash(0).len() > 1 {
        for &(asset, _) in book.cash(0) {
            if let Some(m) = setup.venue.assets[asset].price_market {
                instants.extend(&feeds.collateral[m].series.ts[..]);
            }
        }
    }
    for (terms, leg) in terms.iter().flat_map(|terms| legs.iter().map(|l| (&terms.markets, l))) {
        instants.extend(terms[leg.market].instants());
    }
    for leg in legs {
        instants.extend(feeds.masks.of(leg.market).lifts());
    }
    if after.is_none() {
        instants.push(setup.opening);
    }
    instants.retain(|&t| t >= setup.opening && t <= setup.end && after.is_none_or(|a| t > a));
    instants.sort_unstable();
    instants.dedup();
    instants
}

/// Lets the indices of a book stand as they do at a time.
fn accrue(book: &mut Book, terms: Option<&Arc<Terms>>, t: i64) {
    for (market, terms) in terms.iter().flat_map(|terms| terms.markets.iter().enumerate()) {
        book.accrue(market, terms.at(t).funding, terms.at(t).borrow);
    }
}

/// What an account fails at, by testing every instant of the tape.
fn scan(setup: &Setup, feeds: &Arc<Feeds>, book: &Book, after: Option<i64>) -> Option<Trigger> {
    scan_under(setup, feeds, None, book, after)
}

/// The same under terms that change: the indices stand as they do at each instant.
fn scan_under(
    setup: &Setup,
    feeds: &Arc<Feeds>,
    terms: Option<&Arc<Terms>>,
    book: &Book,
    after: Option<i64>,
) -> Option<Trigger> {
    let board = Board::new(Arc::clone(feeds)).with_terms(terms.cloned());
    let mut book = book.clone();
    let legs = &book.legs(0).to_vec();
    let single = legs.len() == 1 && book.cash(0).len() == 1;
    for t in instants(setup, feeds, terms, &book, after) {
        accrue(&mut book, terms, t);
        if feeds.masks.block(legs, t) {
            continue;
        }
        let feed = feeds.trigger.of(legs[0].market, legs[0].size);
        let prints = Some(&feed.series).filter(|_| single && feed.each_print);
        let mut moment = Moment::new(setup, &board, t);
        match prints.filter(|p| p.ts.contains(&t)) {
            Some(prints) => {
                for (_, &price) in prints.ts.iter().zip(&prints.price[..]).filter(|(ts, _)| **ts == t) {
                    moment.seen = Some((legs[0].market, Price(price)));
                    if fails(&moment, &book) {
                        return Some(Trigger {
                            ts: t,
                            seen: Some(Price(price)),
                        });
                    }
                }
            }
            None if fails(&moment, &book) => return Some(Trigger { ts: t, seen: None }),
            None => {}
        }
    }
    None
}

/// Random terms of a market: gaps between instants, scales, steps of funding and of borrow fees.
fn terms() -> impl Strategy<Value = Steps> {
    let step = (1i64..120, 500_000i64..3_000_000, -2000i128..2000, 0i128..600);
    prop::collection::vec(step, 0..12).prop_map(Steps)
}

#[derive(Debug)]
struct Steps(Vec<(i64, i64, i128, i128)>);

impl Steps {
    /// Those up to the end of the tape, as the terms of a window end with it.
    fn build(self, (opening, end): (i64, i64), finer: i128) -> MarketTerms {
        let (mut ts, mut term) = (opening, Term::default());
        let steps = self.0.into_iter().map(|(gap, scale, funding, borrow)| {
            ts += gap;
            term.scale = Scale(if scale % 3 == 0 { Scale::ONE.0 } else { scale });
            // Up to a fifth of a dollar for a hundredth of a size.
            term.funding += funding * 100_000_000_000_000 / finer;
            term.borrow += borrow * 100_000_000_000_000 / finer;
            (ts, term)
        });
        MarketTerms::new(Term::default(), steps.filter(|(ts, _)| *ts <= end).collect())
    }
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
        3 => {
            r#"{"feeds":{"last":{"kind":"last","prints":"each"}},"collateral_feed":"last",
                "margin":{"maintenance":{"kind":"flat","rate":"1/7"},
                "markets":{"B":{"maintenance":{"kind":"initial_share","rate":"0.3","share":"1/3"}}}}}"#
        }
        4 => {
            r#"{"margin":{"maintenance":{"kind":"root_size","base":"0.02","share":"0.8","factor":"0.03","cap":"0.5"},"minimum":"30",
                "markets":{"B":{"maintenance":{"kind":"size_steps","steps":[{"lower":"0","rate":"0.01"},{"lower":"3.5","rate":"0.2"}]}}}},
                "collateral":{"USD":{"weight":"1","profit_weight":"1/3"},"COIN":{"weight":"0.9","profit_weight":"0"}}}"#
        }
        5 => {
            r#"{"margin":{"maintenance":{"kind":"leverage","fee":"5","fee_rate":"0.001","max_leverage":"30"},
                "markets":{"B":{"maintenance":{"kind":"linear_size","base":"0.02","slope":"0.01","above":"1","cap":"0.1"}}}}}"#
        }
        6 => {
            r#"{"margin":{"maintenance":{"kind":"collateral_share","lost":"0.9","fee_rate":"0.002"},"minimum":"1"},
                "collateral":{"USD":{"weight":"1","profit_weight":"0.5"}}}"#
        }
        7 => {
            r#"{"feeds":{"l":{"kind":"lagged","source":"last"},"t":{"kind":"twap","source":"last","window":40,"every":9},
                "w":{"kind":"worst_of","sources":["l","t","last"]}},"trigger_feed":"w","collateral_feed":"t",
                "guard":{"divergence":{"feed":"last","reference":"t","limit":"0.02"}},
                "margin":{"maintenance":{"kind":"brackets","tiers":[{"lower":"0","rate":"0.02"},{"lower":"500","rate":"0.05"}]}}}"#
        }
        8 => {
            r#"{"feeds":{"e":{"kind":"ema","source":"last","time_constant":30,"every":7,"offset":2},
                "s":{"kind":"spread","source":"last","reference":"e","limit":"0.01"}},"trigger_feed":"s","collateral_feed":"e",
                "margin":{"maintenance":{"kind":"flat","rate":"0.05"}}}"#
        }
        _ => {
            r#"{"feeds":{"last":{"kind":"last","prints":"each"}},"collateral_feed":"last","guard":{"staleness":3},
                "margin":{"maintenance":{"kind":"flat","rate":"0.04"}}}"#
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_a_scan_finds(
        paths in [path(), path(), path()],
        kind in 0usize..10,
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
        let free = |t: &i64| !feeds.masks.block(book.legs(0), *t);
        let healthy = |t: &i64| free(t) && !fails(&Moment::new(&setup, &board, *t), &book);
        prop_assert_eq!(recovery, instants(&setup, &feeds, None, &book, Some(since)).into_iter().find(healthy));
    }

    #[test]
    fn finds_what_a_scan_finds_under_terms(
        paths in [path(), path(), path()],
        kind in 0usize..10,
        legs in prop::collection::vec((0usize..3, -2000i64..2000, 8000i64..12000), 1..4),
        cash in 0i64..400,
        coins in prop::option::of(0i64..300),
        after in prop::option::of(0i64..200),
        steps in [terms(), terms(), terms()],
        settled in prop::bool::ANY,
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
        let mut book = book(&setup, &positions, &money);
        book.open_charges(&setup.venue, false, true);
        let terms = Arc::new(Terms {
            // A coin has more units than the dollars of its price.
            markets: steps.into_iter().zip([1, 1, 10]).map(|(steps, finer)| steps.build((setup.opening, setup.end), finer)).collect(),
            accruals: Vec::new(),
        });
        if settled {
            // Its legs stand at indices that are not zero.
            for market in 0..3 {
                book.accrue(market, 3_000_000_000_000_000, 1_000_000_000_000_000);
            }
            for leg in 0..positions.len() {
                book.mark_settled(0, leg);
            }
        }
        let index = Index::new(&setup.venue, &feeds, (setup.opening, setup.end), block, &Silent).unwrap();
        let search = Search::new(&setup.venue, &setup.margin, &index).with_terms(Some(&terms));
        let found = search.first(&book, 0, after, &mut Scratch::default()).unwrap();
        prop_assert_eq!(found, scan_under(&setup, &feeds, Some(&terms), &book, after));

        let since = found.map_or(after.unwrap_or(0), |trigger| trigger.ts);
        let recovery = search.recovery(&book, 0, since, &mut Scratch::default()).unwrap();
        let board = Board::new(Arc::clone(&feeds)).with_terms(Some(Arc::clone(&terms)));
        let mut accrued = book.clone();
        let healthy = |t: &i64| {
            accrue(&mut accrued, Some(&terms), *t);
            !feeds.masks.block(book.legs(0), *t) && !fails(&Moment::new(&setup, &board, *t), &accrued)
        };
        let instants = instants(&setup, &feeds, Some(&terms), &book, Some(since));
        prop_assert_eq!(recovery, instants.into_iter().find(healthy));
    }

    #[test]
    fn a_bound_is_below_every_point_of_its_interval(
        kind in 0usize..10,
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
            let holding = Holding::gross(&book, 0);
            let reach = bound.take(&setup.margin, &setup.venue, holding, Sides::default(), interval, |_| Scale::ONE);
            let board = Board::new(Arc::clone(&feeds));
            let moment = Moment::new(&setup, &board, 0);
            let exact = setup.margin.health(&setup.venue, &book, 0, &moment, Requirement::Maintenance).unwrap();
            let mut best = Bound::default();
            best.take_for_recovery(&setup.margin, &setup.venue, holding, Sides::default(), |_| Scale::ONE);
            let upper = best.best_over(interval, |_| interval(2));
            prop_assert!(upper >= (exact.equity - exact.requirement) as f64, "{upper} below {exact:?}");
            if reach == Reach::Assets {
                let lower = bound.over_assets(interval, |_| interval(2));
                prop_assert!(lower <= (exact.equity - exact.requirement) as f64, "{lower} above {exact:?}");
                continue;
            }
            let lower = bound.base() + bound.terms().iter().map(|t| {
                let (low, high) = interval(t.channel);
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

/// Protocols with one price, two prices, every print, and a guard.
fn feeds(kind: usize) -> &'static str {
    match kind % 4 {
        0 => "{}",
        1 => {
            r#"{"feeds":{"two":{"kind":"worst_of","sources":["last","slow"]},"slow":{"kind":"periodic","source":"last","every":7}},
                "trigger_feed":"two","collateral_feed":"slow"}"#
        }
        2 => r#"{"feeds":{"last":{"kind":"last","source":"own","prints":"each"}}}"#,
        _ => {
            r#"{"feeds":{"slow":{"kind":"periodic","source":"last","every":13}},
                "guard":{"divergence":{"feed":"last","reference":"slow","limit":"0.05"},"staleness":40}}"#
        }
    }
}

/// The first instant of any feed, and of the opening, at which a claim exceeds a factor and no market of it is blocked.
fn scan_claim(setup: &Setup, feeds: &Arc<Feeds>, claim: &Claim, factor: Ratio, after: Option<i64>) -> Option<i64> {
    let board = Board::new(Arc::clone(feeds));
    let assets = claim.positions.iter().map(|p| setup.venue.markets[p.market].settlement);
    let held = claim
        .amounts
        .iter()
        .chain(&claim.holdings)
        .filter(|(_, n)| !n.is_zero());
    let priced = assets
        .chain(held.map(|(a, _)| *a))
        .filter_map(|a| setup.venue.assets[a].price_market);
    let mut instants: Vec<i64> = priced.flat_map(|m| feeds.collateral[m].series.ts.to_vec()).collect();
    for p in &claim.positions {
        instants.extend(&feeds.trigger.of(p.market, p.reads).series.ts[..]);
        instants.extend(feeds.masks.of(p.market).lifts());
    }
    if after.is_none() {
        instants.push(setup.opening);
    }
    instants.retain(|&t| t >= setup.opening && t <= setup.end && after.is_none_or(|a| t > a));
    instants.sort_unstable();
    let blocked = |t| claim.positions.iter().any(|p| feeds.masks.of(p.market).blocks(t));
    let exceeds = |t: &i64| {
        let moment = Moment::new(setup, &board, *t);
        let standing = claim.at(&setup.venue, &Published(&moment)).unwrap();
        !blocked(*t) && standing.exceeds(factor).unwrap()
    };
    instants.into_iter().find(exceeds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// An aggregate is found where a scan of every instant finds it, wherever the search begins and whatever a block is.
    #[test]
    fn the_first_passage_of_an_aggregate(
        paths in [path(), path(), path()],
        kind in 0usize..4,
        block in prop::sample::select(vec![1usize, 4, 128]),
        positions in prop::collection::vec((0usize..3, -30_000i64..30_000, 5_000i128..15_000, any::<bool>()), 0..3),
        amounts in prop::collection::vec((0usize..2, -5i128..50), 0..2),
        held in [-50i128..5_000, -50i128..5_000],
        (share, factor) in (0i128..5, 0i128..40),
        later in prop::option::of(0i64..400),
    ) {
        let tape = tape(paths);
        let (setup, feeds) = setup(&tape, feeds(kind));
        // A hundredth of a coin, or a dollar.
        let amount = |n: i128| Amount(n * 1_000_000);
        let positions = positions.into_iter().map(|(market, size, entry, better)| {
            let (size, entry) = (Size(size), Decimal { mantissa: entry, scale: 2 });
            let entry_value = setup.venue.markets[market].cost(size, entry).unwrap();
            let reads = Size(if better == (size.0 > 0) { -1 } else { 1 });
            Summed { market, side: Side { size, entry_value }, reads }
        });
        let claim = Claim {
            positions: positions.collect(),
            amounts: amounts.into_iter().map(|(asset, n)| (asset, amount(n))).collect(),
            holdings: held.into_iter().enumerate().map(|(asset, n)| (asset, amount(n))).collect(),
            share: Ratio::new(share, 4).unwrap(),
        };
        let factor = Ratio::new(factor, 20).unwrap();
        let index = Index::new(&setup.venue, &feeds, (setup.opening, setup.end), block, &Silent).unwrap();
        let search = Search::new(&setup.venue, &setup.margin, &index);
        let mut scratch = Scratch::default();
        let found = search.first_exceeding(&claim, factor, later, &mut scratch).unwrap();
        prop_assert_eq!(found, scan_claim(&setup, &feeds, &claim, factor, later));
    }
}
