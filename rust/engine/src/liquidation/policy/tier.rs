//! Policy *tier*: so much that the position falls into a lower bracket of maintenance margin.
//!
//! Source of the form: Binance and OKX (a position in a higher tier is reduced to a lower one first).

use super::Situation;
use crate::config::TierClose;
use crate::error::Result;

pub fn quantities(config: &TierClose, situation: &Situation<'_>) -> Result<Vec<u64>> {
    let setup = situation.setup;
    let mut out = situation.nothing();
    for (q, leg) in out.iter_mut().zip(situation.legs).take(situation.taken()) {
        let bracket = |units: u64| {
            let size = leg.leg.size.of_same_sign(units)?;
            setup.margin.bracket(&setup.venue, leg.leg.market, size, leg.mark)
        };
        let now = bracket(leg.units())?;
        if now == 0 {
            *q = leg.units();
            continue;
        }
        // The most that may stay; nothing is in the lowest bracket.
        let wanted = now.saturating_sub(config.steps);
        let (mut low, mut high) = (0, leg.units());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if bracket(middle)? <= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        *q = leg.units() - low;
    }
    Ok(out)
}
