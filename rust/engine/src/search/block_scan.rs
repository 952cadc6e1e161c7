//! First passage over blocks of the tape: the extremes of every price series in every block, and in every 16, 256, ... blocks. A
//! stretch whose bound clears the account is skipped whole; inside a block that no bound clears, every instant is decided exactly.

use std::sync::Arc;

use super::{PriceRanges, Trigger, TriggerSearch};
use crate::book::Book;
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::{Feed, Feeds, Series};
use crate::margin::{Bound, Margin, Prices, Requirement};
use crate::units::Price;

/// Ticks per block, summed over all series.
const BLOCK: usize = 128;

/// Logarithm of the number of blocks of one level that make one of the next.
const FAN: u32 = 4;

/// Extremes of one series in every block, the state carried in included; level by level, the finest first.
struct Extremes {
    low: Vec<Vec<f64>>,
    high: Vec<Vec<f64>>,
}

impl Extremes {
    fn of(&self, level: usize, block: usize) -> (f64, f64) {
        (self.low[level][block], self.high[level][block])
    }
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
    levels: usize,
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
            sample.extend(
                series
                    .ts
                    .iter()
                    .skip(step / 2)
                    .step_by(step)
                    .filter(|&&t| t > opening && t <= end),
            );
        }
        sample.sort_unstable();
        let mut starts = vec![opening];
        for &t in sample.iter().skip(7).step_by(8) {
            if starts.last().is_some_and(|&last| t > last) {
                starts.push(t);
            }
        }
        let trigger: Vec<Extremes> = feeds
            .trigger
            .iter()
            .map(|feed| extremes(finest(feed), &feed.states, &starts))
            .collect();
        let collateral = venue
            .assets
            .iter()
            .map(|a| {
                a.price_market
                    .map(|m| extremes(&feeds.collateral[m].states, &feeds.collateral[m].states, &starts))
            })
            .collect();
        let levels = trigger.first().map_or(1, |e: &Extremes| e.low.len());
        Self {
            venue,
            margin,
            feeds,
            starts,
            trigger,
            collateral,
            levels,
            opening,
            end,
        }
    }

    /// The series that a leg in a market is tested on: every print only if it is the only price that the account depends on.
    fn series(&self, market: MarketId, alone: bool) -> &'a Series {
        let feed = &self.feeds.trigger[market];
        match &feed.prints {
            Some(prints) if alone => prints,
            _ => &feed.states,
        }
    }

    /// The inputs of an account: markets of its legs, and prices of its assets if it holds several.
    fn cursors(&self, book: &Book, account: usize, after: i64) -> Vec<Cursor<'a>> {
        let mut out: Vec<Cursor<'a>> = Vec::new();
        let legs = book.legs(account);
        let alone = legs.iter().filter(|l| !l.size.is_zero()).count() == 1 && book.cash(account).len() == 1;
        let mut push = |series: &'a Series, states: &'a Series, market: Option<MarketId>, asset: Option<AssetId>| {
            let next = series.after(after);
            let price = Price(if next == 0 {
                states.price[0]
            } else {
                series.price[next - 1]
            });
            out.push(Cursor {
                series,
                next,
                end: series.after(self.end),
                price,
                market,
                asset,
            });
        };
        let mut last = None;
        for leg in legs.iter().filter(|l| !l.size.is_zero()) {
            if last != Some(leg.market) {
                let states = &self.feeds.trigger[leg.market].states;
                push(self.series(leg.market, alone), states, Some(leg.market), None);
                last = Some(leg.market);
            }
        }
        let cash = book.cash(account);
        if cash.len() > 1 {
            for &(asset, _) in cash {
                if let Some(m) = self.venue.assets[asset].price_market {
                    let states = &self.feeds.collateral[m].states;
                    push(states, states, None, Some(asset));
                }
            }
        }
        out
    }

    /// True if the account fails at the prices of the cursors; the float bound settles all but close calls.
    fn fails(&self, book: &Book, account: usize, bound: &Bound<'_>, cursors: &[Cursor<'_>]) -> Result<bool> {
        let here = Here(cursors);
        let point = |p: Price| (p.0 as f64, p.0 as f64);
        if bound.lower(|m| point(here.market(m)), |a| point(here.asset(a))) > 0.0 {
            return Ok(false);
        }
        Ok(self
            .margin
            .health(self.venue, book, account, &here, Requirement::Maintenance)?
            .fails())
    }

    /// True if no instant of a block of a level can fail.
    fn clears(&self, bound: &Bound<'_>, level: usize, block: usize) -> bool {
        let asset = |a: AssetId| self.collateral[a].as_ref().map_or((1.0, 1.0), |e| e.of(level, block));
        bound.lower(|m| self.trigger[m].of(level, block), asset) > 0.0
    }

    fn opening_fails(
        &self,
        book: &Book,
        account: usize,
        bound: &Bound<'_>,
        cursors: &mut [Cursor<'a>],
    ) -> Result<Option<Trigger>> {
        // Prints of the opening instant come one by one where every print is a state; else the state of the instant.
        let prints = cursors.len() == 1
            && cursors[0]
                .market
                .is_some_and(|m| self.feeds.trigger[m].prints.is_some())
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
        Ok(self.fails(book, account, bound, cursors)?.then_some(Trigger {
            ts: self.opening,
            seen: None,
        }))
    }
}

