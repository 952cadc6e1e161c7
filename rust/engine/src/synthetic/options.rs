//! What a synthetic book is drawn from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Options of a synthetic book; every one has a default, so `{}` is a book.
///
/// The distributions of notional and leverage are those of the accounts that met auto-deleveraging on Hyperliquid on
/// 2025-10-10 (19,337 accounts): notional median 481 USD, 95th percentile 114,395, largest 330 M; leverage 25th percentile 0.16,
/// median 0.43, 95th percentile 6.5. Two quantiles fix a lognormal: a standard deviation of the logarithm of 3.33 and of 1.65.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticOptions {
    /// Number of accounts.
    pub accounts: u32,
    /// Seed.
    pub seed: u64,
    /// Median notional of an account in USD.
    pub notional_median: f64,
    /// 95th percentile of the notional in USD.
    pub notional_p95: f64,
    /// Largest notional in USD; what is drawn beyond is cut to it. (Balancing may scale it up again.)
    pub notional_max: f64,
    /// Median leverage: notional over equity at the opening prices.
    pub leverage_median: f64,
    /// 95th percentile of the leverage.
    pub leverage_p95: f64,
    /// Largest leverage; what is drawn beyond is cut to it.
    pub max_leverage: f64,
    /// Share of the positions that are long, by count.
    pub long_share: f64,
    /// Share of the accounts that are cross.
    pub cross_share: f64,
    /// A cross account has 1 to this many legs, all equally likely, in different markets.
    pub max_legs: u32,
    /// Where the legs of a cross account may be.
    pub cross_assets: CrossAssets,
    /// Standard deviation of the logarithm of the entry price around the opening price.
    pub entry_dispersion: f64,
    /// Relative odds of a position being in a market, by name; markets not named have none. None: by traded volume.
    pub weights: Option<BTreeMap<String, f64>>,
    /// What differs for longs. (A cross account's leverage goes by its first leg.)
    pub longs: SideOptions,
    /// What differs for shorts.
    pub shorts: SideOptions,
}

/// Which markets the legs of one cross account share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossAssets {
    /// All legs in markets with the settlement asset of the first: one asset an account.
    #[default]
    One,
    /// Any markets: cash in each settlement asset, a multi-asset account.
    Any,
}

/// Overrides for one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SideOptions {
    /// Median leverage.
    pub leverage_median: Option<f64>,
    /// 95th percentile of the leverage.
    pub leverage_p95: Option<f64>,
    /// Standard deviation of the logarithm of the entry price around the opening price.
    pub entry_dispersion: Option<f64>,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self {
            accounts: 100_000,
            seed: 7,
            notional_median: 481.0,
            notional_p95: 114_395.0,
            notional_max: 330e6,
            leverage_median: 0.43,
            leverage_p95: 6.5,
            max_leverage: 40.0,
            long_share: 0.5,
            cross_share: 0.2,
            max_legs: 3,
            cross_assets: CrossAssets::One,
            entry_dispersion: 0.02,
            weights: None,
            longs: SideOptions::default(),
            shorts: SideOptions::default(),
        }
    }
}

/// Standard normal quantile of 95 %.
const Z95: f64 = 1.644_853_626_951_472_7;

/// Median and standard deviation of the logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lognormal {
    pub median: f64,
    pub sigma: f64,
}

impl Lognormal {
    fn of(median: f64, p95: f64) -> Self {
        Self {
            median,
            sigma: libm::log(p95 / median) / Z95,
        }
    }
}

/// What one side draws from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SideDraw {
    pub leverage: Lognormal,
    pub entry_dispersion: f64,
}

impl SyntheticOptions {
    /// The options from JSON, checked.
    pub fn from_json(json: &str) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| Error::Config(format!("options of a synthetic book: {e}"));
        let fields: Map<String, Value> = serde_json::from_str(json).map_err(|e| wrong(&e))?;
        // Each by itself first, so that an error can name the field.
        for (name, value) in &fields {
            let alone = |value: Value| serde_json::from_value::<Self>(Map::from_iter([(name.clone(), value)]).into());
            for (inner, value) in value.as_object().into_iter().flatten() {
                alone(Map::from_iter([(inner.clone(), value.clone())]).into())
                    .map_err(|e| wrong(&format_args!("{name}.{inner}: {e}")))?;
            }
            alone(value.clone()).map_err(|e| wrong(&format_args!("{name}: {e}")))?;
        }
        let options: Self = serde_json::from_value(fields.into()).map_err(|e| wrong(&e))?;
        options.check()?;
        Ok(options)
    }

    /// An error that names the first field out of range.
    pub fn check(&self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let (longs, shorts) = (self.side(true), self.side(false));
        let dispersion = |side: SideDraw| (0.0..=1.0).contains(&side.entry_dispersion);
        let spread = |d: Lognormal| positive(d.median) && d.sigma.is_finite() && d.sigma >= 0.0;
        let rules = [
            (self.accounts >= 2, "accounts", "at least 2"),
            (positive(self.notional_median), "notional_median", "a positive number"),
            (
                spread(self.notional()),
                "notional_p95",
                "a number not below notional_median",
            ),
            (positive(self.notional_max), "notional_max", "a positive number"),
            (
                spread(longs.leverage),
                "leverage_median, leverage_p95",
                "positive numbers, the second not below the first",
            ),
            (
                spread(shorts.leverage),
                "leverage_median, leverage_p95",
                "positive numbers, the second not below the first",
            ),
            (
                positive(self.max_leverage) && self.max_leverage <= 1000.0,
                "max_leverage",
                "a number in (0, 1000]",
            ),
            (share(self.long_share), "long_share", "a share in [0, 1]"),
            (share(self.cross_share), "cross_share", "a share in [0, 1]"),
            (self.max_legs >= 1, "max_legs", "at least 1"),
            (
                dispersion(longs) && dispersion(shorts),
                "entry_dispersion",
                "a number in [0, 1]",
            ),
        ];
        match rules.iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, field, expected)) => Err(Error::Config(format!(
                "options of a synthetic book: {field}: expected {expected}"
            ))),
        }
    }

    pub(super) fn notional(&self) -> Lognormal {
        Lognormal::of(self.notional_median, self.notional_p95)
    }

    pub(super) fn side(&self, long: bool) -> SideDraw {
        let own = if long { &self.longs } else { &self.shorts };
        SideDraw {
            leverage: Lognormal::of(
                own.leverage_median.unwrap_or(self.leverage_median),
                own.leverage_p95.unwrap_or(self.leverage_p95),
            ),
            entry_dispersion: own.entry_dispersion.unwrap_or(self.entry_dispersion),
        }
    }
}
