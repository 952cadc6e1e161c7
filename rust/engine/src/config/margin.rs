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
}
