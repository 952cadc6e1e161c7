//! Deferred payouts: profits that the pool did not have are claims on it, and are paid in the order in which they arose once it has money
//! again (semantics, section 5e).
//!
//! Source of the form: gTrade, whose vault turns payouts down beyond its assets until losses or a refill have come in; Jupiter and GMX v1,
//! where a profit waits until its token is available in the pool.

use std::collections::VecDeque;

use super::pool;
use crate::book::Status;
use crate::contract::AssetId;
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};
use crate::waterfall::charges;

/// What the pool owes an account.
#[derive(Debug, Clone, Copy)]
struct Claim {
    account: usize,
    asset: AssetId,
    amount: Amount,
}

/// All claims, the oldest first, and what the pool had at the end of the last instant at which anything was done.
#[derive(Debug, Clone, Default)]
pub struct Deferred {
    queue: VecDeque<Claim>,
    noted: Vec<Amount>,
}

impl Deferred {
    /// The pool owes so much more.
    pub fn defer(&mut self, account: usize, asset: AssetId, amount: Amount) {
        if !amount.is_zero() {
            self.queue.push_back(Claim { account, asset, amount });
        }
    }
}

/// What the claims of accounts that have not defaulted come to, in dollars at the collateral feed, each rounded up.
///
/// # Errors
/// Overflow.
pub fn owed(state: &State, moment: &Moment<'_>) -> Result<Usd> {
    let alive = |claim: &&Claim| state.book.accounts[claim.account].status != Status::Defaulted;
    state
        .deferred
        .queue
        .iter()
        .filter(alive)
        .try_fold(Usd::ZERO, |sum, c| sum.plus(dollars(moment, c.asset, c.amount)?))
}

fn dollars(moment: &Moment<'_>, asset: AssetId, amount: Amount) -> Result<Usd> {
    moment.setup.venue.assets[asset].usd_ceil(amount, moment.collateral(asset))
}

/// Pays claims, if the pool's cash has changed in this instant. Returns the accounts that were paid.
///
/// # Errors
/// Overflow.
pub fn pay_if_changed(state: &mut State, moment: &Moment<'_>) -> Result<Vec<usize>> {
    if state.deferred.queue.is_empty() || cash(state, moment).eq(state.deferred.noted.iter().copied()) {
        return Ok(Vec::new());
    }
    pay(state, moment)
}

/// The end of an instant: what changes later is a change of a later instant, however many pass at which nothing is done.
pub fn note_cash(state: &mut State, moment: &Moment<'_>) {
    let mut noted = std::mem::take(&mut state.deferred.noted);
    noted.clear();
    noted.extend(cash(state, moment));
    state.deferred.noted = noted;
}

/// What the pool has of each asset.
fn cash<'a>(state: &'a State, moment: &Moment<'_>) -> impl Iterator<Item = Amount> + use<'a> {
    let assets = 0..moment.setup.venue.assets.len();
    assets.map(|asset| state.ledger.balance(Entity::Pool, asset))
}

/// Pays claims in their order, as far as the pool goes: the first that it cannot pay whole ends it. Those of accounts that have defaulted
/// lapse.
///
/// # Errors
/// Overflow.
pub fn pay(state: &mut State, moment: &Moment<'_>) -> Result<Vec<usize>> {
    let mut left = pool::worth(state, moment)?;
    let mut paid = Vec::new();
    while let Some(claim) = state.deferred.queue.pop_front() {
        let Claim { account, asset, amount } = claim;
        if state.book.accounts[account].status == Status::Defaulted {
            continue;
        }
        let unit = &moment.setup.venue.assets[asset];
        let mut pays = amount;
        if dollars(moment, asset, amount)? > left {
            pays = amount.min(unit.from_usd_floor(Usd(left.0.max(0)), moment.collateral(asset))?);
        }
        left = left.minus(dollars(moment, asset, pays)?)?;
        if !pays.is_zero() {
            charges::settle(state, moment, None, account)?;
            let (pool, me) = (Holder::Entity(Entity::Pool), Holder::Account(account));
            state.post(moment, None, PostingKind::DeferredPayout, pool, me, asset, pays)?;
            let usd = moment.usd(asset, pays)?;
            let summary = &mut state.records.accounts[account];
            summary.unpaid_profit = summary.unpaid_profit.minus(usd)?;
            paid.push(account);
        }
        if pays < amount {
            let amount = amount.minus(pays)?;
            state.deferred.queue.push_front(Claim { account, asset, amount });
            break;
        }
    }
    paid.sort_unstable();
    paid.dedup();
    Ok(paid)
}
