//! One question of a search: an account under some scales, from an instant on, and where its inputs stand.

use std::ops::Range;

use super::Trigger;
use super::cursors::{At, Cursor, Input, Live};
use super::epochs::{Scales, Under};
use super::index::Indexed;
use super::passage::Search;
use crate::book::{Holding, Leg};
use crate::error::Result;
use crate::margin::{Prices, Reach, Requirement};
use crate::units::Price;

/// One query.
pub(super) struct Query<'q, 's> {
    pub search: &'s Search<'s>,
    pub holding: Holding<'q>,
    pub scales: Scales<'q>,
    /// The first instant that counts.
    pub since: i64,
}

impl<'s> Query<'_, 's> {
    pub fn fails(&self, prices: &impl Prices) -> Result<bool> {
        let search = self.search;
        let at = Under {
            prices,
            scales: self.scales,
        };
        let health = search
            .margin
            .health_of(search.venue, self.holding, &at, Requirement::Maintenance)?;
        Ok(health.fails())
    }

    /// True if a market of the account is blocked at some time of the window.
    pub fn guarded(&self) -> bool {
        self.search.index.masks.concern(self.holding.legs)
    }

    /// True if a market of the account is blocked at `t`.
    pub fn blocked(&self, t: i64) -> bool {
        self.search.index.masks.block(self.holding.legs, t)
    }

    fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.holding.legs.iter().filter(|l| !l.size.is_zero())
    }

    /// Prices at the cursors.
    pub fn at<'c>(&self, cursors: &'c [Cursor<'s>]) -> At<'c, 's> {
        At::new(cursors, self.search.index.sides)
    }

    /// The only market that the account depends on, if that is so; print by print, if its feed is.
    pub fn alone(&self) -> Option<&'s Indexed> {
        let mut legs = self.legs();
        let only = legs.next()?;
        let single = legs.next().is_none() && self.holding.cash.len() == 1;
        let index = self.search.index;
        single.then(|| &index.trigger[index.sides.channel(only.market, only.size)])
    }

    /// The test at the opening, which comes even if none of the account's feeds has a state then.
    pub fn at_opening(&self, reach: Reach, cursors: &mut Vec<Cursor<'s>>) -> Result<Option<Trigger>> {
        let index = self.search.index;
        let opening = index.first;
        // Prints of the opening instant come one by one where every print is a state.
        if let Some(only) = self.alone()
            && only.feed.each_print
            && only.feed.series.ts.first() == Some(&opening)
        {
            return Ok(None);
        }
        if self.blocked(opening) {
            return Ok(None);
        }
        self.inputs(reach == Reach::Assets, cursors);
        for c in cursors.iter_mut() {
            let n = c.ts.partition_point(|&t| t <= opening);
            if n > 0 {
                c.price = Price(c.prices[n - 1]);
            }
        }
        let fails = self.fails(&self.at(cursors))?;
        Ok(fails.then_some(Trigger {
            ts: opening,
            seen: None,
        }))
    }

    /// One cursor for each input, where its series begins; the series that positions read come first, in the order of channels.
    pub fn inputs(&self, assets: bool, cursors: &mut Vec<Cursor<'s>>) {
        let index = self.search.index;
        cursors.clear();
        let mut push = |ts: &'s [i64], prices: &'s [i64], price: Price, input: Input| {
            cursors.push(Cursor::new(ts, prices, price, input));
        };
        let mut last = None;
        for (channel, _) in index.sides.in_order(self.holding.legs) {
            if last != Some(channel) {
                let series = &*index.trigger[channel].feed.series;
                push(&series.ts, &series.price, series.before, Input::Market(channel));
                last = Some(channel);
            }
        }
        if assets {
            for &(asset, _) in self.holding.cash {
                if let Some(indexed) = &index.collateral[asset] {
                    let series = &*indexed.feed.series;
                    push(&series.ts, &series.price, series.before, Input::Asset(asset));
                }
            }
        }
        if self.guarded() {
            let mut last = None;
            for leg in self.legs() {
                if last != Some(leg.market) {
                    let lifts = index.masks.of(leg.market).lifts();
                    push(lifts, lifts, Price(1), Input::Lifts(leg.market));
                    last = Some(leg.market);
                }
            }
        }
    }

    /// One cursor for each input, at the states of `t`. Says whether `t` is an instant of one of them, and where the states of `t` stand
    /// in the first.
    pub fn look_at(&self, t: i64, cursors: &mut Vec<Cursor<'s>>) -> (bool, Range<usize>) {
        self.inputs(self.holding.cash.len() > 1, cursors);
        let grid = &self.search.index.grid;
        let block = grid.block(0, t);
        let (mut own, mut prints) = (false, 0..0);
        for (k, c) in cursors.iter_mut().enumerate() {
            let Some(indexed) = self.indexed(c) else {
                own |= c.ts.binary_search(&t).is_ok();
                continue;
            };
            let series = &*indexed.feed.series;
            let (from, to) = indexed.pyramid.states(series, grid, 0, block);
            let place = |before: &dyn Fn(i64) -> bool| from + series.ts[from..to].partition_point(|&u| before(u));
            let here = place(&|u| u < t)..place(&|u| u <= t);
            c.price = series.after_states(here.end);
            own |= !here.is_empty();
            if k == 0 {
                prints = here;
            }
        }
        (own, prints)
    }

    /// The series of a cursor, if it has one.
    pub fn indexed(&self, cursor: &Cursor<'s>) -> Option<&'s Indexed> {
        let index = self.search.index;
        match cursor.input {
            Input::Market(channel) => Some(&index.trigger[channel]),
            Input::Asset(asset) => index.collateral[asset].as_ref(),
            Input::Lifts(_) => None,
        }
    }

    /// Puts the cursors at the beginning of a block.
    pub fn enter(&self, level: usize, block: usize, cursors: &mut [Cursor<'s>], live: &mut Live) {
        let grid = &self.search.index.grid;
        for c in cursors.iter_mut() {
            if let Some(indexed) = self.indexed(c) {
                let series = &*indexed.feed.series;
                let states = indexed.pyramid.states(series, grid, level, block);
                c.enter(states, series.after_states(states.0));
            } else {
                let before = |t: i64| c.ts.partition_point(|&lift| lift < t);
                let from = if block == 0 {
                    0
                } else {
                    before(grid.start(level, block))
                };
                let to = grid.end(level, block).map_or(c.ts.len(), before);
                c.enter((from, to), c.price);
            }
        }
        live.begin(cursors);
    }
}
