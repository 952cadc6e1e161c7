//! The index of a window of the tape: pyramids of extremes of the trigger and collateral feeds over one grid.

use std::sync::Arc;

use rayon::prelude::*;

use super::PriceRanges;
use super::grid::Grid;
use super::pyramid::Pyramid;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Channel, Feed, Feeds, Mask, Masks, Sides};
use crate::progress::Progress;
use crate::units::Size;

/// A feed with its pyramid.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    pub feed: Feed,
    pub pyramid: Arc<Pyramid>,
    /// Lowest and highest price of the window.
    pub range: (f64, f64),
}

impl Indexed {
    /// Lowest and highest price in a block.
    pub fn over(&self, level: usize, block: usize) -> (f64, f64) {
        let (low, high) = self.pyramid.of(level, block);
        (f64::from(low), f64::from(high))
    }
}

/// The trigger and collateral feeds of a window, and the mark of ADL, indexed.
#[derive(Debug)]
pub struct Index {
    pub(super) grid: Grid,
    /// By channel, over the times at which the market is not blocked.
    pub(super) trigger: Vec<Indexed>,
    /// What positions read of the trigger feed.
    pub(super) sides: Sides,
    /// By asset; None for an asset without a price market.
    pub(super) collateral: Vec<Option<Indexed>>,
    /// By channel.
    adl: Vec<Indexed>,
    adl_sides: Sides,
    /// When each market is blocked.
    pub(super) masks: Arc<Masks>,
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
        let markets = venue.markets.len();
        let series = feeds.trigger.feeds[..markets].iter().map(|feed| &*feed.series);
        progress.check("index", 0, 1)?;
        let grid = Grid::new(series, block, first, until);
        let none = Mask::default();
        let build = |feed: &Feed, mask: &Mask| -> Result<Indexed> {
            progress.check("index", 0, 1)?;
            let pyramid = Pyramid::new(&feed.series, &grid, until, feed.each_print, mask)?;
            let (low, high) = pyramid.all(&grid);
            Ok(Indexed {
                feed: feed.clone(),
                pyramid: Arc::new(pyramid),
                range: (f64::from(low), f64::from(high)),
            })
        };
        let mask = |channel: Channel| feeds.masks.of(channel % markets);
        let trigger: Vec<Indexed> = feeds
            .trigger
            .feeds
            .par_iter()
            .enumerate()
            .map(|(channel, feed)| build(feed, mask(channel)))
            .collect::<Result<_>>()?;
        // The whole of a feed, which is what was indexed already if that is it.
        let whole = |feed: &Feed, channel: Channel| match trigger.get(channel) {
            Some(known) if known.feed.is(feed) && mask(channel).is_empty() => Ok(known.clone()),
            _ => build(feed, &none),
        };
        let adl = feeds
            .adl
            .feeds
            .par_iter()
            .enumerate()
            .map(|(channel, feed)| whole(feed, channel))
            .collect::<Result<_>>()?;
        let collateral = venue
            .assets
            .par_iter()
            .map(|asset| {
                let market = asset.price_market;
                market.map(|m| whole(&feeds.collateral[m], m)).transpose()
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            grid,
            trigger,
            sides: feeds.trigger.sides,
            collateral,
            adl,
            adl_sides: feeds.adl.sides,
            masks: Arc::clone(&feeds.masks),
            first,
        })
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

    fn market(&self, market: MarketId, size: Size, level: usize, stretch: usize) -> (f64, f64) {
        self.adl[self.adl_sides.channel(market, size)].over(level, stretch)
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        let indexed = self.collateral[asset].as_ref();
        indexed.map_or((1.0, 1.0), |indexed| indexed.over(level, stretch))
    }
}
