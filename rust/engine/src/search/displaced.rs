//! The search where closes displace the trigger feed: prices are known only up to a displacement, which stays within a band.
//!
//! An instant counts as soon as the bound of the account does not clear it at every displacement within the bands: what is found may be
//! too early, never too late, and is tested exactly when it comes. So floats decide nothing here.

use super::grid::FAN;
use super::passage::{At, Query, outward_down, outward_up, step, suspects};
use super::walk::walk;
use super::{Scratch, Search, Trigger};
use crate::book::{Book, Holding};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::impact::{Displacement, ONE};
use crate::margin::{Bound, Prices, Reach, Requirement, Term, WIDTH};
use crate::units::Price;

/// What a product and a quotient of prices may be off, with room.
const ROUNDING: f64 = 1e-12;

/// Displacements of a market that a certificate allows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// Market.
    pub market: MarketId,
    /// The least.
    pub low: Displacement,
    /// The greatest.
    pub high: Displacement,
}

impl Band {
    /// All displaced prices of published prices from `low` to `high`, outward.
    pub fn of(&self, (low, high): (f64, f64)) -> (f64, f64) {
        let down = low * (1.0 + self.low.as_f64()) * (1.0 - ROUNDING) - 1.0;
        let up = high * (1.0 + self.high.as_f64()) * (1.0 + ROUNDING);
        (down.max(1.0), up.max(1.0))
    }
}

/// Bands by market; a market without one is not displaced.
fn within(bands: &[Band], market: MarketId, prices: (f64, f64)) -> (f64, f64) {
    bands
        .iter()
        .find(|b| b.market == market)
        .map_or(prices, |b| b.of(prices))
}

/// Displaced prices.
struct Displaced<'a, P, X>(&'a P, X);

impl<P: Prices, X: Fn(MarketId) -> Displacement> Prices for Displaced<'_, P, X> {
    fn market(&self, market: MarketId) -> Price {
        self.1(market).of(self.0.market(market))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.0.asset(asset)
    }
}

