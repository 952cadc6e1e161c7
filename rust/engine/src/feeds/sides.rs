//! Which series a position reads: that of its market, or where a feed has two sides that of its market and side.

use super::Feed;
use crate::book::Leg;
use crate::contract::MarketId;
use crate::units::Size;

/// Number of a series that positions read: the market, or for shorts where a feed has two sides the market after all markets.
pub type Channel = usize;

/// Numbers the series of a feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    /// What is added to the market for a short.
    short: usize,
}

impl Sides {
    /// Of a feed over so many markets.
    pub fn new(two: bool, markets: usize) -> Self {
        Self {
            short: if two { markets } else { 0 },
        }
    }

    /// True if longs and shorts read series of their own.
    pub fn two(self) -> bool {
        self.short != 0
    }

    /// The series that a position of this size reads.
    #[inline]
    pub fn channel(self, market: MarketId, size: Size) -> Channel {
        market + if size.0 < 0 { self.short } else { 0 }
    }

    /// Positions with a size in the order of their channels, if they come in the order of their markets.
    #[inline]
    pub fn in_order(self, legs: &[Leg]) -> impl Iterator<Item = (Channel, &Leg)> {
        // Where both sides read one series all come first.
        let first = legs
            .iter()
            .filter(move |l| l.size.0 > 0 || (l.size.0 < 0 && !self.two()));
        let shorts = if self.two() { legs } else { &[] };
        let second = shorts.iter().filter(|l| l.size.0 < 0);
        first
            .chain(second)
            .map(move |leg| (self.channel(leg.market, leg.size), leg))
    }
}

/// A feed that may have two sides, over all markets.
#[derive(Debug, Clone)]
pub struct Sided {
    /// By channel.
    pub feeds: Vec<Feed>,
    /// Their numbers.
    pub sides: Sides,
}

impl Sided {
    /// What a position of this size reads.
    #[inline]
    pub fn of(&self, market: MarketId, size: Size) -> &Feed {
        &self.feeds[self.sides.channel(market, size)]
    }
}
