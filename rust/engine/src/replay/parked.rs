//! Actions that do not pay: they wait for gas to become cheap enough, or for their account to recover.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::Action;

/// Parked actions by account, and what wakes them.
#[derive(Default)]
pub struct Parked {
    actions: BTreeMap<usize, (Action, Option<i64>)>,
    /// (when gas is cheap enough, when enqueued, account).
    wakes: BTreeSet<(i64, i64, usize)>,
}

impl Parked {
    /// Parks an action; it is due again at `wake`, if ever.
    pub fn insert(&mut self, action: Action, wake: Option<i64>) {
        if let Some(ts) = wake {
            self.wakes.insert((ts, action.enqueued, action.account));
        }
        self.actions.insert(action.account, (action, wake));
    }

    /// True if the account's action is parked.
    pub fn contains(&self, account: usize) -> bool {
        self.actions.contains_key(&account)
    }

    /// Takes the action of an account.
    pub fn remove(&mut self, account: usize) -> Option<Action> {
        let (action, wake) = self.actions.remove(&account)?;
        if let Some(ts) = wake {
            self.wakes.remove(&(ts, action.enqueued, account));
        }
        Some(action)
    }

    /// When the next action is due again.
    pub fn next_wake(&self) -> Option<i64> {
        self.wakes.first().map(|&(ts, _, _)| ts)
    }

    /// Takes an action that is due again at `t`.
    pub fn pop_wake(&mut self, t: i64) -> Option<Action> {
        let &(ts, _, account) = self.wakes.first().filter(|wake| wake.0 <= t)?;
        let action = self.remove(account)?;
        Some(Action { due: ts, ..action })
    }

    /// The accounts, in order.
    pub fn accounts(&self) -> impl Iterator<Item = usize> + '_ {
        self.actions.keys().copied()
    }

    /// How many are parked.
    pub fn len(&self) -> usize {
        self.actions.len()
    }
}
