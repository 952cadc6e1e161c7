//! What is due when: expected triggers, and actions of the keepers.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use rayon::slice::ParallelSliceMut;

use super::parked::Parked;
use crate::book::Leg;
use crate::keeper::Slots;
use crate::liquidation::LegPrice;
use crate::liquidation::execution::participation::Filling;
use crate::search::Trigger;
use crate::units::Price;

/// What an action does when it is due.
#[derive(Debug, Clone)]
pub enum Step {
    /// Look again, and close or place an order.
    Decide {
        /// The print at which it was detected, if the action sees it.
        seen: Option<(usize, Price)>,
    },
    /// An order that was placed fills at these prices.
    Fill {
        /// Prices of the legs.
        prices: Vec<LegPrice>,
    },
}

/// A leg that waits for prints.
#[derive(Debug, Clone, Copy)]
pub struct Missing {
    /// Leg of the account.
    pub leg: usize,
    /// Its market.
    pub market: usize,
    /// How far it has filled, if it takes part in the volume.
    pub filling: Option<Filling>,
}

/// An order that was placed and has not filled: some of its prints have not come yet.
#[derive(Debug, Clone)]
pub struct Order {
    /// The action that placed it; due when the last of its prints so far came.
    pub action: Action,
    /// Prints after this fill it.
    pub placed: i64,
    /// Legs that have not filled.
    pub missing: Vec<Missing>,
    /// Prices of the other legs.
    pub prices: Vec<LegPrice>,
}

/// An action in the queue, ordered by (due, enqueued, account).
#[derive(Debug, Clone)]
pub struct Action {
    /// When it happens.
    pub due: i64,
    /// When it was detected.
    pub enqueued: i64,
    /// Who.
    pub account: usize,
    /// What.
    pub step: Step,
    /// When the account failed its test.
    pub trigger: i64,
}

impl Action {
    fn key(&self) -> (i64, i64, usize) {
        (self.due, self.enqueued, self.account)
    }
}

impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Action {}

impl PartialOrd for Action {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Action {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Actions that wait, the first one first. Where every keeper takes as long as every other they come in order, and stand in line; only
/// those that come out of order go to a heap.
#[derive(Default)]
struct Line {
    in_order: VecDeque<Action>,
    others: BinaryHeap<Reverse<Action>>,
}

impl Line {
    fn push(&mut self, action: Action) {
        if self.in_order.back().is_none_or(|last| *last <= action) {
            self.in_order.push_back(action);
        } else {
            self.others.push(Reverse(action));
        }
    }

    /// True if the first of all is one that came out of order.
    fn begins_with_other(&self) -> bool {
        match (self.in_order.front(), self.others.peek()) {
            (Some(first), Some(Reverse(other))) => other < first,
            (first, _) => first.is_none(),
        }
    }

    fn first(&self) -> Option<&Action> {
        if self.begins_with_other() {
            self.others.peek().map(|Reverse(action)| action)
        } else {
            self.in_order.front()
        }
    }

    fn pop(&mut self) -> Option<Action> {
        if self.begins_with_other() {
            self.others.pop().map(|Reverse(action)| action)
        } else {
            self.in_order.pop_front()
        }
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }
}

/// A trigger that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    ts: i64,
    account: u32,
    /// Version of the account.
    version: u32,
    seen: Option<Price>,
}

/// So many triggers ahead accounts are told as coming.
const AHEAD: usize = 32;

/// Expected triggers and waiting actions.
pub struct Queue {
    /// Triggers that were searched for together, the next one last.
    many: Vec<Expected>,
    triggers: BinaryHeap<Reverse<Expected>>,
    versions: Vec<u32>,
    /// So many of the many have not been told as coming.
    untold: usize,
    /// Actions that look at an account, for which they need a slot.
    looks: Line,
    /// Orders that fill.
    fills: Line,
    /// Actions that do not pay.
    pub parked: Parked,
    /// Orders for prints that have not come yet.
    pub orders: Vec<Order>,
    /// Actions whose account the guard blocks beyond the end of the window, and its legs as they were when that was found.
    pub blocked: Vec<(Action, Vec<Leg>)>,
    /// Triggers and actions that were taken in this window.
    done: usize,
}

impl Queue {
    /// An empty queue for so many accounts.
    pub fn new(accounts: usize) -> Self {
        Self {
            many: Vec::new(),
            triggers: BinaryHeap::new(),
            versions: vec![0; accounts],
            untold: 0,
            looks: Line::default(),
            fills: Line::default(),
            parked: Parked::default(),
            orders: Vec::new(),
            blocked: Vec::new(),
            done: 0,
        }
    }

    /// A window begins.
    pub fn begin(&mut self) {
        self.done = 0;
    }

