//! The treasury: what it pays at once, and what only after it has been decided (semantics, section 6).
//!
//! A loss that nobody has covered is a claim on a treasury that decides. Until the claim is due the loss is uncovered, as it stays if the
//! treasury has nothing then. What late deposits have made good meanwhile is not claimed any more.

use std::collections::VecDeque;

use super::{capacity, convert_home, limits};
use crate::config::Layer;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Cover, Moment, State};
use crate::units::{Amount, Usd, mul_div_floor};

/// A loss that is to be decided.
#[derive(Debug, Clone, Copy)]
struct Pending {
    due: i64,
    event: u32,
    account: usize,
    /// Row of the bad-debt record.
    row: usize,
    asset: AssetId,
    /// What was uncovered, in the asset and in dollars then.
    amount: Amount,
    usd: Usd,
}

impl Pending {
    /// What a part of it was worth in dollars when it was lost.
    fn worth(&self, part: Amount) -> Result<Usd> {
        let usd = mul_div_floor(self.usd.0, part.0, self.amount.0, "part of a loss")?;
        Ok(Usd(usd))
    }
}

/// What a treasury has paid, and what it is still to decide, in the order of time.
#[derive(Debug, Default)]
pub struct Claims {
    paid: Usd,
    pending: VecDeque<Pending>,
}

/// How much of `need` the treasury may pay at once.
///
/// # Errors
/// Overflow.
pub fn at_once(state: &State, moment: &Moment<'_>, (asset, need): (AssetId, Amount)) -> Result<Amount> {
    let treasury = moment.setup.protocol.treasury.as_ref();
    let Some(real_time) = treasury.and_then(|t| t.real_time) else {
        return Ok(need);
    };
    let room = Usd(real_time.0).minus(state.claims.paid)?.positive();
    let price = moment.reference_of_asset(asset);
    Ok(need.min(moment.setup.venue.assets[asset].from_usd_floor(room, price)?))
}

/// Counts what it has paid at once.
///
/// # Errors
/// Overflow.
pub fn count(state: &mut State, usd: Usd) -> Result<()> {
    state.claims.paid = state.claims.paid.plus(usd)?;
    Ok(())
}

/// A loss that was not covered, the last row of the record, becomes a claim.
pub fn claim(
    state: &mut State,
    moment: &Moment<'_>,
    (event, account): (u32, usize),
    (asset, amount, usd): (AssetId, Amount, Usd),
) {
    let protocol = &moment.setup.protocol;
    let delay = protocol.treasury.as_ref().and_then(|t| t.delay);
    if let Some(delay) = delay.filter(|_| amount.0 > 0 && protocol.waterfall.contains(&Layer::Treasury)) {
        state.claims.pending.push_back(Pending {
            due: moment.ts.saturating_add(delay),
            event,
            account,
            row: state.records.bad_debt.len(),
            asset,
            amount,
            usd,
        });
    }
}

/// When the next claim is due.
pub fn next(state: &State) -> Option<i64> {
    state.claims.pending.front().map(|p| p.due)
}

/// Pays the claims that are due, as far as the treasury goes.
///
/// # Errors
/// Overflow.
pub fn pay_due(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    let mut paid = false;
    while let Some(&pending) = state.claims.pending.front().filter(|p| p.due <= moment.ts) {
        state.claims.pending.pop_front();
        paid |= pay(state, moment, &pending)?;
    }
    if paid { limits::note(state, moment) } else { Ok(()) }
}

fn outstanding(state: &State, pending: &Pending) -> Amount {
    let covers = state.cover.get(&pending.account).into_iter().flatten();
    let mut own = covers.filter(|c| c.row == pending.row && c.layer.is_none() && c.asset == pending.asset);
    own.next().map_or(Amount::ZERO, |c| c.amount)
}

fn pay(state: &mut State, moment: &Moment<'_>, pending: &Pending) -> Result<bool> {
    let asset = pending.asset;
    let left = outstanding(state, pending);
    let (treasury, to) = (Holder::Entity(Entity::Treasury), Holder::Entity(Entity::Uncovered));
    let has = capacity(state, moment, treasury, asset)?;
    let own = has.own.min(left);
    let bought = has.bought.min(left.minus(own)?);
    let amount = own.plus(bought)?;
    if amount.is_zero() {
        return Ok(false);
    }
    let (event, kind) = (Some(pending.event), PostingKind::LatePayment);
    state.post(moment, event, kind, treasury, to, asset, own)?;
    if bought.0 > 0 {
        convert_home(state, moment, event, treasury, to, asset, bought)?;
    }
    let usd = pending.worth(amount)?;
    state.records.covered_later.insert(pending.row, (moment.ts, usd));
    if let Some(covers) = state.cover.get_mut(&pending.account) {
        turn(covers, pending, amount)?;
    }
    Ok(true)
}

/// What was uncovered is covered by the treasury, whom a late deposit would now pay back.
fn turn(covers: &mut Vec<Cover>, pending: &Pending, amount: Amount) -> Result<()> {
    let of = |c: &Cover, layer| c.row == pending.row && c.asset == pending.asset && c.layer == layer;
    let Some(place) = covers.iter().position(|c| of(c, None)) else {
        return Ok(());
    };
    covers[place].amount = covers[place].amount.minus(amount)?;
    if let Some(own) = covers.iter_mut().find(|c| of(c, Some(Layer::Treasury))) {
        own.amount = own.amount.plus(amount)?;
    } else {
        let layer = Some(Layer::Treasury);
        covers.insert(
            place,
            Cover {
                layer,
                amount,
                ..covers[place]
            },
        );
    }
    Ok(())
}

/// What is still to be decided, in dollars when it was lost.
///
/// # Errors
/// Overflow.
pub fn pending(state: &State) -> Result<Usd> {
    let claims = state.claims.pending.iter();
    claims
        .map(|p| p.worth(outstanding(state, p)))
        .try_fold(Usd::ZERO, |sum, usd| sum.plus(usd?))
}
