//! Accrual of funding and borrow fees: the indices move, and the entities that hold a size pay or receive funding at once.
//!
//! Margin accounts pay when they are settled. Funding of all holders of a market sums to zero, but for what roundings leave over.

use super::event_loop::Replayer;
use crate::book::{Charge, INDEX_SCALE};
use crate::error::Result;
use crate::ledger::{Entity, Holder, PostingKind};
use crate::state::Moment;
use crate::units::{Amount, ceil_div, product};

impl Replayer<'_> {
    /// The next instant at which an index moves.
    pub(super) fn next_accrual(&self) -> Option<i64> {
        let accruals = &self.board.terms()?.accruals;
        accruals.get(self.accruals).map(|&(ts, _)| ts)
    }

    /// Moves the indices that are due at `t`.
    pub(super) fn accrue(&mut self, t: i64) -> Result<()> {
        let Some(terms) = self.board.terms() else { return Ok(()) };
        let moment = Moment::new(self.setup, self.board, t);
        let mut moved = false;
        while let Some(&(ts, market)) = terms.accruals.get(self.accruals).filter(|a| a.0 <= t) {
            self.accruals += 1;
            moved = true;
            let term = terms.markets[market].at(ts);
            let before = self.state.book.indices(market)[Charge::Funding as usize];
            self.state.book.accrue(market, term.funding, term.borrow);
            let asset = self.setup.venue.markets[market].settlement;
            for entity in Entity::ALL {
                let size = self.state.ledger.inventory(entity, market).size;
                let scaled = product(i128::from(size.0), term.funding - before, "funding")?;
                let amount = Amount(ceil_div(scaled, INDEX_SCALE));
                let (from, to) = (Holder::Entity(entity), Holder::Entity(Entity::Funding));
                self.state
                    .post(&moment, None, PostingKind::Funding, from, to, asset, amount)?;
            }
        }
        if moved {
            self.state.deleveraging.reprice(false);
        }
        Ok(())
    }
}
