//! How much of an account an action closes: the account as its close policy sees it.

use super::close::{Balances, Close, LegPlan, Plan, add, get};
use super::execution::Execution;
use super::penalty::{Closed, KeeperFee, keeper_fee};
use super::policy::{self, OpenLeg, Situation, arrange};
use super::underway::{is_healthy, open_interest_of_stop};
use crate::book::{Holding, Leg};
use crate::draws::{Purpose, bits};
use crate::error::Result;
use crate::margin::WithInterest;
use crate::payout::Payouts;
use crate::state::Moment;
use crate::units::{Amount, Price, Usd, mul_div_ceil};

/// Notional of a leg in micro-dollars at a price, rounded up.
pub fn notional(moment: &Moment<'_>, leg: &Leg, price: Price) -> Result<Usd> {
    let venue = &moment.setup.venue;
    let market = &venue.markets[leg.market];
    let settled = market.notional(leg.size, price)?.ceil();
    venue.assets[market.settlement].usd_ceil(settled, moment.collateral(market.settlement))
}

/// What the account would have, were the whole closed.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// Balances after conversions.
    pub balances: &'a Balances,
    /// One of them is negative.
    pub short: bool,
}

impl Whole<'_> {
    /// The keeper's fee of an action.
    pub fn keeper_fee(&self, moment: &Moment<'_>, plan: &Plan, closed: Closed) -> Result<KeeperFee> {
        let asset = plan.settle_asset;
        keeper_fee(moment, asset, closed, (self.short, get(self.balances, asset)))
    }
}

/// An account with part of its legs closed.
struct Tried {
    legs: Vec<Leg>,
    cash: Balances,
    fee: KeeperFee,
}

impl Close<'_, '_> {
    /// Lets the policy say how much of each leg goes to the market, and charges the fee for that; a part of the account or all of it.
    pub(super) fn choose_part(&self, plan: &mut Plan, whole: Whole<'_>) -> Result<()> {
        let config = &self.moment.setup.protocol.close;
        let underway = self.state.liquidations.of(self.account);
        let mut legs = self.open_legs(plan)?;
        let seed = self.moment.setup.protocol.keeper.seed;
        let draw = || bits(seed, Purpose::Position, self.account, self.moment.ts as u64);
        arrange(&mut legs, config.positions, draw);
        let open_interest = open_interest_of_stop(self.moment.setup, &self.state.book)?;
        let heals = |units: &[u64]| -> Result<bool> {
            let tried = self.try_part(plan, whole, &legs, units)?;
            let mut open_interest = open_interest.clone();
            for (leg, &q) in legs.iter().zip(units).filter(|(_, q)| **q > 0) {
                open_interest.remove(leg.leg.market, leg.leg.size.of_same_sign(q)?)?;
            }
            let prices = WithInterest {
                prices: self.moment,
                open_interest: &open_interest,
            };
            let (legs, cash) = (&tried.legs, &tried.cash);
            is_healthy(self.moment.setup, Holding { legs, cash }, &prices)
        };
        let units = policy::quantities(&Situation {
            setup: self.moment.setup,
            legs: &legs,
            going_on: underway.is_some_and(|u| u.going_on),
            elapsed: self.elapsed(),
            heals: &heals,
        })?;
        if legs.iter().zip(&units).all(|(leg, &q)| q == leg.units()) {
            return Ok(());
        }
        self.close_part(plan, whole, &legs, &units)
    }

    /// What the market takes of each leg within its limit, leg after leg.
    pub(super) fn units_within_limits(&self, plan: &Plan) -> Result<Vec<u64>> {
        let mut execution = Execution::at(self.moment);
        let within = plan.legs.iter().map(|l| {
            let fills = execution.within(l.order(l.market))?;
            Ok(fills.iter().map(|f| f.units).sum())
        });
        within.collect()
    }

    /// Leaves open what the market does not take within the limits of the legs.
    pub(super) fn keep_within_limits(&self, plan: &mut Plan, whole: Whole<'_>) -> Result<()> {
        let units = self.units_within_limits(plan)?;
        self.keep_to(plan, whole, &units)
    }

    /// Leaves open what goes beyond these units of the legs.
    pub(super) fn keep_to(&self, plan: &mut Plan, whole: Whole<'_>, units: &[u64]) -> Result<()> {
        if plan.legs.iter().zip(units).all(|(l, &within)| l.market == within) {
            return Ok(());
        }
        let legs = self.open_legs(plan)?;
        self.close_part(plan, whole, &legs, units)
    }

