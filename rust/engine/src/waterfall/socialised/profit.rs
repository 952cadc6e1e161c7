//! Socialised loss: at the end of the session what the layer has paid is charged to the accounts that made a profit, pro rata to profit.
//!
//! Source of the form: Deribit and the early OKEx clawback (rate = loss not covered / sum of net profits of the session).

use super::rest;
use crate::book::Status;
use crate::config::Layer;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Split, Usd};

/// Charges the claim to the session's winners. What they cannot bear goes to the layers after this one, then to nobody; it is
/// returned by payer (None: uncovered).
pub fn settle(state: &mut State, moment: &Moment<'_>) -> Result<Vec<(Option<Layer>, Usd)>> {
    let venue = &moment.setup.venue;
    let home = venue.home;
    let claim = state.ledger.balance(Entity::Socialised, home).deficit();
    if claim.is_zero() {
        return Ok(Vec::new());
    }
    let mut weights = Vec::new();
    let mut total = 0i128;
    for account in 0..state.book.len() {
        if matches!(
            state.book.accounts[account].status,
            Status::Defaulted | Status::Rejected
        ) {
            continue;
        }
        let now = moment.account_equity(&state.book, account)?;
        let (then, deposits) = (
            state.records.opening_equity[account],
            state.records.accounts[account].deposits,
        );
        let profit = now.minus(then)?.minus(deposits)?;
        let weight = profit.min(now).positive();
        if weight.0 > 0 {
            weights.push((account, weight));
            total += weight.0;
        }
    }
    let socialised = Holder::Entity(Entity::Socialised);
    let feasible = claim.0 <= total;
    let mut split = Split::new(claim.0, total.max(1));
    let mut charged = Amount::ZERO;
    for (account, weight) in weights {
        let charge = if feasible { split.next(weight.0)? } else { weight.0 };
        if charge == 0 {
            continue;
        }
        let charge = Amount(charge);
        let (asset, _) = state.book.cash(account)[0];
        if asset == home {
            state.post(
                moment,
                None,
                PostingKind::Socialised,
                Holder::Account(account),
                socialised,
                home,
                charge,
            )?;
        } else {
            let coins = venue.assets[asset].from_usd_ceil(Usd(charge.0), moment.reference_of_asset(asset))?;
            let outside = Holder::Entity(Entity::Outside);
            state.post(
                moment,
                None,
                PostingKind::Socialised,
                Holder::Account(account),
                outside,
                asset,
                coins,
            )?;
            state.post(moment, None, PostingKind::Conversion, outside, socialised, home, charge)?;
        }
        state.records.accounts[account].socialised = Usd(charge.0);
        charged = charged.plus(charge)?;
    }
    rest::pass_on(state, moment, (home, claim.minus(charged)?))
}
