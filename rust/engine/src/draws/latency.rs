//! From the beginning of an attempt to its action, or from the write of an oracle to its visibility.

use super::normal::{quantile, times_exp};
use crate::config::{DrawnLatency, LatencyConfig};

impl LatencyConfig {
    /// True if it is not always the same.
    pub(crate) fn is_drawn(&self) -> bool {
        matches!(self, Self::Drawn(_))
    }

    /// The latency, in nanoseconds; `bits` are drawn if they are needed.
    pub(crate) fn of(&self, bits: impl FnOnce() -> u64) -> i64 {
        match self {
            Self::Fixed(latency) => *latency,
            Self::Drawn(drawn) => drawn.of(bits()),
        }
    }
}

impl DrawnLatency {
    fn of(&self, bits: u64) -> i64 {
        match self {
            Self::Uniform { low, high } => {
                // Both are not negative, and the share is below 2^63.
                let values = u128::from(high.abs_diff(*low)) + 1;
                low + ((u128::from(bits) * values) >> 64) as i64
            }
            Self::Lognormal { median, sigma, maximum } => {
                // The quantile is below 2^35, and a sigma below 16 has a denominator below 2^63.
                let x = (sigma.num * i128::from(quantile(bits))).div_euclid(sigma.den);
                times_exp(*median, x).min(maximum.unwrap_or(i64::MAX))
            }
            Self::Empirical { values } => {
                let total: u128 = values.iter().map(|v| u128::from(v.weight)).sum();
                let place = (u128::from(bits) * total) >> 64;
                let mut cumulated = 0;
                let found = values.iter().find(|v| {
                    cumulated += u128::from(v.weight);
                    place < cumulated
                });
                found.map_or(0, |v| v.latency)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Weighted;
    use crate::units::Ratio;

    /// Latencies at evenly spaced draws.
    fn spread(latency: &DrawnLatency, n: u64) -> Vec<i64> {
        (0..n).map(|k| latency.of((2 * k + 1) * (u64::MAX / (2 * n)))).collect()
    }

    #[test]
    fn every_value_of_a_uniform_latency_is_as_likely() {
        let mut drawn = spread(&DrawnLatency::Uniform { low: 3, high: 6 }, 400);
        drawn.sort_unstable();
        assert_eq!([drawn[0], drawn[99], drawn[100], drawn[399]], [3, 3, 4, 6]);
        let all = DrawnLatency::Uniform { low: 0, high: i64::MAX };
        assert_eq!(all.of(u64::MAX), i64::MAX);
    }

    #[test]
    fn values_come_by_their_weights() {
        let value = |latency, weight| Weighted { latency, weight };
        let latency = DrawnLatency::Empirical {
            values: vec![value(5, 1), value(9, 0), value(2, 3)],
        };
        let drawn = spread(&latency, 400);
        assert_eq!(drawn.iter().filter(|&&l| l == 5).count(), 100);
        assert_eq!(drawn.iter().filter(|&&l| l == 2).count(), 300);
    }

    #[test]
    fn half_of_lognormal_latencies_are_below_the_median() {
        let latency = DrawnLatency::Lognormal {
            median: 1_000_000,
            sigma: Ratio::parse("0.5").unwrap(),
            maximum: Some(4_000_000),
        };
        let drawn = spread(&latency, 10_000);
        assert_eq!(drawn.iter().filter(|&&l| l < 1_000_000).count(), 5_000);
        // e^(1.2816 / 2) = 1.898: the 90th percentile.
        assert_eq!(drawn.iter().filter(|&&l| l > 1_900_000).count() / 100, 9);
        assert_eq!(drawn.iter().max(), Some(&4_000_000));
    }
}
