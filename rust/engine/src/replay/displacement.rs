//! Triggers where not everything is known in advance: certificates instead of first passages.
//!
//! Losses that are socialised at once raise an index of what every leg of a market owes; closes displace the trigger feed of their
//! market, and the displacement decays. Each account that is open has a certificate: an instant before which it does not fail, as long
//! as nothing of this in any of its markets rises above a ceiling (a floor under a displacement is a ceiling over its negative). The
//! instant stands in the queue of triggers like any other; the ceilings stand in heaps. A step costs as much as there are certificates
//! that it voids, not as there are accounts in the market.
//!
//! Why nothing is missed: prices change at the account's own instants only, and a certificate covers all of them, and the prices at
//! which it was made. So a step that stays within the ceilings finds the account solvent at whatever instant it comes. Accounts that
//! were changed in an instant have no certificate until its end, and are tested after every step that concerns them. Where a
//! displacement decays past a ceiling is known from the step on: the loop wakes there.
//!
//! Why nothing is invented: when a certificate's instant comes, the account is tested exactly, as it then stands.
//!
//! Who is blocked by the guard is not tested, so neither a step nor a price matters until the guard lifts, which is one of the account's
//! instants and covered like the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::event_loop::{Replayer, fails};
use super::firsts::BATCH;
use super::marks::Marks;
use crate::book::{Book, Charge, Status};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::impact::{self, Volume};
use crate::keeper::{Polls, first_seen};
use crate::search::{Band, Certificate, PriceRanges, Scratch, Search, Trigger};
use crate::state::Moment;
use crate::units::{Price, Size};

/// What can void a certificate in a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// The index of socialised loss.
    Index,
    /// The displacement of the trigger feed.
    Rise,
    /// Its negative.
    Fall,
}

/// A certificate in one market: void once what is watched is above the ceiling, or another one was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Voided {
    ceiling: i128,
    account: u32,
    number: u32,
}

/// When a displacement decays past a ceiling, as long as neither it nor the ceilings change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drift {
    volume: Volume,
    ceilings: [Option<i128>; 2],
    at: Option<i64>,
}

/// The certificates of a window of the tape.
#[derive(Default)]
pub(super) struct Displacement {
    /// By what is watched and market: the next to be void first.
    ceilings: [Vec<BinaryHeap<Reverse<Voided>>>; 3],
    /// By account: number of its last certificate.
    numbers: Vec<u32>,
    /// By market.
    drifts: Vec<Option<Drift>>,
    /// By market: least and greatest displacement that bounds of ADL allow for.
    ranges: Vec<(i128, i128)>,
}

/// Ceilings of a certificate.
type Ceilings = Vec<(Watched, MarketId, i128)>;

/// Certificates made by a thread: what they expect, and their ceilings.
#[derive(Default)]
struct Batch {
    found: Vec<(u32, Trigger)>,
    ceilings: Vec<(Watched, MarketId, u32, i128)>,
}

/// The ceilings of a certificate of an account.
fn ceilings<'a>(
    book: &'a Book,
    account: usize,
    certificate: &'a Certificate,
) -> impl Iterator<Item = (Watched, MarketId, i128)> + 'a {
    let budgets = certificate.budgets.iter().filter(|_| book.is_assessed());
    let index =
        move |&(market, budget): &(MarketId, _)| (Watched::Index, market, book.index_within(account, market, budget));
    let bands = certificate.bands.iter().flat_map(|b| {
        [
            (Watched::Rise, b.market, b.high.0),
            (Watched::Fall, b.market, b.low.0.saturating_neg()),
        ]
    });
    budgets.map(index).chain(bands)
}

impl Displacement {
    fn push(&mut self, watched: Watched, market: MarketId, ceiling: i128, account: u32) {
        let number = self.numbers[account as usize];
        self.ceilings[watched as usize][market].push(Reverse(Voided {
            ceiling,
            account,
            number,
        }));
    }

    /// Takes a certificate that is void at a value of what is watched.
    fn pop(&mut self, watched: Watched, market: MarketId, value: i128) -> Option<u32> {
        let heap = &mut self.ceilings[watched as usize][market];
        while heap.peek().is_some_and(|Reverse(v)| v.ceiling < value) {
            let Some(Reverse(v)) = heap.pop() else { break };
            if self.numbers[v.account as usize] == v.number {
                return Some(v.account);
            }
        }
        None
    }

