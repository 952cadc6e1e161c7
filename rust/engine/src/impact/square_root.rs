//! Square-root impact: `I(V) = c sqrt(V / D)` of the volume that is outstanding, so that many small closes move the price as one large
//! one does; the average of a close from nothing is two thirds of it.
//!
//! Source of the form: the square-root law of market impact.

use super::{Displacement, Rounding};
use crate::error::{Error, Result};
use crate::units::Ratio;

/// `X = sqrt(10^18 c^2 u / D)`, rounded down.
pub fn displacement(per: Ratio, volume: i128) -> Result<Displacement> {
    let square = per.floor_of(volume.abs(), "displacement")?;
    let root = u128::try_from(square)
        .map_err(|_| Error::overflow("displacement"))?
        .isqrt();
    Ok(Displacement(volume.signum() * root as i128))
}

/// The mean of the root between two volumes, by their displacements: the integral is the cube, the volume the square.
pub fn mean(Displacement(a): Displacement, Displacement(b): Displacement, rounding: Rounding) -> Displacement {
    // Neither is above 10^12, so that the cubes have room.
    let (num, den) = if a.signum() * b.signum() < 0 {
        (2 * (a + b) * (a * a - a * b + b * b), 3 * (a * a + b * b))
    } else {
        (2 * (a * a + a * b + b * b), 3 * (a + b))
    };
    Displacement(if den == 0 { 0 } else { rounding.divide(num, den) })
}
