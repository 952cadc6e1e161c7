//! Before the event loop: what is expected of every account, found in parallel.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::event_loop::Replayer;
use super::futures::{Followed, Futures, Paths, Terms};
use super::kept::{FuturesKey, Kept};
use super::queue::Action;
use crate::book::{Leg, Status};
use crate::error::Result;
use crate::keeper::first_seen;
use crate::search::{Scratch, Trigger};

/// Accounts per parallel batch.
pub(super) const BATCH: usize = 2048;

impl Replayer<'_> {
    /// What is expected of every account that is open from the first instant after `after` (None: from the opening) on; fills what waits
    /// for prints. At the opening, what an earlier run has kept may be `known`.
    pub(super) fn first_triggers(&mut self, after: Option<i64>, known: Option<(&Kept, FuturesKey)>) -> Result<()> {
        self.check_sizes()?;
        self.now = after.unwrap_or(self.setup.opening);
        // From here on a change of an account shows in its version.
        if after.is_none() {
            self.state.book.open();
        } else {
            self.state.book.drain_changes();
        }
        if self.is_down_after(after) {
            self.suspend();
        } else if let Some(certified) = self.certify_all(after)? {
            self.queue.expect_all(certified.into_iter());
        } else {
            let futures = match known {
                Some((kept, key)) => kept.futures(key, |similar| self.follow_all(after, similar))?,
                None => Arc::new(self.follow_all(after, None)?),
            };
            self.queue.expect_all(futures.firsts());
            self.state.records.expect(futures.len());
            self.futures = Followed::new(futures);
        }
        if let Some(after) = after {
            for account in self.queue.parked.accounts().collect::<Vec<_>>() {
                self.expect_recovery(account, after)?;
            }
        }
        self.expect_pool_adl(after)?;
        self.expect_vault_adl(after)?;
        for order in std::mem::take(&mut self.queue.orders) {
            self.await_prints(order)?;
        }
        for (action, legs) in std::mem::take(&mut self.queue.blocked) {
            let since = after.map_or(action.due, |t| t.saturating_add(1));
            self.put_off(Action { due: since, ..action }, legs);
        }
        Ok(())
    }

    /// Puts an action off until no market of these legs is blocked; keeps it if that is not in this window.
    pub(super) fn put_off(&mut self, action: Action, legs: Vec<Leg>) {
        let sized = legs.iter().any(|leg| !leg.size.is_zero());
        let (masks, outages) = (&self.board.feeds().masks, &self.state.outages);
        let mut due = Some(action.due);
        while let Some(t) = due {
            let free = masks.free_from(&legs, t);
            due = free.and_then(|free| if sized { outages.free_from(free) } else { Some(free) });
            if due == free {
                break;
            }
            // The masks of this window say nothing of what comes after it.
            due = due.filter(|&due| due <= self.until());
        }
        match due {
            Some(due) => self.queue.push(Action { due, ..action }),
            None => self.queue.blocked.push((action, legs)),
        }
    }

    /// The paths of all accounts that are open; from the first triggers of `similar` ones, where there are any.
    ///
    /// Paths are followed, and kept, in the order of their first triggers: neighbours then read the same part of the tape, and the event
    /// loop reads them one after the other.
    fn follow_all(&self, after: Option<i64>, similar: Option<&Futures>) -> Result<Futures> {
        let accounts = self.state.book.len();
        let (book, search, polls) = (&self.state.book, self.search, self.keeper.polls);
        let terms = Terms {
            keeper: self.keeper,
            attempts: &self.attempts,
            until: self.until(),
        };
        let firsts: Vec<(u32, Trigger)> = match similar {
            Some(similar) => similar.firsts().collect(),
            None => {
                let span = (after, terms.until);
                let found = self.in_batches("triggers", accounts, |range, scratch| {
                    let mut firsts = Vec::new();
                    for account in range.filter(|&a| book.accounts[a].status == Status::Open) {
                        let first = first_seen(polls, search, book, account, span, scratch)?;
                        firsts.extend(first.map(|first| (account as u32, first)));
                    }
                    Ok(firsts)
                })?;
                let mut firsts = found.concat();
                firsts.par_sort_unstable_by_key(|&(account, first)| (first.ts, account));
                firsts
            }
        };
        let batches = self.in_batches("paths", firsts.len(), |range, scratch| {
            let mut paths = Paths::default();
            for &(account, first) in &firsts[range] {
                paths.follow(search, book, account as usize, first, terms, scratch)?;
            }
            Ok(paths)
        })?;
        Ok(Futures::new(accounts, batches))
    }

    /// Asks for `count` things batch by batch, in parallel.
    pub(super) fn in_batches<'s, T: Send>(
        &self,
        phase: &'static str,
        count: usize,
        ask: impl Fn(Range<usize>, &mut Scratch<'s>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let done = AtomicU64::new(0);
        let progress = self.progress;
        let starts: Vec<usize> = (0..count).step_by(BATCH).collect();
        starts
            .into_par_iter()
            .map_init(Scratch::default, |scratch, from| {
                let to = (from + BATCH).min(count);
                let before = done.fetch_add((to - from) as u64, Ordering::Relaxed);
                progress.check(phase, before, count as u64)?;
                ask(from..to, scratch)
            })
            .collect()
    }
}
