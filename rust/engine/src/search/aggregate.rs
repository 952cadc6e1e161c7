//! First passage of an aggregate: a pseudo-account of sums, searched like any account, by bounds over groups of blocks and exactly within
//! those that may hold it.

use super::PriceRanges as _;
use super::cursors::At;
use super::epochs::Scales;
use super::grid::FAN;
use super::passage::{Scratch, Search};
use super::query::Query;
use super::walk::walk;
use crate::aggregate::{Claim, Summed};
use crate::book::{Holding, Leg};
use crate::error::Result;
use crate::units::{Amount, Ratio};

impl Search<'_> {
    /// The first instant strictly after `after` (or from the opening on, inclusive, if None) at which `claim` exceeds `factor` and none of
    /// its markets is blocked: among the opening, the updates of the prices that it depends on, and the instants at which a market ceases
    /// to be blocked. None if there is none until the end of the window.
    ///
    /// # Errors
    /// Overflow in an exact evaluation.
    pub fn first_exceeding<'s>(
        &'s self,
        claim: &Claim,
        factor: Ratio,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let index = self.index;
        let Some(since) = after.map_or(Some(index.first), |t| t.checked_add(1)) else {
            return Ok(None);
        };
        // Positions and cash that read what the claim reads.
        let leg = |p: &Summed| Leg {
            market: p.market,
            size: p.reads,
            entry_value: Amount::ZERO,
        };
        let mut legs: Vec<Leg> = claim.positions.iter().map(leg).collect();
        legs.sort_by_key(|l| l.market);
        let settled = claim.positions.iter().map(|p| self.venue.markets[p.market].settlement);
        let held = claim
            .amounts
            .iter()
            .chain(&claim.holdings)
            .filter(|(_, n)| !n.is_zero());
        let mut cash: Vec<_> = settled
            .chain(held.map(|(a, _)| *a))
            .map(|a| (a, Amount::ZERO))
            .collect();
        cash.sort_unstable();
        cash.dedup();
        let query = Query {
            search: self,
            holding: Holding {
                legs: &legs,
                cash: &cash,
            },
            scales: Scales::ONE,
            since,
        };
        let exceeds = |prices: &At<'_, '_>| claim.at(self.venue, prices)?.exceeds(factor);
        let Scratch { cursors, live, .. } = scratch;
        if after.is_none() && !query.blocked(since) {
            query.look_at(since, cursors);
            if exceeds(&query.at(cursors))? {
                return Ok(Some(since));
            }
        }
        query.inputs(true, cursors);
        let leaves = cursors.iter().filter_map(|c| Some(query.indexed(c)?.pyramid.leaf()));
        let Some(finest) = leaves.min() else { return Ok(None) };
        walk(
            &index.grid,
            finest,
            index.grid.block(finest, since),
            |level, group| {
                let blocks = index.grid.blocks(level);
                let mut suspects = 0;
                for i in 0..FAN.min(blocks.saturating_sub(group * FAN)) {
                    let block = group * FAN + i;
                    let most = claim.most(
                        self.venue,
                        factor,
                        |market, size| index.trigger[index.sides.channel(market, size)].over(level, block),
                        |asset| index.asset(asset, level, block),
                    );
                    // A bound that is not a number clears nothing.
                    suspects |= u32::from(most > 0.0 || most.is_nan()) << i;
                }
                suspects
            },
            |block| {
                query.enter(finest, block, cursors, live);
                while let Some(t) = live.step(cursors, false, |_, _| ()) {
                    if t >= since && !query.blocked(t) && exceeds(&query.at(cursors))? {
                        return Ok(Some(t));
                    }
                }
                Ok(None)
            },
        )
    }
}
