//! Periodic feed: the source as it stands at the points of a cadence (an index recomputed every few seconds, a mark refreshed with
//! each block).
//!
//! Source: Hyperliquid publishes oracle prices about every 3 seconds (docs, robust price indices).

use super::sampled::Average;
use crate::error::Result;

/// The last state of the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest(i64);

impl Average for Latest {
    type State = i64;

    fn first(price: i64) -> i64 {
        price
    }

    fn take(&mut self, _: i64, price: i64) -> Result<()> {
        self.0 = price;
        Ok(())
    }

    fn at(&mut self, _: i64) -> Result<i64> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sampled::{Cadence, Sampled, tests::states};

    #[test]
    fn samples_what_stands_at_each_point() {
        let fresh = || {
            let mut feed = Sampled::new(Cadence { every: 10, offset: 0 }, Latest::default());
            Box::new(move |source: &_, until| feed.advance(source, until).unwrap()) as Box<dyn FnMut(&_, i64) -> _>
        };
        let source = [(3, 100), (4, 90), (10, 80), (10, 81), (11, 20), (19, 82), (33, 83)];
        // The wick at 11 falls between two samples.
        let expected = vec![(3, 100), (10, 81), (20, 82), (30, 82), (40, 83)];
        assert_eq!(states(fresh, &source, 45), expected);
    }
}
