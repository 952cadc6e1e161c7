//! First passage by a scan over blocks of the tape: per block the extremes of every price series, exact evaluation inside a block only
//! where the bound does not clear it. Cost: blocks per query; the interface is the same for a hierarchy over the blocks.

use std::sync::Arc;

use super::{Trigger, TriggerSearch};
use crate::book::Book;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Feed, Feeds, Series};
use crate::margin::{Margin, Prices, Requirement};
use crate::units::Price;

/// Ticks per block, summed over all series.
const BLOCK: usize = 128;

/// Extremes of one series in every block, the state carried in included.
struct Extremes {
    low: Vec<f64>,
    high: Vec<f64>,
}

/// One input of an account's test while its blocks are walked.
struct Cursor<'a> {
    series: &'a Series,
    next: usize,
    end: usize,
    price: Price,
    market: Option<MarketId>,
    asset: Option<AssetId>,
}

/// The block index over the trigger and collateral feeds.
pub struct BlockScan<'a> {
    venue: &'a Venue,
    margin: &'a Margin,
    feeds: &'a Feeds,
    /// First timestamp of each block; the first is the opening.
    starts: Vec<i64>,
    trigger: Vec<Extremes>,
    collateral: Vec<Option<Extremes>>,
    opening: i64,
    end: i64,
}

impl<'a> BlockScan<'a> {
    /// Indexes the feeds between the first and the last timestamp of the tape.
    pub fn new(venue: &'a Venue, margin: &'a Margin, feeds: &'a Feeds, opening: i64, end: i64) -> Self {
        let finest = |feed: &'a Feed| -> &'a Arc<Series> { feed.prints.as_ref().unwrap_or(&feed.states) };
        // Block boundaries from a systematic sample of all timestamps: equal counts, so that bursts are split finely.
        let step = BLOCK / 8;
        let mut sample: Vec<i64> = Vec::new();
        for feed in &feeds.trigger {
            let series = finest(feed);
            sample.extend(series.ts.iter().skip(step / 2).step_by(step).filter(|&&t| t > opening && t <= end));
        }
        sample.sort_unstable();
        let mut starts = vec![opening];
        for &t in sample.iter().skip(7).step_by(8) {
            if starts.last().is_some_and(|&last| t > last) {
                starts.push(t);
            }
        }
        let trigger = feeds.trigger.iter().map(|feed| extremes(finest(feed), &starts)).collect();
        let collateral = venue
            .assets
            .iter()
            .map(|a| a.price_market.map(|m| extremes(&feeds.collateral[m].states, &starts)))
            .collect();
        Self { venue, margin, feeds, starts, trigger, collateral, opening, end }
    }

