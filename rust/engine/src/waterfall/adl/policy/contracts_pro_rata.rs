//! The same share of everyone's contracts, as far as capacities go.

use super::water_filling::{Vessel, fill};
use super::{Lot, Means};
use crate::error::Result;

/// Water-filling by size.
pub fn share(lot: &Lot, means: &[Means]) -> Result<Vec<u64>> {
    let vessels = means.iter().map(|m| Vessel {
        weight: i128::from(m.units),
        capacity: m.capacity,
    });
    fill(lot.quantity, &vessels.collect::<Vec<_>>())
}
