//! First passage of one account: its bound over groups of blocks, then its states instant by instant, then the exact test.

use super::grid::FAN;
use super::index::{Index, Indexed};
use super::walk::walk;
use super::{PriceRanges, Trigger, TriggerSearch};
use crate::book::{Book, Holding};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::margin::{Bound, Margin, Prices, Reach, Requirement, WIDTH};
use crate::units::Price;

const _: () = assert!(WIDTH == FAN);

/// One input of an account's test while the states of a block are walked.
pub(super) struct Cursor<'a> {
    ts: &'a [i64],
    pub prices: &'a [i64],
    next: usize,
    end: usize,
    /// Timestamp of the next state; the largest of all at the end.
    due: i64,
    pub price: Price,
    /// What the term of this market adds at `price`.
    adds: f64,
    market: Option<MarketId>,
    asset: Option<AssetId>,
}

impl Cursor<'_> {
    /// Goes to a stretch of states, which begins at `price`.
    fn enter(&mut self, (next, end): (usize, usize), price: Price) {
        (self.next, self.end, self.price) = (next, end, price);
        self.due = self.ts[next..end].first().copied().unwrap_or(i64::MAX);
    }

    /// Takes the state that is due; of several at one timestamp the last, or with `each_print` the first.
    fn take(&mut self, each_print: bool) {
        let states = &self.ts[self.next..self.end];
        let more = if each_print {
            1
        } else {
            1 + states[1..].iter().take_while(|&&t| t == self.due).count()
        };
        self.due = states.get(more).copied().unwrap_or(i64::MAX);
        self.next += more;
        self.price = Price(self.prices[self.next - 1]);
    }
}

/// Memory that queries use again and again; one for each thread.
#[derive(Default)]
pub struct Scratch<'a> {
    pub(super) bound: Bound<'a>,
    pub(super) cursors: Vec<Cursor<'a>>,
}

/// First passages by the index of a window.
pub struct Search<'a> {
    pub(super) venue: &'a Venue,
    pub(super) margin: &'a Margin,
    pub(super) index: &'a Index,
}

/// One query.
pub(super) struct Query<'q, 's> {
    pub search: &'s Search<'s>,
    pub holding: Holding<'q>,
    /// The first instant that counts.
    pub since: i64,
}

impl<'a> Search<'a> {
    /// Searches for accounts of a book by margin rules.
    pub fn new(venue: &'a Venue, margin: &'a Margin, index: &'a Index) -> Self {
        Self { venue, margin, index }
    }

    /// True if the account is liquidatable at the states of `t`, a time of the window.
    ///
    /// # Errors
    /// Overflow.
    pub fn fails_at<'s>(&'s self, book: &Book, account: usize, t: i64, scratch: &mut Scratch<'s>) -> Result<bool> {
        if !book.has_position(account) {
            return Ok(false);
        }
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        let query = Query {
            search: self,
            holding: Holding { legs, cash },
            since: t,
        };
        let cursors = &mut scratch.cursors;
        query.inputs(cash.len() > 1, cursors);
        let block = self.index.grid.block(0, t);
        for c in cursors.iter_mut() {
            let indexed = query.indexed(c);
            let series = &*indexed.feed.series;
            let (from, to) = indexed.pyramid.states(series, &self.index.grid, 0, block);
            let n = from + series.ts[from..to].partition_point(|&u| u <= t);
            c.price = series.after_states(n);
        }
        query.fails(&At(cursors))
    }

    /// How far prices move within stretches of the window.
    pub fn ranges(&self) -> &dyn PriceRanges {
        self.index
    }
}

impl TriggerSearch for Search<'_> {
    fn first<'s>(
        &'s self,
        book: &Book,
        account: usize,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let cash = &book.net_cash(account)?;
        let legs = book.legs(account);
        self.first_of(Holding { legs, cash }, after, scratch)
    }
}

