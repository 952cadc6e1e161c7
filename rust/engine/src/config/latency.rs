//! Latencies: fixed, or drawn from a distribution.

use serde::Deserialize;

use super::parse::ratio;
use crate::units::Ratio;

/// A field that is wrong, and what was expected.
pub(crate) type Wrong = (String, &'static str);

pub(super) const NOT_NEGATIVE: &str = "expected a duration that is not negative";

/// A value of an empirical distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The latency, in nanoseconds.
    pub latency: i64,
    /// How often it comes, relative to the others.
    pub weight: u32,
}

/// A distribution of latencies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DrawnLatency {
    /// Every value between two is as likely.
    Uniform {
        /// The least.
        low: i64,
        /// The largest.
        high: i64,
    },
    /// The logarithm is normal.
    Lognormal {
        /// Half of the latencies are longer.
        median: i64,
        /// Standard deviation of the logarithm.
        #[serde(deserialize_with = "ratio")]
        sigma: Ratio,
        /// None is longer.
        #[serde(default)]
        maximum: Option<i64>,
    },
    /// Given values.
    Empirical {
        /// The values.
        values: Vec<Weighted>,
    },
}

/// From detection to action, or from the write of an oracle to its visibility.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum LatencyConfig {
    /// Always the same, in nanoseconds.
    Fixed(i64),
    /// Drawn for each attempt, or each write.
    Drawn(DrawnLatency),
}

impl LatencyConfig {
    /// Tells what is wrong with it; `field` is its name.
    pub(crate) fn check(&self, field: &str) -> Result<(), Wrong> {
        let wrong = |name: &str, expected| Err((format!("{field}{name}"), expected));
        match self {
            Self::Fixed(n) if *n < 0 => wrong("", NOT_NEGATIVE),
            Self::Drawn(DrawnLatency::Uniform { low, .. }) if *low < 0 => wrong(".low", NOT_NEGATIVE),
            Self::Drawn(DrawnLatency::Uniform { low, high }) if high < low => {
                wrong(".high", "expected a duration of at least low")
            }
            Self::Drawn(DrawnLatency::Lognormal { median, .. }) if *median < 0 => wrong(".median", NOT_NEGATIVE),
            Self::Drawn(DrawnLatency::Lognormal { sigma, .. })
                if sigma.num < 0 || sigma.num / sigma.den >= 16 || sigma.den > i128::from(i64::MAX) =>
            {
                wrong(".sigma", "expected a number from 0 to below 16")
            }
            Self::Drawn(DrawnLatency::Lognormal { maximum: Some(n), .. }) if *n < 0 => wrong(".maximum", NOT_NEGATIVE),
            Self::Drawn(DrawnLatency::Empirical { values }) => {
                if values.iter().all(|v| v.weight == 0) {
                    return wrong(".values", "expected a weight that is not 0");
                }
                match values.iter().position(|v| v.latency < 0) {
                    Some(k) => wrong(&format!(".values.{k}.latency"), NOT_NEGATIVE),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
