//! Rungs of depth: each share of the depth stands at its offset, the last without end.

use super::{Displacement, ONE, Rounding};
use crate::config::RungConfig;
use crate::error::{Error, Result};
use crate::units::{Ratio, product};

/// Rungs with their depth in volume and their offset as a distance.
#[derive(Debug, Clone)]
pub struct Rungs(Vec<(i128, i128)>);

impl Rungs {
    /// Rungs over a depth in quote units.
    pub fn new(rungs: &[RungConfig], depth: Ratio) -> Result<Self> {
        let range = || Error::overflow("depth of a rung");
        let rung = |r: &RungConfig| {
            let depth = depth.times(r.share).ok_or_else(range)?;
            Ok((
                depth.floor_of(super::VOLUME, "depth of a rung")?,
                -r.offset.ceil_of(ONE, "offset of a rung")?,
            ))
        };
        rungs.iter().map(rung).collect::<Result<_>>().map(Self)
    }

    /// The offset of the rung that holds the last unit of a volume.
    pub fn displacement(&self, volume: i128) -> Displacement {
        let mut left = volume.abs();
        for (k, &(depth, offset)) in self.0.iter().enumerate() {
            if left <= depth || k + 1 == self.0.len() {
                return Displacement(volume.signum() * offset);
            }
            left -= depth;
        }
        Displacement(0)
    }

    /// Offsets added up over a volume.
    fn sum(&self, volume: i128) -> Result<i128> {
        let (mut left, mut sum) = (volume.abs(), 0i128);
        for (k, &(depth, offset)) in self.0.iter().enumerate() {
            let here = if k + 1 == self.0.len() { left } else { left.min(depth) };
            sum = sum
                .checked_add(product(here, offset, "cost of a ladder")?)
                .ok_or_else(|| Error::overflow("cost of a ladder"))?;
            left -= here;
        }
        Ok(sum)
    }

    /// The average offset between two volumes that differ.
    pub fn mean(&self, from: i128, to: i128, rounding: Rounding) -> Result<Displacement> {
        let (cost, volume) = (self.sum(to)? - self.sum(from)?, to - from);
        Ok(Displacement(rounding.divide(cost * volume.signum(), volume.abs())))
    }
}
