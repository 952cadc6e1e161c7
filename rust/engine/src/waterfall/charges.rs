//! Settling what legs owe: before anything changes an account, and at the end of the tape.
//!
//! Socialised losses are paid to the layer that has charged them, borrow fees to their receiver, funding to a holder of its own, which
//! passes it on to the other side; what its roundings leave over goes to `rounding` at the end.

use crate::book::Charge;
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::{Moment, State};
use crate::units::{Amount, Usd};

impl Charge {
    /// How it is posted, and who is paid.
    fn posting(self, moment: &Moment<'_>, market: MarketId) -> (PostingKind, Holder) {
        match self {
            Self::Socialised => (PostingKind::Socialised, Holder::Entity(Entity::Socialised)),
            Self::Funding => (PostingKind::Funding, Holder::Entity(Entity::Funding)),
            Self::Borrow => {
                let setup = moment.setup;
                let borrow = setup.protocol.borrow.as_ref();
                let receiver = borrow.and_then(|b| b.receiver.holder(setup.funds.of(market)));
                (
                    PostingKind::Borrow,
                    receiver.unwrap_or(Holder::Entity(Entity::Rounding)),
                )
            }
        }
    }
}

/// What a leg has paid; negative if it was paid.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// For what.
    pub charge: Charge,
    /// Its settlement asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// In dollars at the reference.
    pub usd: Usd,
}

/// Settles an account: each of its legs pays what it owes. Returns that by leg and charge.
///
/// # Errors
/// Overflow.
pub fn settle(state: &mut State, moment: &Moment<'_>, event: Option<u32>, account: usize) -> Result<Vec<Settled>> {
    let mut out = Vec::new();
    if !state.book.is_charged() {
        return Ok(out);
    }
    for leg in 0..state.book.legs(account).len() {
        let market = state.book.legs(account)[leg].market;
        let asset = moment.setup.venue.markets[market].settlement;
        for charge in Charge::ALL {
            let amount = state.book.owed(account, leg, charge)?;
            if amount.is_zero() {
                continue;
            }
            let usd = moment.usd(asset, amount)?;
            let (kind, to) = charge.posting(moment, market);
            let from = Holder::Account(account);
            state.post(moment, event, kind, from, to, asset, amount)?;
            if charge == Charge::Socialised {
                let summary = &mut state.records.accounts[account];
                summary.socialised = summary.socialised.plus(usd)?;
            }
            out.push(Settled {
                charge,
                asset,
                amount,
                usd,
            });
        }
        state.book.mark_settled(account, leg);
    }
    Ok(out)
}

/// Settles everyone at the end of the tape; what the payees of socialised losses and funding then hold was collected by rounding up.
///
/// # Errors
/// Overflow.
pub fn settle_all(state: &mut State, moment: &Moment<'_>) -> Result<()> {
    if !state.book.is_charged() {
        return Ok(());
    }
    for account in 0..state.book.len() {
        let settled = settle(state, moment, None, account)?;
        let sum = |assessed: bool| {
            let own = settled.iter().filter(|s| (s.charge == Charge::Socialised) == assessed);
            own.into_iter().try_fold(Usd::ZERO, |sum, s| sum.plus(s.usd))
        };
        let (assessed, accrued) = (sum(true)?, sum(false)?.positive());
        if !assessed.is_zero() || !accrued.is_zero() {
            state.records.charged_at_end.push((account, assessed, accrued));
        }
    }
    let mut left = vec![(PostingKind::Funding, Entity::Funding)];
    if state.book.is_assessed() {
        left.push((PostingKind::Socialised, Entity::Socialised));
    }
    for (kind, entity) in left {
        for asset in 0..moment.setup.venue.assets.len() {
            let rest = state.ledger.balance(entity, asset);
            let (from, to) = (Holder::Entity(entity), Holder::Entity(Entity::Rounding));
            state.post(moment, None, kind, from, to, asset, rest)?;
        }
    }
    Ok(())
}
