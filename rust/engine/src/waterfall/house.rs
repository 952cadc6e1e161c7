//! The clearing house: out of what withdrawals are paid, and what the fund pays ahead of losses (semantics, section 6).
//!
//! A winner may leave before the loser is closed: what he takes is not there. The insurance fund pays it ahead, and losses that are
//! realised later use that up before any layer pays.
//!
//! Source: Perpetual Protocol v1, ClearingHouse: a withdrawal beyond its balance is paid by the fund and counted in `prepaidBadDebt`, off
//! which bad debt is taken first.

use super::{Purpose, end_action, hand_over, limits, offer};
use crate::config::{Layer, WhenHouseShort};
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, Ledger, PostingKind};
use crate::records::BadDebtRow;
use crate::state::{Moment, State};
use crate::units::Amount;

/// What it has: all that came in and did not go out, to whomever.
fn balance(ledger: &Ledger, asset: AssetId) -> Result<Amount> {
    let others = [
        Entity::External,
        Entity::InsuranceFund,
        Entity::Vault,
        Entity::Treasury,
        Entity::Keepers,
        Entity::Fees,
    ];
    let others = others.into_iter().map(|e| ledger.balance(e, asset));
    let sum = others
        .chain(ledger.fund_balances(asset))
        .try_fold(Amount::ZERO, Amount::plus)?;
    Ok(sum.negated())
}

/// Makes sure that an account can be paid so much. False if it cannot: nothing has happened then.
///
/// # Errors
/// Overflow.
pub fn provide(state: &mut State, moment: &Moment<'_>, account: usize, asset: AssetId, amount: Amount) -> Result<bool> {
    let Some(house) = moment.setup.protocol.clearing_house else {
        return Ok(true);
    };
    let short = amount.minus(balance(&state.ledger, asset)?.positive())?;
    if short.0 <= 0 {
        return Ok(true);
    }
    if house.when_short == WhenHouseShort::Refuse {
        return Ok(false);
    }
    limits::test(state, moment)?;
    let event = state.records.events;
    let (fund, purpose) = (Layer::InsuranceFund, Purpose::of(moment, event, (None, &[]), asset));
    let allowed = limits::allowed(state, moment, fund, purpose, (asset, short))?;
    let (own, bought) = offer(state, moment, (fund, None), asset, (short, allowed))?;
    if own.plus(bought)? < short {
        return Ok(false);
    }
    state.records.events += 1;
    let (from, to) = (Holder::Entity(Entity::InsuranceFund), Holder::Entity(Entity::Prepaid));
    let why = (Some(event), PostingKind::Prepaid);
    let usd = hand_over(state, moment, why, (fund, from), to, asset, (own, bought))?;
    limits::count(state, moment, fund, purpose, usd)?;
    state.records.lose(BadDebtRow {
        paid: vec![(fund, usd)],
        change_of_prepaid: usd,
        ..BadDebtRow::new(moment.ts, Holder::Account(account), Some(event), asset)
    })?;
    end_action(state, moment)?;
    Ok(true)
}

/// How much of a loss was paid ahead.
pub fn prepaid(state: &State, asset: AssetId, need: Amount) -> Amount {
    state.ledger.balance(Entity::Prepaid, asset).min(need).positive()
}

/// Lets what was paid ahead cover a loss, as far as it goes; returns how much that is.
///
/// # Errors
/// Overflow.
pub fn realise(
    state: &mut State,
    moment: &Moment<'_>,
    event: u32,
    account: usize,
    (asset, need): (AssetId, Amount),
) -> Result<Amount> {
    let amount = prepaid(state, asset, need);
    let (from, to) = (Holder::Entity(Entity::Prepaid), Holder::Account(account));
    state.post(moment, Some(event), PostingKind::Payment, from, to, asset, amount)?;
    Ok(amount)
}