impl TriggerSearch for BlockScan<'_> {
    fn first(&self, book: &Book, account: usize, after: Option<i64>) -> Result<Option<Trigger>> {
        if !book.has_position(account) {
            return Ok(None);
        }
        let mut cursors = self.cursors(book, account, after.unwrap_or(self.opening.saturating_sub(1)));
        let bound = Bound::new(self.margin, self.venue, book, account);
        if after.is_none()
            && let Some(trigger) = self.opening_fails(book, account, &bound, &mut cursors)?
        {
            return Ok(Some(trigger));
        }
        let by_print = cursors.len() == 1
            && cursors[0]
                .market
                .is_some_and(|m| self.feeds.trigger[m].prints.is_some());
        let first_block = self
            .starts
            .partition_point(|&s| s <= after.unwrap_or(self.opening))
            .max(1)
            - 1;
        let mut block = first_block;
        while block < self.starts.len() {
            // The longest stretch that begins here and clears the account.
            let aligned = if block == 0 {
                self.levels - 1
            } else {
                (block.trailing_zeros() / FAN) as usize
            };
            let cleared = (0..=aligned.min(self.levels - 1))
                .rev()
                .find(|&l| self.clears(&bound, l, block >> (l as u32 * FAN)));
            if let Some(level) = cleared {
                block += 1 << (level as u32 * FAN);
                continue;
            }
            let until = self.starts.get(block + 1).copied().unwrap_or(i64::MAX);
            // Catch up with the blocks that were skipped, then walk this block instant by instant.
            let from = self.starts[block];
            for c in &mut cursors {
                if c.next < c.end && c.series.ts[c.next] < from {
                    c.next += c.series.ts[c.next..c.end].partition_point(|&t| t < from);
                    c.price = Price(c.series.price[c.next - 1]);
                }
            }
            loop {
                let t = cursors
                    .iter()
                    .filter(|c| c.next < c.end)
                    .map(|c| c.series.ts[c.next])
                    .min();
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
                if self.fails(book, account, &bound, &cursors)? {
                    return Ok(Some(Trigger {
                        ts: t,
                        seen: by_print.then(|| cursors[0].price),
                    }));
                }
            }
            block += 1;
        }
        Ok(None)
    }
}

impl PriceRanges for BlockScan<'_> {
    fn levels(&self) -> usize {
        self.levels
    }

    fn stretch(&self, level: usize, t: i64) -> usize {
        let block = self.starts.partition_point(|&s| s <= t).max(1) - 1;
        block >> (level as u32 * FAN)
    }

    fn market(&self, market: MarketId, level: usize, stretch: usize) -> (f64, f64) {
        self.trigger[market].of(level, stretch)
    }

    fn asset(&self, asset: AssetId, level: usize, stretch: usize) -> (f64, f64) {
        self.collateral[asset]
            .as_ref()
            .map_or((1.0, 1.0), |e| e.of(level, stretch))
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

/// Extremes of `series`, which stands at the first of `states` before its first price.
fn extremes(series: &Series, states: &Series, starts: &[i64]) -> Extremes {
    let (mut low, mut high) = (Vec::with_capacity(starts.len()), Vec::with_capacity(starts.len()));
    let mut next = 0;
    for (block, _) in starts.iter().enumerate() {
        let until = starts.get(block + 1).copied().unwrap_or(i64::MAX);
        let carried = if next == 0 {
            states.price[0]
        } else {
            series.price[next - 1]
        };
        let (mut least, mut most) = (carried, carried);
        while next < series.ts.len() && series.ts[next] < until {
            least = least.min(series.price[next]);
            most = most.max(series.price[next]);
            next += 1;
        }
        // Prices below 2^53 are exact as f64; beyond that the bound's relative margin covers the rounding.
        low.push(least as f64);
        high.push(most as f64);
    }
    let mut out = Extremes {
        low: vec![low],
        high: vec![high],
    };
    while out.low[out.low.len() - 1].len() > 1 {
        let finer = out.low.len() - 1;
        let low = out.low[finer]
            .chunks(1 << FAN)
            .map(|c| c.iter().copied().fold(f64::INFINITY, f64::min))
            .collect();
        let high = out.high[finer]
            .chunks(1 << FAN)
            .map(|c| c.iter().copied().fold(f64::NEG_INFINITY, f64::max))
            .collect();
        out.low.push(low);
        out.high.push(high);
    }
    out
}
