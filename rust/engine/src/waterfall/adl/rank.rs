//! The rank of one instant: exact scores, as far down as they were needed.
//!
//! Candidates come from the finest level in the order of their bounds, get their exact scores, and are put in order as soon as nobody
//! who is still to come can be ahead of them. Many events of one instant share a rank: accounts that were changed are scored anew.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::Match;
use super::capacity::{Demand, reach};
use super::levels::{Levels, View};
use super::order::{Cursor, Key, Order};
use super::standing::Standing;
use crate::contract::MarketId;
use crate::error::{Error, Result};
use crate::ledger::{Holder, released};
use crate::state::Moment;
use crate::units::Price;

/// A candidate with its exact score.
struct Scored {
    key: Key,
    reach: f64,
    /// Version of the account that was scored.
    version: u64,
}

impl Ord for Scored {
    /// The greatest is the first in the rank.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Scored {}

/// The candidates at one set of prices.
pub struct Rank {
    /// The print that this rank was made for.
    pub seen: Option<(MarketId, Price)>,
    /// Next entry of the finest level.
    next: usize,
    /// Changes up to here are contained.
    log: usize,
    /// Scored, but not yet in order.
    scored: BinaryHeap<Scored>,
    /// The first of the rank. All are as they stand.
    order: Order,
    /// Their scores by account and leg.
    placed: BTreeMap<(u32, u32), i128>,
}

impl Rank {
    /// A rank that has not looked at anyone yet; `log` is that of the finest level.
    pub fn new(seen: Option<(MarketId, Price)>, log: usize) -> Self {
        Self {
            seen,
            next: 0,
            log,
            scored: BinaryHeap::new(),
            order: Order::default(),
            placed: BTreeMap::new(),
        }
    }

    /// Takes candidates in order until what is wanted is matched or nobody is left.
    pub fn take(
        &mut self,
        view: &View<'_>,
        levels: &mut Levels,
        log: &[u32],
        moment: &Moment<'_>,
        demand: &Demand<'_>,
    ) -> Result<Vec<Match>> {
        self.catch_up(view, log, moment)?;
        let loser = match demand.wanted.loser {
            Holder::Account(account) => Some(account),
            Holder::Fund(_) | Holder::Entity(_) => None,
        };
        let least = demand.least_reach();
        let mut cursor = Cursor::default();
        let mut left = demand.wanted.quantity;
        let mut out = Vec::new();
        while left > 0 && out.len() < demand.counterparties() {
            let Some((key, before)) = self.order.next(&mut cursor, least) else {
                if self.extend(view, levels, moment)? {
                    continue;
                }
                break;
            };
            let (account, leg) = (key.account as usize, key.leg as usize);
            if Some(account) == loser {
                continue;
            }
            let candidate = Standing::of(view.book, moment, account, leg)?
                .ok_or_else(|| Error::Invariant(format!("account {account} was ranked and has no score")))?;
            let capacity = demand.capacity(view.book, moment, (account, leg), &candidate)?;
            if !demand.takes(capacity, &candidate, left) {
                continue;
            }
            let units = capacity.min(left);
            // The loser is not its own counterparty: its legs have no place in the rank.
            let own = loser.map_or(0, |loser| {
                let account = loser as u32;
                let before = |&(leg, score): &(u32, i128)| Key { score, account, leg } < key;
                self.own(account).filter(before).count()
            });
            out.push(Match {
                holder: Holder::Account(account),
                leg,
                units,
                score: key.score,
                rank: u32::try_from(before - own).unwrap_or(u32::MAX).saturating_add(1),
                cost: released(candidate.entry_value, units, candidate.units)?,
            });
            left -= units;
        }
        Ok(out)
    }

    /// Legs of an account that are in order, with their scores.
    fn own(&self, account: u32) -> impl Iterator<Item = (u32, i128)> {
        self.placed
            .range((account, 0)..=(account, u32::MAX))
            .map(|(&(_, leg), &score)| (leg, score))
    }

    /// Scores the accounts that were changed.
    fn catch_up(&mut self, view: &View<'_>, log: &[u32], moment: &Moment<'_>) -> Result<()> {
        let mut changed = log[self.log..].to_vec();
        self.log = log.len();
        changed.sort_unstable();
        changed.dedup();
        for account in changed {
            let own: Vec<(u32, i128)> = self.own(account).collect();
            for (leg, score) in own {
                self.placed.remove(&(account, leg));
                self.order.remove(Key { score, account, leg });
            }
            // What was scored and is not in order is void by its version.
            for leg in view.legs(account) {
                let Some(scored) = scored(view, moment, account, leg)? else {
                    continue;
                };
                if self.order.last().is_some_and(|last| scored.key < last) {
                    self.place(&scored);
                } else {
                    self.scored.push(scored);
                }
            }
        }
        Ok(())
    }

    fn place(&mut self, scored: &Scored) {
        let Key { score, account, leg } = scored.key;
        self.placed.insert((account, leg), score);
        self.order.insert(scored.key, scored.reach);
    }

    /// Puts the next in order; false if there is nobody left.
    ///
    /// A score is converted to floating point without losing the order: if it is above a bound there, it is above it.
    fn extend(&mut self, view: &View<'_>, levels: &mut Levels, moment: &Moment<'_>) -> Result<bool> {
        loop {
            while self
                .scored
                .peek()
                .is_some_and(|s| view.book.version(s.key.account as usize) != s.version)
            {
                self.scored.pop();
            }
            let best = self.scored.peek().map(|s| s.key.score as f64);
            match levels.get(view, self.next) {
                Some(entry) if best.is_none_or(|best| best <= entry.bound) => {
                    self.next += 1;
                    if view.stands(&entry) {
                        self.scored.extend(scored(view, moment, entry.account, entry.leg)?);
                    }
                }
                _ => {
                    let Some(first) = self.scored.pop() else {
                        return Ok(false);
                    };
                    if self.order.last().is_some_and(|last| first.key < last) {
                        return Err(Error::Invariant(format!(
                            "the ADL score of account {} is above its bound",
                            first.key.account
                        )));
                    }
                    self.place(&first);
                    return Ok(true);
                }
            }
        }
    }
}

fn scored(view: &View<'_>, moment: &Moment<'_>, account: u32, leg: u32) -> Result<Option<Scored>> {
    let Some(standing) = Standing::of(view.book, moment, account as usize, leg as usize)? else {
        return Ok(None);
    };
    let score = view.score.of(view.venue, view.market, &standing)?;
    let settlement = view.venue.markets[view.market].settlement;
    Ok(Some(Scored {
        key: Key { score, account, leg },
        reach: reach(moment, settlement, &standing),
        version: view.book.version(account as usize),
    }))
}
