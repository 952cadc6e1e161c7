//! Auto-deleveraging: the position of a loser is matched with opposite positions of winners, ranked by a [`score`], or shared among them
//! by a [`policy`], at a [`price`].
//!
//! Only the opposite side is ever touched; the last counterparty is closed in part; nobody is asked for more than its capacity.
//!
//! With the policy `queue` the result is that of a full rank by (score descending, account, leg) at every event, but nobody ranks all holders at every event.
//! For each market and side there is a [`queue`]: nested [`levels`] of candidates over stretches of time, ordered by an upper bound
//! of the score over the stretch, and below them the [`rank`] of one instant, by exact scores. A finer level takes candidates from
//! the one above in the order of their bounds, and only as far as it must: each link asks the one above "could anyone whom I have not
//! yet seen come next?". Little is evaluated, and nothing is left out by a guess that would have to be taken back.
//!
//! Why this is safe:
//! - An [`outlook`] encloses an account over a stretch of prices, slack for floating point and integer rounding included; the
//!   score's bound is the largest score within it. A stretch lies within the one above, so no bound exceeds that of the level above.
//! - The next candidate of a rank is taken only if its exact score is above every bound that is still to come. Equal scores
//!   therefore all get their exact scores before any of them is taken, and the account's number decides, as in a full rank.
//! - Bounds and scores are those of an account as it stood. The book counts its changes: an entry of an account that was changed since
//!   is void, and every account that was changed since a level or a rank was made gets a new entry there.

mod capacity;
mod everyone;
mod levels;
mod order;
mod outlook;
mod policy;
pub mod price;
mod queue;
mod rank;
mod score;
mod standing;

#[cfg(test)]
mod tests;

pub use queue::Queues;
pub use standing::underwater;

use crate::config::{AdlPolicy, AdlScore, OutsideInventory};
use crate::contract::MarketId;
use crate::error::{Error, Result};
use crate::ledger::{Entity, Holder, Ledger, released};
use crate::search::PriceRanges;
use crate::state::{Moment, State};
use crate::units::{Amount, Size, Usd};
use capacity::Demand;

/// What is to be matched.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Market.
    pub market: MarketId,
    /// The liquidated account, or the vault.
    pub loser: Holder,
    /// Its leg.
    pub leg: u32,
    /// Signed size of the loser's position.
    pub position: Size,
    /// What the loser would receive for all of it at the ADL price.
    pub amount: Amount,
    /// Units to match.
    pub quantity: u64,
}

/// A match with one counterparty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Whose position.
    pub holder: Holder,
    /// Leg of an account.
    pub leg: usize,
    /// Units.
    pub units: u64,
    /// Score.
    pub score: i128,
    /// Place in the queue, from 1.
    pub rank: u32,
    /// What the matched units had cost the counterparty.
    pub cost: Amount,
}

/// Matches as much of `wanted.quantity` as counterparties can give, in the order of (score descending, account, leg).
pub fn matches(
    state: &mut State,
    moment: &Moment<'_>,
    ranges: &dyn PriceRanges,
    wanted: &Wanted,
) -> Result<Vec<Match>> {
    let demand = Demand::new(moment, wanted)?;
    let State {
        deleveraging,
        book,
        holders,
        ..
    } = state;
    let (rules, holders) = (demand.rules, &holders[wanted.market]);
    let mut out = if rules.policy == AdlPolicy::Queue && rules.score != AdlScore::RandomStart {
        deleveraging.take(book, holders, moment, ranges, &demand)?
    } else {
        everyone::take(book, holders, moment, &demand)?
    };
    out.extend(from_outside(&state.ledger, moment, wanted, &out)?);
    Ok(out)
}

/// Where the outside keeps its inventory, it comes last, limited only by its size.
fn from_outside(ledger: &Ledger, moment: &Moment<'_>, wanted: &Wanted, matched: &[Match]) -> Result<Option<Match>> {
    let left = wanted.quantity - matched.iter().map(|m| m.units).sum::<u64>();
    if left == 0 || moment.setup.protocol.outside != OutsideInventory::Keeps {
        return Ok(None);
    }
    let held = ledger.inventory(Entity::Outside, wanted.market);
    let value =
        moment.setup.venue.markets[wanted.market].value(held.size, moment.adl_mark(wanted.market, held.size))?;
    if !opposite(held.size, wanted.position) || value <= held.entry_value {
        return Ok(None);
    }
    let units = held.size.units().min(left);
    Ok(Some(Match {
        holder: Holder::Entity(Entity::Outside),
        leg: 0,
        units,
        score: 0,
        rank: matched.last().map_or(0, |m| m.rank).saturating_add(1),
        cost: released(held.entry_value, units, held.size.units())?,
    }))
}

/// Only accounts and entities are met in ADL.
pub(crate) fn holds_nothing() -> Error {
    Error::Invariant("a fund of some markets holds no position".to_owned())
}

fn opposite(a: Size, b: Size) -> bool {
    !a.is_zero() && (a.0 > 0) != (b.0 > 0)
}

/// Equity of a counterparty (None for the outside), its legs at the mark, and the profit of its position there; dollars at the reference.
pub fn figures(state: &State, moment: &Moment<'_>, market: MarketId, matched: &Match) -> Result<(Option<Usd>, Usd)> {
    let (equity, size, entry_value) = match matched.holder {
        Holder::Account(account) => {
            let leg = &state.book.legs(account)[matched.leg];
            let equity = standing::equity_usd(&state.book, moment, account)?;
            (Some(equity), leg.size, leg.entry_value)
        }
        Holder::Fund(_) => return Err(holds_nothing()),
        Holder::Entity(entity) => {
            let held = state.ledger.inventory(entity, market);
            (None, held.size, held.entry_value)
        }
    };
    let bound = &moment.setup.venue.markets[market];
    let value = bound.value(size, moment.adl_mark(market, size))?;
    Ok((equity, moment.usd(bound.settlement, value.minus(entry_value)?)?))
}
