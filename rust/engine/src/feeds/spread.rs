//! Spread when sources disagree: the source as long as it is within a limit of a reference; beyond it longs are valued at the lower
//! of the two and shorts at the higher.
//!
//! Source: GMX v1 `FastPriceFeed`, `maxDeviationBasisPoints` (2.5 %).

use super::together::Together;
use super::worst_of::worst;
use super::{Series, States, apart};
use crate::error::Result;
use crate::units::Ratio;

/// For longs and for shorts.
pub(super) fn spread(source: i64, reference: i64, limit: Ratio) -> Result<(i64, i64)> {
    Ok(if apart(source, reference, limit)? {
        worst(&[source, reference])
    } else {
        (source, source)
    })
}

/// A state at each instant at which the source or the reference has one.
pub(super) fn states(sources: &[&Series], limit: Ratio) -> Result<States> {
    let mut out = States::default();
    let mut together = Together::new(sources);
    while let Some(ts) = together.step() {
        let prices = together.prices();
        let (long, short) = spread(prices[0], prices[1], limit)?;
        out.push_sides(ts, long, short);
    }
    Ok(out)
}
