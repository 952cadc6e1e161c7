//! Margin: how much equity an account needs, and whether it has it.
//!
//! Decisions are integer; [`Bound`] gives the floating-point lower bounds that let a search skip what cannot fail.

mod bound;
mod schedule;

pub use bound::{Bound, Reach, Term, WIDTH};
pub use schedule::Schedule;

use crate::book::{Book, Holding, Leg};
use crate::config::Protocol;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::units::{Amount, Price, Ratio, Size, Usd};

/// Prices at which accounts are tested: one per market and side, and one per asset for accounts that hold several.
pub trait Prices {
    /// Price of a market for a position of this sign.
    fn market(&self, market: MarketId, size: Size) -> Price;
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
        let weights = venue
            .assets
            .iter()
            .map(|a| protocol.collateral.get(&a.name).map_or(Ratio::ONE, |c| c.weight))
            .collect();
        Ok(Self {
            schedules,
            initial,
            weights,
        })
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
                Ok(Amount(crate::units::ceil_div(
                    crate::units::product(n.num, rate.num, "initial requirement")?,
                    den,
                )))
            }
            _ => self.maintenance(venue, leg, price),
        }
    }

    /// Equity and requirement of an account (semantics, section 4).
    pub fn health(
        &self,
        venue: &Venue,
        book: &Book,
        account: usize,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Health> {
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        self.health_of(venue, Holding { legs, cash }, prices, which)
    }

    /// Equity and requirement of positions and cash.
    pub fn health_of(
        &self,
        venue: &Venue,
        Holding { legs, cash }: Holding<'_>,
        prices: &impl Prices,
        which: Requirement,
    ) -> Result<Health> {
        if let [(_, only)] = cash {
            let (mut equity, mut required) = (*only, Amount::ZERO);
            for leg in legs.iter().filter(|l| !l.size.is_zero()) {
                let price = prices.market(leg.market, leg.size);
                equity = equity.plus(venue.markets[leg.market].value(leg.size, price)?)?;
                required = required.plus(self.requirement(venue, leg, price, which)?)?;
            }
            return Ok(Health {
                equity: equity.0,
                requirement: required.0,
            });
        }
        let (mut equity, mut requirement) = (Usd::ZERO, Usd::ZERO);
        for &(asset, amount) in cash {
            let (mut balance, mut required) = (amount, Amount::ZERO);
            for leg in legs.iter().filter(|l| !l.size.is_zero()) {
                if venue.markets[leg.market].settlement == asset {
                    let price = prices.market(leg.market, leg.size);
                    balance = balance.plus(venue.markets[leg.market].value(leg.size, price)?)?;
                    required = required.plus(self.requirement(venue, leg, price, which)?)?;
                }
            }
            let price = prices.asset(asset);
            let worth = &venue.assets[asset];
            equity = equity.plus(self.weighted_usd(worth, asset, balance, price)?)?;
            requirement = requirement.plus(worth.usd_ceil(required, price)?)?;
        }
        Ok(Health {
            equity: equity.0,
            requirement: requirement.0,
        })
    }

    fn weighted_usd(
        &self,
        worth: &crate::contract::Asset,
        asset: AssetId,
        balance: Amount,
        price: Price,
    ) -> Result<Usd> {
        let weight = self.weights[asset];
        if balance.0 <= 0 || weight == Ratio::ONE {
            return worth.usd_floor(balance, price);
        }
        // One rounding: floor(balance * price * weight).
        let scaled = worth.usd_fraction(
            Amount(crate::units::product(balance.0, weight.num, "collateral weight")?),
            price,
        )?;
        Ok(Usd(crate::units::floor_div(
            scaled.num,
            crate::units::product(scaled.den, weight.den, "collateral weight")?,
        )))
    }
}