    /// The lowest ceiling that counts.
    fn lowest(&mut self, watched: Watched, market: MarketId) -> Option<i128> {
        let heap = &mut self.ceilings[watched as usize][market];
        while let Some(Reverse(v)) = heap.peek() {
            if self.numbers[v.account as usize] == v.number {
                return Some(v.ceiling);
            }
            heap.pop();
        }
        None
    }
}

/// The poll that is the first to see a trigger, or an account that fails as it `stands` since then.
fn at_poll(
    polls: Option<Polls>,
    stands: Option<i64>,
    trigger: Option<Trigger>,
    seeing: impl Fn(Polls, i64) -> Option<i64>,
) -> Option<Trigger> {
    let Some(polls) = polls else { return trigger };
    let since = match stands {
        Some(t) => t.checked_add(1)?,
        None => trigger?.ts,
    };
    seeing(polls, since).map(|ts| Trigger { ts, seen: None })
}

impl Replayer<'_> {
    /// True if not everything that triggers accounts is known in advance.
    fn is_unforeseen(&self) -> bool {
        self.state.book.is_assessed() || self.board.feedback().is_some() || self.setup.margin.caps_profits()
    }

    /// First certificates of all accounts that are open, in parallel; the triggers that they expect. None where first passages will do.
    pub(super) fn certify_all(&mut self, after: Option<i64>) -> Result<Option<Vec<(u32, Trigger)>>> {
        if !self.is_unforeseen() {
            return Ok(None);
        }
        let accounts = self.state.book.len();
        self.void_all();
        let book = &self.state.book;
        let open: Vec<u32> = (0..accounts as u32)
            .filter(|&a| book.accounts[a as usize].status == Status::Open)
            .collect();
        let found = self.certify_each(&open, after.unwrap_or(self.setup.opening), after)?;
        Ok(Some(found))
    }

    /// From here on no account has a certificate.
    pub(super) fn void_all(&mut self) {
        if !self.is_unforeseen() {
            return;
        }
        let markets = self.setup.venue.markets.len();
        let ranges = std::mem::take(&mut self.displacement.ranges);
        self.displacement = Displacement {
            ceilings: std::array::from_fn(|_| (0..markets).map(|_| BinaryHeap::new()).collect()),
            numbers: vec![0; self.state.book.len()],
            drifts: vec![None; markets],
            ranges: if ranges.is_empty() {
                vec![(0, 0); markets]
            } else {
                ranges
            },
        };
    }

    /// Certifies accounts at the prices of `now`, in parallel; the triggers that they expect after `after`.
    fn certify_each(&mut self, open: &[u32], now: i64, after: Option<i64>) -> Result<Vec<(u32, Trigger)>> {
        let now = Marks::at(&Moment::new(self.setup, self.board, now));
        let done = AtomicU64::new(0);
        let (book, search, progress, now) = (&self.state.book, self.search, self.progress, &now);
        let (setup, polls) = (self.setup, self.keeper.polls);
        let batches: Vec<Batch> = open
            .par_chunks(BATCH)
            .map_init(
                || (Scratch::default(), Certificate::default()),
                |(scratch, certificate), accounts| {
                    let before = done.fetch_add(accounts.len() as u64, Ordering::Relaxed);
                    progress.check("triggers", before, open.len() as u64)?;
                    let mut batch = Batch::default();
                    for &account in accounts {
                        let expected = search.certify(book, account as usize, after, now, scratch, certificate)?;
                        let unseen = after.filter(|_| polls.is_some());
                        let stands = match unseen {
                            Some(t) if fails(setup, book, account as usize, now)? => Some(t),
                            _ => None,
                        };
                        let seeing = |polls: Polls, t| polls.seeing(search, book, account as usize, t);
                        let expected = at_poll(polls, stands, expected, seeing);
                        batch.found.extend(expected.map(|trigger| (account, trigger)));
                        for (watched, market, ceiling) in ceilings(book, account as usize, certificate) {
                            batch.ceilings.push((watched, market, account, ceiling));
                        }
                    }
                    Ok(batch)
                },
            )
            .collect::<Result<_>>()?;
        for (watched, market, account, ceiling) in batches.iter().flat_map(|b| &b.ceilings) {
            self.displacement.push(*watched, *market, *ceiling, *account);
        }
        self.state.records.certificates += open.len() as u64;
        Ok(batches.into_iter().flat_map(|b| b.found).collect())
    }

    /// Expects the next triggers of accounts after `t`, or where not everything is known in advance the next instants that they are
    /// certified not to fail before. Those that are not open are passed over.
    pub(super) fn expect_next(&mut self, t: i64, mut accounts: Vec<usize>) -> Result<()> {
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|&a| self.state.book.accounts[a].status == Status::Open);
        if !self.is_unforeseen() {
            let span = (Some(t), self.until());
            if accounts.len() > BATCH {
                return self.expect_many(&accounts, span);
            }
            for account in accounts {
                let (polls, book) = (self.keeper.polls, &self.state.book);
                let trigger = first_seen(polls, self.search, book, account, span, &mut self.scratch)?;
                self.queue.forget(account);
                if let Some(trigger) = trigger {
                    self.queue.expect(account, trigger);
                }
            }
            return Ok(());
        }
        for &account in &accounts {
            self.queue.forget(account);
            self.displacement.numbers[account] += 1;
        }
        if accounts.len() > BATCH {
            let open: Vec<u32> = accounts.iter().map(|&a| a as u32).collect();
            for (account, trigger) in self.certify_each(&open, t, Some(t))? {
                self.queue.expect(account as usize, trigger);
            }
            return Ok(());
        }
        let now = Moment::new(self.setup, self.board, t);
        let mut certificate = Certificate::default();
        let mut found = Ceilings::new();
        for account in accounts {
            let book = &self.state.book;
            let search: &Search<'_> = self.search;
            let trigger = search.certify(book, account, Some(t), &now, &mut self.scratch, &mut certificate)?;
            let polls = self.keeper.polls;
            let stands = polls.is_some() && fails(self.setup, book, account, &now)?;
            let seeing = |polls: Polls, since| polls.seeing(self.search, book, account, since);
            let trigger = at_poll(polls, stands.then_some(t), trigger, seeing);
            found.clear();
            found.extend(ceilings(book, account, &certificate));
            for &(watched, market, ceiling) in &found {
                self.displacement.push(watched, market, ceiling, account as u32);
            }
            self.state.records.certificates += 1;
            if let Some(trigger) = trigger {
                self.queue.expect(account, trigger);
            }
        }
        Ok(())
    }

    /// The same, where everything is known in advance, in parallel.
    fn expect_many(&mut self, accounts: &[usize], span: (Option<i64>, i64)) -> Result<()> {
        let (polls, book, search) = (self.keeper.polls, &self.state.book, self.search);
        let found = self.in_batches("triggers", accounts.len(), |range, scratch| {
            let first = |&account: &usize| first_seen(polls, search, book, account, span, scratch);
            accounts[range].iter().map(first).collect::<Result<Vec<_>>>()
        })?;
        for (&account, trigger) in accounts.iter().zip(found.into_iter().flatten()) {
            self.queue.forget(account);
            if let Some(trigger) = trigger {
                self.queue.expect(account, trigger);
            }
        }
        Ok(())
    }

    /// Whether an account fails at `t`, exactly, and at which print, if `t` is an instant of its own.
    pub(super) fn fails_at(&mut self, account: usize, t: i64, always: bool) -> Result<Option<Trigger>> {
        let feedback = self.board.feedback();
        let x = |m| feedback.map_or_else(Default::default, |impact| impact.now(m, t));
        let caps = self.caps(t)?;
        self.search.at_instant(
            &self.state.book,
            account,
            (t, always),
            (x, caps.as_ref()),
            &mut self.scratch,
        )
    }

    /// Of the accounts that may fail at `t`, keeps those that do, and hands the others over to be certified again.
    pub(super) fn confirm(
        &mut self,
        t: i64,
        found: &mut Vec<(usize, Option<Price>)>,
        uncertified: &mut Vec<usize>,
    ) -> Result<()> {
        if !self.is_unforeseen() {
            return Ok(());
        }
        let caps = self.caps(t)?;
        let mut now = Moment::new(self.setup, self.board, t);
        now.caps = caps.as_ref();
        for (account, _) in std::mem::take(found) {
            if self.keeper.polls.is_some() {
                if self.keeper.tests_at(t) && self.fails(&now, account)? {
                    found.push((account, None));
                } else {
                    uncertified.push(account);
                }
                continue;
            }
            match self.fails_at(account, t, t == self.setup.opening)? {
                Some(trigger) => found.push((account, trigger.seen)),
                None => uncertified.push(account),
            }
        }
        Ok(())
    }

    /// The displacement of a market, and its negative.
    fn displacements(&self, market: MarketId, t: i64) -> Option<[(Watched, i128); 2]> {
        let x = self.board.feedback()?.now(market, t).0;
        Some([(Watched::Rise, x), (Watched::Fall, -x)])
    }

    /// The accounts whose certificates are void because a displacement has decayed until `t`.
    pub(super) fn drifted(&mut self, t: i64) -> Vec<usize> {
        let mut out = Vec::new();
        for market in 0..self.displacement.drifts.len() {
            for (watched, value) in self.displacements(market, t).into_iter().flatten() {
                while let Some(account) = self.displacement.pop(watched, market, value) {
                    if self.state.book.accounts[account as usize].status == Status::Open {
                        out.push(account as usize);
                    }
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// When the decay of a displacement will next void a certificate.
    pub(super) fn next_drift(&mut self) -> Option<i64> {
        let now = self.now;
        let impact = self.board.feedback()?;
        let mut next = None;
        for market in 0..self.displacement.drifts.len() {
            let volume = impact.volume(market);
            if !volume.decays() {
                continue;
            }
            let rise = self.displacement.lowest(Watched::Rise, market);
            let fall = self.displacement.lowest(Watched::Fall, market);
            let ceilings = [rise, fall];
            let known = self.displacement.drifts[market];
            let at = match known.filter(|d| d.volume == volume && d.ceilings == ceilings) {
                Some(known) => known.at,
                None => impact.first_beyond(market, volume, now, |x| {
                    rise.is_some_and(|most| x.0 > most) || fall.is_some_and(|most| -x.0 > most)
                }),
            };
            self.displacement.drifts[market] = Some(Drift { volume, ceilings, at });
            next = [next, at].into_iter().flatten().min();
        }
        next
    }

    /// Adds to the accounts that a round changed those that it charged or displaced and that have no certificate for it.
    pub(super) fn charged(&mut self, t: i64, mut changed: Vec<usize>, uncertified: &mut Vec<usize>) -> Vec<usize> {
        let mut stepped = self.state.book.take_steps();
        let mut void = Vec::new();
        for &market in &stepped {
            let index = self.state.book.indices(market)[Charge::Socialised as usize];
            void.push((Watched::Index, market, index));
        }
        let displaced = self
            .board
            .feedback()
            .map(|impact| impact.take_steps())
            .unwrap_or_default();
        for &market in &displaced {
            let values = self.displacements(market, t).into_iter().flatten();
            void.extend(values.map(|(watched, value)| (watched, market, value)));
        }
        stepped.extend(displaced);
        for (watched, market, value) in void {
            while let Some(account) = self.displacement.pop(watched, market, value) {
                if self.state.book.accounts[account as usize].status == Status::Open {
                    uncertified.push(account as usize);
                }
            }
        }
        if !stepped.is_empty() {
            let legs = |a: usize| self.state.book.legs(a).iter().filter(|l| !l.size.is_zero());
            changed.extend(
                uncertified
                    .iter()
                    .copied()
                    .filter(|&a| legs(a).any(|l| stepped.contains(&l.market))),
            );
            changed.sort_unstable();
            changed.dedup();
        }
        changed
    }

    /// Makes bounds of ADL anew if a displacement has outgrown them.
    pub(super) fn widen_ranges(&mut self, t: i64) {
        let Some(impact) = self.board.feedback().filter(|_| self.board.feeds().adl_is_trigger) else {
            return;
        };
        let mut outgrown = false;
        for (market, (low, high)) in self.displacement.ranges.iter_mut().enumerate() {
            let x = impact.now(market, t).0;
            if x < *low || x > *high {
                // Twice as far, so that it happens seldom.
                (*low, *high) = ((*low).min(2 * x), (*high).max(2 * x));
                outgrown = true;
            }
        }
        if outgrown {
            self.state.deleveraging.reprice(true);
        }
    }
}

/// Ranges of displaced prices.
pub(super) struct Ranges<'a> {
    published: &'a dyn PriceRanges,
    /// By market.
    displaced: &'a [(i128, i128)],
}

impl<'a> Ranges<'a> {
    /// As far as markets have been displaced, with room.
    pub fn new(published: &'a dyn PriceRanges, displacement: &'a Displacement) -> Self {
        Self {
            published,
            displaced: &displacement.ranges,
        }
    }
}

impl PriceRanges for Ranges<'_> {
    fn levels(&self) -> usize {
        self.published.levels()
    }

    fn stretch(&self, level: usize, t: i64) -> usize {
        self.published.stretch(level, t)
    }

    fn market(&self, market: MarketId, size: Size, level: usize, stretch: usize) -> (f64, f64) {
        let published = self.published.market(market, size, level, stretch);
        match self.displaced.get(market) {
            None | Some((0, 0)) => published,
            Some(&(low, high)) => {
                let (low, high) = (impact::Displacement(low), impact::Displacement(high));
                Band { market, low, high }.of(published)
            }
        }
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        self.published.asset(asset, level, stretch)
    }
}
