//! A quantity over vessels of different widths that fill to one level, some of which are full before.

use crate::error::{Error, Result};
use crate::units::mul_div_floor;

/// What can be filled.
#[derive(Debug, Clone, Copy)]
pub struct Vessel {
    /// Its width, not negative; nothing flows where it is zero.
    pub weight: i128,
    /// Units that it holds.
    pub capacity: u64,
}

/// What is filled to the level, down to whole units.
pub struct Level {
    /// Units of each.
    pub units: Vec<u64>,
    /// Units that rounding left over, fewer than there are open vessels.
    pub left: u64,
    /// Those that are not full.
    pub open: Vec<usize>,
    /// Units that the open vessels share, and the sum of their weights.
    pub shared: (u64, i128),
}

/// Fills as many as are full at the level, and the others up to it.
pub fn level(quantity: u64, vessels: &[Vessel]) -> Result<Level> {
    let mut units = vec![0; vessels.len()];
    let mut open: Vec<usize> = (0..vessels.len()).filter(|&i| vessels[i].weight > 0).collect();
    let mut rest = quantity;
    loop {
        let sum = open
            .iter()
            .try_fold(0i128, |sum, &i| sum.checked_add(vessels[i].weight))
            .ok_or_else(|| Error::overflow("weights of ADL"))?;
        let mut filled = 0;
        let mut still = Vec::with_capacity(open.len());
        for &i in &open {
            let Vessel { weight, capacity } = vessels[i];
            // All of one round look at the same rest.
            let part = mul_div_floor(i128::from(rest), weight, sum, "share of ADL")?;
            units[i] = u64::try_from(part).unwrap_or(u64::MAX).min(capacity);
            if part >= i128::from(capacity) {
                filled += capacity;
            } else {
                still.push(i);
            }
        }
        if still.len() == open.len() {
            let given: u64 = open.iter().map(|&i| units[i]).sum();
            return Ok(Level {
                left: if open.is_empty() { 0 } else { rest - given },
                units,
                shared: (rest, sum),
                open,
            });
        }
        open = still;
        rest -= filled;
    }
}

/// Fills to the level; what rounding leaves over goes, a unit each, to the largest remainders, in order where they are equal.
pub fn fill(quantity: u64, vessels: &[Vessel]) -> Result<Vec<u64>> {
    let Level {
        mut units,
        left,
        mut open,
        shared: (rest, sum),
    } = level(quantity, vessels)?;
    // The remainder is less than the sum, so that it is right in whatever is left of products that wrap.
    let remainder = |i: usize| {
        let whole = i128::from(units[i]).wrapping_mul(sum);
        i128::from(rest).wrapping_mul(vessels[i].weight).wrapping_sub(whole)
    };
    let mut by_remainder: Vec<(i128, usize)> = open.drain(..).map(|i| (-remainder(i), i)).collect();
    by_remainder.sort_unstable();
    for (_, i) in by_remainder
        .into_iter()
        .take(usize::try_from(left).unwrap_or(usize::MAX))
    {
        units[i] += 1;
    }
    Ok(units)
}
