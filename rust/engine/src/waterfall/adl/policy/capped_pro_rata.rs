//! The same share of everyone's profit, up to a cap that nobody's profit is cut beyond.

use super::water_filling::{Vessel, fill};
use super::{Lot, Means, limit};
use crate::error::Result;
use crate::units::Ratio;

/// Water-filling by profit; `cap` is the largest share of a profit.
pub fn share(lot: &Lot, means: &[Means], cap: Ratio) -> Result<Vec<u64>> {
    let vessel = |m: &Means| {
        Ok(Vessel {
            weight: m.profit,
            capacity: limit(lot, m, cap)?,
        })
    };
    fill(lot.quantity, &means.iter().map(vessel).collect::<Result<Vec<_>>>()?)
}
