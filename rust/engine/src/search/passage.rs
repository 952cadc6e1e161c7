//! First passage of one account: its bound over groups of blocks, then its states instant by instant, then the exact test.

use super::cursors::{Cursor, Live};
use super::epochs::{Epoch, Scales};
use super::grid::FAN;
use super::index::{Index, Indexed};
use super::query::Query;
use super::walk::walk;
use super::{PriceRanges, Trigger, TriggerSearch};
use crate::book::{Book, Holding, Indices};
use crate::contract::{AssetId, MarketId, Venue};
use crate::error::Result;
use crate::feeds::Channel;
use crate::margin::{Bound, Margin, Prices, Reach, WIDTH};
use crate::terms::Terms;
use crate::units::{Price, Size};

const _: () = assert!(WIDTH == FAN);

/// Memory that queries use again and again; one for each thread.
#[derive(Default)]
pub struct Scratch<'a> {
    pub(super) bound: Bound<'a>,
    pub(super) cursors: Vec<Cursor<'a>>,
    pub(super) live: Live,
    pub(super) epoch: Epoch,
}

/// First passages by the index of a window.
pub struct Search<'a> {
    pub(super) venue: &'a Venue,
    pub(super) margin: &'a Margin,
    pub(super) index: &'a Index,
    pub(super) terms: Option<&'a Terms>,
}

impl<'a> Search<'a> {
    /// Searches for accounts of a book by margin rules.
    pub fn new(venue: &'a Venue, margin: &'a Margin, index: &'a Index) -> Self {
        Self {
            venue,
            margin,
            index,
            terms: None,
        }
    }

    /// The same under terms that change on a schedule.
    #[must_use]
    pub fn with_terms(self, terms: Option<&'a Terms>) -> Self {
        Self { terms, ..self }
    }

    /// True if the account is liquidatable at the states of `t`, a time of the window.
    ///
    /// # Errors
    /// Overflow.
    pub fn fails_at<'s>(&'s self, book: &Book, account: usize, t: i64, scratch: &mut Scratch<'s>) -> Result<bool> {
        if !book.has_position(account) {
            return Ok(false);
        }
        let cash = &book.assessed_cash(account)?;
        let holding = Holding {
            legs: book.legs(account),
            cash,
        };
        match self.terms {
            None => self.fails_under(holding, Scales::ONE, t, scratch),
            Some(terms) => self.fails_at_terms(terms, holding, book.settled(account), t, scratch),
        }
    }

    /// [`Self::fails_at`] of positions and cash, under these scales.
    pub(super) fn fails_under<'s>(
        &'s self,
        holding: Holding<'_>,
        scales: Scales<'_>,
        t: i64,
        scratch: &mut Scratch<'s>,
    ) -> Result<bool> {
        let query = Query {
            search: self,
            holding,
            scales,
            since: t,
        };
        query.look_at(t, &mut scratch.cursors);
        query.fails(&query.at(&scratch.cursors))
    }

    /// The first moment from `t` on at which the account is not blocked, if the window shows it.
    pub fn free_from(&self, book: &Book, account: usize, t: i64) -> Option<i64> {
        self.index.masks.free_from(book.legs(account), t)
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
        let cash = &book.assessed_cash(account)?;
        let legs = book.legs(account);
        self.first_of(Holding { legs, cash }, book.settled(account), after, scratch)
    }
}

impl Search<'_> {
    /// [`TriggerSearch::first`] of positions, where they were last settled, and cash less what is owed for socialised losses.
    pub(super) fn first_of<'s>(
        &'s self,
        holding: Holding<'_>,
        settled: &[Indices],
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        match self.terms {
            None => self.first_under(holding, Scales::ONE, after, scratch),
            Some(terms) => self.first_over_terms(terms, holding, settled, after, scratch),
        }
    }

    /// The first trigger of positions and cash, under these scales.
    pub(super) fn first_under<'s>(
        &'s self,
        holding: Holding<'_>,
        scales: Scales<'_>,
        after: Option<i64>,
        scratch: &mut Scratch<'s>,
    ) -> Result<Option<Trigger>> {
        let index = self.index;
        let range = |channel: Channel| index.trigger[channel].range;
        let scale = |m: MarketId| scales.of(m);
        let reach = scratch
            .bound
            .take(self.margin, self.venue, holding, index.sides, range, scale);
        if reach == Reach::Never {
            return Ok(None);
        }
        let Some(since) = after.map_or(Some(index.first), |t| t.checked_add(1)) else {
            return Ok(None);
        };
        let query = Query {
            search: self,
            holding,
            scales,
            since,
        };
        if after.is_none()
            && let Some(trigger) = query.at_opening(reach, &mut scratch.cursors)?
        {
            return Ok(Some(trigger));
        }
        match reach {
            Reach::Never => Ok(None),
            Reach::Below(channel, price) if !query.guarded() => query.one_price::<true>(channel, price),
            Reach::Above(channel, price) if !query.guarded() => query.one_price::<false>(channel, price),
            Reach::Below(..) | Reach::Above(..) | Reach::Markets => query.markets(scratch),
            Reach::Assets => query.assets(scratch),
        }
    }
}

