//! ADL that looks at all candidates of a market and side at each event: for policies that share among all of them, and for orders that
//! have no bound.
//!
//! A policy that shares costs the number of holders at each event, and their sorting; a drawn start with a queue only as many as are
//! asked. In tests this is what the nested queues must be equal to.

use super::capacity::Demand;
use super::order::Key;
use super::policy::{Sharer, share};
use super::score::random_start;
use super::standing::Standing;
use super::{Match, opposite};
use crate::book::Book;
use crate::config::{AdlPolicy, AdlScore};
use crate::error::Result;
use crate::ledger::{Holder, released};
use crate::state::Moment;

/// Lets the policy choose among all candidates.
pub fn take(book: &Book, holders: &[u32], moment: &Moment<'_>, demand: &Demand<'_>) -> Result<Vec<Match>> {
    let mut ordered;
    let mut drawn;
    let candidates: &mut dyn Iterator<Item = Result<(Key, Standing)>> = if demand.rules.score == AdlScore::RandomStart {
        let start = random_start::of(book, demand);
        let from = holders.partition_point(|&holder| (holder as usize) < start);
        drawn = candidates(book, [&holders[from..], &holders[..from]], moment, demand);
        &mut drawn
    } else {
        let mut all: Vec<_> = candidates(book, [holders, &[]], moment, demand).collect::<Result<_>>()?;
        all.sort_by_key(|(key, _)| *key);
        ordered = all.into_iter().map(Ok);
        &mut ordered
    };
    let queue = demand.rules.policy == AdlPolicy::Queue;
    let (mut sharers, mut left) = (Vec::new(), demand.wanted.quantity);
    for (rank, next) in (1..).zip(candidates) {
        if left == 0 || sharers.len() == demand.counterparties() {
            break;
        }
        let (key, standing) = next?;
        let capacity = demand.capacity(book, moment, (key.account as usize, key.leg as usize), &standing)?;
        if !demand.takes(capacity, &standing, left) {
            continue;
        }
        if queue {
            left -= capacity.min(left);
        }
        sharers.push(Sharer {
            key,
            standing,
            capacity,
            rank,
        });
    }
    let units = share(book, moment, demand, &sharers)?;
    let matches = sharers.iter().zip(units).filter(|(_, units)| *units > 0);
    matches
        .map(|(sharer, units)| {
            let Sharer {
                key, standing, rank, ..
            } = sharer;
            Ok(Match {
                holder: Holder::Account(key.account as usize),
                leg: key.leg as usize,
                units,
                score: key.score,
                rank: *rank,
                cost: released(standing.entry_value, units, standing.units)?,
            })
        })
        .collect()
}

/// The candidates among these holders, in their order, with their scores.
fn candidates<'a>(
    book: &'a Book,
    holders: [&'a [u32]; 2],
    moment: &'a Moment<'_>,
    demand: &'a Demand<'_>,
) -> impl Iterator<Item = Result<(Key, Standing)>> + 'a {
    let wanted = demand.wanted;
    let legs = move |account: u32| {
        let legs = book.legs(account as usize).iter().enumerate();
        legs.filter(move |(_, l)| l.market == wanted.market && opposite(l.size, wanted.position))
            .map(move |(leg, _)| (account, leg as u32))
    };
    let holders = holders.into_iter().flatten().copied();
    holders
        .filter(move |&account| Holder::Account(account as usize) != wanted.loser)
        .flat_map(legs)
        .filter_map(move |(account, leg)| {
            let scored = || {
                let Some(standing) = Standing::of(book, moment, account as usize, leg as usize)? else {
                    return Ok(None);
                };
                let score = demand.rules.score.of(&moment.setup.venue, wanted.market, &standing)?;
                Ok(Some((Key { score, account, leg }, standing)))
            };
            scored().transpose()
        })
}
