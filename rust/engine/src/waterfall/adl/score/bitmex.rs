//! Profit times effective leverage, or loss over effective leverage; leverage is that of the account's equity, which is the distance to
//! its bankruptcy price.
//!
//! Sources: BitMEX, "PnL % * effective leverage" if in profit, "PnL % / effective leverage" if not, with effective leverage =
//! |mark value| / (mark value - bankrupt value); OKX, "leverage PnL %" = PnL % times effective leverage, losses scaled likewise; Bybit,
//! leveraged return. All three are this formula.

use super::{UNIT, leverage, profit_leverage};
use crate::error::Result;
use crate::units::{floor_div, product};
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// [`profit_leverage`] of who is in profit; of others the loss over the leverage, negative.
pub fn of(standing: &Standing) -> Result<i128> {
    if standing.pnl.0 > 0 {
        return profit_leverage::of(standing);
    }
    let cost = standing.entry_value.0.abs().max(1);
    let loss = floor_div(product(-standing.pnl.0, UNIT, "ADL score")?, cost);
    let inverse = floor_div(product(standing.equity, UNIT, "ADL score")?, standing.notional.max(1));
    Ok(-product(loss, inverse, "ADL score")?)
}

/// Without profit the score is not above zero, which is what bounds the other there.
pub fn bound(o: &Outlook) -> f64 {
    leverage::or_zero(profit_leverage::bound(o))
}