    /// Triggers and actions that were taken in this window.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Triggers and actions that are still to be taken.
    pub fn open(&self) -> usize {
        self.many.len() + self.triggers.len() + self.looks.len() + self.fills.len() + self.parked.len()
    }

    fn expected(&self, account: usize, trigger: Trigger) -> Expected {
        Expected {
            ts: trigger.ts,
            account: account as u32,
            version: self.versions[account],
            seen: trigger.seen,
        }
    }

    /// Expects the account to fail at a trigger.
    pub fn expect(&mut self, account: usize, trigger: Trigger) {
        self.triggers.push(Reverse(self.expected(account, trigger)));
    }

    /// Expects all these triggers; whatever was expected before is over.
    pub fn expect_all(&mut self, found: impl Iterator<Item = (u32, Trigger)>) {
        self.many.clear();
        let many = found.map(|(account, trigger)| Expected {
            ts: trigger.ts,
            account,
            version: self.versions[account as usize],
            seen: trigger.seen,
        });
        self.many.extend(many);
        self.many.par_sort_unstable_by(|a, b| b.cmp(a));
        self.untold = self.many.len();
        self.triggers.clear();
    }

    /// Drops whatever is expected.
    pub fn forget_all(&mut self) {
        self.many.clear();
        self.triggers.clear();
    }

    /// The accounts of triggers among the many whose turn comes soon; each is told once. What they need lies apart in memory, and is
    /// fetched in less time together than one by one.
    pub fn coming(&mut self) -> impl Iterator<Item = usize> + '_ {
        let untold = self.untold.min(self.many.len());
        let soon = self.many.len().saturating_sub(AHEAD);
        // Some at a time: half of those that are told are still to come when the next are.
        self.untold = if untold > soon {
            soon.saturating_sub(AHEAD)
        } else {
            untold
        };
        let coming = &self.many[self.untold..untold];
        coming.iter().rev().map(|e| e.account as usize)
    }

    /// Drops what was expected of an account: its state has changed.
    pub fn forget(&mut self, account: usize) {
        self.versions[account] += 1;
    }

    /// Drops what was expected of an account that an event touched; a queued one keeps its action.
    pub fn forget_unless_queued(&mut self, account: usize, status: crate::book::Status) {
        if status != crate::book::Status::Queued {
            self.forget(account);
        }
    }

    /// The next expected trigger whose account has not changed since; true if it stands among the many.
    fn next_trigger(&mut self) -> Option<(Expected, bool)> {
        let versions = &self.versions;
        let stale = |e: &Expected| versions[e.account as usize] != e.version;
        while self.many.last().is_some_and(stale) {
            self.many.pop();
        }
        while self.triggers.peek().is_some_and(|Reverse(e)| stale(e)) {
            self.triggers.pop();
        }
        match (self.many.last(), self.triggers.peek()) {
            (Some(a), Some(Reverse(b))) if b < a => Some((*b, false)),
            (Some(a), _) => Some((*a, true)),
            (None, Some(Reverse(b))) => Some((*b, false)),
            (None, None) => None,
        }
    }

    /// The next timestamp at which anything is due.
    pub fn next_ts(&mut self, slots: &Slots) -> Option<i64> {
        let trigger = self.next_trigger().map(|(e, _)| e.ts);
        let look = self.looks.first().map(|a| slots.when(a.due));
        let fill = self.fills.first().map(|a| a.due);
        [trigger, look, fill, self.parked.next_wake()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes an account that fails its test at `t`.
    pub fn pop_trigger(&mut self, t: i64) -> Option<(usize, Option<Price>)> {
        let (expected, among_many) = self.next_trigger().filter(|(e, _)| e.ts <= t)?;
        if among_many {
            self.many.pop();
        } else {
            self.triggers.pop();
        }
        self.done += 1;
        let account = expected.account as usize;
        self.versions[account] += 1;
        Some((account, expected.seen))
    }

    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        match action.step {
            Step::Decide { .. } => self.looks.push(action),
            Step::Fill { .. } => self.fills.push(action),
        }
    }

    /// Takes the first action that is due at `t`; while no slot is free, the first that needs none.
    pub fn pop_due(&mut self, t: i64, free: bool) -> Option<Action> {
        let look = self.looks.first().filter(|a| free && a.due <= t);
        let fill = self.fills.first().filter(|a| a.due <= t);
        let first = match (look, fill) {
            (Some(look), Some(fill)) if fill < look => &mut self.fills,
            (Some(_), _) => &mut self.looks,
            (None, Some(_)) => &mut self.fills,
            (None, None) => return None,
        };
        self.done += 1;
        first.pop()
    }

    /// Number of waiting actions.
    pub fn waiting(&self) -> u32 {
        let aside = self.parked.len() + self.orders.len() + self.blocked.len();
        u32::try_from(self.looks.len() + self.fills.len() + aside).unwrap_or(u32::MAX)
    }
}
