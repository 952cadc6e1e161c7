//! Keepers: who acts on a trigger, when, how often, and for what reward.

use serde::Deserialize;

use super::Protocol;
use super::latency::{LatencyConfig, Wrong};
use super::parse::{ratio, usd};
use crate::units::{Amount, Ratio};

/// What a time is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The first timestamp of the tape.
    Offset,
    /// The epoch.
    Ts,
}

/// A time, in nanoseconds: absolute, or from the start of the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct When(pub Origin, pub i64);

impl When {
    /// The start of the tape.
    pub const START: Self = Self(Origin::Offset, 0);

    /// The timestamp, on a tape that starts at `opening`.
    pub fn on(self, opening: i64) -> i64 {
        match self.0 {
            Origin::Offset => opening.saturating_add(self.1),
            Origin::Ts => self.1,
        }
    }
}

/// How much keepers can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityConfig {
    /// Attempts in a window.
    pub limit: u32,
    /// Length of a window, in nanoseconds.
    pub window: i64,
}

/// Attempts that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureConfig {
    /// Of one attempt.
    #[serde(deserialize_with = "ratio")]
    pub probability: Ratio,
    /// From a failure to the next attempt, in nanoseconds.
    pub retry: i64,
}

/// From a time on, gas costs so many times the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasStepConfig {
    /// From when.
    pub at: When,
    /// How many times.
    #[serde(deserialize_with = "ratio")]
    pub factor: Ratio,
}

/// What an attempt costs the keeper.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasConfig {
    /// Dollars for a liquidation at factor 1.
    #[serde(deserialize_with = "usd")]
    pub base: Amount,
    /// Factors, in the order of time.
    #[serde(default)]
    pub series: Vec<GasStepConfig>,
}

/// What is different for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegimeConfig {
    /// From when.
    #[serde(default = "start")]
    pub start: When,
    /// Until when, exclusive; None: to the end.
    #[serde(default)]
    pub end: Option<When>,
    /// Latency meanwhile.
    #[serde(default)]
    pub latency: Option<LatencyConfig>,
    /// Failures meanwhile.
    #[serde(default)]
    pub failure: Option<FailureConfig>,
    /// Capacity meanwhile.
    #[serde(default)]
    pub capacity: Option<CapacityConfig>,
    /// Gas costs so many times its series meanwhile.
    #[serde(default, deserialize_with = "super::parse::optional_ratio")]
    pub gas_factor: Option<Ratio>,
}

fn start() -> When {
    When::START
}

/// Who acts on a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeeperConfig {
    /// Accounts are looked at so often, in nanoseconds; None: at every update.
    pub poll: Option<i64>,
    /// From detection to action.
    pub latency: LatencyConfig,
    /// How often what actions changed is detected again within an instant.
    pub rounds: u32,
    /// How much can be done; None: everything.
    pub capacity: Option<CapacityConfig>,
    /// How often an attempt fails; None: never.
    pub failure: Option<FailureConfig>,
    /// Dollars that must be left of the reward after gas.
    #[serde(deserialize_with = "usd")]
    pub minimum_profit: Amount,
    /// What an attempt costs; None: nothing.
    pub gas: Option<GasConfig>,
    /// What is different for a while; of several at a time the last counts.
    pub regimes: Vec<RegimeConfig>,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for KeeperConfig {
    fn default() -> Self {
        Self {
            poll: None,
            latency: LatencyConfig::Fixed(0),
            rounds: 1,
            capacity: None,
            failure: None,
            minimum_profit: Amount::ZERO,
            gas: None,
            regimes: Vec::new(),
            seed: 0,
        }
    }
}

const POSITIVE: &str = "expected a positive duration";

fn check_capacity(field: &str, capacity: Option<CapacityConfig>) -> Result<(), Wrong> {
    match capacity {
        Some(c) if c.window <= 0 => Err((format!("{field}.window"), POSITIVE)),
        _ => Ok(()),
    }
}

fn check_failure(field: &str, failure: Option<FailureConfig>) -> Result<(), Wrong> {
    match failure {
        Some(f) if f.probability.num < 0 || f.probability.num > f.probability.den => {
            Err((format!("{field}.probability"), "expected a share from 0 to 1"))
        }
        Some(f) if f.retry <= 0 => Err((format!("{field}.retry"), POSITIVE)),
        _ => Ok(()),
    }
}

impl KeeperConfig {
    /// What a schema cannot say; the first field that is wrong, and what was expected.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.poll.is_some_and(|d| d <= 0) {
            return Err(("poll".to_owned(), POSITIVE));
        }
        self.latency.check("latency")?;
        check_capacity("capacity", self.capacity)?;
        check_failure("failure", self.failure)?;
        if self.minimum_profit.0 < 0 {
            return Err(("minimum_profit".to_owned(), "expected dollars that are not negative"));
        }
        if let Some(gas) = &self.gas {
            if gas.base.0 < 0 {
                return Err(("gas.base".to_owned(), "expected dollars that are not negative"));
            }
            if let Some(k) = gas.series.iter().position(|s| s.factor.num < 0) {
                return Err((
                    format!("gas.series.{k}.factor"),
                    "expected a factor that is not negative",
                ));
            }
        }
        for (k, regime) in self.regimes.iter().enumerate() {
            let field = |name: &str| format!("regimes.{k}.{name}");
            if let Some(latency) = &regime.latency {
                latency.check(&field("latency"))?;
            }
            check_capacity(&field("capacity"), regime.capacity)?;
            check_failure(&field("failure"), regime.failure)?;
            if regime.gas_factor.is_some_and(|f| f.num < 0) {
                return Err((field("gas_factor"), "expected a factor that is not negative"));
            }
        }
        Ok(())
    }
}

impl Protocol {
    /// The keeper's part of the penalty.
    pub fn keepers_share(&self) -> Ratio {
        self.penalty
            .split
            .get(&super::Sink::Keepers)
            .copied()
            .unwrap_or(Ratio::ZERO)
    }
}
