//! Certificates against a scan of every instant, while indices rise by random steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::Certificate;
use crate::book::{Book, INDEX_SCALE};
use crate::contract::MarketId;
use crate::feeds::Feeds;
use crate::margin::Requirement;
use crate::progress::Silent;
use crate::search::tests::{path, protocol};
use crate::search::{Index, Scratch, Search, TriggerSearch};
use crate::state::{Board, Moment, Setup};
use crate::testing::{book, setup, tape};
use crate::units::Price;

/// When an index rises, which, and by how much.
type Step = (i64, MarketId, i128);

struct World<'a> {
    setup: &'a Setup,
    feeds: &'a Arc<Feeds>,
    steps: &'a [Step],
}

impl World<'_> {
    /// True if the account is tested, and fails.
    fn fails(&self, book: &Book, moment: &Moment<'_>) -> bool {
        if self.feeds.masks.block(book.legs(0), moment.ts) {
            return false;
        }
        let margin = &self.setup.margin;
        let health = margin.health(&self.setup.venue, book, 0, moment, Requirement::Maintenance);
        health.unwrap().fails()
    }

    /// Raises the indices as they rise at `t`; true if the account is charged.
    fn raise(&self, book: &mut Book, t: i64) -> bool {
        let mut charged = false;
        for &(_, market, step) in self.steps.iter().filter(|s| s.0 == t) {
            book.raise_index(market, step).unwrap();
            charged |= book.legs(0).iter().any(|l| l.market == market);
        }
        charged
    }

    /// The first instant at which the account fails, by testing it at every update of its feeds and after every step.
    fn scan(&self, mut book: Book) -> Option<i64> {
        let board = Board::new(Arc::clone(self.feeds));
        let only = book.legs(0)[0].market;
        let single = book.legs(0).len() == 1 && book.cash(0).len() == 1;
        let mut updates: BTreeSet<i64> = BTreeSet::from([self.setup.opening]);
        for leg in book.legs(0) {
            updates.extend(&self.feeds.trigger.of(leg.market, leg.size).series.ts[..]);
            updates.extend(self.feeds.masks.of(leg.market).lifts());
        }
        if book.cash(0).len() > 1 {
            for &(asset, _) in book.cash(0) {
                if let Some(market) = self.setup.venue.assets[asset].price_market {
                    updates.extend(&self.feeds.collateral[market].series.ts[..]);
                }
            }
        }
        let instants: BTreeSet<i64> = updates.iter().copied().chain(self.steps.iter().map(|s| s.0)).collect();
        for t in instants.into_iter().filter(|&t| t <= self.setup.end) {
            let mut moment = Moment::new(self.setup, &board, t);
            let feed = &self.feeds.trigger.feeds[only];
            if single && feed.each_print {
                let prints = feed.series.ts.iter().zip(&feed.series.price[..]);
                for (_, &price) in prints.filter(|(ts, _)| **ts == t) {
                    moment.seen = Some((only, Price(price)));
                    if self.fails(&book, &moment) {
                        return Some(t);
                    }
                }
                moment.seen = None;
            }
            if updates.contains(&t) && self.fails(&book, &moment) {
                return Some(t);
            }
            if self.raise(&mut book, t) && self.fails(&book, &moment) {
                return Some(t);
            }
        }
        None
    }

    /// The same by certificates: looks only where one comes to its end, in time or by a step.
    fn certified(&self, search: &Search<'_>, mut book: Book) -> Option<i64> {
        let board = Board::new(Arc::clone(self.feeds));
        let (mut scratch, mut certificate) = (Scratch::default(), Certificate::default());
        let times: BTreeSet<i64> = self
            .steps
            .iter()
            .map(|s| s.0)
            .filter(|&t| t <= self.setup.end)
            .collect();
        let mut times = times.into_iter().peekable();
        let mut after = None;
        loop {
            let now = Moment::new(self.setup, &board, after.unwrap_or(self.setup.opening));
            let expected = search
                .certify(&book, 0, after, &now, &mut scratch, &mut certificate)
                .unwrap();
            let within = |b: &(MarketId, _)| (b.0, book.index_within(0, b.0, b.1));
            let ceilings: Vec<(MarketId, i128)> = certificate.budgets.iter().map(within).collect();
            // Steps that the certificate allows for.
            let mut void = None;
            while let Some(&t) = times.peek().filter(|&&t| expected.is_none_or(|e| t < e.ts)) {
                times.next();
                self.raise(&mut book, t);
                if ceilings
                    .iter()
                    .any(|&(market, ceiling)| book.indices(market)[0] > ceiling)
                {
                    void = Some(t);
                    break;
                }
            }
            match (void, expected) {
                (Some(t), _) => {
                    if self.fails(&book, &Moment::new(self.setup, &board, t)) {
                        return Some(t);
                    }
                    after = Some(t);
                }
                (None, Some(expected)) => {
                    let t = expected.ts;
                    let before = (t > self.setup.opening).then(|| t - 1);
                    let exact = search.first(&book, 0, before, &mut scratch).unwrap();
                    if exact.is_some_and(|e| e.ts == t) {
                        return Some(t);
                    }
                    // Steps of this very instant come after the test, without a certificate.
                    if times.peek() == Some(&t) {
                        times.next();
                        if self.raise(&mut book, t) && self.fails(&book, &Moment::new(self.setup, &board, t)) {
                            return Some(t);
                        }
                    }
                    after = Some(t);
                }
                (None, None) => return None,
            }
        }
    }
}

fn cents(n: i64) -> String {
    format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn certificates_find_what_a_scan_finds(
        paths in [path(), path(), path()],
        kind in 0usize..10,
        legs in prop::collection::vec((0usize..3, -2000i64..2000, 8000i64..12000), 1..4),
        cash in 0i64..600,
        coins in prop::option::of(0i64..300),
        steps in prop::collection::vec((0i64..300, 0usize..3, 0i128..12_000, 0u32..6), 0..40),
        block in prop::sample::select(vec![1usize, 8, 128]),
    ) {
        let tape = tape(paths);
        let (setup, feeds) = setup(&tape, protocol(kind));
        let positions: Vec<_> = legs
            .iter()
            .filter(|l| l.1 != 0)
            .map(|&(m, size, entry)| ("a", ["A", "B", "C"][m], cents(size), cents(entry)))
            .collect();
        prop_assume!(!positions.is_empty());
        let only_coin = positions.iter().all(|p| p.1 == "C");
        let mut money = vec![("a", if only_coin { "COIN" } else { "USD" }, cash.to_string())];
        if let Some(coins) = coins.filter(|_| !only_coin) {
            money.push(("a", "COIN", cents(coins)));
        }
        let mut book = book(&setup, &positions, &money);
        book.open_charges(&setup.venue, true, false);
        // From less than a unit to a per cent of the price and more.
        let steps: Vec<Step> = steps
            .into_iter()
            .map(|(t, market, step, exponent)| (t, market, step * INDEX_SCALE / 10i128.pow(exponent) + 1))
            .collect();
        let index = Index::new(&setup.venue, &feeds, (setup.opening, setup.end), block, &Silent).unwrap();
        let search = Search::new(&setup.venue, &setup.margin, &index);
        let world = World { setup: &setup, feeds: &feeds, steps: &steps };
        prop_assert_eq!(world.certified(&search, book.clone()), world.scan(book));
    }
}
