//! Payouts: how much of their profit the pool pays to winners.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::{positive_ratio, ratio};
use super::{Counterparty, Protocol, Remainder};
use crate::units::Ratio;

/// How much of a profit is paid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PayoutPolicy {
    /// All of it.
    #[default]
    Uncapped,
    /// The profit of a side of a market is cut to a share of what the pool has for it.
    PoolFactor {
        /// The share.
        #[serde(deserialize_with = "ratio")]
        factor: Ratio,
    },
    /// At most a multiple of the account's collateral.
    CollateralShare {
        /// The multiple.
        #[serde(deserialize_with = "ratio")]
        share: Ratio,
    },
    /// At most what was reserved when the position was opened.
    Reserved {
        /// What is reserved, as a share of what the position cost.
        #[serde(default = "one", deserialize_with = "ratio")]
        share: Ratio,
    },
}

const fn one() -> Ratio {
    Ratio::ONE
}

const fn half() -> Ratio {
    Ratio { num: 1, den: 2 }
}

/// What becomes of a profit that the pool does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenShort {
    /// It is paid all the same: the pool goes negative.
    #[default]
    Pay,
    /// It is not paid.
    Refuse,
    /// It is owed, and paid once the pool has it.
    Defer,
}

/// What of the pool stands behind one side of a market.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolSideConfig {
    /// Share of the holdings.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Of which assets; None: all.
    pub assets: Option<Vec<String>>,
}

impl Default for PoolSideConfig {
    fn default() -> Self {
        Self {
            share: half(),
            assets: None,
        }
    }
}

/// What of the pool stands behind the sides of a market.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolSidesConfig {
    /// Behind longs.
    pub long: PoolSideConfig,
    /// Behind shorts.
    pub short: PoolSideConfig,
}

/// Which position is closed first, where the pool owes too much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolAdlSelector {
    /// That with the largest profit.
    #[default]
    LargestProfit,
    /// That with the largest value.
    LargestPosition,
    /// That with the largest profit for what it cost.
    HighestReturn,
    /// As it is drawn.
    Random,
}

/// How far a round goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolAdlStop {
    /// Until the factor is at most the minimum.
    #[default]
    Minimum,
    /// Until it is no longer above the one from which on positions are closed.
    Enable,
}

/// Positions are closed while a side's profit is too large for its part of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolAdlConfig {
    /// The factor above which positions are closed.
    #[serde(deserialize_with = "ratio")]
    pub enable: Ratio,
    /// The factor below which none of them may bring it.
    #[serde(deserialize_with = "ratio")]
    pub minimum: Ratio,
    /// How far a round goes.
    #[serde(default)]
    pub stop: PoolAdlStop,
    /// Which position comes first.
    #[serde(default)]
    pub selector: PoolAdlSelector,
    /// Seed of the draws.
    #[serde(default)]
    pub seed: u64,
    /// Share of a position that one action closes.
    #[serde(default = "one", deserialize_with = "positive_ratio")]
    pub share: Ratio,
    /// An action that would bring the factor too low closes as much as it may instead of nothing.
    #[serde(default)]
    pub fit: bool,
    /// Actions of a round; None: as many as it takes.
    #[serde(default)]
    pub actions: Option<u32>,
    /// Nanoseconds from the first time that the factor is above `enable` to the round.
    #[serde(default)]
    pub latency: i64,
    /// Nanoseconds, at least 1, from a round to the next.
    #[serde(default = "second")]
    pub pause: i64,
}

const fn second() -> i64 {
    1_000_000_000
}

impl PoolAdlConfig {
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.enable.num < 0 || self.minimum.num < 0 {
            return Some(("adl.enable", "expected rates of at least 0"));
        }
        if self.enable.minus(self.minimum).is_none_or(|above| above.num < 0) {
            return Some(("adl.minimum", "expected a rate not above enable"));
        }
        if self.share.num > self.share.den {
            return Some(("adl.share", "expected a share above 0, at most 1"));
        }
        if self.latency < 0 || self.pause < 1 {
            return Some((
                "adl.pause",
                "expected a latency that is not negative and a pause of at least 1 ns",
            ));
        }
        None
    }
}

/// Payouts of the pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PayoutConfig {
    /// How much of a profit is paid.
    pub policy: PayoutPolicy,
    /// What if the pool does not have it.
    pub when_short: WhenShort,
    /// The margin test counts no more of a profit than would be paid.
    pub in_margin: bool,
    /// All positions are closed at the end of the tape.
    pub at_end: bool,
    /// What of the pool stands behind a market.
    pub sides: PoolSidesConfig,
    /// Single markets.
    pub markets: BTreeMap<String, PoolSidesConfig>,
    /// Auto-deleveraging by the factor of a side; None: there is none.
    pub adl: Option<PoolAdlConfig>,
}

impl PayoutConfig {
    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self, protocol: &Protocol) -> Option<(&'static str, &'static str)> {
        let policy = match &self.policy {
            PayoutPolicy::Uncapped => Ratio::ZERO,
            PayoutPolicy::PoolFactor { factor } => *factor,
            PayoutPolicy::CollateralShare { share } | PayoutPolicy::Reserved { share } => *share,
        };
        if policy.num < 0 {
            return Some(("policy", "expected a rate of at least 0"));
        }
        let share = |side: &PoolSideConfig| side.share.num >= 0 && side.share.num <= side.share.den;
        if ![&self.sides]
            .into_iter()
            .chain(self.markets.values())
            .all(|s| share(&s.long) && share(&s.short))
        {
            return Some(("sides", "expected shares from 0 to 1"));
        }
        if let Some(fault) = self.adl.as_ref().and_then(PoolAdlConfig::fault) {
            return Some(fault);
        }
        if protocol.counterparty != Counterparty::Pool {
            return Some(("policy", "expected pool as counterparty: it pays the profits"));
        }
        let execution = &protocol.execution;
        let remainder = execution.bound.map(|b| b.remainder);
        if execution.counterparty != Counterparty::Pool
            || !matches!(remainder, None | Some(Remainder::Pool | Remainder::Retry))
        {
            return Some((
                "policy",
                "expected pool as execution.counterparty and, with a bound, pool or retry as its remainder",
            ));
        }
        execution.takeover.is_some().then_some((
            "policy",
            "expected no execution.takeover: the vault has no profits to be paid",
        ))
    }
}
