//! Execution: at what prices units of a leg fill now.
//!
//! The seam: a policy says how much of which leg, a keeper when, execution at what price. One file a kind: all at one price, at a
//! discount, or down a [ladder] of shares of the position here; what closes do to the market itself is [impact](crate::impact);
//! [participation] prices an order before it gets here.

mod ladder;
pub mod participation;

use std::borrow::Cow;

use crate::config::RungConfig;
use crate::contract::MarketId;
use crate::error::Result;
use crate::impact::{Impact, Volume};
use crate::state::Moment;
use crate::units::{Price, Ratio, Size};

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
            ladder: execution.ladder.as_deref().map(Cow::Borrowed).or(discount.map(Cow::Owned)),
            moved: Vec::new(),
        }
    }

    /// The price from which a market moves on, given the execution feed's or a print.
    pub fn base(&self, market: MarketId, feed: Price) -> Price {
        let impact = self.moment.board.impact();
        impact.map_or(feed, |impact| impact.now(market, self.moment.ts).of(feed))
    }

    /// Fills of `units` of a position, given the price of the execution feed or a print.
    pub fn fills(&mut self, market: MarketId, position: Size, units: u64, feed: Price) -> Result<Vec<(u64, Price)>> {
        match self.moment.board.impact() {
            Some(impact) if units > 0 => {
                let price = self.move_on(impact, market, position.of_same_sign(units)?, feed)?;
                Ok(vec![(units, price)])
            }
            _ => ladder::fills(position, units, feed, self.ladder.as_deref()),
        }
    }

    fn move_on(&mut self, impact: &Impact, market: MarketId, size: Size, feed: Price) -> Result<Price> {
        let known = self.moved.iter().position(|(m, _)| *m == market);
        let volume = known.map_or_else(|| impact.volume(market), |k| self.moved[k].1);
        let notional = self.moment.setup.venue.markets[market].quote_volume(size, feed)?;
        let (price, after) = impact.trade((market, volume), self.moment.ts, size, notional, feed)?;
        match known {
            Some(k) => self.moved[k].1 = after,
            None => self.moved.push((market, after)),
        }
        Ok(price)
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
