//! Triggers under socialised losses that are charged at once: certificates instead of first passages.
//!
//! Each account that is open has a certificate: an instant before which it does not fail, as long as the index of none of its markets
//! rises above a ceiling. The instant stands in the queue of triggers like any other; the ceilings stand in a heap per market. A step
//! of an index costs as much as there are certificates that it voids, not as there are accounts in the market.
//!
//! Why nothing is missed: prices change at the account's own instants only, and a certificate covers all of them, and the prices at
//! which it was made. So a step that stays within the ceiling finds the account solvent at whatever instant it comes. Accounts that
//! were changed in an instant have no certificate until its end, and are tested after every step that concerns them.
//!
//! Why nothing is invented: when a certificate's instant comes, the account is tested exactly, as it then stands.
//!
//! Who is blocked by the guard is not tested, so neither a step nor a price matters until the guard lifts, which is one of the account's
//! instants and covered like the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::event_loop::{BATCH, Replayer, fails};
use super::marks::Marks;
use crate::book::{Charge, Status};
use crate::contract::MarketId;
use crate::error::Result;
use crate::keeper::{Polls, first_seen};
use crate::search::{Budgets, Scratch, Trigger, TriggerSearch};
use crate::state::Moment;
use crate::units::Price;

/// A certificate in one market: void once the index is above the ceiling, or another one was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Voided {
    ceiling: i128,
    account: u32,
    number: u32,
}

/// The certificates of a window of the tape.
#[derive(Default)]
pub(super) struct Displacement {
    /// By market: the next to be void first.
    ceilings: Vec<BinaryHeap<Reverse<Voided>>>,
    /// By account: number of its last certificate.
    numbers: Vec<u32>,
    budgets: Budgets,
}

/// Certificates made by a thread: what they expect, and their ceilings.
#[derive(Default)]
struct Batch {
    found: Vec<(u32, Trigger)>,
    ceilings: Vec<(MarketId, Voided)>,
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
    /// First certificates of all accounts that are open, in parallel; the triggers that they expect. None where nothing is charged.
    pub(super) fn certify_all(&mut self, after: Option<i64>) -> Result<Option<Vec<(u32, Trigger)>>> {
        if !self.state.book.is_assessed() {
            return Ok(None);
        }
        let now = Marks::at(&Moment::new(
            self.setup,
            self.board,
            after.unwrap_or(self.setup.opening),
        ));
        let accounts = self.state.book.len();
        let done = AtomicU64::new(0);
        let (book, search, progress, now) = (&self.state.book, self.search, self.progress, &now);
        let (setup, polls) = (self.setup, self.keeper.polls);
        let starts: Vec<usize> = (0..accounts).step_by(BATCH).collect();
        let batches: Vec<Batch> = starts
            .into_par_iter()
            .map_init(
                || (Scratch::default(), Budgets::new()),
                |(scratch, budgets), from| {
                    let to = (from + BATCH).min(accounts);
                    let before = done.fetch_add((to - from) as u64, Ordering::Relaxed);
                    progress.check("triggers", before, accounts as u64)?;
                    let mut batch = Batch::default();
                    for account in (from..to).filter(|&a| book.accounts[a].status == Status::Open) {
                        let trigger = search.certify(book, account, after, now, scratch, budgets)?;
                        let unseen = after.filter(|_| polls.is_some());
                        let stands = match unseen {
                            Some(t) if fails(setup, book, account, now)? => Some(t),
                            _ => None,
                        };
                        let seeing = |polls: Polls, t| polls.seeing(search, book, account, t);
                        if let Some(trigger) = at_poll(polls, stands, trigger, seeing) {
                            batch.found.push((account as u32, trigger));
                        }
                        for &(market, budget) in budgets.iter() {
                            let ceiling = book.index_within(account, market, budget);
                            let (account, number) = (account as u32, 0);
                            let voided = Voided {
                                ceiling,
                                account,
                                number,
                            };
                            batch.ceilings.push((market, voided));
                        }
                    }
                    Ok(batch)
                },
            )
            .collect::<Result<_>>()?;
        let mut ceilings = vec![Vec::new(); self.setup.venue.markets.len()];
        for (market, voided) in batches.iter().flat_map(|b| &b.ceilings) {
            ceilings[*market].push(Reverse(*voided));
        }
        self.displacement = Displacement {
            ceilings: ceilings.into_iter().map(BinaryHeap::from).collect(),
            numbers: vec![0; accounts],
            budgets: Budgets::new(),
        };
        self.state.records.certificates += accounts as u64;
        Ok(Some(batches.into_iter().flat_map(|b| b.found).collect()))
    }

    /// The next trigger of an account after `t`, or where losses are charged at once the next that it is certified not to fail before.
    pub(super) fn next_trigger(&mut self, account: usize, t: i64) -> Result<Option<Trigger>> {
        let book = &self.state.book;
        let polls = self.keeper.polls;
        if !book.is_assessed() {
            return first_seen(
                polls,
                self.search,
                book,
                account,
                (Some(t), self.until()),
                &mut self.scratch,
            );
        }
        let now = Moment::new(self.setup, self.board, t);
        let Displacement {
            ceilings,
            numbers,
            budgets,
        } = &mut self.displacement;
        let found = self
            .search
            .certify(book, account, Some(t), &now, &mut self.scratch, budgets)?;
        self.state.records.certificates += 1;
        numbers[account] += 1;
        for &(market, budget) in budgets.iter() {
            ceilings[market].push(Reverse(Voided {
                ceiling: book.index_within(account, market, budget),
                account: account as u32,
                number: numbers[account],
            }));
        }
        let stands = polls.is_some() && fails(self.setup, book, account, &now)?;
        let seeing = |polls: Polls, since| polls.seeing(self.search, book, account, since);
        Ok(at_poll(polls, stands.then_some(t), found, seeing))
    }

    /// Of the accounts that may fail at `t`, keeps those that do, and hands the others over to be certified again.
    pub(super) fn confirm(
        &mut self,
        t: i64,
        found: &mut Vec<(usize, Option<Price>)>,
        uncertified: &mut Vec<usize>,
    ) -> Result<()> {
        if !self.state.book.is_assessed() {
            return Ok(());
        }
        let before = (t > self.setup.opening).then(|| t - 1);
        let now = Moment::new(self.setup, self.board, t);
        for (account, _) in std::mem::take(found) {
            if self.keeper.polls.is_some() {
                if self.fails(&now, account)? {
                    found.push((account, None));
                } else {
                    uncertified.push(account);
                }
                continue;
            }
            let exact = self
                .search
                .first(&self.state.book, account, before, &mut self.scratch)?;
            match exact.filter(|trigger| trigger.ts == t) {
                Some(trigger) => found.push((account, trigger.seen)),
                None => {
                    uncertified.push(account);
                }
            }
        }
        Ok(())
    }

    /// Adds to the accounts that a round changed those that it charged and that have no certificate for what they were charged.
    pub(super) fn charged(&mut self, mut changed: Vec<usize>, uncertified: &mut Vec<usize>) -> Vec<usize> {
        let stepped = self.state.book.take_steps();
        for &market in &stepped {
            let index = self.state.book.indices(market)[Charge::Socialised as usize];
            let heap = &mut self.displacement.ceilings[market];
            while heap.peek().is_some_and(|Reverse(v)| v.ceiling < index) {
                let Some(Reverse(v)) = heap.pop() else { break };
                let account = v.account as usize;
                if self.displacement.numbers[account] == v.number
                    && self.state.book.accounts[account].status == Status::Open
                {
                    uncertified.push(account);
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
}
