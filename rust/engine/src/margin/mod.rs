//! Margin: how much equity an account needs, and whether it has it.
//!
//! Decisions are integer. For pruning, each policy also gives a lower bound of `equity - requirement` over an interval of prices, in
//! floating point with a proven margin. The worst price of a leg in an interval is its low end for a long and its high end for a
//! short, because `value - requirement` rises with the price for a long and falls for a short as long as every marginal rate is at
//! most one: linear long `s p (1 - r)`, short `-|s| p (1 + r)`; inverse long `-(1 + r) |s| c / p`, short `(1 - r) |s| c / p`.
//! Rounding moves each term by less than one unit, and an upward jump of the requirement between brackets (deductions that are not
//! continuous) by at most its height; both are subtracted.

mod schedule;

pub use schedule::Schedule;

use crate::book::{Book, Leg};
use crate::config::Protocol;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::units::{Amount, Price, Ratio, Usd};

/// Prices at which accounts are tested: one per market, and one per asset for accounts that hold several.
pub trait Prices {
    /// Price of a market.
    fn market(&self, market: MarketId) -> Price;
    /// Price of an asset's price market.
    fn asset(&self, asset: AssetId) -> Price;
}

/// Equity and requirement of an account in one unit: its asset, or micro-dollars if it holds several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Collateral plus unrealised profit, rounded down.
    pub equity: i128,
    /// What it must not fall below, rounded up.
    pub requirement: i128,
}

impl Health {
    /// Equity is below the requirement.
    pub fn fails(self) -> bool {
        self.equity < self.requirement
    }
}

/// Which requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// To stay.
    Maintenance,
    /// To open or to withdraw; the maintenance requirement where no initial rate is set.
    Initial,
}

/// Margin rules bound to a venue.
#[derive(Debug, Clone)]
pub struct Margin {
    schedules: Vec<Schedule>,
    initial: Vec<Option<Ratio>>,
    weights: Vec<Ratio>,
}

impl Margin {
    /// Binds the margin configuration to the markets and assets of a run.
    pub fn bind(protocol: &Protocol, venue: &Venue) -> Result<Self> {
        let config = &protocol.margin;
        let mut schedules = Vec::new();
        let mut initial = Vec::new();
        for market in &venue.markets {
            let (maintenance, rate) = match config.markets.get(&market.name) {
                Some(own) => (&own.maintenance, own.initial_rate),
                None => (&config.maintenance, config.initial_rate),
            };
            schedules.push(Schedule::bind(maintenance, market)?);
            initial.push(rate);
        }
        let weights =
            venue.assets.iter().map(|a| protocol.collateral.get(&a.name).map_or(Ratio::ONE, |c| c.weight)).collect();
        Ok(Self { schedules, initial, weights })
    }

    /// Maintenance schedule of a market.
    pub fn schedule(&self, market: MarketId) -> &Schedule {
        &self.schedules[market]
    }

    /// True if any market has an initial rate.
    pub fn has_initial(&self) -> bool {
        self.initial.iter().any(Option::is_some)
    }

    /// Maintenance requirement of a leg, rounded up, in the settlement asset.
    pub fn maintenance(&self, venue: &Venue, leg: &Leg, price: Price) -> Result<Amount> {
        self.schedules[leg.market].requirement(&venue.markets[leg.market], leg.size, price)
    }

    fn requirement(&self, venue: &Venue, leg: &Leg, price: Price, which: Requirement) -> Result<Amount> {
        match (which, self.initial[leg.market]) {
            (Requirement::Initial, Some(rate)) => {
                let n = venue.markets[leg.market].notional(leg.size, price)?;
                let den = crate::units::product(n.den, rate.den, "initial requirement")?;
                Ok(Amount(crate::units::ceil_div(crate::units::product(n.num, rate.num, "initial requirement")?, den)))
            }
            _ => self.maintenance(venue, leg, price),
        }
    }

    /// Equity and requirement of an account (semantics, section 4).
    pub fn health(&self, venue: &Venue, book: &Book, account: usize, prices: &impl Prices, which: Requirement) -> Result<Health> {
        self.weigh(venue, book, account, prices, which, true)
    }

    /// Equity without collateral weights, in the unit of [`Health`].
    pub fn plain_equity(&self, venue: &Venue, book: &Book, account: usize, prices: &impl Prices) -> Result<i128> {
        Ok(self.weigh(venue, book, account, prices, Requirement::Maintenance, false)?.equity)
    }

