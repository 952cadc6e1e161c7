//! Prices at a moment that mostly moves forward.

use std::cell::Cell;
use std::sync::Arc;

use super::Feed;
use crate::units::Price;

/// The last state that was asked for of one series, and the stretch of time in which it stands.
#[derive(Debug, Clone, Copy)]
struct Quote {
    from: i64,
    until: i64,
    price: Price,
    next: usize,
}

/// Every so many timestamps of a long series: they fit where the series does not, so that a place in it is found with few reads from
/// memory.
#[derive(Debug, Clone, Default)]
struct Milestones(Vec<i64>);

/// States from one milestone to the next.
const STRIDE: usize = 32;

impl Milestones {
    fn of(ts: &[i64]) -> Self {
        Self(ts.iter().step_by(STRIDE).copied().collect())
    }

    /// Number of timestamps up to `t`.
    fn count(&self, ts: &[i64], t: i64) -> usize {
        if self.0.is_empty() {
            // A series without places, as far as it has states.
            return ts.partition_point(|&u| u <= t);
        }
        let passed = self.0.partition_point(|&milestone| milestone <= t);
        let from = passed.saturating_sub(1) * STRIDE;
        let to = ts.len().min(passed * STRIDE);
        from + ts[from..to].partition_point(|&u| u <= t)
    }
}

/// The milestones of the distinct series of a run, by slot.
#[derive(Debug, Clone, Default)]
pub struct Places(Vec<Milestones>);

impl Places {
    /// Of these feeds; there are so many distinct series.
    pub fn of<'a>(slots: usize, feeds: impl Iterator<Item = &'a Feed>) -> Self {
        let mut places = vec![Milestones::default(); slots];
        for feed in feeds {
            let place = &mut places[feed.slot];
            if place.0.is_empty() {
                *place = Milestones::of(&feed.series.ts);
            }
        }
        Self(places)
    }
}

/// Remembers where each series stood when it was last asked, so that the next question costs a comparison, or a short walk forward.
#[derive(Debug)]
pub struct Quotes {
    last: Vec<Cell<Quote>>,
    places: Arc<Places>,
}

impl Quotes {
    /// For the feeds of these places.
    pub fn new(places: Arc<Places>) -> Self {
        let unknown = Quote {
            from: i64::MAX,
            until: i64::MIN,
            price: Price(1),
            next: 0,
        };
        Self {
            last: vec![Cell::new(unknown); places.0.len()],
            places,
        }
    }

    /// [`Series::at`](super::Series::at).
    pub fn at(&self, feed: &Feed, t: i64) -> Price {
        let slot = &self.last[feed.slot];
        let known = slot.get();
        if known.from <= t && t < known.until {
            return known.price;
        }
        let series = &*feed.series;
        let near = (t >= known.until && known.from <= known.until)
            .then(|| forward(&series.ts[known.next..], t))
            .flatten();
        let next = match near {
            Some(steps) => known.next + steps,
            None => self.places.0[feed.slot].count(&series.ts, t),
        };
        let price = series.after_states(next);
        slot.set(Quote {
            from: if next == 0 { i64::MIN } else { series.ts[next - 1] },
            // The last state stands for ever; no timestamp is later than the largest.
            until: series.ts.get(next).copied().unwrap_or(i64::MAX),
            price,
            next,
        });
        price
    }
}

/// Number of timestamps up to `t`, if they are few.
fn forward(ts: &[i64], t: i64) -> Option<usize> {
    ts.iter().take(FEW).position(|&u| u > t)
}

/// The most states that are walked over one by one.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feeds::Series;

    proptest! {
        #[test]
        fn quotes_are_the_states_of_the_series(
            gaps in prop::collection::vec(0i64..3, 0..900),
            asked in prop::collection::vec(-3i64..1000, 1..60),
            sorted: bool,
        ) {
            let ts: Vec<i64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).collect();
            let price: Vec<i64> = (1..=ts.len() as i64).collect();
            let feed = Feed {
                series: Arc::new(Series {
                    ts: ts.into(),
                    price: price.into(),
                    before: Price(99),
                }),
                slot: 0,
                each_print: false,
            };
            let quotes = Quotes::new(Arc::new(Places::of(1, std::iter::once(&feed))));
            let mut asked = asked;
            if sorted {
                asked.sort_unstable();
            }
            for t in asked.into_iter().chain([i64::MIN, i64::MAX, 5, i64::MAX, i64::MAX - 1]) {
                prop_assert_eq!(quotes.at(&feed, t), feed.series.at(t));
            }
        }
    }
}