    /// The series that an account's leg in a market is tested on.
    fn series(&self, market: MarketId, single_leg: bool) -> &'a Series {
        let feed = &self.feeds.trigger[market];
        match &feed.prints {
            Some(prints) if single_leg => prints,
            _ => &feed.states,
        }
    }

    /// The inputs of an account: markets of its legs, and prices of its assets if it holds several.
    fn cursors(&self, book: &Book, account: usize, after: i64) -> Vec<Cursor<'a>> {
        let mut out: Vec<Cursor<'a>> = Vec::new();
        let legs = book.legs(account);
        let single_leg = legs.iter().filter(|l| !l.size.is_zero()).count() == 1;
        let mut push = |series: &'a Series, market: Option<MarketId>, asset: Option<AssetId>| {
            let next = series.after(after);
            let price = Price(series.price[next.max(1) - 1]);
            out.push(Cursor { series, next, end: series.after(self.end), price, market, asset });
        };
        let mut last = None;
        for leg in legs.iter().filter(|l| !l.size.is_zero()) {
            if last != Some(leg.market) {
                push(self.series(leg.market, single_leg), Some(leg.market), None);
                last = Some(leg.market);
            }
        }
        let cash = book.cash(account);
        if cash.len() > 1 {
            for &(asset, _) in cash {
                if let Some(m) = self.venue.assets[asset].price_market {
                    push(&self.feeds.collateral[m].states, None, Some(asset));
                }
            }
        }
        out
    }

    /// True if the account fails at the prices of the cursors; the float bound settles all but close calls.
    fn fails(&self, book: &Book, account: usize, cursors: &[Cursor<'_>]) -> Result<bool> {
        let here = Here(cursors);
        let point = |p: Price| (p.0 as f64, p.0 as f64);
        let bound =
            self.margin.lower_bound(self.venue, book, account, |m| point(here.market(m)), |a| point(here.asset(a)));
        if bound > 0.0 {
            return Ok(false);
        }
        Ok(self.margin.health(self.venue, book, account, &here, Requirement::Maintenance)?.fails())
    }

    /// True if no instant of the block can fail.
    fn clears(&self, book: &Book, account: usize, block: usize) -> bool {
        let of = |e: &Extremes| (e.low[block], e.high[block]);
        let asset = |a: AssetId| self.collateral[a].as_ref().map_or((1.0, 1.0), of);
        self.margin.lower_bound(self.venue, book, account, |m| of(&self.trigger[m]), asset) > 0.0
    }

    fn opening_fails(&self, book: &Book, account: usize, cursors: &mut [Cursor<'a>]) -> Result<Option<Trigger>> {
        // Prints of the opening instant come one by one where every print is a state; else the state of the instant.
        let prints = cursors.len() == 1
            && cursors[0].market.is_some_and(|m| self.feeds.trigger[m].prints.is_some())
            && cursors[0].next < cursors[0].end
            && cursors[0].series.ts[cursors[0].next] == self.opening;
        if prints {
            return Ok(None);
        }
        for c in cursors.iter_mut() {
            while c.next < c.end && c.series.ts[c.next] <= self.opening {
                c.price = Price(c.series.price[c.next]);
                c.next += 1;
            }
        }
        Ok(self.fails(book, account, cursors)?.then_some(Trigger { ts: self.opening, seen: None }))
    }
}

impl TriggerSearch for BlockScan<'_> {
    fn first(&self, book: &Book, account: usize, after: Option<i64>) -> Result<Option<Trigger>> {
        if !book.has_position(account) {
            return Ok(None);
        }
        let mut cursors = self.cursors(book, account, after.unwrap_or(self.opening - 1));
        if after.is_none() {
            if let Some(trigger) = self.opening_fails(book, account, &mut cursors)? {
                return Ok(Some(trigger));
            }
        }
        let by_print = cursors.len() == 1 && cursors[0].market.is_some_and(|m| self.feeds.trigger[m].prints.is_some());
        let first_block = self.starts.partition_point(|&s| s <= after.unwrap_or(self.opening)).max(1) - 1;
        for block in first_block..self.starts.len() {
            let until = self.starts.get(block + 1).copied().unwrap_or(i64::MAX);
            if self.clears(book, account, block) {
                continue;
            }
            // Catch up with the blocks that were skipped, then walk this block instant by instant.
            let from = self.starts[block];
            for c in &mut cursors {
                if c.next < c.end && c.series.ts[c.next] < from {
                    c.next += c.series.ts[c.next..c.end].partition_point(|&t| t < from);
                    c.price = Price(c.series.price[c.next - 1]);
                }
            }
            loop {
                let t = cursors.iter().filter(|c| c.next < c.end).map(|c| c.series.ts[c.next]).min();
                let Some(t) = t.filter(|&t| t < until) else { break };
                for c in &mut cursors {
                    while c.next < c.end && c.series.ts[c.next] == t {
                        c.price = Price(c.series.price[c.next]);
                        c.next += 1;
                        if by_print {
                            break;
                        }
                    }
                }
                if self.fails(book, account, &cursors)? {
                    return Ok(Some(Trigger { ts: t, seen: by_print.then(|| cursors[0].price) }));
                }
            }
        }
        Ok(None)
    }
}

/// Prices at the cursors.
struct Here<'a, 'b>(&'a [Cursor<'b>]);

impl Here<'_, '_> {
    fn find(&self, matches: impl Fn(&Cursor<'_>) -> bool) -> Price {
        self.0.iter().find(|c| matches(c)).map_or(Price(1), |c| c.price)
    }
}

impl Prices for Here<'_, '_> {
    fn market(&self, market: MarketId) -> Price {
        self.find(|c| c.market == Some(market))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.find(|c| c.asset == Some(asset))
    }
}

fn extremes(series: &Series, starts: &[i64]) -> Extremes {
    let mut out = Extremes { low: Vec::with_capacity(starts.len()), high: Vec::with_capacity(starts.len()) };
    let mut next = 0;
    for (block, _) in starts.iter().enumerate() {
        let until = starts.get(block + 1).copied().unwrap_or(i64::MAX);
        let carried = series.price[next.max(1) - 1];
        let (mut low, mut high) = (carried, carried);
        while next < series.ts.len() && series.ts[next] < until {
            low = low.min(series.price[next]);
            high = high.max(series.price[next]);
            next += 1;
        }
        // Prices below 2^53 are exact as f64; beyond that the bound's relative margin covers the rounding.
        out.low.push(low as f64);
        out.high.push(high as f64);
    }
    out
}
