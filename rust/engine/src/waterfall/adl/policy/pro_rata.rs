//! The same share of everyone's profit, as far as capacities go.

use super::water_filling::{Vessel, fill};
use super::{Lot, Means};
use crate::error::Result;

/// Water-filling by profit.
pub fn share(lot: &Lot, means: &[Means]) -> Result<Vec<u64>> {
    let vessels = means.iter().map(|m| Vessel {
        weight: m.profit,
        capacity: m.capacity,
    });
    fill(lot.quantity, &vessels.collect::<Vec<_>>())
}
