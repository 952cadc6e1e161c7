//! The largest share of an equity that anyone gives up is as small as whole units allow.
//!
//! Units go one after the other to whoever is then least burdened: no other way gives a smaller largest burden. All that are below the
//! level of a water-filling by equity come before any other, so that only what rounding left over is given out one by one.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::water_filling::{Vessel, level};
use super::{Lot, Means};
use crate::error::Result;
use crate::units::compare_products;

/// The next unit of someone.
struct Next {
    /// Units with it.
    units: u64,
    equity: i128,
    index: usize,
}

impl Ord for Next {
    /// By the burden, then in order.
    fn cmp(&self, other: &Self) -> Ordering {
        let burden = compare_products((self.units.into(), other.equity), (other.units.into(), self.equity));
        burden.then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Next {}

/// Units by equity.
pub fn share(lot: &Lot, means: &[Means]) -> Result<Vec<u64>> {
    let vessels: Vec<Vessel> = means
        .iter()
        .map(|m| Vessel {
            weight: m.equity,
            capacity: m.capacity,
        })
        .collect();
    let filled = level(lot.quantity, &vessels)?;
    let (mut units, mut left) = (filled.units, filled.left);
    let next = |index: usize, units: u64| {
        Reverse(Next {
            units: units + 1,
            equity: means[index].equity,
            index,
        })
    };
    let mut queue: BinaryHeap<_> = filled.open.iter().map(|&i| next(i, units[i])).collect();
    while left > 0
        && let Some(Reverse(Next { index, .. })) = queue.pop()
    {
        units[index] += 1;
        left -= 1;
        if units[index] < means[index].capacity {
            queue.push(next(index, units[index]));
        }
    }
    Ok(units)
}
