//! The hypothetical close: what an account would have, were all its legs closed in the market (semantics, section 5, 1 and 2). It decides
//! what is insolvent and what a keeper is paid, and changes nothing.

use super::close::{Balances, LegPlan, LegPrice, add, convert};
use super::execution::{Execution, Order};
use super::part::notional;
use super::penalty::Closed;
use crate::contract::AssetId;
use crate::error::Result;
use crate::margin::Requirement;
use crate::payout::Payouts;
use crate::state::{Moment, State};
use crate::units::Amount;

/// An account with everything closed in the market, on paper.
pub struct Hypothesis {
    /// Legs in order, whole.
    pub legs: Vec<LegPlan>,
    /// Asset in which the keeper's fee is charged.
    pub settle_asset: AssetId,
    /// What would be left, after conversions.
    pub balances: Balances,
    /// One of them is negative.
    pub short: bool,
    /// What the fills would bring, by settlement asset.
    pub at_market: Balances,
    /// The same at base prices.
    pub at_base: Balances,
    /// Sum of the absolute amounts of the fills, by settlement asset.
    pub gross: Balances,
    /// What would be closed, for the keeper's fee.
    pub closed: Closed,
}

impl Hypothesis {
    /// Closes an account at these prices of its legs.
    ///
    /// # Errors
    /// Overflow.
    pub fn of(state: &State, moment: &Moment<'_>, account: usize, prices: &[LegPrice]) -> Result<Self> {
        let (setup, book) = (moment.setup, &state.book);
        let venue = &setup.venue;
        let mut balances: Balances = book.net_cash(account)?.iter().copied().collect();
        let (mut at_market, mut at_base, mut gross) = (Balances::new(), Balances::new(), Balances::new());
        let mut closed = Closed::default();
        let mut legs = Vec::with_capacity(prices.len());
        let mut execution = Execution::at(moment);
        let mut payouts = Payouts::at(state, moment, account)?;
        let mut health = None;
        for p in prices {
            let leg = book.legs(account)[p.leg];
            let market = &venue.markets[leg.market];
            let asset = market.settlement;
            let limit = execution.limit(&leg, &mut health, || {
                setup
                    .margin
                    .health(venue, book, account, moment, Requirement::Maintenance)
            })?;
            let mut planned = LegPlan {
                index: p.leg,
                leg,
                feed: p.price,
                base: execution.base(leg.market, p.price),
                limit,
                brought: Amount::ZERO,
                market: leg.size.units(),
                matches: Vec::new(),
                bankruptcy: Amount::ZERO,
                adl_amount: Amount::ZERO,
            };
            let mut amount = Amount::ZERO;
            let mut left = leg;
            for fill in &execution.fills(planned.order(leg.size.units()))? {
                let brought = market.value(leg.size.of_same_sign(fill.units)?, fill.price)?;
                let unpaid = payouts.fill(moment, (p.leg, &left), fill.units, brought)?.total()?;
                amount = amount
                    .plus(brought)?
                    .minus(execution.fee(&leg, fill.units, brought)?)?
                    .minus(unpaid)?;
                left.close(fill.units)?;
                add(&mut gross, asset, Amount(brought.0.abs()))?;
                closed.fills += 1;
            }
            if setup.protocol.penalty.keeper_rate.num > 0 {
                closed.notional = closed.notional.plus(notional(moment, &leg, planned.base)?)?;
            }
            add(&mut balances, asset, amount)?;
            add(&mut at_market, asset, amount)?;
            planned.brought = amount;
            add(&mut at_base, asset, market.value(leg.size, planned.base)?)?;
            legs.push(planned);
        }
        convert(moment, &mut balances)?;
        let first = legs.first();
        Ok(Self {
            settle_asset: first.map_or(venue.home, |l| venue.markets[l.leg.market].settlement),
            short: balances.iter().any(|(_, n)| n.0 < 0),
            legs,
            balances,
            at_market,
            at_base,
            gross,
            closed,
        })
    }
}

impl LegPlan {
    /// An order for units of the leg.
    pub fn order(&self, units: u64) -> Order {
        Order {
            market: self.leg.market,
            position: self.leg.size,
            units,
            feed: self.feed,
            limit: self.limit,
        }
    }
}
