//! Time-weighted average over a window, exactly: the difference of two integrals of the source, rounded down.
//!
//! The window reaches back to the first state of the source at most. States within it are kept, each with the integral up to it, so a
//! state and a point of the cadence cost the same whatever the window.
//!
//! Source: Perpetual Protocol v1 (15 minutes), v2 (15 seconds and 30 minutes); Drift's guard (5 minutes).

use std::collections::VecDeque;

use super::sampled::Average;
use crate::error::{Error, Result};
use crate::units::floor_div;

/// A state of the source and the integral of the source up to it.
#[derive(Debug, Clone, Copy)]
struct Step {
    ts: i64,
    price: i64,
    integral: i128,
}

impl Step {
    /// The integral up to `t`, until when this state stands.
    fn integral_at(&self, t: i64) -> Result<i128> {
        (i128::from(t) - i128::from(self.ts))
            .checked_mul(i128::from(self.price))
            .and_then(|more| self.integral.checked_add(more))
            .ok_or_else(|| Error::overflow("time-weighted average"))
    }
}

/// The states that a window may still need; the first one stands at its beginning.
#[derive(Debug, Clone)]
pub(super) struct Window {
    length: i64,
    steps: VecDeque<Step>,
}

impl Window {
    pub fn new(length: i64) -> Self {
        Self {
            length,
            steps: VecDeque::new(),
        }
    }

    /// Where the window of a point at `ts` begins. Points do not go back: what is not needed for it is forgotten.
    fn begin(&mut self, ts: i64) -> i64 {
        let from = ts.saturating_sub(self.length);
        while self.steps.get(1).is_some_and(|second| second.ts <= from) {
            self.steps.pop_front();
        }
        from
    }
}

impl Average for Window {
    type State = i64;

    fn first(price: i64) -> i64 {
        price
    }

    fn take(&mut self, ts: i64, price: i64) -> Result<()> {
        let integral = self.steps.back().map_or(Ok(0), |last| last.integral_at(ts))?;
        self.steps.push_back(Step { ts, price, integral });
        self.begin(ts);
        Ok(())
    }

    fn at(&mut self, ts: i64) -> Result<i64> {
        let from = self.begin(ts);
        let (Some(first), Some(last)) = (self.steps.front(), self.steps.back()) else {
            return Err(Error::Invariant("an average of nothing".to_owned()));
        };
        let from = from.max(first.ts);
        let sum = last.integral_at(ts)? - first.integral_at(from)?;
        Ok(floor_div(sum, i128::from(ts) - i128::from(from)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sampled::{Cadence, Sampled, tests::states};

    #[test]
    fn weighs_prices_by_the_time_they_stood() {
        let fresh = || {
            let mut feed = Sampled::new(Cadence { every: 10, offset: 0 }, Window::new(20));
            Box::new(move |source: &_, until| feed.advance(source, until).unwrap()) as Box<dyn FnMut(&_, i64) -> _>
        };
        let source = [(2, 100), (6, 50), (12, 80), (12, 60), (31, 7)];
        let expected = vec![
            (2, 100),
            (10, (4 * 100 + 4 * 50) / 8),
            (20, (4 * 100 + 6 * 50 + 8 * 60) / 18),
            (30, (2 * 50 + 18 * 60) / 20),
            (40, (11 * 60 + 9 * 7) / 20),
            (50, (60 + 19 * 7) / 20),
            (60, 7),
        ];
        assert_eq!(states(fresh, &source, 65), expected);
    }
}
