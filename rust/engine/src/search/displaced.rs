//! The search where closes displace the trigger feed: prices are known only up to a displacement, which stays within a band.
//!
//! An instant counts as soon as the bound of the account does not clear it at every displacement within the bands: what is found may be
//! too early, never too late, and is tested exactly when it comes. So floats decide nothing here.
//!
//! Under terms that change on a schedule the search goes from epoch to epoch as in [epochs](super::epochs), with bounds in the place of
//! exact tests. A guard leaves its instants out, and adds those at which it lifts.

use super::cursors::At;
use super::epochs::{Epoch, Of, Scales, around};
use super::grid::FAN;
use super::passage::{outward_down, outward_up, suspects};
use super::query::Query;
use super::walk::walk;
use super::{PriceRanges as _, Scratch, Search, Trigger};
use crate::book::{Book, Holding, Indices, Leg};
use crate::contract::{AssetId, MarketId};
use crate::error::Result;
use crate::feeds::Channel;
use crate::impact::{Displacement, ONE};
use crate::margin::{Bound, Prices, Reach, Scale, Term, WIDTH};
use crate::payout::Caps;
use crate::terms::Terms;
use crate::units::{Amount, Price, Size};

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

/// Displaced prices, and the caps of profits.
struct Displaced<'a, P, X>(&'a P, X, Option<&'a Caps<'a>>);

impl<P: Prices, X: Fn(MarketId) -> Displacement> Prices for Displaced<'_, P, X> {
    fn market(&self, market: MarketId, size: Size) -> Price {
        self.1(market).of(self.0.market(market, size))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.0.asset(asset)
    }

    fn scale(&self, market: MarketId) -> Scale {
        self.0.scale(market)
    }

    fn payable(&self, holding: Holding<'_>, leg: &Leg, profit: Amount) -> Result<Amount> {
        self.2
            .map_or(Ok(Amount::ZERO), |caps| caps.payable(holding, leg, profit))
    }
}

pub(super) fn point(price: Price) -> (f64, f64) {
    (price.0 as f64, price.0 as f64)
}

