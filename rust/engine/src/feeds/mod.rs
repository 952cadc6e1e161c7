//! Feeds: published price series with their own cadence, one per market.
//!
//! A feed is a step series: from each timestamp on it stands at a price. Before its first state it stands at its first state, so that
//! every account can be valued at every instant. A feed is computed once per window of the tape, in one pass over the ticks, by a
//! [maker](make) that carries its state to the next window; feeds with the same inputs and parameters share one series. The ticks
//! themselves are not copied. A feed may be made from other feeds: they form a graph without cycles, made from the sources on.
//!
//! A feed may have two sides, a series for longs and one for shorts; a position reads that of its own [side](Sides).

mod basis;
mod ema;
mod graph;
mod guard;
mod halts;
mod lagged;
mod make;
mod median;
mod paused;
mod periodic;
mod push;
mod quotes;
mod sampled;
mod sides;
mod spread;
mod together;
mod twap;
mod worst_of;

pub use graph::{FeedPlan, FeedUse, IndexPlan};
pub use guard::{Mask, Masks};
pub use halts::Halts;
pub use make::FeedMaker;
pub use quotes::{Places, Quotes};
pub use sides::{Channel, Sided, Sides};

use std::sync::Arc;

use crate::column::Column;
use crate::error::Result;
use crate::units::{Price, Ratio, product};

/// A step series of states. Timestamps do not descend; of several states at one timestamp the last is the state of that instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// When each state becomes visible.
    pub ts: Column<i64>,
    /// The states.
    pub price: Column<i64>,
    /// Where it stands before the first of them: what an earlier window left, or the first state of all.
    pub before: Price,
}

impl Series {
    /// State after the first `n` states.
    pub fn after_states(&self, n: usize) -> Price {
        if n == 0 { self.before } else { Price(self.price[n - 1]) }
    }

    /// State at `t`: the last one with a timestamp not after `t`.
    pub fn at(&self, t: i64) -> Price {
        self.after_states(self.count(t))
    }

    /// The states of the instants: of several at one timestamp the last.
    pub fn instants(&self) -> impl Iterator<Item = (i64, i64)> {
        let (ts, price) = (&self.ts[..], &self.price[..]);
        (0..ts.len())
            .filter(|&i| ts.get(i + 1) != Some(&ts[i]))
            .map(|i| (ts[i], price[i]))
    }

    /// Number of states up to `t`, which is the place of the first one after it.
    pub fn count(&self, t: i64) -> usize {
        self.ts.partition_point(|&u| u <= t)
    }
}

/// New states of a feed, as they are made.
#[derive(Debug, Default)]
struct States {
    ts: Vec<i64>,
    /// For everyone, or for longs.
    price: Vec<i64>,
    /// For shorts, if the feed has two sides.
    short: Vec<i64>,
}

impl States {
    fn push(&mut self, ts: i64, price: i64) {
        self.ts.push(ts);
        self.price.push(price);
    }

    fn push_sides(&mut self, ts: i64, long: i64, short: i64) {
        self.push(ts, long);
        self.short.push(short);
    }
}

/// `|price - reference| > limit * reference`, exactly.
fn apart(price: i64, reference: i64, limit: Ratio) -> Result<bool> {
    let distance = product(i128::from(price.abs_diff(reference)), limit.den, "distance of feeds")?;
    Ok(distance > product(i128::from(reference), limit.num, "distance of feeds")?)
}

/// The feed of one market.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Its states.
    pub series: Arc<Series>,
    /// Number of the series among those of the run, for [`Quotes`].
    pub slot: usize,
    /// Every print is a state for accounts that depend on this price only; the others see the last print of an instant.
    pub each_print: bool,
}

impl Feed {
    /// True if both have the same states.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.series, &other.series) && self.each_print == other.each_print
    }
}

/// The feeds of a window of the tape, one for each use and market.
#[derive(Debug, Clone)]
pub struct Feeds {
    /// Tests accounts.
    pub trigger: Sided,
    /// Closes positions.
    pub execution: Sided,
    /// The mark of ADL.
    pub adl: Sided,
    /// The price of ADL, if it has a feed of its own.
    pub adl_price: Option<Sided>,
    /// Values assets.
    pub collateral: Vec<Feed>,
    /// Settles delisted markets: by delisting, if it has a feed, and market.
    pub settlement: Vec<Option<Vec<Feed>>>,
    /// Values losses.
    pub reference: Vec<Feed>,
    /// The prints of each market, for orders that fill at the next one.
    pub prints: Vec<Feed>,
    /// Sizes of the prints of each market, for orders that fill with them; None where they are not asked for, or the ticks have none.
    pub sizes: Vec<Option<Column<i64>>>,
    /// True if the execution feed is the trigger feed, so that a print just seen is also the price.
    pub execution_is_trigger: bool,
    /// The same of the mark of ADL.
    pub adl_is_trigger: bool,
    /// The same of the price of ADL.
    pub adl_price_is_trigger: bool,
    /// When each market is blocked.
    pub masks: Arc<Masks>,
    /// When the venue is down; None: never.
    pub halts: Option<Arc<Halts>>,
    /// Where to look in their series.
    pub places: Arc<Places>,
}

impl Feeds {
    /// The feeds of all uses.
    fn all(&self) -> impl Iterator<Item = &Feed> {
        let own = self.adl_price.iter();
        let sided = [&self.trigger, &self.execution, &self.adl].into_iter().chain(own);
        let others = [&self.collateral, &self.reference, &self.prints];
        let settled = self.settlement.iter().flatten().flatten();
        sided
            .flat_map(|s| &s.feeds)
            .chain(others.into_iter().flatten())
            .chain(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stands_at_its_first_state_before_it() {
        let series = Series {
            ts: vec![10, 10, 20].into(),
            price: vec![7, 1, 2].into(),
            before: Price(1),
        };
        let at = |t| series.at(t).0;
        assert_eq!((at(0), at(10), at(19), at(20), at(99)), (1, 1, 1, 2, 2));
        let silent = Series {
            ts: Column::default(),
            price: Column::default(),
            before: Price(5),
        };
        assert_eq!(silent.at(9), Price(5));
    }
}
