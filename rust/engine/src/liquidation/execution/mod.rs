//! Execution: at what prices units of a leg fill now.
//!
//! The seam: a policy says how much of which leg, a keeper when, execution at what price. One file a kind: all at one price, at a
//! discount, or down a [ladder] of shares of the position here, from the execution feed or the [level] that was passed; what closes do to the market itself is [impact](crate::impact);
//! [participation] prices an order before it gets here.

mod bound;
mod ladder;
pub mod level;
pub mod participation;

use std::borrow::Cow;

use crate::book::Leg;
use crate::config::{FeeOf, RungConfig};
use crate::contract::MarketId;
use crate::error::Result;
use crate::few::Few;
use crate::impact::{Impact, Rounding, Volume};
use crate::ledger::Entity;
use crate::margin::Health;
use crate::state::Moment;
use crate::units::{Amount, Price, Ratio, Size, mul_div_ceil, product};

/// Units of a leg that are to be closed now.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Market.
    pub market: MarketId,
    /// The whole position.
    pub position: Size,
    /// How much of it.
    pub units: u64,
    /// Price of the execution feed or of a print.
    pub feed: Price,
    /// The worst price in the market; None: any.
    pub limit: Option<Price>,
}

impl Order {
    /// True if a price is within the limit.
    fn takes(&self, price: Price) -> bool {
        self.limit.is_none_or(|limit| {
            if self.position.0 > 0 {
                price >= limit
            } else {
                price <= limit
            }
        })
    }
}

/// A fill.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// How much.
    pub units: u64,
    /// At what price.
    pub price: Price,
    /// Against whom.
    pub taker: Entity,
}

/// The fills of an order, in order.
pub type Fills = Few<Filled, 2>;

/// The markets as one close finds them. What it fills moves the price of its own next fills; others see it once it is kept.
pub struct Execution<'a> {
    moment: &'a Moment<'a>,
    ladder: Option<Cow<'a, [RungConfig]>>,
    /// Volumes of the markets that were moved.
    moved: Vec<(MarketId, Volume)>,
}

impl<'a> Execution<'a> {
    /// At a moment.
    pub fn at(moment: &'a Moment<'a>) -> Self {
        let execution = &moment.setup.protocol.execution;
        let discount = (execution.discount.num > 0).then(|| {
            vec![RungConfig {
                share: Ratio::ONE,
                offset: Ratio {
                    num: -execution.discount.num,
                    den: execution.discount.den,
                },
            }]
        });
        Self {
            moment,
            ladder: execution
                .ladder
                .as_deref()
                .map(Cow::Borrowed)
                .or(discount.map(Cow::Owned)),
            moved: Vec::new(),
        }
    }

    /// The price from which a market moves on, given the execution feed's or a print.
    pub fn base(&self, market: MarketId, feed: Price) -> Price {
        let impact = self.moment.board.impact();
        impact.map_or(feed, |impact| impact.now(market, self.moment.ts).of(feed))
    }

    /// The worst price at which the market is to take a leg of an account; None: any.
    pub fn limit(
        &self,
        leg: &Leg,
        health: &mut Option<Health>,
        of: impl FnOnce() -> Result<Health>,
    ) -> Result<Option<Price>> {
        let setup = self.moment.setup;
        let Some(rule) = &setup.protocol.execution.bound else {
            return Ok(None);
        };
        let health = match *health {
            Some(health) => health,
            None => *health.insert(of()?),
        };
        let mark = self.moment.trigger(leg.market, leg.size);
        let scale = self.moment.scale(leg.market);
        let requirement = setup.margin.maintenance(&setup.venue, leg, mark, scale)?;
        bound::limit(
            rule,
            &setup.venue.markets[leg.market],
            leg.size,
            mark,
            requirement,
            health,
        )
    }