impl<'s> Query<'_, 's> {
    /// An account that fails only at or below (or above) one price of one series.
    fn one_price<const BELOW: bool>(&self, channel: Channel, price: f64) -> Result<Option<Trigger>> {
        let index = self.search.index;
        let Indexed { feed, pyramid, .. } = &index.trigger[channel];
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
            |level, group| pyramid.suspects::<BELOW>(level, group, edge),
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
    fn markets(&self, scratch: &mut Scratch<'s>) -> Result<Option<Trigger>> {
        let Scratch {
            bound, cursors, live, ..
        } = scratch;
        self.inputs(false, cursors);
        let each_print = self.alone().is_some_and(|only| only.feed.each_print);
        let index = self.search.index;
        let pyramid = |channel: Channel| &index.trigger[channel].pyramid;
        let terms = bound.terms();
        let finest = terms.iter().map(|t| pyramid(t.channel).leaf()).min().unwrap_or(0);
        let from = index.grid.block(finest, self.since);
        walk(
            &index.grid,
            finest,
            from,
            |level, group| {
                let mut sums = [bound.base(); WIDTH];
                for term in terms {
                    let pyramid = pyramid(term.channel);
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
                self.enter(finest, block, cursors, live);
                for (c, term) in cursors.iter_mut().zip(terms) {
                    c.adds = bound.at(term, c.price.0 as f64);
                }
                // A move costs the running sum two roundings at most of the largest that it can be. Summed anew after as many moves as
                // there are terms, it stays within the error that the base allows for, and a move costs the same however many there are.
                let total = |cursors: &[Cursor<'_>]| bound.base() + cursors.iter().map(|c| c.adds).sum::<f64>();
                let (mut sum, mut moves) = (total(cursors), 0);
                while let Some(t) = live.step(cursors, each_print, |k, c| {
                    if let Some(term) = terms.get(k) {
                        let adds = bound.at(term, c.price.0 as f64);
                        sum += adds - c.adds;
                        (c.adds, moves) = (adds, moves + 1);
                    }
                }) {
                    if moves >= terms.len() {
                        (sum, moves) = (total(cursors), 0);
                    }
                    if sum <= 0.0 && t >= self.since && !self.blocked(t) && self.fails(&self.at(cursors))? {
                        let first = &cursors[0];
                        let printed = each_print && first.next > 0 && first.ts[first.next - 1] == t;
                        return Ok(Some(Trigger {
                            ts: t,
                            seen: printed.then_some(first.price),
                        }));
                    }
                }
                Ok(None)
            },
        )
    }

    /// An account with several assets.
    fn assets(&self, scratch: &mut Scratch<'s>) -> Result<Option<Trigger>> {
        let Scratch {
            bound, cursors, live, ..
        } = scratch;
        self.inputs(true, cursors);
        let index = self.search.index;
        let finest = cursors
            .iter()
            .filter_map(|c| Some(self.indexed(c)?.pyramid.leaf()))
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
                    *sum = bound.over_assets(
                        |c| index.trigger[c].over(level, block),
                        |a| index.asset(a, level, block),
                    );
                }
                suspects(&sums)
            },
            |block| {
                self.enter(finest, block, cursors, live);
                while let Some(t) = live.step(cursors, false, |_, _| ()) {
                    let at = self.at(cursors);
                    let point = |p: Price| (p.0 as f64, p.0 as f64);
                    let clear = bound.over_assets(|c| point(at.channel(c)), |a| point(at.asset(a))) > 0.0;
                    if !clear && t >= self.since && !self.blocked(t) && self.fails(&at)? {
                        return Ok(Some(Trigger { ts: t, seen: None }));
                    }
                }
                Ok(None)
            },
        )
    }
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

/// The price of the only series that an account depends on.
impl Prices for Price {
    fn market(&self, _: MarketId, _: Size) -> Price {
        *self
    }

    fn asset(&self, _: AssetId) -> Price {
        *self
    }
}
