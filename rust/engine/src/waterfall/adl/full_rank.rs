//! The rank as it is defined: everyone gets a score, and all are sorted. The judge of the queues in tests.

use super::capacity::Demand;
use super::order::Key;
use super::score::Score;
use super::standing::Standing;
use super::{Match, Wanted, from_outside, opposite};
use crate::error::Result;
use crate::ledger::{Holder, released};
use crate::state::{Moment, State};

/// What [`super::matches`] must be equal to.
pub fn matches(state: &State, moment: &Moment<'_>, wanted: &Wanted) -> Result<Vec<Match>> {
    let demand = Demand::new(moment, wanted)?;
    let mut ranked = Vec::new();
    for account in (0..state.book.len()).filter(|&a| a != wanted.loser) {
        for (leg, l) in state.book.legs(account).iter().enumerate() {
            if l.market != wanted.market || !opposite(l.size, wanted.position) {
                continue;
            }
            if let Some(standing) = Standing::of(&state.book, moment, account, leg)? {
                let score = Score::default().of(&standing)?;
                let (account, leg) = (account as u32, leg as u32);
                ranked.push((Key { score, account, leg }, standing));
            }
        }
    }
    ranked.sort_by_key(|(key, _)| *key);
    let mut left = wanted.quantity;
    let mut out = Vec::new();
    for (rank, (key, standing)) in (1..).zip(ranked) {
        let units = demand.capacity(moment, &standing)?.min(left);
        if units > 0 {
            out.push(Match {
                holder: Holder::Account(key.account as usize),
                leg: key.leg as usize,
                units,
                score: key.score,
                rank,
                cost: released(standing.entry_value, units, standing.units)?,
            });
            left -= units;
        }
    }
    out.extend(from_outside(&state.ledger, moment, wanted, &out)?);
    Ok(out)
}
