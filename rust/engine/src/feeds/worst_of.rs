//! Worst of several feeds by side: longs are valued at the lowest, shorts at the highest.
//!
//! Source: GMX v1 `VaultPriceFeed` and GMX v2 (min for longs, max for shorts).

use super::together::Together;
use super::{Series, States};

/// For longs and for shorts.
pub(super) fn worst(prices: &[i64]) -> (i64, i64) {
    prices
        .iter()
        .fold((i64::MAX, i64::MIN), |(low, high), &p| (low.min(p), high.max(p)))
}

/// A state at each instant at which a source has one.
pub(super) fn states(sources: &[&Series]) -> States {
    let mut out = States::default();
    let mut together = Together::new(sources);
    while let Some(ts) = together.step() {
        let (low, high) = worst(together.prices());
        out.push_sides(ts, low, high);
    }
    out
}