impl Search<'_> {
    /// [`TriggerSearch::first`] of positions and cash.
    pub(super) fn first_of<'s>(
        &'s self,
        holding: Holding<'_>,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let index = self.index;
        let range = |m: MarketId| index.trigger[m].range;
        let reach = scratch.bound.take(self.margin, self.venue, holding, range);
        if reach == Reach::Never {
            return Ok(None);
        }
        let Some(since) = after.map_or(Some(index.first), |t| t.checked_add(1)) else {
            return Ok(None);
        };
        let query = Query {
            search: self,
            holding,
            since,
        };
        if after.is_none()
            && let Some(trigger) = query.at_opening(reach, &mut scratch.cursors)?
        {
            return Ok(Some(trigger));
        }
        match reach {
            Reach::Never => Ok(None),
            Reach::Below(market, price) => query.one_price::<true>(market, price),
            Reach::Above(market, price) => query.one_price::<false>(market, price),
            Reach::Markets => query.markets(&scratch.bound, &mut scratch.cursors),
            Reach::Assets => query.assets(&scratch.bound, &mut scratch.cursors),
        }
    }
}

impl<'q, 's> Query<'q, 's> {
    /// A query for an account, from an instant on.
    pub fn new(search: &'s Search<'s>, holding: Holding<'q>, since: i64) -> Self {
        Self { search, holding, since }
    }

    pub fn fails(&self, prices: &impl Prices) -> Result<bool> {
        let search = self.search;
        let health = search
            .margin
            .health_of(search.venue, self.holding, prices, Requirement::Maintenance)?;
        Ok(health.fails())
    }

