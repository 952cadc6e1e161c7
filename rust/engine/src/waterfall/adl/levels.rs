//! Candidates of one market and side over nested stretches of time, in descending order of an upper bound of their scores.
//!
//! Level by level from the coarsest stretch to the finest, each level takes its candidates from the one above, in the order of their
//! bounds there, and hands them on in the order of its own, tighter bounds. It takes the next one only while that could still come
//! before the best it holds; so a level looks at about as many candidates as have a coarse bound above the scores that are really
//! wanted. The coarsest looks at all holders, once.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::outlook::{Outlook, Question};
use super::score::Score;
use crate::book::Book;
use crate::contract::{MarketId, Venue};
use crate::search::PriceRanges;

/// A candidate with the bound of its score.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its score is nowhere in the stretch above this.
    pub bound: f64,
    /// Account.
    pub account: u32,
    /// Leg of the account.
    pub leg: u32,
    /// Version of the account that was bounded: void if it is another one by now.
    pub version: u64,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound
            .total_cmp(&other.bound)
            .then(other.account.cmp(&self.account))
            .then(other.leg.cmp(&self.leg))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The book as seen by the queue of one market and side.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Markets and assets.
    pub venue: &'a Venue,
    /// Accounts as they stand.
    pub book: &'a Book,
    /// How far prices move.
    pub ranges: &'a dyn PriceRanges,
    /// Market of the candidates' legs.
    pub market: MarketId,
    /// Candidates are long.
    pub long: bool,
    /// What ranks them.
    pub score: Score,
    /// What of them matters.
    pub question: Question,
}

impl View<'_> {
    /// The legs with which an account is a candidate. An account that was closed has none.
    pub fn legs(&self, account: u32) -> impl Iterator<Item = u32> {
        let legs = self.book.legs(account as usize).iter().enumerate();
        let (market, long) = (self.market, self.long);
        legs.filter(move |(_, l)| l.market == market && !l.size.is_zero() && (l.size.0 > 0) == long)
            .map(|(leg, _)| leg as u32)
    }

    /// True if nothing was changed since the entry was made.
    pub fn stands(&self, entry: &Entry) -> bool {
        self.book.version(entry.account as usize) == entry.version
    }

    /// The candidate over a stretch; None if it cannot have a score there.
    fn entry(&self, account: u32, leg: u32, level: usize, stretch: usize) -> Option<Entry> {
        let outlook = Outlook::over(
            self.venue,
            self.book,
            self.question,
            (account as usize, leg as usize),
            |m, size| self.ranges.market(m, size, level, stretch),
            |a| self.ranges.asset(a, level, stretch),
        )?;
        Some(Entry {
            bound: self.score.bound(self.venue, self.market, &outlook),
            account,
            leg,
            version: self.book.version(account as usize),
        })
    }

    fn entries(&self, account: u32, level: usize, stretch: usize) -> impl Iterator<Item = Entry> {
        self.legs(account)
            .filter_map(move |leg| self.entry(account, leg, level, stretch))
    }
}

/// The candidates over one stretch.
struct Level {
    number: usize,
    stretch: usize,
    /// Handed out, in descending order of their bounds; no bound that is not among them is greater.
    ready: Vec<Entry>,
    /// Taken from the level above, but not yet handed out.
    waiting: BinaryHeap<Entry>,
    /// How many of the level above were taken.
    taken: usize,
    /// Changes up to here are contained.
    log: usize,
}

impl Level {
    /// The best that was not handed out; void ones are thrown away.
    fn best(&mut self, view: &View<'_>) -> Option<Entry> {
        while self.waiting.peek().is_some_and(|entry| !view.stands(entry)) {
            self.waiting.pop();
        }
        self.waiting.peek().copied()
    }

    /// Contains the changes since the level was made: for a new reader only, who begins with the first entry.
    fn refresh(&mut self, view: &View<'_>, log: &[u32]) {
        let mut changed = log[self.log..].to_vec();
        self.log = log.len();
        if changed.is_empty() {
            return;
        }
        changed.sort_unstable();
        changed.dedup();
        self.ready.retain(|entry| view.stands(entry));
        let least = self.ready.last().copied();
        for account in changed {
            for entry in view.entries(account, self.number, self.stretch) {
                if least.is_some_and(|least| entry > least) {
                    self.ready.push(entry);
                } else {
                    self.waiting.push(entry);
                }
            }
        }
        // All but the end is in order.
        self.ready.sort_by(|a, b| b.cmp(a));
    }
}

/// The levels of a market and side, the coarsest first.
#[derive(Default)]
pub struct Levels {
    chain: Vec<Level>,
}

impl Levels {
    /// Makes the levels of the stretches that contain `t`, with all changes of `log` in them.
    pub fn descend(&mut self, view: &View<'_>, t: i64, holders: &[u32], log: &[u32]) {
        let depth = view.ranges.levels();
        let stretch = |at: usize| view.ranges.stretch(depth - 1 - at, t);
        let still = self
            .chain
            .iter()
            .enumerate()
            .take_while(|(at, level)| level.stretch == stretch(*at));
        let kept = still.count();
        self.chain.truncate(kept);
        if let Some(last) = self.chain.last_mut() {
            last.refresh(view, log);
        }
        for at in kept..depth {
            let (number, stretch) = (depth - 1 - at, stretch(at));
            let waiting = if at == 0 {
                let all = holders.par_iter().with_min_len(1024);
                let entries: Vec<Entry> = all.flat_map_iter(|&a| view.entries(a, number, stretch)).collect();
                BinaryHeap::from(entries)
            } else {
                BinaryHeap::new()
            };
            self.chain.push(Level {
                number,
                stretch,
                ready: Vec::new(),
                waiting,
                taken: 0,
                log: log.len(),
            });
        }
    }

    /// Changes up to here are contained in the finest level.
    pub fn log(&self) -> usize {
        self.chain.last().map_or(0, |level| level.log)
    }

    /// Entry number `n` of the finest level, in descending order of the bounds; all that were not changed since [`Levels::log`] come,
    /// those that were changed are void.
    pub fn get(&mut self, view: &View<'_>, n: usize) -> Option<Entry> {
        let finest = self.chain.len().checked_sub(1)?;
        self.supply(view, finest, n)
    }

    fn supply(&mut self, view: &View<'_>, at: usize, n: usize) -> Option<Entry> {
        loop {
            if let Some(&entry) = self.chain[at].ready.get(n) {
                return Some(entry);
            }
            let taken = self.chain[at].taken;
            let above = at.checked_sub(1).and_then(|up| self.supply(view, up, taken));
            let level = &mut self.chain[at];
            let best = level.best(view);
            if let Some(above) = above.filter(|above| best.is_none_or(|best| above.bound > best.bound)) {
                level.taken += 1;
                if view.stands(&above)
                    && let Some(mut entry) = view.entry(above.account, above.leg, level.number, level.stretch)
                {
                    // The stretch lies within the one above.
                    entry.bound = entry.bound.min(above.bound);
                    level.waiting.push(entry);
                }
            } else {
                let best = best?;
                level.waiting.pop();
                #[cfg(test)]
                assert!(
                    level.ready.last().is_none_or(|last| best.bound <= last.bound),
                    "bounds ascend"
                );
                level.ready.push(best);
            }
        }
    }
}
