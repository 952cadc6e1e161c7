//! One after the other, each up to its capacity.

use super::{Lot, Means};

/// Those who are asked come in order.
pub fn share(lot: &Lot, means: &[Means]) -> Vec<u64> {
    let mut left = lot.quantity;
    let take = |m: &Means| {
        let units = m.capacity.min(left);
        left -= units;
        units
    };
    means.iter().map(take).collect()
}
