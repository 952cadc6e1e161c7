//! Certificates: first passages that hold while what is not known in advance stays within a budget.
//!
//! What an account owes for socialised losses grows by steps that nobody knows beforehand, always against it. A certificate tells the
//! first instant at which the account could fail as long as each of its markets costs it no more than a budget, a share of its present
//! slack. It is a plain search with less cash: equity rises with cash, and no requirement rises faster, so an account that does not
//! fail without the budget does not fail as long as less than the budget is gone. Who has no slack has no budget, and a certificate
//! that any step voids.

use super::{Scratch, Search, Trigger};
use crate::book::{Book, Holding};
use crate::contract::MarketId;
use crate::error::Result;
use crate::margin::{Prices, Requirement};
use crate::units::{Amount, Usd};

/// One in so many parts of the slack is the budget, over all markets: a large one is used up by prices, a small one by steps.
const PART: i128 = 4;

/// What a certificate allows for, market by market, in settlement units.
pub type Budgets = Vec<(MarketId, Amount)>;

impl Search<'_> {
    /// The first instant strictly after `after` (or from the opening on, if None) at which the account could be liquidatable as long as
    /// each of its markets costs it no more than the budgets, which are written to `budgets`. It does not fail at the prices `now`
    /// either, as long as that holds, unless its budgets are zero.
    ///
    /// # Errors
    /// Overflow in an exact evaluation.
    pub fn certify<'s>(
        &'s self,
        book: &Book,
        account: usize,
        after: Option<i64>,
        now: &impl Prices,
        scratch: &mut Scratch<'s>,
        budgets: &mut Budgets,
    ) -> Result<Option<Trigger>> {
        budgets.clear();
        // What accrues is known in advance: a search takes it off by itself.
        let (cash, bare) = (&book.net_cash(account)?, &book.assessed_cash(account)?);
        let settled = book.settled(account);
        let legs = book.legs(account);
        for leg in legs.iter().filter(|l| !l.size.is_zero()) {
            if budgets.last().is_none_or(|b| b.0 != leg.market) {
                budgets.push((leg.market, Amount::ZERO));
            }
        }
        if budgets.is_empty() {
            return Ok(None);
        }
        let holding = Holding { legs, cash };
        let health = self
            .margin
            .health_of(self.venue, holding, now, Requirement::Maintenance)?;
        let slack = health.equity.saturating_sub(health.requirement).max(0);
        let share = slack / PART / budgets.len() as i128;
        let bare_holding = Holding { legs, cash: bare };
        if share == 0 {
            return self.first_of(bare_holding, settled, after, scratch);
        }
        let (mut less, mut bare_less) = (cash.to_vec(), bare.to_vec());
        for budget in budgets.iter_mut() {
            let asset = self.venue.markets[budget.0].settlement;
            budget.1 = if cash.len() == 1 {
                Amount(share)
            } else {
                // A share of dollars, in the asset at its present price.
                let dollar = &self.venue.assets[asset];
                Amount(dollar.from_usd_ceil(Usd(share), now.asset(asset))?.0 - 1).positive()
            };
            for cash in [&mut less, &mut bare_less] {
                if let Some(slot) = cash.iter_mut().find(|(id, _)| *id == asset) {
                    slot.1 = slot.1.minus(budget.1)?;
                }
            }
        }
        let less = Holding { legs, cash: &less };
        let health = self.margin.health_of(self.venue, less, now, Requirement::Maintenance)?;
        if health.fails() {
            // By roundings of several assets.
            budgets.iter_mut().for_each(|b| b.1 = Amount::ZERO);
            return self.first_of(bare_holding, settled, after, scratch);
        }
        let less = Holding { legs, cash: &bare_less };
        self.first_of(less, settled, after, scratch)
    }
}

#[cfg(test)]
mod tests;
