//! Policy *split*: of a large position a share first, and everything after the pause.
//!
//! Source of the form: Hyperliquid (20 % of a position above 100,000 USD first, the whole after a cooldown of 30 s).

use super::Situation;
use crate::config::SplitClose;
use crate::error::Result;

pub fn quantities(config: &SplitClose, situation: &Situation<'_>) -> Result<Vec<u64>> {
    let mut out = super::whole(situation);
    if situation.going_on {
        return Ok(out);
    }
    for (q, leg) in out.iter_mut().zip(situation.legs).take(situation.taken()) {
        if leg.notional.0 > config.threshold.0 {
            let share = config.share.ceil_of(i128::from(leg.units()), "share of a position")?;
            *q = share as u64;
        }
    }
    Ok(out)
}
