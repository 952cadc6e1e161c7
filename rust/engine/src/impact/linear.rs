//! Linear impact: the price moves in proportion to the volume, as on a book of even depth.

use super::{Displacement, Rounding};
use crate::error::Result;
use crate::units::Ratio;

/// `X = 10^6 u / D`.
pub fn displacement(per: Ratio, volume: i128) -> Result<Displacement> {
    Ok(Displacement(
        volume.signum() * per.floor_of(volume.abs(), "displacement")?,
    ))
}

/// Midway.
pub fn mean(from: Displacement, to: Displacement, rounding: Rounding) -> Displacement {
    Displacement(rounding.divide(from.0 + to.0, 2))
}