    /// Fills of `order.units` of a position: in the market, and beyond its limit with whoever takes the remainder.
    pub fn fills(&mut self, order: Order) -> Result<Fills> {
        let protocol = &self.moment.setup.protocol.execution;
        let mut out = self.within(order)?;
        let left = order.units - out.iter().map(|f| f.units).sum::<u64>();
        if let (Some(price), Some(bound)) = (order.limit, &protocol.bound)
            && left > 0
        {
            let taker = bound.remainder.taker().unwrap_or(protocol.counterparty);
            out.push(Filled {
                units: left,
                price,
                taker: taker.entity(),
            });
        }
        Ok(out)
    }

    /// Those of its fills that the market takes within the limit.
    pub fn within(&mut self, order: Order) -> Result<Fills> {
        let taker = self.moment.setup.protocol.execution.counterparty.entity();
        let mut out = Fills::new();
        match self.moment.board.impact() {
            Some(impact) if order.units > 0 => {
                let units = self.units_within(impact, order)?;
                if units > 0 {
                    let price = self.move_on(impact, order.market, order.position.of_same_sign(units)?, order.feed)?;
                    out.push(Filled { units, price, taker });
                }
            }
            _ => {
                for &(units, price) in &ladder::fills(order.position, order.units, order.feed, self.ladder.as_deref())?
                {
                    if !order.takes(price) {
                        break;
                    }
                    out.push(Filled { units, price, taker });
                }
            }
        }
        Ok(out)
    }

    /// How many units of an order leave the price of the market within its limit.
    fn units_within(&self, impact: &Impact, order: Order) -> Result<u64> {
        if order.limit.is_none() {
            return Ok(order.units);
        }
        let volume = self.volume(impact, order.market);
        let (mut fits, mut fails) = (0, order.units + 1);
        while fails - fits > 1 {
            let units = fits + (fails - fits) / 2;
            let size = order.position.of_same_sign(units)?;
            let notional = self.moment.setup.venue.markets[order.market].quote_volume(size, order.feed)?;
            let after = impact
                .trade((order.market, volume), self.moment.ts, size, notional, order.feed)?
                .1;
            let left_at = impact.displacement(order.market, after, self.moment.ts);
            if order.takes(left_at.rounded(order.feed, Rounding::against(size))) {
                fits = units;
            } else {
                fails = units;
            }
        }
        Ok(fits)
    }

    fn volume(&self, impact: &Impact, market: MarketId) -> Volume {
        let known = self.moved.iter().find(|(m, _)| *m == market);
        known.map_or_else(|| impact.volume(market), |(_, volume)| *volume)
    }

    fn move_on(&mut self, impact: &Impact, market: MarketId, size: Size, feed: Price) -> Result<Price> {
        let volume = self.volume(impact, market);
        let notional = self.moment.setup.venue.markets[market].quote_volume(size, feed)?;
        let (price, after) = impact.trade((market, volume), self.moment.ts, size, notional, feed)?;
        match self.moved.iter_mut().find(|(m, _)| *m == market) {
            Some(moved) => moved.1 = after,
            None => self.moved.push((market, after)),
        }
        Ok(price)
    }

    /// What a fill that brings `amount` costs an account, of a leg as the close finds it.
    pub fn fee(&self, leg: &Leg, units: u64, amount: Amount) -> Result<Amount> {
        let Some(fee) = &self.moment.setup.protocol.execution.fee else {
            return Ok(Amount::ZERO);
        };
        let (notional, whole) = match fee.of {
            FeeOf::Fill => (amount.0.abs(), 1),
            FeeOf::Entry => {
                let notional = product(leg.entry_value.0.abs(), units.into(), "trading fee")?;
                (notional, i128::from(leg.size.units()))
            }
        };
        let den = product(fee.rate.den, whole, "trading fee")?;
        Ok(Amount(mul_div_ceil(notional, fee.rate.num, den, "trading fee")?))
    }

    /// Lets the markets stand where the fills have moved them.
    pub fn keep(self) {
        if let Some(impact) = self.moment.board.impact() {
            for (market, volume) in self.moved {
                impact.keep(market, volume);
            }
        }
    }
}
