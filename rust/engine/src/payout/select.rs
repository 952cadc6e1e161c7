//! Which position is closed first, where the pool owes too much: a score, ties by account and leg.

use crate::book::{Leg, Status};
use crate::config::{PoolAdlConfig, PoolAdlSelector};
use crate::contract::MarketId;
use crate::draws::{Purpose, bits};
use crate::error::Result;
use crate::state::{Moment, State};
use crate::units::{Price, mul_div_floor};

/// Units of a return.
const WHOLE: i128 = 1_000_000_000;

/// A position in profit.
pub(super) struct Candidate {
    pub account: usize,
    /// Its leg.
    pub index: usize,
    /// As it stands.
    pub leg: Leg,
    /// At which it would be closed.
    pub price: Price,
    pub score: i128,
}

/// The positions of a side that are in profit at the execution feed, of accounts that are open and not queued, the first to be closed
/// first.
pub(super) fn ranked(
    state: &State,
    moment: &Moment<'_>,
    rules: &PoolAdlConfig,
    (market, long): (MarketId, bool),
) -> Result<Vec<Candidate>> {
    let bound = &moment.setup.venue.markets[market];
    let mut found = Vec::new();
    for &account in &state.holders[market] {
        let account = account as usize;
        if state.book.accounts[account].status != Status::Open {
            continue;
        }
        for (index, leg) in state.book.legs(account).iter().enumerate() {
            if leg.market != market || leg.size.is_zero() || (leg.size.0 > 0) != long {
                continue;
            }
            let price = moment.execution(market, leg.size);
            let value = bound.value(leg.size, price)?;
            let profit = value.minus(leg.entry_value)?;
            if profit.0 <= 0 {
                continue;
            }
            let score = match rules.selector {
                PoolAdlSelector::LargestProfit => profit.0,
                PoolAdlSelector::LargestPosition => value.0.abs(),
                PoolAdlSelector::HighestReturn => {
                    mul_div_floor(profit.0, WHOLE, leg.entry_value.0.abs().max(1), "return of a position")?
                }
                PoolAdlSelector::Random => {
                    i128::from(bits(rules.seed, Purpose::PoolDeleveraging, account, moment.ts as u64))
                }
            };
            found.push(Candidate {
                account,
                index,
                leg: *leg,
                price,
                score,
            });
        }
    }
    // In the order of accounts and legs already.
    found.sort_by_key(|c| std::cmp::Reverse(c.score));
    Ok(found)
}
