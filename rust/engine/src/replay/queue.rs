//! What is due when: expected triggers, and actions of the keepers.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::liquidation::LegPrice;
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

/// A trigger that is expected: (when, account, version of the account, print).
type Expected = (i64, usize, u32, Option<i64>);

/// Expected triggers and waiting actions.
pub struct Queue {
    triggers: BinaryHeap<Reverse<Expected>>,
    versions: Vec<u32>,
    actions: BinaryHeap<Reverse<Action>>,
}

impl Queue {
    /// An empty queue for so many accounts.
    pub fn new(accounts: usize) -> Self {
        Self {
            triggers: BinaryHeap::new(),
            versions: vec![0; accounts],
            actions: BinaryHeap::new(),
        }
    }

    /// Expects the account to fail at a trigger.
    pub fn expect(&mut self, account: usize, trigger: Trigger) {
        self.triggers.push(Reverse((
            trigger.ts,
            account,
            self.versions[account],
            trigger.seen.map(|p| p.0),
        )));
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

    fn drop_stale(&mut self) {
        while let Some(Reverse((_, account, version, _))) = self.triggers.peek() {
            if self.versions[*account] == *version {
                return;
            }
            self.triggers.pop();
        }
    }

    /// The next timestamp at which anything is due.
    pub fn next_ts(&mut self) -> Option<i64> {
        self.drop_stale();
        let trigger = self.triggers.peek().map(|Reverse((ts, ..))| *ts);
        let action = self.actions.peek().map(|Reverse(a)| a.due);
        [trigger, action].into_iter().flatten().min()
    }

    /// Takes an account that fails its test at `t`.
    pub fn pop_trigger(&mut self, t: i64) -> Option<(usize, Option<Price>)> {
        self.drop_stale();
        if self.triggers.peek().is_none_or(|Reverse((ts, ..))| *ts > t) {
            return None;
        }
        let Reverse((_, account, _, seen)) = self.triggers.pop()?;
        self.versions[account] += 1;
        Some((account, seen.map(Price)))
    }

    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        self.actions.push(Reverse(action));
    }

    /// Takes the first action that is due at `t`.
    pub fn pop_due(&mut self, t: i64) -> Option<Action> {
        if self.actions.peek().is_none_or(|Reverse(a)| a.due > t) {
            return None;
        }
        self.actions.pop().map(|Reverse(a)| a)
    }

    /// Number of waiting actions.
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.actions.len()).unwrap_or(u32::MAX)
    }
}
