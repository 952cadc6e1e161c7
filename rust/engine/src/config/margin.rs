//! Margin and collateral.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parse::{optional_ratio, ratio};
use crate::units::Ratio;

/// One maintenance bracket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierConfig {
    /// Quote notional from which the bracket applies.
    #[serde(deserialize_with = "ratio")]
    pub lower: Ratio,
    /// Rate on the whole notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// Quote amount taken off; None: from continuity.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub deduction: Option<Ratio>,
}

/// How much equity a leg needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MaintenanceConfig {
    /// One rate.
    Flat {
        /// Share of the notional.
        #[serde(deserialize_with = "ratio")]
        rate: Ratio,
    },
    /// Marginal brackets with deduction.
    Brackets {
        /// From the lowest up; the first at zero.
        tiers: Vec<TierConfig>,
    },
    /// A rate that depends on the size, in steps.
    SizeSteps {
        /// From the lowest up; the first at zero.
        steps: Vec<StepConfig>,
    },
    /// A rate that rises linearly with the size.
    LinearSize {
        /// Rate of a small size.
        #[serde(deserialize_with = "ratio")]
        base: Ratio,
        /// What one unit of size beyond `above` adds to the rate.
        #[serde(deserialize_with = "ratio")]
        slope: Ratio,
        /// Size up to which the rate stands at `base`.
        #[serde(deserialize_with = "ratio")]
        above: Ratio,
        /// Highest rate.
        #[serde(deserialize_with = "ratio")]
        cap: Ratio,
    },
    /// A rate that rises with the square root of the size.
    RootSize {
        /// Lowest rate.
        #[serde(deserialize_with = "ratio")]
        base: Ratio,
        /// Share of `base` that the root is added to.
        #[serde(deserialize_with = "ratio")]
        share: Ratio,
        /// What the root of the size is multiplied by.
        #[serde(deserialize_with = "ratio")]
        factor: Ratio,
        /// Highest rate.
        #[serde(deserialize_with = "ratio")]
        cap: Ratio,
    },
    /// Fees that the position owes when it is closed, and a limit of its leverage at the entry.
    Leverage {
        /// Fixed fee, in quote units.
        #[serde(deserialize_with = "ratio")]
        fee: Ratio,
        /// Fee as a share of the notional at the entry.
        #[serde(deserialize_with = "ratio")]
        fee_rate: Ratio,
        /// Notional at the entry over equity.
        #[serde(deserialize_with = "ratio")]
        max_leverage: Ratio,
    },
    /// Liquidated once a share of the collateral is lost.
    CollateralShare {
        /// Share that must be lost.
        #[serde(deserialize_with = "ratio")]
        lost: Ratio,
        /// Closing fee as a share of the notional at the entry, part of the loss.
        #[serde(deserialize_with = "ratio")]
        fee_rate: Ratio,
    },
    /// A share of an initial requirement that is rounded up to whole units first.
    InitialShare {
        /// Initial requirement as a share of the notional.
        #[serde(deserialize_with = "ratio")]
        rate: Ratio,
        /// Share of that.
        #[serde(deserialize_with = "ratio")]
        share: Ratio,
    },
    /// A rate that rises with the open interest of the market.
    OpenInterest {
        /// Rate while the open interest is small.
        #[serde(deserialize_with = "ratio")]
        base: Ratio,
        /// Notional of the open interest up to which the rate stands at `base`.
        #[serde(deserialize_with = "ratio")]
        lower: Ratio,
        /// Notional from which it stands at `cap`.
        #[serde(deserialize_with = "ratio")]
        upper: Ratio,
        /// Highest rate.
        #[serde(deserialize_with = "ratio")]
        cap: Ratio,
    },
}

/// One step of a rate by size.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// Size from which the rate applies, in base units (linear) or contracts (inverse).
    #[serde(deserialize_with = "ratio")]
    pub lower: Ratio,
    /// Rate on the whole notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
}

/// Requirements scaled by the realised volatility of a feed, on a schedule. Durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicConfig {
    /// Feed whose volatility is measured.
    pub feed: String,
    /// How far back returns count.
    pub look_back: i64,
    /// Between two samples of the feed.
    pub sample: i64,
    /// Between two updates of the scale.
    pub cadence: i64,
    /// Volatility over the look-back at which requirements stand as they are.
    #[serde(deserialize_with = "ratio")]
    pub base: Ratio,
    /// Lowest scale.
    #[serde(deserialize_with = "ratio")]
    pub floor: Ratio,
    /// Highest scale.
    #[serde(deserialize_with = "ratio")]
    pub cap: Ratio,
    /// How far the scale may rise in an update; None: to the cap.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub max_rise: Option<Ratio>,
    /// How far the scale may fall in an update; None: to the floor.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub max_fall: Option<Ratio>,
    /// The initial requirement is scaled too.
    pub initial: bool,
}

/// Margin of one market.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketMarginConfig {
    /// Maintenance requirement.
    pub maintenance: MaintenanceConfig,
    /// Initial requirement as a share of the notional.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub initial_rate: Option<Ratio>,
    /// Initial requirement by a rule of its own.
    #[serde(default)]
    pub initial: Option<MaintenanceConfig>,
    /// Least requirement of a position, in quote units.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub minimum: Option<Ratio>,
    /// Scale by volatility.
    #[serde(default)]
    pub dynamic: Option<DynamicConfig>,
}

/// Margin of all markets, with overrides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarginConfig {
    /// Maintenance requirement of a market without override.
    pub maintenance: MaintenanceConfig,
    /// Initial requirement of a market without override.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub initial_rate: Option<Ratio>,
    /// Initial requirement by a rule of its own.
    #[serde(default)]
    pub initial: Option<MaintenanceConfig>,
    /// Least requirement of a position, in quote units.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub minimum: Option<Ratio>,
    /// Scale by volatility.
    #[serde(default)]
    pub dynamic: Option<DynamicConfig>,
    /// Overrides by market name.
    #[serde(default)]
    pub markets: BTreeMap<String, MarketMarginConfig>,
}

impl Default for MarginConfig {
    fn default() -> Self {
        Self {
            maintenance: MaintenanceConfig::Flat {
                rate: Ratio { num: 1, den: 200 },
            },
            initial_rate: None,
            initial: None,
            minimum: None,
            dynamic: None,
            markets: BTreeMap::new(),
        }
    }
}

/// How an asset counts as collateral.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollateralConfig {
    /// Share of a positive balance that counts.
    #[serde(deserialize_with = "ratio")]
    pub weight: Ratio,
    /// The same for the initial requirement; None: `weight`.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub initial_weight: Option<Ratio>,
    /// Share of a leg's unrealised profit that counts; None: all.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub profit_weight: Option<Ratio>,
    /// Share of the price that is lost when the asset is converted; None: nothing.
    #[serde(default, deserialize_with = "optional_ratio")]
    pub sale_cost: Option<Ratio>,
}

impl CollateralConfig {
    /// The shares by field.
    pub fn shares(&self) -> [(&'static str, Option<Ratio>); 4] {
        [
            ("weight", Some(self.weight)),
            ("initial_weight", self.initial_weight),
            ("profit_weight", self.profit_weight),
            ("sale_cost", self.sale_cost),
        ]
    }
}
