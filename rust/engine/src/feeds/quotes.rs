//! Prices at a moment that mostly moves forward.

use std::cell::Cell;

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

/// Remembers where each series stood when it was last asked, so that the next question costs a comparison, or a short walk forward.
#[derive(Debug)]
pub struct Quotes(Vec<Cell<Quote>>);

impl Quotes {
    /// For feeds with so many distinct series.
    pub fn new(slots: usize) -> Self {
        let unknown = Quote {
            from: i64::MAX,
            until: i64::MIN,
            price: Price(1),
            next: 0,
        };
        Self(vec![Cell::new(unknown); slots])
    }

    /// [`Series::at`](super::Series::at).
    pub fn at(&self, feed: &Feed, t: i64) -> Price {
        let slot = &self.0[feed.slot];
        let known = slot.get();
        if known.from <= t && t < known.until {
            return known.price;
        }
        let series = &*feed.series;
        let next = if t >= known.until && known.from <= known.until {
            known.next + forward(&series.ts[known.next..], t)
        } else {
            series.count(t)
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

/// Number of timestamps up to `t`, found by steps that double.
fn forward(ts: &[i64], t: i64) -> usize {
    let mut step = 1;
    while step < ts.len() && ts[step] <= t {
        step *= 2;
    }
    let from = step / 2;
    let to = ts.len().min(step);
    from + ts[from..to].partition_point(|&u| u <= t)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::feeds::Series;

    proptest! {
        #[test]
        fn quotes_are_the_states_of_the_series(
            gaps in prop::collection::vec(0i64..3, 0..60),
            asked in prop::collection::vec(-3i64..90, 1..60),
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
            let quotes = Quotes::new(1);
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
