//! First recovery of an account that fails: the mirror of a first passage, by upper bounds.

use super::PriceRanges as _;
use super::grid::FAN;
use super::passage::{At, Cursor, Query, Scratch, Search, step};
use super::walk::walk;
use crate::book::{Book, Holding};
use crate::error::Result;
use crate::margin::Bound;

impl Search<'_> {
    /// The first of the account's instants strictly after `after` at which it is not liquidatable, at the last states of the instant;
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
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        let holding = Holding { legs, cash };
        let query = Query {
            search: self,
            holding,
            since,
        };
        let closed = !book.has_position(account);
        scratch.bound.take_for_recovery(self.margin, self.venue, holding);
        query.recovery(&scratch.bound, &mut scratch.cursors, closed)
    }
}

impl<'s> Query<'_, 's> {
    /// The first instant at which an account does not fail, or at which anything happens, if it is `closed`.
    fn recovery(&self, bound: &Bound<'_>, cursors: &mut Vec<Cursor<'s>>, closed: bool) -> Result<Option<i64>> {
        self.inputs(self.holding.cash.len() > 1, cursors);
        let index = self.search.index;
        let leaves = cursors.iter().map(|c| self.indexed(c).pyramid.leaf());
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
                    let best = bound.best_over(|m| index.market(m, level, block), |a| index.asset(a, level, block));
                    // A bound that is not a number clears nothing.
                    suspects |= u32::from(closed || best >= 0.0 || best.is_nan()) << i;
                }
                suspects
            },
            |block| {
                self.enter(finest, block, cursors);
                while let Some(t) = step(cursors, false, |_, _| 0.0) {
                    if t >= self.since && (closed || !self.fails(&At(cursors))?) {
                        return Ok(Some(t));
                    }
                }
                Ok(None)
            },
        )
    }
}
