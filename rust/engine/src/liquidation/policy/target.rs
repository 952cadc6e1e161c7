//! Policy *target*: what makes the account healthy, found by bisection over exact tests.
//!
//! Where each unit that is closed helps, that is the least. Where closing costs more than it frees, it is everything.
//!
//! Source of the form: Mango v4 (lots until the liquidation-end health is zero), Drift v2.

use super::Situation;
use crate::config::Positions;
use crate::error::Result;
use crate::units::mul_div_ceil;

/// Steps in which all legs are closed together.
const STEPS: i128 = 1 << 20;

pub fn quantities(situation: &Situation<'_>) -> Result<Vec<u64>> {
    let together = situation.setup.protocol.close.positions == Positions::All;
    let most = if together {
        STEPS
    } else {
        situation.legs.iter().map(|l| i128::from(l.units())).sum()
    };
    let spread = |n: i128| -> Result<Vec<u64>> {
        let mut left = n;
        let parts = situation.legs.iter().map(|leg| {
            let all = i128::from(leg.units());
            let units = if together {
                mul_div_ceil(all, n, STEPS, "part of a position")?
            } else {
                left.min(all)
            };
            left -= units;
            Ok(units as u64)
        });
        parts.collect()
    };
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if (situation.heals)(&spread(middle)?)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    spread(high)
}