    /// Leaves open what is neither for the market nor matched by ADL.
    pub(super) fn leave_unmatched(&self, plan: &mut Plan, whole: Whole<'_>) -> Result<()> {
        let closes = |l: &LegPlan| l.market + l.matched() == l.leg.size.units();
        if plan.legs.iter().all(closes) {
            return Ok(());
        }
        let units: Vec<u64> = plan.legs.iter().map(|l| l.market).collect();
        let legs = self.open_legs(plan)?;
        self.close_part(plan, whole, &legs, &units)
    }

    /// Plans to close so much of these legs, and charges the fee for that.
    fn close_part(&self, plan: &mut Plan, whole: Whole<'_>, legs: &[OpenLeg], units: &[u64]) -> Result<()> {
        let fee = self.try_part(plan, whole, legs, units)?.fee;
        plan.partial = true;
        plan.take_fee(fee);
        for (leg, &units) in legs.iter().zip(units) {
            for l in plan.legs.iter_mut().filter(|l| l.index == leg.index) {
                l.market = units;
            }
        }
        Ok(())
    }

    /// The legs as the policy sees them, in order.
    fn open_legs(&self, plan: &Plan) -> Result<Vec<OpenLeg>> {
        let underway = self.state.liquidations.of(self.account);
        let mut legs = Vec::with_capacity(plan.legs.len());
        for l in &plan.legs {
            let market = &self.moment.setup.venue.markets[l.leg.market];
            let asset = &self.moment.setup.venue.assets[market.settlement];
            let profit = market.value(l.leg.size, l.base)?.minus(l.leg.entry_value)?;
            legs.push(OpenLeg {
                index: l.index,
                leg: l.leg,
                mark: self.moment.trigger(l.leg.market, l.leg.size),
                notional: notional(self.moment, &l.leg, l.base)?,
                profit: asset.usd_floor(profit, self.moment.collateral(market.settlement))?,
                closed: underway.map_or(0, |u| u.closed.get(l.index).copied().unwrap_or(0)),
            });
        }
        Ok(legs)
    }

    /// The account with `units` of these legs sold in the market, leg after leg in their order, fee and penalty charged. The market stays
    /// where it is.
    fn try_part(&self, plan: &Plan, whole: Whole<'_>, open: &[OpenLeg], units: &[u64]) -> Result<Tried> {
        let setup = self.moment.setup;
        let mut legs = self.state.book.legs(self.account).to_vec();
        let mut cash: Balances = self.state.book.net_cash(self.account)?.iter().copied().collect();
        let mut gross = Balances::new();
        let mut closed = Closed::default();
        let mut execution = Execution::at(self.moment);
        let mut payouts = Payouts::at(self.state, self.moment, self.account)?;
        for l in &plan.legs {
            let chosen = open.iter().zip(units).find(|(leg, _)| leg.index == l.index);
            let Some((leg, &q)) = chosen.filter(|(_, q)| **q > 0) else {
                continue;
            };
            let market = &setup.venue.markets[l.leg.market];
            for fill in &execution.fills(l.order(q))? {
                let size = l.leg.size.of_same_sign(fill.units)?;
                let amount = market.value(size, fill.price)?;
                let fee = execution.fee(&l.leg, fill.units, amount)?;
                let own = &mut legs[l.index];
                let unpaid = payouts.fill(self.moment, (l.index, own), fill.units, amount)?.total()?;
                add(&mut cash, market.settlement, amount.minus(fee)?.minus(unpaid)?)?;
                add(&mut gross, market.settlement, Amount(amount.0.abs()))?;
                closed.fills += 1;
                own.close(fill.units)?;
            }
            let part = mul_div_ceil(leg.notional.0, q.into(), leg.units().into(), "notional of a part")?;
            closed.notional = closed.notional.plus(Usd(part))?;
        }
        let fee = whole.keeper_fee(self.moment, plan, closed)?;
        add(&mut cash, plan.settle_asset, fee.paid.plus(fee.unfunded)?.negated())?;
        if plan.solvent {
            for &(asset, closed) in &gross {
                let mut limit = get(whole.balances, asset);
                if asset == plan.settle_asset {
                    limit = limit.minus(fee.paid)?;
                }
                let penalty = plan.terms.penalty(self.moment, asset, closed, limit)?;
                add(&mut cash, asset, penalty.negated())?;
            }
        }
        Ok(Tried { legs, cash, fee })
    }

    /// Nanoseconds since the account was detected.
    pub(super) fn elapsed(&self) -> i64 {
        self.moment.ts.saturating_sub(self.trigger)
    }
}
