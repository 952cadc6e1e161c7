//! Funding and borrow fees.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Sink;
use super::parse::{optional_ratio, ratio};
use crate::units::Ratio;

/// A rate at a time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatePoint {
    /// When it is paid, in nanoseconds.
    pub ts: i64,
    /// Share of the notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
}

/// Rates of each market, in the order of time.
pub type RateSeries = BTreeMap<String, Vec<RatePoint>>;

/// Payments between longs and shorts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FundingConfig {
    /// Rates that are given; what longs pay.
    Series {
        /// By market.
        rates: RateSeries,
        /// Feed of the notional; None: the trigger feed.
        #[serde(default)]
        feed: Option<String>,
    },
    /// Rates from the premium of one feed over another.
    Premium {
        /// Feed that is compared.
        of: String,
        /// With which.
        over: String,
        /// Between two payments, in nanoseconds.
        interval: i64,
        /// Between two samples of the premium, in nanoseconds.
        sample: i64,
        /// Interest.
        #[serde(deserialize_with = "ratio")]
        interest: Ratio,
        /// How far the interest moves the rate away from the premium.
        #[serde(deserialize_with = "ratio")]
        band: Ratio,
        /// Highest absolute rate; None: no limit.
        #[serde(default, deserialize_with = "optional_ratio")]
        cap: Option<Ratio>,
        /// Part of the rate that each payment is of.
        #[serde(deserialize_with = "ratio")]
        share: Ratio,
        /// Feed of the notional; None: the trigger feed.
        #[serde(default)]
        feed: Option<String>,
    },
}

/// What every position pays for being open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorrowConfig {
    /// Share of the notional an hour.
    #[serde(deserialize_with = "ratio")]
    pub rate_per_hour: Ratio,
    /// Between two steps of the constant rate, in nanoseconds.
    pub interval: i64,
    /// Rates that are given, beside the constant one.
    #[serde(default)]
    pub rates: RateSeries,
    /// Who receives it.
    pub receiver: Sink,
    /// Feed of the notional; None: the trigger feed.
    #[serde(default)]
    pub feed: Option<String>,
}
