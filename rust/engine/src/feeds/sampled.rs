//! Feeds that are published at the points of a cadence, whatever their source does in between.
//!
//! A point sees every state of the source up to its own time. The feed begins with the source: the first state of the source is its
//! own first state, and points come after it. Cost: a state of the source and a point each cost what the average takes.

use super::{Series, States};
use crate::error::{Error, Result};

/// Points in time: `offset + k * every` after 1970 for whole k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cadence {
    pub every: i64,
    pub offset: i64,
}

/// Points of one market between two states of its source, beyond which a cadence is taken for a mistake.
const MANY: i64 = 1 << 26;

impl Cadence {
    /// The first point after `t`.
    fn after(self, t: i64) -> Option<i64> {
        let since = (i128::from(t) - i128::from(self.offset)).rem_euclid(i128::from(self.every));
        t.checked_add(self.every - since as i64)
    }
}

/// What is published at a point.
pub(super) trait Average {
    /// What it reads: the price of a source, or the prices of several.
    type State: Copy;
    /// What is published of the first state.
    fn first(state: Self::State) -> i64;
    /// Takes a state of the source.
    fn take(&mut self, ts: i64, state: Self::State) -> Result<()>;
    /// The value at a point, which is after the first state and not before the last.
    fn at(&mut self, ts: i64) -> Result<i64>;
}

/// A sampled feed between two windows.
#[derive(Debug, Clone)]
pub(super) struct Sampled<A> {
    cadence: Cadence,
    /// The next point; None before the first state of the source.
    next: Option<i64>,
    average: A,
}

impl<A: Average> Sampled<A> {
    pub fn new(cadence: Cadence, average: A) -> Self {
        Self {
            cadence,
            next: None,
            average,
        }
    }

    /// The states up to `until`, from those of the source.
    pub fn follow(&mut self, source: impl Iterator<Item = (i64, A::State)>, until: i64) -> Result<States> {
        let mut out = States::default();
        for (ts, state) in source {
            let begins = self.next.is_none();
            self.publish(ts.saturating_sub(1), &mut out)?;
            self.average.take(ts, state)?;
            if begins {
                out.push(ts, A::first(state));
                self.next = self.cadence.after(ts);
            }
        }
        self.publish(until, &mut out)?;
        Ok(out)
    }

    fn publish(&mut self, until: i64, out: &mut States) -> Result<()> {
        let Some(next) = self.next else { return Ok(()) };
        if until.saturating_sub(next) / self.cadence.every > MANY {
            return Err(Error::Config(format!(
                "protocol: feeds: a sample every {} ns is more than {MANY} samples while nothing happens",
                self.cadence.every
            )));
        }
        while let Some(point) = self.next.filter(|&point| point <= until) {
            out.push(point, self.average.at(point)?);
            self.next = point.checked_add(self.cadence.every);
        }
        Ok(())
    }
}

impl<A: Average<State = i64>> Sampled<A> {
    /// The states up to `until`.
    pub fn advance(&mut self, source: &Series, until: i64) -> Result<States> {
        self.follow(source.instants(), until)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::units::Price;

    /// The states of a feed, which must be the same wherever the source is cut between instants.
    pub fn states(
        fresh: impl Fn() -> Box<dyn FnMut(&Series, i64) -> States>,
        source: &[(i64, i64)],
        until: i64,
    ) -> Vec<(i64, i64)> {
        let part = |rows: &[(i64, i64)]| Series {
            ts: rows.iter().map(|r| r.0).collect(),
            price: rows.iter().map(|r| r.1).collect(),
            before: Price(1),
        };
        let pairs = |s: &States| s.ts.iter().copied().zip(s.price.iter().copied()).collect::<Vec<_>>();
        let whole = pairs(&fresh()(&part(source), until));
        for cut in (1..source.len()).filter(|&i| source[i - 1].0 < source[i].0) {
            let mut advance = fresh();
            let mut got = pairs(&advance(&part(&source[..cut]), source[cut].0 - 1));
            got.extend(pairs(&advance(&part(&source[cut..]), until)));
            assert_eq!(got, whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn points_lie_on_the_cadence() {
        let cadence = Cadence { every: 10, offset: 3 };
        let after = |t| cadence.after(t).unwrap();
        assert_eq!(
            (after(2), after(3), after(12), after(-8), after(-7)),
            (3, 13, 13, -7, 3)
        );
    }
}
