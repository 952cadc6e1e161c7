//! The index of a window of the tape: pyramids of extremes of the trigger and collateral feeds over one grid.

use std::sync::Arc;

use rayon::prelude::*;

use super::PriceRanges;
use super::grid::Grid;
use super::pyramid::Pyramid;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Feed, Feeds};
use crate::progress::Progress;

/// A feed with its pyramid.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    pub feed: Feed,
    pub pyramid: Arc<Pyramid>,
    /// Lowest and highest price of the window.
    pub range: (f64, f64),
}

/// The trigger and collateral feeds of a window, indexed.
#[derive(Debug)]
pub struct Index {
    pub(super) grid: Grid,
    pub(super) trigger: Vec<Indexed>,
    /// By asset; None for an asset without a price market.
    pub(super) collateral: Vec<Option<Indexed>>,
    /// The first instant of the window.
    pub(super) first: i64,
}

impl Index {
    /// Indexes the instants from `first` up to `until`, with about `block` states a block.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::error::Error::Interrupted) when `progress` asks to stop; overflow if a feed has more than 2^32
    /// states in memory.
    pub fn new(
        venue: &Venue,
        feeds: &Feeds,
        (first, until): (i64, i64),
        block: usize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let series = feeds.trigger.iter().map(|feed| &*feed.series);
        progress.check("index", 0, 1)?;
        let grid = Grid::new(series, block, first, until);
        let build = |feed: &Feed| -> Result<Indexed> {
            progress.check("index", 0, 1)?;
            let pyramid = Pyramid::new(&feed.series, &grid, until, feed.each_print)?;
            let (low, high) = pyramid.all(&grid);
            Ok(Indexed {
                feed: feed.clone(),
                pyramid: Arc::new(pyramid),
                range: (f64::from(low), f64::from(high)),
            })
        };
        let trigger: Vec<Indexed> = feeds.trigger.par_iter().map(build).collect::<Result<_>>()?;
        let collateral = venue
            .assets
            .par_iter()
            .map(|asset| {
                let Some(market) = asset.price_market else {
                    return Ok(None);
                };
                let feed = &feeds.collateral[market];
                let same = Arc::ptr_eq(&feed.series, &trigger[market].feed.series)
                    && feed.each_print == trigger[market].feed.each_print;
                if same { Ok(trigger[market].clone()) } else { build(feed) }.map(Some)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            grid,
            trigger,
            collateral,
            first,
        })
    }

    /// Lowest and highest trigger price of a market in a block.
    pub(super) fn market_at(&self, market: MarketId, level: usize, block: usize) -> (f64, f64) {
        PriceRanges::market(self, market, level, block)
    }

    /// The same of an asset's price market.
    pub(super) fn asset_at(&self, asset: AssetId, level: usize, block: usize) -> (f64, f64) {
        PriceRanges::asset(self, asset, level, block)
    }

    /// Bytes of memory that the index takes beside the feeds.
    pub fn bytes(&self) -> usize {
        let all = self.trigger.iter().chain(self.collateral.iter().flatten());
        all.map(|i| i.pyramid.bytes()).sum::<usize>() + self.grid.blocks(0) * size_of::<i64>()
    }
}

impl PriceRanges for Index {
    fn levels(&self) -> usize {
        self.grid.top() + 1
    }

    fn stretch(&self, level: usize, t: i64) -> usize {
        self.grid.block(level, t)
    }

    fn market(&self, market: MarketId, level: usize, stretch: usize) -> (f64, f64) {
        let (low, high) = self.trigger[market].pyramid.of(level, stretch);
        (f64::from(low), f64::from(high))
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        let Some(indexed) = &self.collateral[asset] else {
            return (1.0, 1.0);
        };
        let (low, high) = indexed.pyramid.of(level, stretch);
        (f64::from(low), f64::from(high))
    }
}
