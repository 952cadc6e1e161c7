//! A virtual market maker of constant product: with a quote reserve Q and a net volume u bought from it, the price stands at
//! `1 / (1 - u / Q)^2` of the tape's, and what is traded between two volumes costs the geometric mean.
//!
//! Source of the form: Perpetual Protocol v1 (`x y = k`); the reserves here follow the tape, and the displacement recovers.

use super::{Displacement, ONE, Rounding};
use crate::error::Result;
use crate::units::{Ratio, product};

/// `1 - u / Q`, at least one unit.
fn reserve(per: Ratio, volume: i128) -> Result<i128> {
    let share = per.floor_of(volume.abs(), "virtual reserve")?;
    Ok((ONE - volume.signum() * share).max(1))
}

/// Displacement of the price.
pub fn displacement(per: Ratio, volume: i128) -> Result<Displacement> {
    mean(per, volume, volume, Rounding::Down)
}

/// Displacement of what is traded between two volumes.
pub fn mean(per: Ratio, from: i128, to: i128, rounding: Rounding) -> Result<Displacement> {
    let reserves = product(reserve(per, from)?, reserve(per, to)?, "virtual reserve")?;
    Ok(Displacement(rounding.divide(ONE * ONE * ONE, reserves) - ONE))
}
