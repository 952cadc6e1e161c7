//! What is demanded of counterparties, and how much of it each can give up.

use super::Wanted;
use super::standing::Standing;
use crate::config::AdlCapacity;
use crate::contract::AssetId;
use crate::error::Result;
use crate::state::Moment;
use crate::units::{Amount, Usd, mul_div_floor};

/// What is wanted, and what it costs those who provide it.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// What is wanted.
    pub wanted: Wanted,
    policy: AdlCapacity,
    settlement: AssetId,
    /// What the counterparties of all wanted units together give up against the mark, in the settlement asset.
    give_up: Amount,
}

impl Demand {
    /// The demand at a moment.
    pub fn new(moment: &Moment<'_>, wanted: &Wanted) -> Result<Self> {
        let total = mul_div_floor(
            wanted.amount.0,
            i128::from(wanted.quantity),
            i128::from(wanted.position.units()),
            "ADL amount",
        )?;
        let market = &moment.setup.venue.markets[wanted.market];
        let mark = moment.adl_mark(wanted.market, wanted.position.negated());
        let at_mark = market.value(wanted.position.of_same_sign(wanted.quantity)?, mark)?;
        Ok(Self {
            wanted: *wanted,
            policy: policy(moment),
            settlement: market.settlement,
            give_up: Amount(total).minus(at_mark)?,
        })
    }

    /// Units that a candidate can give up.
    pub fn capacity(&self, moment: &Moment<'_>, candidate: &Standing) -> Result<u64> {
        if self.policy == AdlCapacity::Position || self.give_up.0 <= 0 {
            return Ok(candidate.units);
        }
        let (profit, cost) = if candidate.several {
            (
                dollars(moment, self.settlement, candidate.pnl)?.0,
                dollars(moment, self.settlement, self.give_up)?.0,
            )
        } else {
            (candidate.pnl.0, self.give_up.0)
        };
        let means = match self.policy {
            AdlCapacity::Profit => profit,
            _ => candidate.equity,
        };
        if cost <= 0 {
            return Ok(candidate.units);
        }
        let units = mul_div_floor(means, i128::from(self.wanted.quantity), cost, "ADL capacity")?;
        Ok(u64::try_from(units).unwrap_or(u64::MAX).min(candidate.units))
    }

    /// Whoever has a [`reach`] below this can give up nothing: `means * quantity < give_up`.
    pub fn least_reach(&self) -> f64 {
        if self.policy == AdlCapacity::Position || self.give_up.0 <= 0 {
            return f64::NEG_INFINITY;
        }
        self.give_up.0 as f64 / self.wanted.quantity as f64 * (1.0 - 1e-12)
    }
}

/// What a candidate has to give up, in units of the settlement asset, rounded up: for pruning by [`Demand::least_reach`].
///
/// With several assets means m and give-up G are compared in micro-dollars, at a price u: `m q < trunc(G u)` follows from
/// `(m + 1) q <= G u`. All figures are within a few 2^-53, and 1e-12 is granted on both sides.
pub fn reach(moment: &Moment<'_>, settlement: AssetId, candidate: &Standing) -> f64 {
    let unit = || moment.setup.venue.assets[settlement].dollars_f64(moment.collateral(settlement));
    let means = match (policy(moment), candidate.several) {
        (AdlCapacity::Position, _) => return f64::INFINITY,
        (AdlCapacity::Profit, false) => candidate.pnl.0 as f64,
        (AdlCapacity::Profit, true) => candidate.pnl.0 as f64 + 1.0 / unit(),
        (AdlCapacity::Equity, false) => candidate.equity as f64,
        (AdlCapacity::Equity, true) => (candidate.equity as f64 + 1.0) / unit(),
    };
    means * (1.0 + 1e-12)
}

fn policy(moment: &Moment<'_>) -> AdlCapacity {
    moment.setup.protocol.adl.unwrap_or_default().capacity
}

fn dollars(moment: &Moment<'_>, asset: AssetId, amount: Amount) -> Result<Usd> {
    moment.setup.venue.assets[asset].usd(amount, moment.collateral(asset))
}
