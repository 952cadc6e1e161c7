//! Socialised loss by open interest, at once: the payment raises the index of the market in which the loss was made, and every other
//! leg in it, long or short, owes its part by its size (semantics, section 6).
//!
//! Charging costs the same however many legs there are; each is settled when its account is next changed, and at the end.
//!
//! Source of the form: socialised loss through the funding index, as in Mango and Drift.

use crate::book::INDEX_SCALE;
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size, Split, mul_div_ceil};

/// A leg as it stood when the close of its account began.
#[derive(Debug, Clone, Copy)]
pub struct ClosedLeg {
    /// Market.
    pub market: MarketId,
    /// Size.
    pub size: Size,
    /// Base price of the close.
    pub base: Price,
}

/// What each market would be charged of `need`, for the legs of `account` that are settled in `asset`; markets without anyone to charge
/// are left out.
fn parts(
    state: &State,
    moment: &Moment<'_>,
    account: usize,
    legs: &[ClosedLeg],
    (asset, need): (AssetId, Amount),
) -> Result<Vec<(MarketId, Amount, i128)>> {
    let markets = &moment.setup.venue.markets;
    let mut weights = Vec::new();
    for leg in legs.iter().filter(|l| markets[l.market].settlement == asset) {
        let notional = markets[leg.market].notional(leg.size, leg.base)?.ceil();
        weights.push((leg.market, notional.0));
    }
    let sum: i128 = weights.iter().map(|(_, w)| w).sum();
    let mut split = Split::new(need.0, sum.max(1));
    let mut out = Vec::new();
    for (market, weight) in weights {
        let part = split.next(weight)?;
        let own = state.book.legs(account).iter().filter(|l| l.market == market);
        let own: i128 = own.map(|l| i128::from(l.size.units())).sum();
        let others = state.ledger.open_interest(market) - own;
        if part > 0 && others > 0 {
            out.push((market, Amount(part), others));
        }
    }
    Ok(out)
}

/// How much of `need` the layer would pay now.
///
/// # Errors
/// Overflow.
pub fn offer(
    state: &State,
    moment: &Moment<'_>,
    account: usize,
    legs: &[ClosedLeg],
    need: (AssetId, Amount),
) -> Result<Amount> {
    let parts = parts(state, moment, account, legs, need)?;
    parts.iter().try_fold(Amount::ZERO, |sum, p| sum.plus(p.1))
}

/// Charges what [`offer`] promises to the other legs.
///
/// # Errors
/// Overflow.
pub fn charge(
    state: &mut State,
    moment: &Moment<'_>,
    account: usize,
    legs: &[ClosedLeg],
    need: (AssetId, Amount),
) -> Result<()> {
    let mut outgrown = false;
    for (market, part, others) in parts(state, moment, account, legs, need)? {
        let step = mul_div_ceil(part.0, INDEX_SCALE, others, "index of socialised loss")?;
        outgrown |= state.book.raise_index(market, step)?;
    }
    state.deleveraging.reprice(outgrown);
    Ok(())
}
