//! Socialised loss by open interest, at once: the payment raises the index of the market in which the loss was made, and every other
//! leg in it, long or short, owes its part by its size (semantics, section 6).
//!
//! Charging costs the same however many legs there are; each is settled when its account is next changed, and at the end.
//!
//! Source of the form: socialised loss through the funding index, as in Mango and Drift.

use crate::book::INDEX_SCALE;
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Price, Size, Split, Usd, mul_div_ceil};

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

/// Settles an account: each of its legs pays what it owes. Returns that by leg.
///
/// # Errors
/// Overflow.
pub fn settle(state: &mut State, moment: &Moment<'_>, event: Option<u32>, account: usize) -> Result<Vec<Settled>> {
    let mut out = Vec::new();
    if !state.book.is_assessed() {
        return Ok(out);
    }
    for leg in 0..state.book.legs(account).len() {
        let amount = state.book.owed(account, leg)?;
        state.book.mark_settled(account, leg);
        if amount.is_zero() {
            continue;
        }
        let market = state.book.legs(account)[leg].market;
        let asset = moment.setup.venue.markets[market].settlement;
        let usd = moment.usd(asset, amount)?;
        let (me, layer) = (Holder::Account(account), Holder::Entity(Entity::Socialised));
        state.post(moment, event, PostingKind::Socialised, me, layer, asset, amount)?;
        let summary = &mut state.records.accounts[account];
        summary.socialised = summary.socialised.plus(usd)?;
        out.push(Settled { asset, amount, usd });
    }
    Ok(out)
}

/// What a leg has paid.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// Its settlement asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// In dollars at the reference.
    pub usd: Usd,
}

/// Settles everyone at the end of the tape; what the layer then holds was collected by rounding up.
///
/// # Errors
/// Overflow.
pub fn settle_all(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    for account in 0..state.book.len() {
        let settled = settle(state, moment, None, account)?;
        let usd = settled.iter().try_fold(Usd::ZERO, |sum, s| sum.plus(s.usd))?;
        if !usd.is_zero() {
            state.records.assessed_at_end.push((account, usd));
        }
    }
    let (layer, rounding) = (Holder::Entity(Entity::Socialised), Holder::Entity(Entity::Rounding));
    for asset in 0..moment.setup.venue.assets.len() {
        let rest = state.ledger.balance(Entity::Socialised, asset);
        state.post(moment, None, PostingKind::Socialised, layer, rounding, asset, rest)?;
    }
    Ok(())
}
