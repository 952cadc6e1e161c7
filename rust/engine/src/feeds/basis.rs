//! A reference plus the average distance of a source from it: an oracle with the premium of the perpetual over the last minutes.
//!
//! The distance is averaged as [`super::ema`] averages a price, over the instants at which either has a state; the reference is that
//! of the point itself, so that the feed follows the reference at once and the premium slowly. Never below one unit.
//!
//! Source: Hyperliquid docs, robust price indices (mark: oracle plus a 150 s average of the perpetual's distance from it).

use super::ema::Ema;
use super::sampled::{Average, Sampled};
use super::together::Together;
use super::{Series, States};
use crate::error::{Error, Result};

/// The average distance, and the reference as it stands.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    distance: Ema,
    reference: i64,
}

impl Basis {
    pub fn new(time_constant: i64) -> Self {
        Self {
            distance: Ema::new(time_constant),
            reference: 0,
        }
    }
}

impl Average for Basis {
    /// The source and the reference.
    type State = (i64, i64);

    fn first((source, _): Self::State) -> i64 {
        source
    }

    fn take(&mut self, ts: i64, (source, reference): Self::State) -> Result<()> {
        self.reference = reference;
        self.distance.take(ts, source - reference)
    }

    fn at(&mut self, ts: i64) -> Result<i64> {
        let price = self.reference.checked_add(self.distance.at(ts)?);
        Ok(price.ok_or_else(|| Error::overflow("reference with its basis"))?.max(1))
    }
}

impl Sampled<Basis> {
    /// The states up to `until`, of a source and a reference.
    pub fn between(&mut self, sources: &[&Series], until: i64) -> Result<States> {
        let mut together = Together::new(sources);
        let instants = std::iter::from_fn(|| {
            let ts = together.step()?;
            Some((ts, (together.prices()[0], together.prices()[1])))
        });
        self.follow(instants, until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sampled::Cadence;
    use crate::units::Price;

    #[test]
    fn follows_the_reference_at_once_and_the_premium_slowly() {
        let series = |rows: &[(i64, i64)]| Series {
            ts: rows.iter().map(|r| r.0).collect(),
            price: rows.iter().map(|r| r.1).collect(),
            before: Price(rows[0].1),
        };
        let mut feed = Sampled::new(Cadence { every: 10, offset: 0 }, Basis::new(1_000_000));
        let (perpetual, index) = (series(&[(0, 1000), (10, 1100)]), series(&[(0, 1000), (20, 500)]));
        let states = feed.between(&[&perpetual, &index], 30).unwrap();
        // At 20 the distance was 100 for ten units of time, and is 600 now.
        assert_eq!(
            states
                .ts
                .iter()
                .copied()
                .zip(states.price.iter().copied())
                .collect::<Vec<_>>(),
            [(0, 1000), (10, 1100), (20, 850), (30, 850)]
        );
    }
}