    /// The only market that the account depends on, if that is so; print by print, if its feed is.
    pub fn alone(&self) -> Option<&'s Indexed> {
        let mut legs = self.holding.legs.iter().filter(|l| !l.size.is_zero());
        let only = legs.next()?;
        let single = legs.next().is_none() && self.holding.cash.len() == 1;
        single.then(|| &self.search.index.trigger[only.market])
    }

    /// The test at the opening, which comes even if none of the account's feeds has a state then.
    fn at_opening(&self, reach: Reach, cursors: &mut Vec<Cursor<'s>>) -> Result<Option<Trigger>> {
        let index = self.search.index;
        let opening = index.first;
        // Prints of the opening instant come one by one where every print is a state.
        if let Some(only) = self.alone()
            && only.feed.each_print
            && only.feed.series.ts.first() == Some(&opening)
        {
            return Ok(None);
        }
        self.inputs(reach == Reach::Assets, cursors);
        for c in cursors.iter_mut() {
            let n = c.ts.partition_point(|&t| t <= opening);
            if n > 0 {
                c.price = Price(c.prices[n - 1]);
            }
        }
        let fails = self.fails(&At(cursors))?;
        Ok(fails.then_some(Trigger {
            ts: opening,
            seen: None,
        }))
    }

    /// One cursor for each input, where its series begins.
    pub fn inputs(&self, assets: bool, cursors: &mut Vec<Cursor<'s>>) {
        let index = self.search.index;
        cursors.clear();
        let mut push = |indexed: &'s Indexed, market, asset| {
            let series = &*indexed.feed.series;
            cursors.push(Cursor {
                ts: &series.ts,
                prices: &series.price,
                next: 0,
                end: 0,
                due: i64::MAX,
                price: series.before,
                adds: 0.0,
                market,
                asset,
            });
        };
        let mut last = None;
        for leg in self.holding.legs.iter().filter(|l| !l.size.is_zero()) {
            if last != Some(leg.market) {
                push(&index.trigger[leg.market], Some(leg.market), None);
                last = Some(leg.market);
            }
        }
        if assets {
            for &(asset, _) in self.holding.cash {
                if let Some(indexed) = &index.collateral[asset] {
                    push(indexed, None, Some(asset));
                }
            }
        }
    }

    pub fn indexed(&self, cursor: &Cursor<'s>) -> &'s Indexed {
        let index = self.search.index;
        match (cursor.market, cursor.asset) {
            (Some(market), _) => &index.trigger[market],
            (None, Some(asset)) => index.collateral[asset].as_ref().unwrap_or(&index.trigger[0]),
            (None, None) => &index.trigger[0],
        }
    }

    /// An account that fails only at or below (or above) one price of one market.
    fn one_price<const BELOW: bool>(&self, market: MarketId, price: f64) -> Result<Option<Trigger>> {
        let index = self.search.index;
        let Indexed { feed, pyramid, .. } = &index.trigger[market];
        let (ts, prices) = (&feed.series.ts[..], &feed.series.price[..]);
        let each_print = feed.each_print && self.alone().is_some();
        let finest = pyramid.leaf();
        // Casts saturate: beyond the range of prices nothing, or everything, is reached.
        let reached = |p: i64| {
            if BELOW {
                p <= price.floor() as i64
            } else {
                p >= price.ceil() as i64
            }
        };
        let edge = if BELOW { outward_up(price) } else { outward_down(price) };
        let from = index.grid.block(finest, self.since);
        walk(
            &index.grid,
            finest,
            from,
            |level, group| match pyramid.group(level, group) {
                Some((low, high)) => {
                    let mut suspects = 0;
                    for i in 0..FAN {
                        let hit = if BELOW { low[i] <= edge } else { high[i] >= edge };
                        suspects |= u32::from(hit) << i;
                    }
                    suspects
                }
                None => u32::MAX,
            },
            |block| {
                let (mut i, end) = pyramid.states(&feed.series, &index.grid, finest, block);
                if ts[i..end].first().is_some_and(|&t| t < self.since) {
                    i += ts[i..end].partition_point(|&t| t < self.since);
                }
                while let Some(k) = prices[i..end].iter().position(|&p| reached(p)) {
                    i += k + 1;
                    let (t, seen) = (ts[i - 1], Price(prices[i - 1]));
                    let state = each_print || ts.get(i) != Some(&t);
                    if state && self.fails(&seen)? {
                        return Ok(Some(Trigger {
                            ts: t,
                            seen: each_print.then_some(seen),
                        }));
                    }
                }
                Ok(None)
            },
        )
    }

    /// An account with positions in several markets and one asset.
    fn markets(&self, bound: &Bound<'_>, cursors: &mut Vec<Cursor<'s>>) -> Result<Option<Trigger>> {
        self.inputs(false, cursors);
        let each_print = self.alone().is_some_and(|only| only.feed.each_print);
        let index = self.search.index;
        let pyramid = |market: MarketId| &index.trigger[market].pyramid;
        let terms = bound.terms();
        let finest = terms.iter().map(|t| pyramid(t.market).leaf()).min().unwrap_or(0);
        let from = index.grid.block(finest, self.since);
        walk(
            &index.grid,
            finest,
            from,
            |level, group| {
                let mut sums = [bound.base(); WIDTH];
                for term in terms {
                    let pyramid = pyramid(term.market);
                    if let Some((low, high)) = pyramid.group(level, group) {
                        bound.add(term, low, high, &mut sums);
                    } else {
                        let (low, high) = pyramid.of(level, group * FAN);
                        let adds = bound.between(term, f64::from(low), f64::from(high));
                        sums.iter_mut().for_each(|sum| *sum += adds);
                    }
                }
                suspects(&sums)
            },
            |block| {
                self.enter(finest, block, cursors);
                for (c, term) in cursors.iter_mut().zip(terms) {
                    c.adds = bound.at(term, c.price.0 as f64);
                }
                while let Some(t) = step(cursors, each_print, |k, price| bound.at(&terms[k], price.0 as f64)) {
                    let sum = bound.base() + cursors.iter().map(|c| c.adds).sum::<f64>();
                    if sum <= 0.0 && t >= self.since && self.fails(&At(cursors))? {
                        return Ok(Some(Trigger {
                            ts: t,
                            seen: each_print.then(|| cursors[0].price),
                        }));
                    }
                }
                Ok(None)
            },
        )
    }

    /// An account with several assets.
    fn assets(&self, bound: &Bound<'_>, cursors: &mut Vec<Cursor<'s>>) -> Result<Option<Trigger>> {
        self.inputs(true, cursors);
        let index = self.search.index;
        let finest = cursors
            .iter()
            .map(|c| self.indexed(c).pyramid.leaf())
            .min()
            .unwrap_or(0);
        let from = index.grid.block(finest, self.since);
        walk(
            &index.grid,
            finest,
            from,
            |level, group| {
                let blocks = index.grid.blocks(level);
                let mut sums = [1.0; WIDTH];
                for (i, sum) in sums.iter_mut().enumerate().take(blocks.saturating_sub(group * FAN)) {
                    let block = group * FAN + i;
                    *sum = bound.over_assets(|m| index.market(m, level, block), |a| index.asset(a, level, block));
                }
                suspects(&sums)
            },
            |block| {
                self.enter(finest, block, cursors);
                while let Some(t) = step(cursors, false, |_, _| 0.0) {
                    let at = At(cursors);
                    let point = |p: Price| (p.0 as f64, p.0 as f64);
                    let clear = bound.over_assets(|m| point(at.market(m)), |a| point(at.asset(a))) > 0.0;
                    if !clear && t >= self.since && self.fails(&at)? {
                        return Ok(Some(Trigger { ts: t, seen: None }));
                    }
                }
                Ok(None)
            },
        )
    }

    /// Puts the cursors at the beginning of a block.
    pub fn enter(&self, level: usize, block: usize, cursors: &mut [Cursor<'s>]) {
        for c in cursors {
            let indexed = self.indexed(c);
            let series = &*indexed.feed.series;
            let states = indexed.pyramid.states(series, &self.search.index.grid, level, block);
            c.enter(states, series.after_states(states.0));
        }
    }
}

/// Takes the next instant (or the next print) of a block; None at its end.
pub(super) fn step(cursors: &mut [Cursor<'_>], each_print: bool, adds: impl Fn(usize, Price) -> f64) -> Option<i64> {
    let t = cursors.iter().map(|c| c.due).min()?;
    if t == i64::MAX && cursors.iter().all(|c| c.next == c.end) {
        return None;
    }
    for (k, c) in cursors.iter_mut().enumerate() {
        if c.due == t && c.next < c.end {
            c.take(each_print);
            c.adds = adds(k, c.price);
        }
    }
    Some(t)
}

pub(super) fn suspects(sums: &[f64; WIDTH]) -> u32 {
    let mut out = 0;
    for (i, sum) in sums.iter().enumerate() {
        // A sum that is not a number clears nothing.
        out |= u32::from(*sum <= 0.0 || sum.is_nan()) << i;
    }
    out
}

pub(super) fn outward_up(x: f64) -> f32 {
    let y = x as f32;
    if f64::from(y) < x { y.next_up() } else { y }
}

pub(super) fn outward_down(x: f64) -> f32 {
    let y = x as f32;
    if f64::from(y) > x { y.next_down() } else { y }
}

/// Prices at the cursors.
pub(super) struct At<'c, 's>(pub &'c [Cursor<'s>]);

impl At<'_, '_> {
    fn find(&self, matches: impl Fn(&Cursor<'_>) -> bool) -> Price {
        self.0.iter().find(|c| matches(c)).map_or(Price(1), |c| c.price)
    }
}

impl Prices for At<'_, '_> {
    fn market(&self, market: MarketId) -> Price {
        self.find(|c| c.market == Some(market))
    }

    fn asset(&self, asset: AssetId) -> Price {
        self.find(|c| c.asset == Some(asset))
    }
}

/// The price of the only market that an account depends on.
impl Prices for Price {
    fn market(&self, _: MarketId) -> Price {
        *self
    }

    fn asset(&self, _: AssetId) -> Price {
        *self
    }
}
