//! Median of several feeds; of an even number the mean of the two in the middle, rounded down.
//!
//! Source: Hyperliquid's mark (median of three), dYdX v4 and Hyperliquid oracles (medians over validators and venues), Perpetual
//! Protocol v2 (median of three).

use super::together::Together;
use super::{Series, States};

/// The median; sorts `prices`, of which there is at least one.
pub(super) fn median(prices: &mut [i64]) -> i64 {
    prices.sort_unstable();
    let middle = prices.len() / 2;
    if prices.len() % 2 == 1 {
        prices[middle]
    } else {
        prices[middle - 1].midpoint(prices[middle])
    }
}

/// A state at each instant at which a source has one.
pub(super) fn states(sources: &[&Series]) -> States {
    let mut out = States::default();
    let mut together = Together::new(sources);
    let mut sorted = vec![0; sources.len()];
    while let Some(ts) = together.step() {
        sorted.copy_from_slice(together.prices());
        out.push(ts, median(&mut sorted));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_or_the_mean_of_two() {
        assert_eq!(median(&mut [3]), 3);
        assert_eq!(median(&mut [9, 1, 5]), 5);
        assert_eq!(median(&mut [9, 2, 5, 1]), 3);
        assert_eq!(median(&mut [i64::MAX, i64::MAX - 1]), i64::MAX - 1);
    }
}
