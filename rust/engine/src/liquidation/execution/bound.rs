//! The worst price at which a leg fills in the market: the bankruptcy price, or dYdX v4's fillable price.
//!
//! Both give up a part of the leg's requirement below the mark: `m = PMMR TNC / TMMR`, what is left of the account as it is shared by
//! requirement, or `m = PMMR SMMR clamp(BA (1 - TNC / TMMR), 0, 1)`. The price is where the leg is worth `V - m`, rounded toward the
//! mark.
//!
//! Source: dYdX v4, protocol/x/clob/keeper/liquidations.go (fillable price, bankruptcy price).

use crate::config::{BoundConfig, BoundKind};
use crate::contract::Market;
use crate::error::{Error, Result};
use crate::margin::Health;
use crate::market::Payoff;
use crate::units::{Amount, Price, Ratio, Size, ceil_div, floor_div, mul_div_floor};

/// `TNC / TMMR` is rounded down to so many parts.
const SHARES: i128 = 1_000_000_000;

/// The limit of a leg at a mark; None if there is no such price, and any will do.
pub fn limit(
    bound: &BoundConfig,
    market: &Market,
    position: Size,
    mark: Price,
    requirement: Amount,
    health: Health,
) -> Result<Option<Price>> {
    let range = || Error::overflow("limit of a close");
    let left = if health.requirement > 0 {
        let shares = mul_div_floor(health.equity, SHARES, health.requirement, "limit of a close")?;
        Ratio::new(shares, SHARES).ok_or_else(range)?
    } else {
        Ratio::ZERO
    };
    let share = match bound.kind {
        BoundKind::Bankruptcy => left,
        BoundKind::Fillable => {
            let near = Ratio::ONE.minus(left).and_then(|r| r.times(bound.adjustment));
            let near = near.ok_or_else(range)?;
            let near = if near.num <= 0 {
                Ratio::ZERO
            } else if near.num >= near.den {
                Ratio::ONE
            } else {
                near
            };
            near.times(bound.spread).ok_or_else(range)?
        }
    };
    let whole = |n: i128| Ratio::new(n, 1).ok_or_else(range);
    let over = |a: Ratio, b: Ratio| Ratio::new(b.den, b.num).and_then(|b| a.times(b)).ok_or_else(range);
    let given = share.times(whole(requirement.0)?).ok_or_else(range)?;
    let mark = whole(i128::from(mark.0))?;
    let size = whole(i128::from(position.0))?.times(market.unit()).ok_or_else(range)?;
    let price = match market.payoff {
        Payoff::Linear => over(size.times(mark).and_then(|v| v.minus(given)).ok_or_else(range)?, size)?,
        Payoff::Inverse => {
            // The negative of what the leg is to be worth.
            let worth = over(size, mark)?.plus(given).ok_or_else(range)?;
            if worth.num == 0 || (worth.num > 0) != (size.num > 0) {
                return Ok(None);
            }
            over(size, worth)?
        }
    };
    let rounded = if position.0 > 0 {
        ceil_div(price.num, price.den)
    } else {
        floor_div(price.num, price.den)
    };
    i64::try_from(rounded.max(1))
        .map(|p| Some(Price(p)))
        .map_err(|_| range())
}
