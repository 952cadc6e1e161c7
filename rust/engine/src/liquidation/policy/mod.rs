//! Close policies: how much of which leg an action closes (semantics, section 5a).
//!
//! One file for each. A policy sees the account as a [`Situation`] and answers with units by leg; it decides neither prices nor times.
//! Whatever it answers, an action closes at least one unit, so that a liquidation comes to an end.

mod fraction;
mod ramp;
mod split;
mod target;
mod tier;

#[cfg(test)]
mod tests;

use crate::book::Leg;
use crate::config::{ClosePolicy, Positions};
use crate::error::Result;
use crate::state::Setup;
use crate::units::{Price, Usd};

/// A leg that an action may close.
#[derive(Debug, Clone, Copy)]
pub struct OpenLeg {
    /// Leg of the account.
    pub index: usize,
    /// As it stands.
    pub leg: Leg,
    /// Trigger price of its market.
    pub mark: Price,
    /// Notional in micro-dollars, at the base price.
    pub notional: Usd,
    /// Profit in micro-dollars, at the base price.
    pub profit: Usd,
    /// What its liquidation has closed of it so far.
    pub closed: u64,
}

impl OpenLeg {
    /// Units that it has.
    pub fn units(&self) -> u64 {
        self.leg.size.units()
    }
}

/// An account that is to be closed in part.
pub struct Situation<'a> {
    /// Setup of the run.
    pub setup: &'a Setup,
    /// Its legs, the first to be closed first.
    pub legs: &'a [OpenLeg],
    /// A liquidation is going on.
    pub going_on: bool,
    /// Nanoseconds since its detection.
    pub elapsed: i64,
    /// Whether it would be healthy with so many units of these legs closed.
    pub heals: &'a dyn Fn(&[u64]) -> Result<bool>,
}

impl Situation<'_> {
    /// The legs that a policy takes which does not look for them itself.
    fn taken(&self) -> usize {
        match self.setup.protocol.close.positions {
            Positions::All => self.legs.len(),
            Positions::Market | Positions::LargestNotional | Positions::LargestLoss | Positions::Random => {
                self.legs.len().min(1)
            }
        }
    }

    /// Nothing of any leg.
    fn nothing(&self) -> Vec<u64> {
        vec![0; self.legs.len()]
    }
}

/// Puts legs, which stand in the account's order, into the order in which they are closed; `draw` gives 64 bits.
pub fn arrange(legs: &mut [OpenLeg], positions: Positions, draw: impl FnOnce() -> u64) {
    match positions {
        Positions::All | Positions::Market => {}
        // Stable sorts: equal ones stay in their order.
        Positions::LargestNotional => legs.sort_by_key(|l| std::cmp::Reverse(l.notional.0)),
        Positions::LargestLoss => legs.sort_by_key(|l| l.profit.0),
        Positions::Random => legs.rotate_left(((u128::from(draw()) * legs.len() as u128) >> 64) as usize),
    }
}

/// Units to be closed of each leg of the situation; not nothing of all.
///
/// # Errors
/// Overflow.
pub fn quantities(situation: &Situation<'_>) -> Result<Vec<u64>> {
    let mut units = match &situation.setup.protocol.close.policy {
        ClosePolicy::Full(_) => whole(situation),
        ClosePolicy::Fraction(c) => fraction::quantities(c, situation)?,
        ClosePolicy::Split(c) => split::quantities(c, situation)?,
        ClosePolicy::Ramp(c) => ramp::quantities(c, situation)?,
        ClosePolicy::Target(_) => target::quantities(situation)?,
        ClosePolicy::Tier(c) => tier::quantities(c, situation)?,
    };
    if units.iter().all(|&q| q == 0)
        && let Some(first) = units.first_mut()
    {
        *first = 1;
    }
    Ok(units)
}

/// Policy *full*: the whole of the legs that are taken.
fn whole(situation: &Situation<'_>) -> Vec<u64> {
    let mut units = situation.nothing();
    for (q, leg) in units.iter_mut().zip(situation.legs).take(situation.taken()) {
        *q = leg.units();
    }
    units
}
