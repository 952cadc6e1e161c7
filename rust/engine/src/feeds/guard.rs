//! The guard: when accounts with a size in a market may not be liquidated.
//!
//! A market is blocked while two feeds are further apart than a limit, and while its trigger feed was not updated for longer than a
//! limit. Both are step functions of time that feeds alone decide, so a mask is made with the feeds, in one pass over their states.
//!
//! Source: Drift protocol, `oracle` guard rails (oracle against 5-minute TWAP, slots before stale).

use super::together::Together;
use super::{Series, apart};
use crate::book::Leg;
use crate::contract::MarketId;
use crate::error::Result;
use crate::units::Ratio;

/// When a market is blocked, within a window of the tape: stretches in order of time, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    from: Vec<i64>,
    /// First moment after each stretch; the largest of all if the window does not show it.
    until: Vec<i64>,
}

impl Mask {
    /// True if nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// True if the market is blocked at `t`.
    pub fn blocks(&self, t: i64) -> bool {
        self.free_from(t) != Some(t)
    }

    /// The first moment from `t` on at which the market is not blocked, if the window shows it.
    pub fn free_from(&self, t: i64) -> Option<i64> {
        let n = self.from.partition_point(|&from| from <= t);
        match n.checked_sub(1).map(|k| self.until[k]) {
            Some(i64::MAX) => None,
            Some(until) if t < until => Some(until),
            _ => Some(t),
        }
    }

    /// The moments at which it stops being blocked.
    pub fn lifts(&self) -> &[i64] {
        let known = self.until.partition_point(|&until| until < i64::MAX);
        &self.until[..known]
    }

    /// True if all of `[from, until)` is blocked.
    pub fn covers(&self, from: i64, until: i64) -> bool {
        self.free_from(from).is_none_or(|free| free >= until)
    }

    pub(super) fn push(&mut self, from: i64, until: i64) {
        if from < until {
            self.from.push(from);
            self.until.push(until);
        }
    }

    /// What either blocks.
    pub(super) fn union(&self, other: &Self) -> Self {
        let stretches = |mask: &Self| {
            mask.from
                .iter()
                .copied()
                .zip(mask.until.iter().copied())
                .collect::<Vec<_>>()
        };
        let mut all = [stretches(self), stretches(other)].concat();
        all.sort_unstable();
        let mut out = Self::default();
        for (from, until) in all {
            match out.until.last_mut() {
                Some(last) if from <= *last => *last = (*last).max(until),
                _ => out.push(from, until),
            }
        }
        out
    }
}

/// The masks of all markets, or of none without a guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks(pub(super) Vec<Mask>);

/// A market that is never blocked.
static FREE: Mask = Mask {
    from: Vec::new(),
    until: Vec::new(),
};

impl Masks {
    /// That of a market.
    pub fn of(&self, market: MarketId) -> &Mask {
        self.0.get(market).unwrap_or(&FREE)
    }

    /// True if a market with a size is blocked at some time.
    pub fn concern(&self, legs: &[Leg]) -> bool {
        !self.0.is_empty() && sized(legs).any(|market| !self.0[market].is_empty())
    }

    /// True if a market with a size is blocked at `t`.
    pub fn block(&self, legs: &[Leg], t: i64) -> bool {
        !self.0.is_empty() && sized(legs).any(|market| self.0[market].blocks(t))
    }

    /// The first moment from `t` on at which no market with a size is blocked, if the window shows it.
    pub fn free_from(&self, legs: &[Leg], t: i64) -> Option<i64> {
        if self.0.is_empty() {
            return Some(t);
        }
        let mut free = t;
        loop {
            let before = free;
            for market in sized(legs) {
                free = self.0[market].free_from(free)?;
            }
            if free == before {
                return Some(free);
            }
        }
    }
}

/// Markets in which there is a size.
fn sized(legs: &[Leg]) -> impl Iterator<Item = MarketId> {
    legs.iter().filter(|l| !l.size.is_zero()).map(|l| l.market)
}

/// One market of a guard between two windows.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// The last update of the trigger feed.
    updated: Option<i64>,
}

impl Watch {
    /// When the market is blocked, up to `until`: by two feeds and a limit, by the trigger feed and the age it may have.
    pub fn advance(
        &mut self,
        divergence: Option<([&Series; 2], Ratio)>,
        staleness: Option<(&Series, i64)>,
        until: i64,
    ) -> Result<Mask> {
        let mut diverged = Mask::default();
        if let Some((feeds, limit)) = divergence {
            let mut together = Together::new(&feeds);
            let mut since = apart(feeds[0].before.0, feeds[1].before.0, limit)?.then_some(i64::MIN);
            while let Some(ts) = together.step() {
                let prices = together.prices();
                match (since, apart(prices[0], prices[1], limit)?) {
                    (None, true) => since = Some(ts),
                    (Some(from), false) => {
                        diverged.push(from, ts);
                        since = None;
                    }
                    _ => {}
                }
            }
            if let Some(from) = since {
                diverged.push(from, i64::MAX);
            }
        }
        let mut stale = Mask::default();
        if let Some((trigger, limit)) = staleness {
            let from = |updated: i64| updated.saturating_add(limit).saturating_add(1);
            for &ts in &trigger.ts {
                if let Some(before) = self.updated.replace(ts) {
                    stale.push(from(before), ts);
                }
            }
            if let Some(last) = self.updated.map(from).filter(|&from| from <= until) {
                stale.push(last, i64::MAX);
            }
        }
        Ok(diverged.union(&stale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Price;

    fn series(states: &[(i64, i64)], before: i64) -> Series {
        Series {
            ts: states.iter().map(|s| s.0).collect(),
            price: states.iter().map(|s| s.1).collect(),
            before: Price(before),
        }
    }

    #[test]
    fn blocks_while_feeds_diverge_or_the_trigger_is_stale() {
        let (a, b) = (series(&[(10, 60), (20, 100)], 100), series(&[(5, 100), (15, 59)], 100));
        let limit = Ratio::parse("0.4").unwrap();
        let mut watch = Watch::default();
        let mask = watch.advance(Some(([&a, &b], limit)), None, 99).unwrap();
        // 60 is exactly 40 % below 100; 100 is 69 % above 59.
        assert_eq!(
            (mask.from.as_slice(), mask.until.as_slice()),
            (&[20][..], &[i64::MAX][..])
        );
        let mask = watch.advance(None, Some((&a, 7)), 99).unwrap();
        assert_eq!((mask.from.as_slice(), mask.lifts()), (&[18, 28][..], &[20][..]));
        assert!(!mask.blocks(17) && mask.blocks(18) && !mask.blocks(20) && mask.blocks(28));
        assert_eq!(
            (mask.free_from(19), mask.free_from(27), mask.free_from(30)),
            (Some(20), Some(27), None)
        );
        // In the next window the last update is remembered.
        let mask = watch.advance(None, Some((&series(&[(40, 1)], 1), 7)), 47).unwrap();
        assert_eq!((mask.from.as_slice(), mask.until.as_slice()), (&[28][..], &[40][..]));
    }

    #[test]
    fn stretches_that_touch_are_one() {
        let mut a = Mask::default();
        a.push(0, 10);
        a.push(30, 40);
        let mut b = Mask::default();
        b.push(10, 20);
        b.push(35, i64::MAX);
        let both = a.union(&b);
        assert_eq!(
            (both.from.as_slice(), both.until.as_slice()),
            (&[0, 30][..], &[20, i64::MAX][..])
        );
        assert!(both.covers(3, 20) && !both.covers(3, 21) && both.covers(31, i64::MAX));
    }
}
