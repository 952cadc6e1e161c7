//! A step of mirror descent with Euclidean distance: the shares of profit that are nearest to those wished for and pay for the loss.
//!
//! What is wished for is `start + step * leverage` of each profit. The nearest shares that pay are `clip(wish + k w, 0, 1)`, w the profit,
//! with one k for all that bisection finds: who has more to give moves further from the wish. Looks at all some hundred times.

use super::{Lot, Means, fixed, pro_rata};
use crate::error::{Error, Result};
use crate::units::{Ratio, mul_div_floor, product};

/// A share of one.
const ONE: i128 = 1_000_000_000_000;

/// Shares of profit, as units.
pub fn share(lot: &Lot, means: &[Means], start: Ratio, step: Ratio) -> Result<Vec<u64>> {
    if lot.give_up.0 <= 0 {
        return pro_rata::share(lot, means);
    }
    let overflow = || Error::overflow("shares of ADL");
    let largest = means.iter().map(|m| m.profit).max().unwrap_or(0);
    if largest == 0 {
        return Ok(vec![0; means.len()]);
    }
    let start = fixed(start, ONE)?;
    // A leverage is in billionths.
    let wish = |m: &Means| -> Result<i128> {
        let step = step.floor_of(product(m.leverage, ONE / super::UNIT, "step of ADL")?, "step of ADL")?;
        Ok(start.saturating_add(step).min(ONE))
    };
    let wishes: Vec<i128> = means.iter().map(wish).collect::<Result<_>>()?;
    let cost = product(lot.give_up.0, ONE, "shares of ADL")?;
    let units = |i: usize, k: i128| -> Result<u64> {
        let m = &means[i];
        let moved = mul_div_floor(k, m.profit, largest, "shares of ADL")?;
        let part = (wishes[i] + moved).clamp(0, ONE);
        let money = product(part, m.profit, "shares of ADL")?;
        let units = mul_div_floor(money, i128::from(lot.quantity), cost, "units of ADL").unwrap_or(i128::MAX);
        Ok(u64::try_from(units).unwrap_or(u64::MAX).min(m.capacity))
    };
    let fits = |k: i128| -> Result<bool> {
        let mut sum = 0u128;
        for i in 0..means.len() {
            sum += u128::from(units(i, k)?);
        }
        Ok(sum <= u128::from(lot.quantity))
    };
    let mut high = ONE
        .checked_mul(largest)
        .filter(|n| *n < i128::MAX / 4)
        .ok_or_else(overflow)?;
    if fits(high)? {
        return (0..means.len()).map(|i| units(i, high)).collect();
    }
    let mut low = -high;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut out: Vec<u64> = (0..means.len()).map(|i| units(i, low)).collect::<Result<_>>()?;
    let mut left = lot.quantity - out.iter().sum::<u64>();
    for (i, given) in out.iter_mut().enumerate() {
        let more = (units(i, high)? - *given).min(left);
        *given += more;
        left -= more;
    }
    Ok(out)
}
