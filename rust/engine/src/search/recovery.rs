//! First recovery of an account that fails: the mirror of a first passage, by upper bounds.

use super::PriceRanges as _;
use super::epochs::Scales;
use super::grid::FAN;
use super::passage::{Scratch, Search};
use super::query::Query;
use super::walk::walk;
use crate::book::{Book, Holding};
use crate::error::Result;

impl Search<'_> {
    /// The first of the account's instants strictly after `after` at which it is tested and not liquidatable, at the last states of the
    /// instant;
    /// None if there is none until the end of the window.
    ///
    /// # Errors
    /// Overflow in an exact evaluation.
    pub fn recovery<'s>(
        &'s self,
        book: &Book,
        account: usize,
        after: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let Some(since) = after.checked_add(1) else {
            return Ok(None);
        };
        let cash = &book.assessed_cash(account)?;
        let legs = book.legs(account);
        let holding = Holding { legs, cash };
        match self.terms {
            Some(terms) if book.has_position(account) => {
                self.recovery_over_terms(terms, holding, book.settled(account), since, scratch)
            }
            _ => self.recovery_under(holding, Scales::ONE, since, scratch),
        }
    }

    /// The first recovery from `since` on of positions and cash, under these scales.
    pub(super) fn recovery_under<'s>(
        &'s self,
        holding: Holding<'_>,
        scales: Scales<'_>,
        since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let query = Query {
            search: self,
            holding,
            scales,
            since,
        };
        let closed = holding.legs.iter().all(|l| l.size.is_zero());
        let scale = |m| scales.of(m);
        scratch
            .bound
            .take_for_recovery(self.margin, self.venue, holding, self.index.sides, scale);
        query.recovery(scratch, closed)
    }
}

impl<'s> Query<'_, 's> {
    /// The first instant at which an account does not fail, or at which anything happens, if it is `closed`.
    fn recovery(&self, scratch: &mut Scratch<'s>, closed: bool) -> Result<Option<i64>> {
        let Scratch {
            bound, cursors, live, ..
        } = scratch;
        self.inputs(self.holding.cash.len() > 1, cursors);
        let index = self.search.index;
        let leaves = cursors.iter().filter_map(|c| Some(self.indexed(c)?.pyramid.leaf()));
        let Some(finest) = leaves.min() else { return Ok(None) };
        walk(
            &index.grid,
            finest,
            index.grid.block(finest, self.since),
            |level, group| {
                let blocks = index.grid.blocks(level);
                let mut suspects = 0;
                for i in 0..FAN.min(blocks.saturating_sub(group * FAN)) {
                    let block = group * FAN + i;
                    let best = bound.best_over(
                        |c| index.trigger[c].over(level, block),
                        |a| index.asset(a, level, block),
                    );
                    // A bound that is not a number clears nothing.
                    suspects |= u32::from(closed || best >= 0.0 || best.is_nan()) << i;
                }
                suspects
            },
            |block| {
                self.enter(finest, block, cursors, live);
                while let Some(t) = live.step(cursors, false, |_, _| ()) {
                    if t >= self.since && !self.blocked(t) && (closed || !self.fails(&self.at(cursors))?) {
                        return Ok(Some(t));
                    }
                }
                Ok(None)
            },
        )
    }
}
