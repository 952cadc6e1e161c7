//! Profit over the wallet, times the margin ratio.
//!
//! Source: Binance, support FAQ 360033525471 and dev.binance.vision t/17801: PnL % = max(0, unrealised profit) / max(1, wallet balance),
//! margin ratio = maintenance margin / margin balance. The ratio is at most 1: beyond it the account is liquidated.

use super::UNIT;
use crate::error::Result;
use crate::units::{floor_div, product};
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// Both factors in billionths.
pub fn of(standing: &Standing) -> Result<i128> {
    if standing.pnl.0 <= 0 {
        return Ok(0);
    }
    let funds = &standing.funds;
    let wallet = funds.wallet.max(funds.whole);
    let profit = floor_div(product(funds.pnl, UNIT, "ADL score")?, wallet);
    let ratio = floor_div(product(funds.requirement, UNIT, "margin ratio")?, standing.equity);
    product(profit, ratio.min(UNIT), "ADL score")
}

/// The margin ratio is at most 1. The bound is loose, so that many candidates are looked at.
pub fn bound(o: &Outlook) -> f64 {
    let profit = (o.high - o.entry).max(0.0) / o.wallet;
    profit * (UNIT as f64) * (UNIT as f64) * (1.0 + 1e-9)
}