impl Search<'_> {
    /// Takes an account for bounds that hold as long as its displacements stay within `bands`.
    pub(super) fn take_within<'s>(&'s self, holding: Holding<'_>, bands: &[Band], scratch: &mut Scratch<'s>) -> Reach {
        let range = |m: MarketId| within(bands, m, self.index.trigger[m].range);
        scratch.bound.take(self.margin, self.venue, holding, range)
    }

    /// True if the account that was taken cannot fail at these published prices within the bands.
    pub(super) fn clears(
        bound: &Bound<'_>,
        reach: Reach,
        bands: &[Band],
        market: impl Fn(MarketId) -> (f64, f64),
        asset: impl Fn(AssetId) -> (f64, f64),
    ) -> bool {
        let market = |m| within(bands, m, market(m));
        let sum = match reach {
            Reach::Never => return true,
            Reach::Assets => bound.over_assets(market, asset),
            _ => {
                let term = |t: &Term| {
                    let (low, high) = market(t.market);
                    bound.between(t, low, high)
                };
                bound.base() + bound.terms().iter().map(term).sum::<f64>()
            }
        };
        sum > 0.0
    }

    /// The first instant strictly after `after` at which the account that was taken could fail while its displacements stay within
    /// `bands`.
    pub(super) fn first_within<'s>(
        &'s self,
        holding: Holding<'_>,
        reach: Reach,
        bands: &[Band],
        after: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let Some(since) = after.checked_add(1) else {
            return Ok(None);
        };
        let found = match reach {
            Reach::Never => None,
            Reach::Below(market, price) => self.first_beyond::<true>(bands, (market, price), since)?,
            Reach::Above(market, price) => self.first_beyond::<false>(bands, (market, price), since)?,
            Reach::Markets | Reach::Assets => self.first_unclear(holding, reach, bands, since, scratch)?,
        };
        Ok(found.map(|ts| Trigger { ts, seen: None }))
    }

    /// An account that fails only at or below (or above) one displaced price of one market.
    fn first_beyond<const BELOW: bool>(
        &self,
        bands: &[Band],
        (market, price): (MarketId, f64),
        since: i64,
    ) -> Result<Option<i64>> {
        let index = self.index;
        let indexed = &index.trigger[market];
        let (ts, prices) = (&indexed.feed.series.ts[..], &indexed.feed.series.price[..]);
        // The published price from which a displaced one may be there.
        let band = bands.iter().find(|b| b.market == market);
        let edge = match band {
            None => price,
            // A displaced price is at least one unit, however low it would be.
            Some(_) if BELOW && price < 1.0 => f64::NEG_INFINITY,
            Some(b) if BELOW => {
                let factor = 1.0 + b.low.as_f64();
                if factor <= 0.0 {
                    f64::INFINITY
                } else {
                    (price + 1.0) / factor * (1.0 + ROUNDING)
                }
            }
            Some(_) if price <= 1.0 => f64::NEG_INFINITY,
            Some(b) => price / (1.0 + b.high.as_f64()) * (1.0 - ROUNDING),
        };
        let coarse = if BELOW { outward_up(edge) } else { outward_down(edge) };
        let reached = |p: i64| if BELOW { p as f64 <= edge } else { p as f64 >= edge };
        let finest = indexed.pyramid.leaf();
        let each_print = indexed.feed.each_print;
        walk(
            &index.grid,
            finest,
            index.grid.block(finest, since),
            |level, group| match indexed.pyramid.group(level, group) {
                Some((low, high)) => {
                    let mut suspects = 0;
                    for i in 0..FAN {
                        let hit = if BELOW { low[i] <= coarse } else { high[i] >= coarse };
                        suspects |= u32::from(hit) << i;
                    }
                    suspects
                }
                None => u32::MAX,
            },
            |block| {
                let (from, to) = indexed.pyramid.states(&indexed.feed.series, &index.grid, finest, block);
                let from = from + ts[from..to].partition_point(|&t| t < since);
                let state = |i: usize| each_print || ts.get(i + 1) != Some(&ts[i]);
                let found = (from..to).find(|&i| reached(prices[i]) && state(i));
                Ok(found.map(|i| ts[i]))
            },
        )
    }

    fn first_unclear<'s>(
        &'s self,
        holding: Holding<'_>,
        reach: Reach,
        bands: &[Band],
        since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let index = self.index;
        let query = Query::new(self, holding, since);
        let Scratch { bound, cursors } = scratch;
        query.inputs(reach == Reach::Assets, cursors);
        let each_print = query.alone().is_some_and(|only| only.feed.each_print);
        let finest = cursors
            .iter()
            .map(|c| query.indexed(c).pyramid.leaf())
            .min()
            .unwrap_or(0);
        walk(
            &index.grid,
            finest,
            index.grid.block(finest, since),
            |level, group| {
                let mut sums = [1.0; WIDTH];
                let there = index.grid.blocks(level).saturating_sub(group * FAN);
                for (i, sum) in sums.iter_mut().enumerate().take(there) {
                    let block = group * FAN + i;
                    let (market, asset) = (
                        |m| index.market_at(m, level, block),
                        |a| index.asset_at(a, level, block),
                    );
                    let clear = Self::clears(bound, reach, bands, market, asset);
                    *sum = if clear { 1.0 } else { 0.0 };
                }
                suspects(&sums)
            },
            |block| {
                query.enter(finest, block, cursors);
                while let Some(t) = step(cursors, each_print, |_, _| 0.0) {
                    let at = At(cursors);
                    let point = |p: Price| (p.0 as f64, p.0 as f64);
                    let (market, asset) = (|m| point(at.market(m)), |a| point(at.asset(a)));
                    if t >= since && !Self::clears(bound, reach, bands, market, asset) {
                        return Ok(Some(t));
                    }
                }
                Ok(None)
            },
        )
    }

    /// The next instant of an account's own after `t`; None if there is none in the window.
    ///
    /// # Errors
    /// Overflow.
    pub fn next_instant(&self, book: &Book, account: usize, t: i64) -> Result<Option<i64>> {
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        let query = Query::new(self, Holding { legs, cash }, t);
        let mut cursors = Vec::new();
        query.inputs(cash.len() > 1, &mut cursors);
        let next = |c| {
            let series = &*query.indexed(c).feed.series;
            series.ts.get(series.count(t)).copied()
        };
        Ok(cursors.iter().filter_map(next).min())
    }

    /// Whether the account fails at `t`, exactly, where prices are displaced so, and at which print: only if `t` is an instant of its
    /// own, at which one of its feeds has a state, or `always`.
    ///
    /// # Errors
    /// Overflow.
    pub fn at_instant<'s>(
        &'s self,
        book: &Book,
        account: usize,
        (t, always): (i64, bool),
        displacement: impl Fn(MarketId) -> Displacement,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        if !book.has_position(account) {
            return Ok(None);
        }
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        let holding = Holding { legs, cash };
        let query = Query::new(self, holding, t);
        let cursors = &mut scratch.cursors;
        query.inputs(cash.len() > 1, cursors);
        let fails = |prices: &At<'_, '_>| {
            let displaced = Displaced(prices, &displacement);
            let health = self
                .margin
                .health_of(self.venue, holding, &displaced, Requirement::Maintenance)?;
            Ok(health.fails())
        };
        let block = self.index.grid.block(0, t);
        let mut own = always;
        let mut prints = (0, 0);
        for c in cursors.iter_mut() {
            let indexed = query.indexed(c);
            let series = &*indexed.feed.series;
            let (from, to) = indexed.pyramid.states(series, &self.index.grid, 0, block);
            let place = |before: &dyn Fn(i64) -> bool| from + series.ts[from..to].partition_point(|&u| before(u));
            let (first, next) = (place(&|u| u < t), place(&|u| u <= t));
            c.price = series.after_states(next);
            own |= first < next;
            prints = (first, next);
        }
        if query.alone().is_some_and(|only| only.feed.each_print) {
            for i in prints.0..prints.1 {
                let seen = Price(cursors[0].prices[i]);
                cursors[0].price = seen;
                if fails(&At(cursors))? {
                    return Ok(Some(Trigger {
                        ts: t,
                        seen: Some(seen),
                    }));
                }
            }
            if prints.0 < prints.1 {
                return Ok(None);
            }
        }
        Ok((own && fails(&At(cursors))?).then_some(Trigger { ts: t, seen: None }))
    }
}

/// The share of one that a float is, as a displacement, toward nothing.
pub(super) fn displacement(share: f64) -> Displacement {
    Displacement((share * ONE as f64) as i128)
}
