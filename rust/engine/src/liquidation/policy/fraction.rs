//! Policy *fraction*: a share of the position, but at least a minimum, and all in all not more than a cap in one action.
//!
//! Source of the form: dYdX v4 (10 % of a position a block, at least 1,000 USD, at most 100,000 USD an account and block).

use super::Situation;
use crate::config::FractionClose;
use crate::error::Result;
use crate::units::{mul_div_ceil, mul_div_floor};

pub fn quantities(config: &FractionClose, situation: &Situation<'_>) -> Result<Vec<u64>> {
    let mut out = situation.nothing();
    let mut used = 0;
    for (q, leg) in out.iter_mut().zip(situation.legs).take(situation.taken()) {
        let (all, notional) = (i128::from(leg.units()), leg.notional.0);
        let share = config.share.ceil_of(all, "share of a position")?;
        let least = mul_div_ceil(all, config.minimum.0, notional, "least part of a position")?;
        let mut units = share.max(least);
        if let Some(cap) = config.cap {
            let room = (cap.0 - used).max(0);
            units = units.min(mul_div_floor(all, room, notional, "cap of an action")?);
        }
        let units = units.min(all);
        used += mul_div_ceil(notional, units, all, "notional of a part")?;
        // Not more than the leg has.
        *q = units as u64;
    }
    Ok(out)
}
