//! Socialised loss by deposits: what the layer has paid in an asset is charged to everyone who has collateral in it, in proportion, at the
//! end of the round of actions in which the loss was made.
//!
//! Everyone's collateral changes, so a charge costs as much as there are accounts. It comes once for a round, whatever losses it has made.
//!
//! Source of the form: Mango v4 and v3, whose loss of a token cuts the index of its deposits; Deri v4, where a loss accrues to all who
//! provide liquidity, pro rata.

use crate::book::Status;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Split};
use crate::waterfall::charges;

/// Charges what the layer has paid and was not charged yet, as far as collateral goes. Returns the accounts that paid, in order.
///
/// # Errors
/// Overflow.
pub fn charge(state: &mut State, moment: &Moment<'_>) -> Result<Vec<usize>> {
    let mut charged = Vec::new();
    for asset in 0..moment.setup.venue.assets.len() {
        let claim = state.ledger.balance(Entity::Socialised, asset).deficit();
        if claim.0 > 0 {
            charged.extend(charge_asset(state, moment, asset, claim)?);
        }
    }
    charged.sort_unstable();
    charged.dedup();
    Ok(charged)
}

fn charge_asset(state: &mut State, moment: &Moment<'_>, asset: AssetId, claim: Amount) -> Result<Vec<usize>> {
    let mut deposits = Vec::new();
    let mut total = 0i128;
    for account in 0..state.book.len() {
        let deposit = deposit(state, moment, account, asset)?;
        if deposit.0 > 0 {
            deposits.push((account, deposit));
            total = Amount(total).plus(deposit)?.0;
        }
    }
    let claim = claim.min(Amount(total));
    let mut split = Split::new(claim.0, total.max(1));
    let mut charged = Vec::new();
    for (account, deposit) in deposits {
        let amount = Amount(split.next(deposit.0)?);
        if amount.is_zero() {
            continue;
        }
        charges::settle(state, moment, None, account)?;
        let (from, to) = (Holder::Account(account), Holder::Entity(Entity::Socialised));
        state.post(moment, None, PostingKind::Socialised, from, to, asset, amount)?;
        let usd = moment.usd(asset, amount)?;
        let summary = &mut state.records.accounts[account];
        summary.socialised = summary.socialised.plus(usd)?;
        charged.push(account);
    }
    Ok(charged)
}

/// Collateral of an account in an asset: cash less what is owed, and what its positions cost. Nothing of one that has defaulted.
fn deposit(state: &State, moment: &Moment<'_>, account: usize, asset: AssetId) -> Result<Amount> {
    if matches!(
        state.book.accounts[account].status,
        Status::Defaulted | Status::Rejected
    ) {
        return Ok(Amount::ZERO);
    }
    let net = state.book.net_cash(account)?;
    let Some(&(_, cash)) = net.iter().find(|(held, _)| *held == asset) else {
        return Ok(Amount::ZERO);
    };
    let markets = &moment.setup.venue.markets;
    let legs = state.book.legs(account).iter();
    let own = legs.filter(|l| markets[l.market].settlement == asset);
    own.map(|l| l.entry_value).try_fold(cash, Amount::plus)
}