impl Search<'_> {
    /// The market of a series of the trigger feed.
    pub(super) fn market(&self, channel: Channel) -> MarketId {
        channel % self.venue.markets.len()
    }

    /// Takes an account for bounds that hold as long as its displacements stay within `bands`.
    pub(super) fn take_within<'s>(
        &'s self,
        holding: Holding<'_>,
        bands: &[Band],
        scale: impl Fn(MarketId) -> Scale,
        scratch: &mut Scratch<'s>,
    ) -> Reach {
        let range = |c: Channel| within(bands, self.market(c), self.index.trigger[c].range);
        scratch
            .bound
            .take(self.margin, self.venue, holding, self.index.sides, range, scale)
    }

    /// True if the account that was taken cannot fail at these published prices within the bands.
    pub(super) fn clears(
        &self,
        bound: &Bound<'_>,
        reach: Reach,
        bands: &[Band],
        published: impl Fn(Channel) -> (f64, f64),
        asset: impl Fn(AssetId) -> (f64, f64),
    ) -> bool {
        let displaced = |c| within(bands, self.market(c), published(c));
        let sum = match reach {
            Reach::Never => return true,
            Reach::Assets => bound.over_assets(displaced, asset),
            _ => {
                let term = |t: &Term| {
                    let (low, high) = displaced(t.channel);
                    bound.between(t, low, high)
                };
                bound.base() + bound.terms().iter().map(term).sum::<f64>()
            }
        };
        sum > 0.0
    }

    /// The first instant from `since` on at which the account could fail while its displacements stay within `bands`.
    pub(super) fn first_within<'s>(
        &'s self,
        holding: Holding<'_>,
        settled: &[Indices],
        bands: &[Band],
        since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let Some(terms) = self.terms else {
            return self.first_within_under(holding, Scales::ONE, bands, since, scratch);
        };
        let mut epoch = std::mem::take(&mut scratch.epoch);
        let found = self.within_over_terms(&mut epoch, terms, (holding, settled), bands, since, scratch);
        scratch.epoch = epoch;
        found
    }

    fn within_over_terms<'s>(
        &'s self,
        epoch: &mut Epoch,
        terms: &Terms,
        (holding, settled): (Holding<'_>, &[Indices]),
        bands: &[Band],
        mut since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let legs = holding.legs;
        loop {
            epoch.take(self, terms, holding, settled, Of::WorstFrom(since))?;
            let suspect = if self.suspects_at(epoch, holding, bands, since, scratch) {
                since
            } else {
                match self.first_within_under(epoch.holding(legs), epoch.scales(), bands, since, scratch)? {
                    Some(t) => t,
                    None => return Ok(None),
                }
            };
            let (changed, end) = around(terms, legs, suspect);
            epoch.take(self, terms, holding, settled, Of::Time(suspect))?;
            let found = self.first_within_under(epoch.holding(legs), epoch.scales(), bands, suspect, scratch)?;
            if found == Some(suspect) || (changed && self.suspects_at(epoch, holding, bands, suspect, scratch)) {
                return Ok(Some(suspect));
            }
            if found.is_some_and(|t| end.is_none_or(|end| t < end)) {
                return Ok(found);
            }
            let Some(end) = end else { return Ok(None) };
            since = end;
        }
    }

    /// True if the account could fail at the states of `t` within the bands, whether or not anything happens then.
    fn suspects_at<'s>(
        &'s self,
        epoch: &Epoch,
        holding: Holding<'_>,
        bands: &[Band],
        t: i64,
        scratch: &mut Scratch<'s>,
    ) -> bool {
        let (holding, scales) = (epoch.holding(holding.legs), epoch.scales());
        if self.index.masks.block(holding.legs, t) {
            return false;
        }
        let reach = self.take_within(holding, bands, |m| scales.of(m), scratch);
        let query = Query {
            search: self,
            holding,
            scales,
            since: t,
        };
        query.look_at(t, &mut scratch.cursors);
        !self.clears_at(&scratch.bound, reach, bands, &query.at(&scratch.cursors))
    }

    fn clears_at(&self, bound: &Bound<'_>, reach: Reach, bands: &[Band], at: &At<'_, '_>) -> bool {
        self.clears(bound, reach, bands, |c| point(at.channel(c)), |a| point(at.asset(a)))
    }

    fn first_within_under<'s>(
        &'s self,
        holding: Holding<'_>,
        scales: Scales<'_>,
        bands: &[Band],
        since: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let reach = self.take_within(holding, bands, |m| scales.of(m), scratch);
        let query = Query {
            search: self,
            holding,
            scales,
            since,
        };
        match reach {
            Reach::Never => Ok(None),
            Reach::Below(channel, price) if !query.guarded() => {
                self.first_beyond::<true>(bands, (channel, price), since)
            }
            Reach::Above(channel, price) if !query.guarded() => {
                self.first_beyond::<false>(bands, (channel, price), since)
            }
            _ => self.first_unclear(&query, reach, bands, scratch),
        }
    }

    /// An account that fails only at or below (or above) one displaced price of one market.
    fn first_beyond<const BELOW: bool>(
        &self,
        bands: &[Band],
        (channel, price): (Channel, f64),
        since: i64,
    ) -> Result<Option<i64>> {
        let index = self.index;
        let indexed = &index.trigger[channel];
        let (ts, prices) = (&indexed.feed.series.ts[..], &indexed.feed.series.price[..]);
        // The published price from which a displaced one may be there.
        let band = bands.iter().find(|b| b.market == self.market(channel));
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
            |level, group| indexed.pyramid.suspects::<BELOW>(level, group, coarse),
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
        query: &Query<'_, 's>,
        reach: Reach,
        bands: &[Band],
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<i64>> {
        let index = self.index;
        let Scratch {
            bound, cursors, live, ..
        } = scratch;
        query.inputs(reach == Reach::Assets, cursors);
        let each_print = query.alone().is_some_and(|only| only.feed.each_print);
        let leaves = cursors.iter().filter_map(|c| Some(query.indexed(c)?.pyramid.leaf()));
        let finest = leaves.min().unwrap_or(0);
        walk(
            &index.grid,
            finest,
            index.grid.block(finest, query.since),
            |level, group| {
                let mut sums = [1.0; WIDTH];
                let there = index.grid.blocks(level).saturating_sub(group * FAN);
                for (i, sum) in sums.iter_mut().enumerate().take(there) {
                    let block = group * FAN + i;
                    let (published, asset) = (
                        |c: Channel| index.trigger[c].over(level, block),
                        |a| index.asset(a, level, block),
                    );
                    let clear = self.clears(bound, reach, bands, published, asset);
                    *sum = if clear { 1.0 } else { 0.0 };
                }
                suspects(&sums)
            },
            |block| {
                query.enter(finest, block, cursors, live);
                while let Some(t) = live.step(cursors, each_print, |_, _| ()) {
                    let clear = || self.clears_at(bound, reach, bands, &query.at(cursors));
                    if t >= query.since && !query.blocked(t) && !clear() {
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
        let cash = &book.assessed_cash(account)?;
        let holding = Holding {
            legs: book.legs(account),
            cash,
        };
        let query = Query {
            search: self,
            holding,
            scales: Scales::ONE,
            since: t,
        };
        let mut cursors = Vec::new();
        query.inputs(cash.len() > 1, &mut cursors);
        let scheduled = self.terms.and_then(|terms| around(terms, holding.legs, t).1);
        let next = |ts: &[i64]| ts.get(ts.partition_point(|&u| u <= t)).copied();
        Ok(cursors.iter().filter_map(|c| next(c.ts)).chain(scheduled).min())
    }

    /// Whether the account fails at `t`, exactly, where prices are displaced so, and at which print: only if `t` is an instant of its
    /// own, or `always`, and it is not blocked.
    ///
    /// # Errors
    /// Overflow.
    pub fn at_instant<'s>(
        &'s self,
        book: &Book,
        account: usize,
        (t, always): (i64, bool),
        (displacement, caps): (impl Fn(MarketId) -> Displacement, Option<&Caps<'_>>),
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let legs = book.legs(account);
        if !book.has_position(account) || self.index.masks.block(legs, t) {
            return Ok(None);
        }
        let cash = &book.assessed_cash(account)?;
        let holding = Holding { legs, cash };
        let Some(terms) = self.terms else {
            return self.at_instant_under(holding, Scales::ONE, (t, always), (displacement, caps), scratch);
        };
        let mut epoch = std::mem::take(&mut scratch.epoch);
        let found = epoch
            .take(self, terms, holding, book.settled(account), Of::Time(t))
            .and_then(|()| {
                let always = always || around(terms, legs, t).0;
                self.at_instant_under(
                    epoch.holding(legs),
                    epoch.scales(),
                    (t, always),
                    (displacement, caps),
                    scratch,
                )
            });
        scratch.epoch = epoch;
        found
    }

    fn at_instant_under<'s>(
        &'s self,
        holding: Holding<'_>,
        scales: Scales<'_>,
        (t, always): (i64, bool),
        (displacement, caps): (impl Fn(MarketId) -> Displacement, Option<&Caps<'_>>),
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let query = Query {
            search: self,
            holding,
            scales,
            since: t,
        };
        let cursors = &mut scratch.cursors;
        let (own, prints) = query.look_at(t, cursors);
        let fails = |prices: &At<'_, '_>| query.fails(&Displaced(prices, &displacement, caps));
        if query.alone().is_some_and(|only| only.feed.each_print) && !prints.is_empty() {
            for i in prints {
                let price = Price(cursors[0].prices[i]);
                cursors[0].price = price;
                if fails(&query.at(cursors))? {
                    let seen = Some(price);
                    return Ok(Some(Trigger { ts: t, seen }));
                }
            }
            return Ok(None);
        }
        let fails = (own || always) && fails(&query.at(cursors))?;
        Ok(fails.then_some(Trigger { ts: t, seen: None }))
    }
}

/// The share of one that a float is, as a displacement, toward nothing.
pub(super) fn displacement(share: f64) -> Displacement {
    Displacement((share * ONE as f64) as i128)
}
