//! Policy *ramp*: a share that grows with the time since the detection, of the position or of what is needed; what has been closed
//! before is remembered and counts.
//!
//! Source of the form: Drift v2 (10 % at once, all after 150 slots, of what is needed).

use super::{Situation, target};
use crate::config::{RampClose, RampOf};
use crate::error::Result;
use crate::units::{floor_div, product};

pub fn quantities(config: &RampClose, situation: &Situation<'_>) -> Result<Vec<u64>> {
    let mut out = match config.of {
        RampOf::Position => super::whole(situation),
        RampOf::Target => target::quantities(situation)?,
    };
    let what = "ramp of a liquidation";
    let (elapsed, duration) = (i128::from(situation.elapsed), i128::from(config.duration));
    let den = product(config.initial.den, duration, what)?;
    let num = product(config.initial.num, duration, what)?.saturating_add(product(elapsed, config.initial.den, what)?);
    let num = num.min(den);
    for (q, leg) in out.iter_mut().zip(situation.legs).filter(|(q, _)| **q > 0) {
        let closed = i128::from(leg.closed);
        let allowed = floor_div(product(i128::from(*q) + closed, num, what)?, den);
        // Between nothing and what there is to close.
        *q = (allowed - closed).clamp(0, i128::from(*q)) as u64;
    }
    Ok(out)
}
