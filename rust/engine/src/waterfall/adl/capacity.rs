//! What is demanded of counterparties, and how much of it each can give up.

use super::Wanted;
use super::standing::{Standing, own_bankruptcy};
use crate::book::Book;
use crate::config::{AdlCapacity, AdlConfig, AdlEligibility};
use crate::contract::AssetId;
use crate::error::Result;
use crate::state::Moment;
use crate::units::{Amount, Usd, compare_products, mul_div_floor};

/// What is wanted, and what it costs those who provide it.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// What is wanted.
    pub wanted: Wanted,
    /// By which rules.
    pub rules: &'a AdlConfig,
    settlement: AssetId,
    /// What the counterparties of all wanted units together give up against the mark, in the settlement asset.
    pub give_up: Amount,
}

impl<'a> Demand<'a> {
    /// The demand at a moment.
    pub fn new(moment: &Moment<'a>, wanted: &Wanted) -> Result<Self> {
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
            rules: moment.setup.protocol.deleveraging(),
            settlement: market.settlement,
            give_up: Amount(total).minus(at_mark)?,
        })
    }

    /// Counterparties of the leg at most.
    pub fn counterparties(&self) -> usize {
        self.rules.counterparties.map_or(usize::MAX, |n| n as usize)
    }

    /// Units that a leg of an account can give up.
    pub fn capacity(&self, book: &Book, moment: &Moment<'_>, at: (usize, usize), candidate: &Standing) -> Result<u64> {
        if self.rules.eligibility == AdlEligibility::Overlap && !self.overlaps(book, moment, at, candidate)? {
            return Ok(0);
        }
        if self.rules.capacity == AdlCapacity::Position || self.give_up.0 <= 0 {
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
        let means = match self.rules.capacity {
            AdlCapacity::Profit => profit.max(0),
            _ => candidate.equity.max(0),
        };
        if cost <= 0 {
            return Ok(candidate.units);
        }
        let units = mul_div_floor(means, i128::from(self.wanted.quantity), cost, "ADL capacity")?;
        Ok(u64::try_from(units).unwrap_or(u64::MAX).min(candidate.units))
    }

    /// A candidate with this capacity can be taken now, when so much is left: with whole positions only, not in part.
    pub fn takes(&self, capacity: u64, candidate: &Standing, left: u64) -> bool {
        capacity > 0 && (self.rules.partial_last || (capacity == candidate.units && capacity <= left))
    }

    /// The price of the match does not take the candidate's account below zero.
    ///
    /// Source: dYdX v4, `protocol/x/clob/keeper/deleveraging.go`: a counterparty is skipped if the two bankruptcy prices do not overlap.
    fn overlaps(&self, book: &Book, moment: &Moment<'_>, at: (usize, usize), candidate: &Standing) -> Result<bool> {
        let own = own_bankruptcy(book, moment, at, candidate)?;
        let (units, of) = (i128::from(candidate.units), i128::from(self.wanted.position.units()));
        // own * of + amount * units <= 0
        Ok(compare_products((own.0, of), (self.wanted.amount.negated().0, units)).is_le())
    }

    /// Whoever has a [`reach`] below this can give up nothing: `means * quantity < give_up`.
    pub fn least_reach(&self) -> f64 {
        if self.rules.capacity == AdlCapacity::Position || self.give_up.0 <= 0 {
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
    let means = match (moment.setup.protocol.deleveraging().capacity, candidate.several) {
        (AdlCapacity::Position, _) => return f64::INFINITY,
        (AdlCapacity::Profit, false) => candidate.pnl.positive().0 as f64,
        (AdlCapacity::Profit, true) => candidate.pnl.positive().0 as f64 + 1.0 / unit(),
        (AdlCapacity::Equity, false) => candidate.equity as f64,
        (AdlCapacity::Equity, true) => (candidate.equity as f64 + 1.0) / unit(),
    };
    means * (1.0 + 1e-12)
}

fn dollars(moment: &Moment<'_>, asset: AssetId, amount: Amount) -> Result<Usd> {
    moment.setup.venue.assets[asset].usd(amount, moment.collateral(asset))
}
