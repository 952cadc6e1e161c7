//! All positions are closed against the pool at the end of the tape.

use super::{Payouts, deferred};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::waterfall::charges;

/// Closes every position at the execution feed, in order, if the rules say so.
///
/// # Errors
/// Overflow.
pub fn close_all(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    if !moment.setup.payout.as_ref().is_some_and(|rules| rules.at_end) {
        deferred::pay(state, moment)?;
        return state.ledger.check();
    }
    for account in 0..state.book.len() {
        for index in 0..state.book.legs(account).len() {
            if !state.book.legs(account)[index].size.is_zero() {
                close(state, moment, account, index)?;
            }
        }
    }
    deferred::pay(state, moment)?;
    state.ledger.check()
}

fn close(state: &mut State, moment: &Moment<'_>, account: usize, index: usize) -> Result<()> {
    charges::settle(state, moment, None, account)?;
    let leg = state.book.legs(account)[index];
    let market = &moment.setup.venue.markets[leg.market];
    let amount = market.value(leg.size, moment.execution(leg.market, leg.size))?;
    let unpaid = Payouts::at(state, moment, account)?.fill(moment, (index, &leg), leg.size.units(), amount)?;
    let (pool, me) = (Holder::Entity(Entity::Pool), Holder::Account(account));
    state.post(moment, None, PostingKind::Trade, pool, me, market.settlement, amount)?;
    state
        .ledger
        .reduce_leg(&mut state.book.legs_mut(account)[index], leg.size)?;
    state.ledger.take(Entity::Pool, leg.market, leg.size, amount)?;
    unpaid.book(state, moment, None, account, market.settlement)
}
