//! Booking what ADL has matched: a counterparty takes a part of the loser's position, at a price at which it gives something up
//! (semantics, section 7).

use super::close::cumulated;
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Holder, PostingKind};
use crate::records::AdlRow;
use crate::state::{Moment, State};
use crate::units::{Amount, Size, Usd};
use crate::waterfall::adl::{self, Match};
use crate::waterfall::charges;

/// Whose position is matched, and what the records say of it.
pub struct Loser {
    /// An account, or the vault.
    pub holder: Holder,
    /// Leg of an account.
    pub leg: usize,
    /// Market.
    pub market: MarketId,
    /// Its position there, before anything was matched.
    pub position: Size,
    /// Liquidation.
    pub event: u32,
    /// When it was detected.
    pub trigger_ts: i64,
    /// Its equity then.
    pub trigger_equity: Usd,
    /// Its notional then.
    pub trigger_notional: Usd,
    /// Its equity before the liquidation, at the reference.
    pub equity: Usd,
}

/// What a counterparty gave up: what it paid for the matched units, less what they are worth at the reference.
#[derive(Debug, Clone, Copy)]
pub struct GivenUp {
    /// Settlement asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// The same in dollars.
    pub usd: Usd,
}

/// What each match pays, of a `total` for a position of so many units: cumulated floors.
pub fn amounts(total: Amount, units: u64, matches: &[Match]) -> impl Iterator<Item = Result<(&Match, Amount)>> {
    let mut so_far = 0;
    matches.iter().map(move |m| {
        let before = cumulated(total, so_far, units)?;
        so_far += m.units;
        Ok((m, cumulated(total, so_far, units)?.minus(before)?))
    })
}

/// Books one match for `amount`.
///
/// # Errors
/// Overflow.
pub fn book(state: &mut State, moment: &Moment<'_>, loser: &Loser, m: &Match, amount: Amount) -> Result<GivenUp> {
    let (id, event) = (loser.market, Some(loser.event));
    let market = &moment.setup.venue.markets[id];
    let asset = market.settlement;
    let size = loser.position.of_same_sign(m.units)?;
    let mark = moment.adl_mark(id, size.negated());
    let reference = moment.reference(id);
    let given_up = amount.minus(market.value(size, reference)?)?;
    let give_up = moment.usd(asset, given_up)?;
    // Of what is given up, that much was profit of the matched units.
    let worth = market.value(size.negated(), reference)?;
    let profit = moment.usd(asset, worth.minus(m.cost)?)?;
    let (equity, pnl) = adl::figures(state, moment, id, m)?;
    if let Holder::Account(other) = m.holder {
        charges::settle(state, moment, event, other)?;
    }
    state.post(moment, event, PostingKind::Adl, m.holder, loser.holder, asset, amount)?;
    take(state, loser.holder, (id, loser.leg), size.negated(), amount.negated())?;
    take(state, m.holder, (id, m.leg), size, amount)?;
    if let Holder::Account(other) = m.holder {
        let summary = &mut state.records.accounts[other];
        summary.adl_give_up = summary.adl_give_up.plus(give_up)?;
    }
    state.records.adl.push(AdlRow {
        ts: moment.ts,
        counterparty: m.holder,
        market: id,
        event: loser.event,
        loser: loser.holder,
        trigger_ts: loser.trigger_ts,
        trigger_equity: loser.trigger_equity,
        trigger_notional: loser.trigger_notional,
        loser_equity: loser.equity,
        size: size.negated(),
        asset,
        amount,
        mark,
        reference,
        give_up,
        forgone_profit: Usd(give_up.0.min(profit.0).max(0)),
        rank: m.rank,
        score: m.score,
        notional: moment.usd(asset, Amount(market.value(size, mark)?.0.abs()))?,
        equity,
        pnl,
        price_subsidy: Usd::ZERO,
    });
    Ok(GivenUp {
        asset,
        amount: given_up,
        usd: give_up,
    })
}

/// One side of a match: a leg of an account gets smaller, an inventory takes the size for the amount.
fn take(state: &mut State, holder: Holder, (market, leg): (MarketId, usize), size: Size, amount: Amount) -> Result<()> {
    match holder {
        Holder::Account(account) => {
            let leg = &mut state.book.legs_mut(account)[leg];
            state.ledger.reduce_leg(leg, size.negated())
        }
        Holder::Fund(_) => Err(adl::holds_nothing()),
        Holder::Entity(entity) => state.ledger.take(entity, market, size, amount),
    }
}
