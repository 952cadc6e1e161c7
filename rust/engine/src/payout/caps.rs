//! Caps in the margin test: what counts of a profit, where the protocol counts no more than it would pay (GMX v2).
//!
//! The caps depend on every position and on the pool, which nobody knows in advance. A search takes a profit as nothing, which is never too
//! much; what it finds is tested with the caps of its instant.

use super::pool;
use crate::book::{Holding, Leg};
use crate::config::PayoutPolicy;
use crate::contract::Venue;
use crate::error::Result;
use crate::state::{Moment, Published, State};
use crate::units::{Amount, mul_div_floor};

/// The caps of a moment.
#[derive(Debug, Clone)]
pub struct Caps<'a> {
    policy: &'a PayoutPolicy,
    venue: &'a Venue,
    /// By market, longs and shorts: the proportion in which profits are paid; None: whole.
    scaled: Vec<[Option<(i128, i128)>; 2]>,
}

impl<'a> Caps<'a> {
    /// The caps as they are at a moment; None where they do not count.
    ///
    /// # Errors
    /// Overflow.
    pub fn at(state: &State, moment: &Moment<'a>) -> Result<Option<Self>> {
        let Some(rules) = moment.setup.payout.as_ref().filter(|rules| rules.in_margin) else {
            return Ok(None);
        };
        let venue = &moment.setup.venue;
        let mut scaled = Vec::new();
        if let PayoutPolicy::PoolFactor { factor } = rules.policy {
            for market in 0..venue.markets.len() {
                let mut sides = [None; 2];
                for long in [true, false] {
                    let side = pool::claim(state, moment.setup, market, long)?.at(venue, &Published(moment))?;
                    let most = factor.floor_of(side.held.0.max(0), "cap of the profit of a side")?;
                    sides[usize::from(!long)] = (side.claimed.0 > most).then_some((most, side.claimed.0));
                }
                scaled.push(sides);
            }
        }
        Ok(Some(Self {
            policy: &rules.policy,
            venue,
            scaled,
        }))
    }

    /// What counts of the profit of a leg.
    ///
    /// # Errors
    /// Overflow.
    pub fn payable(&self, holding: Holding<'_>, leg: &Leg, profit: Amount) -> Result<Amount> {
        let most = match self.policy {
            PayoutPolicy::Uncapped => return Ok(profit),
            PayoutPolicy::PoolFactor { .. } => match self.scaled[leg.market][usize::from(leg.size.0 < 0)] {
                None => return Ok(profit),
                Some((num, den)) => mul_div_floor(profit.0, num, den, "payout")?,
            },
            PayoutPolicy::CollateralShare { share } => {
                let asset = self.venue.markets[leg.market].settlement;
                let collateral = super::collateral_share::collateral(self.venue, holding, asset)?;
                share.floor_of(collateral.0, "share of the collateral")?
            }
            PayoutPolicy::Reserved { share } => share.floor_of(leg.entry_value.0.abs(), "reserved profit")?,
        };
        Ok(profit.min(Amount(most)))
    }
}
