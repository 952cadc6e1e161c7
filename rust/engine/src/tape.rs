//! The decoded tape: per market, columns of ticks in the order of time.

use crate::column::Column;
use crate::market::{AssetSpec, Definitions, MarketSpec};
use crate::units::Price;

/// Side of the taker of a trade.
pub type TakerSide = i8;

/// The ticks of one market, sorted by time, ties in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketTicks {
    /// Definition with `price_decimals`, `size_decimals` and `settlement` resolved (all `Some`).
    pub spec: MarketSpec,
    /// Nanoseconds since 1970, UTC; not descending.
    pub ts: Column<i64>,
    /// Price in `10^-price_decimals`; positive.
    pub price: Column<i64>,
    /// Traded size in `10^-size_decimals`, not negative; None if the data has none.
    pub size: Option<Column<i64>>,
    /// +1 the taker bought, -1 sold, 0 unknown; None if the data has none.
    pub side: Option<Column<TakerSide>>,
}

/// What was seen while reading, per market. Nothing is repaired, so nothing is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quality {
    /// Rows read.
    pub rows: u64,
    /// Rows equal in every column to the row before them of the same market (kept).
    pub duplicates: u64,
    /// Rows that share their timestamp with the row before them of the same market.
    pub same_instant: u64,
    /// Distinct timestamps.
    pub instants: u64,
    /// Longest time without a tick, in nanoseconds.
    pub longest_gap: i64,
}

/// All ticks of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tape {
    /// Markets, sorted by name.
    pub markets: Vec<MarketTicks>,
    /// Assets of the markets and those declared, sorted by name.
    pub assets: Vec<AssetSpec>,
    /// One for each market.
    pub quality: Vec<Quality>,
}

impl Tape {
    /// First timestamp of the tape; None if it has no ticks.
    pub fn start(&self) -> Option<i64> {
        self.markets.iter().filter_map(|m| m.ts.first().copied()).min()
    }

    /// Last timestamp of the tape; None if it has no ticks.
    pub fn end(&self) -> Option<i64> {
        self.markets.iter().filter_map(|m| m.ts.last().copied()).max()
    }

    /// The first state of each market: the last print of its first instant; None for a market without ticks.
    pub fn first_states(&self) -> Vec<Option<Price>> {
        let first = |m: &MarketTicks| {
            let first = m.ts.first()?;
            let instant = m.ts.partition_point(|t| t <= first);
            m.price.get(instant - 1).map(|&p| Price(p))
        };
        self.markets.iter().map(first).collect()
    }

    /// Number of ticks in all markets.
    pub fn rows(&self) -> usize {
        self.markets.iter().map(|m| m.ts.len()).sum()
    }

    /// The definitions of the tape, with everything resolved.
    pub fn definitions(&self) -> Definitions {
        Definitions {
            markets: self.markets.iter().map(|market| market.spec.clone()).collect(),
            assets: self.assets.clone(),
        }
    }
}