    fn weigh(
        &self,
        venue: &Venue,
        book: &Book,
        account: usize,
        prices: &impl Prices,
        which: Requirement,
        weighted: bool,
    ) -> Result<Health> {
        let cash = book.cash(account);
        if let [(_, only)] = cash {
            let (mut equity, mut required) = (*only, Amount::ZERO);
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                let price = prices.market(leg.market);
                equity = equity.plus(venue.markets[leg.market].value(leg.size, price)?)?;
                required = required.plus(self.requirement(venue, leg, price, which)?)?;
            }
            return Ok(Health { equity: equity.0, requirement: required.0 });
        }
        let (mut equity, mut requirement) = (Usd::ZERO, Usd::ZERO);
        for &(asset, amount) in cash {
            let (mut balance, mut required) = (amount, Amount::ZERO);
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                if venue.markets[leg.market].settlement == asset {
                    let price = prices.market(leg.market);
                    balance = balance.plus(venue.markets[leg.market].value(leg.size, price)?)?;
                    required = required.plus(self.requirement(venue, leg, price, which)?)?;
                }
            }
            let price = prices.asset(asset);
            let worth = &venue.assets[asset];
            equity = equity.plus(self.weighted_usd(worth, asset, balance, price, weighted)?)?;
            requirement = requirement.plus(worth.usd_ceil(required, price)?)?;
        }
        Ok(Health { equity: equity.0, requirement: requirement.0 })
    }

    fn weighted_usd(
        &self,
        worth: &crate::contract::Asset,
        asset: AssetId,
        balance: Amount,
        price: Price,
        weighted: bool,
    ) -> Result<Usd> {
        let weight = self.weights[asset];
        if !weighted || balance.0 <= 0 || weight == Ratio::ONE {
            return worth.usd_floor(balance, price);
        }
        // One rounding: floor(balance * price * weight).
        let scaled = worth.usd_fraction(Amount(crate::units::product(balance.0, weight.num, "collateral weight")?), price)?;
        Ok(Usd(crate::units::floor_div(scaled.num, crate::units::product(scaled.den, weight.den, "collateral weight")?)))
    }

    /// A lower bound of `equity - requirement` over an interval of prices, less a margin that covers rounding of both the floats
    /// and the integers: if it is positive, no prices within the interval fail the account.
    ///
    /// `market(m)` and `asset(a)` give (low, high) of the price series.
    pub fn lower_bound(
        &self,
        venue: &Venue,
        book: &Book,
        account: usize,
        market: impl Fn(MarketId) -> (f64, f64),
        asset: impl Fn(AssetId) -> (f64, f64),
    ) -> f64 {
        let cash = book.cash(account);
        if let [(_, only)] = cash {
            let mut bound = only.0 as f64;
            let mut magnitude = bound.abs();
            let mut units = 2.0;
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                let (lo, hi) = market(leg.market);
                let price = if leg.size.0 > 0 { lo } else { hi };
                let (value, required) = self.schedules[leg.market].health_f64(&venue.markets[leg.market], leg.size, price);
                bound += value - required;
                magnitude += value.abs() + required.abs() + self.schedules[leg.market].magnitude();
                units += 2.0 + self.schedules[leg.market].jump();
            }
            return bound - magnitude * 1e-12 - units;
        }
        let mut bound = 0.0;
        let mut magnitude = 0.0;
        let mut units = 4.0;
        for &(id, amount) in cash {
            let mut balance = (amount.0 as f64, amount.0 as f64);
            let mut required = 0.0f64;
            let mut size = balance.0.abs();
            let mut slack = 0.0;
            for leg in book.legs(account).iter().filter(|l| !l.size.is_zero()) {
                let bound_market = &venue.markets[leg.market];
                if bound_market.settlement != id {
                    continue;
                }
                let (lo, hi) = market(leg.market);
                let schedule = &self.schedules[leg.market];
                let (v_lo, r_lo) = schedule.health_f64(bound_market, leg.size, lo);
                let (v_hi, r_hi) = schedule.health_f64(bound_market, leg.size, hi);
                balance.0 += v_lo.min(v_hi);
                balance.1 += v_lo.max(v_hi);
                required += r_lo.max(r_hi);
                size += v_lo.abs() + v_hi.abs() + r_lo.abs() + r_hi.abs() + schedule.magnitude();
                slack += 2.0 + schedule.jump();
            }
            let worth = &venue.assets[id];
            let (lo, hi) = if worth.price_market.is_some() { asset(id) } else { (1.0, 1.0) };
            let scale = worth.scale_f64();
            let weight = self.weights[id].as_f64();
            // Interval arithmetic: the worst product of the two intervals; a positive balance counts at its weight.
            let worst = if balance.0 >= 0.0 { balance.0 * lo * weight } else { balance.0 * hi };
            bound += (worst - required * hi) * scale;
            magnitude += size * hi * scale;
            units += 2.0 + slack * hi * scale;
        }
        bound - magnitude * 1e-12 - units
    }
}
