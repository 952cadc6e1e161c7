//! How much of which position an action closes, and when that is enough.

use serde::Deserialize;

use super::parse::{optional_usd, ratio, usd};
use crate::units::{Amount, Ratio};

/// At most a share of a position in one action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FractionClose {
    /// Share of the position as it stands.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Dollars of notional that are closed at least.
    #[serde(default, deserialize_with = "usd")]
    pub minimum: Amount,
    /// Dollars of notional that one action closes at most, over all positions.
    #[serde(default, deserialize_with = "optional_usd")]
    pub cap: Option<Amount>,
}

/// A share of a large position first, then the whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitClose {
    /// Dollars of notional above which a position is split.
    #[serde(deserialize_with = "usd")]
    pub threshold: Amount,
    /// Share that goes first.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
}

/// Of what a ramp takes its share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RampOf {
    /// The position as it was when the liquidation began.
    #[default]
    Position,
    /// What has to be closed for the account to be healthy.
    Target,
}

/// A share that grows with the time of the liquidation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampClose {
    /// Share at the beginning.
    #[serde(deserialize_with = "ratio")]
    pub initial: Ratio,
    /// Nanoseconds in which the share grows by one.
    pub duration: i64,
    /// Of what.
    #[serde(default)]
    pub of: RampOf,
}

/// The least that makes the account healthy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetClose {}

/// Down to a lower bracket of maintenance margin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierClose {
    /// How many brackets lower.
    #[serde(default = "one_step")]
    pub steps: usize,
}

fn one_step() -> usize {
    1
}

/// Everything at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullClose {}

/// How much of a position an action closes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClosePolicy {
    /// Everything.
    Full(FullClose),
    /// A share, with a minimum and a cap.
    Fraction(FractionClose),
    /// A share first, then everything.
    Split(SplitClose),
    /// A share that grows with time.
    Ramp(RampClose),
    /// The least that makes the account healthy.
    Target(TargetClose),
    /// Down to a lower bracket.
    Tier(TierClose),
}

/// Which positions of a cross account an action closes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// All, each by the policy.
    #[default]
    All,
    /// The first by market.
    Market,
    /// The largest.
    LargestNotional,
    /// The one that has lost most.
    LargestLoss,
    /// One that is drawn.
    Random,
}

/// Which requirement ends a liquidation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopRequirement {
    /// That to stay.
    #[default]
    Maintenance,
    /// That to open.
    Initial,
}

/// When an account under liquidation is healthy again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopConfig {
    /// Measured against this requirement.
    pub requirement: StopRequirement,
    /// So many times it.
    #[serde(deserialize_with = "ratio")]
    pub factor: Ratio,
}

impl Default for StopConfig {
    fn default() -> Self {
        Self {
            requirement: StopRequirement::default(),
            factor: Ratio::ONE,
        }
    }
}

/// What happens to an account that a close of the whole would leave below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenInsolvent {
    /// It is closed whole at once.
    #[default]
    Full,
    /// The policy goes on.
    Policy,
}

/// How much is closed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloseConfig {
    /// How much of a position.
    pub policy: ClosePolicy,
    /// Of which positions.
    pub positions: Positions,
    /// When it is enough.
    pub stop: StopConfig,
    /// Nanoseconds from a partial action to the next one at least.
    pub pause: i64,
    /// What an insolvent account gets.
    pub when_insolvent: WhenInsolvent,
}

impl Default for CloseConfig {
    fn default() -> Self {
        Self {
            policy: ClosePolicy::Full(FullClose {}),
            positions: Positions::default(),
            stop: StopConfig::default(),
            pause: 1_000_000_000,
            when_insolvent: WhenInsolvent::default(),
        }
    }
}

impl CloseConfig {
    /// True if every action closes the whole account.
    pub fn is_whole(&self) -> bool {
        matches!(self.policy, ClosePolicy::Full(_)) && self.positions == Positions::All
    }

    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let share = |r: &Ratio| r.num > 0 && r.num <= r.den;
        let (field, fine) = match &self.policy {
            ClosePolicy::Full(_) | ClosePolicy::Target(_) => ("close.policy", true),
            ClosePolicy::Fraction(c) => (
                "close.policy.share",
                share(&c.share) && c.minimum.0 >= 0 && c.cap.is_none_or(|cap| cap.0 >= 0),
            ),
            ClosePolicy::Split(c) => ("close.policy.share", share(&c.share) && c.threshold.0 >= 0),
            ClosePolicy::Ramp(c) => (
                "close.policy.initial",
                c.initial.num >= 0 && c.initial.num <= c.initial.den,
            ),
            ClosePolicy::Tier(c) => ("close.policy.steps", c.steps > 0),
        };
        if !fine {
            return Some((
                field,
                "expected shares above 0, at most 1, and amounts that are not negative",
            ));
        }
        if matches!(&self.policy, ClosePolicy::Ramp(c) if c.duration <= 0) {
            return Some(("close.policy.duration", "expected a duration above 0"));
        }
        if self.pause <= 0 {
            return Some(("close.pause", "expected a duration above 0"));
        }
        if self.stop.factor.num <= 0 {
            return Some(("close.stop.factor", "expected a factor above 0"));
        }
        None
    }
}
