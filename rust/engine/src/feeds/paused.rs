//! A feed that is not updated in outages: afterwards it stands at the price from before, until the source moves or, if it catches up, at
//! the source as of the end of the outage.
//!
//! Source: dYdX v4 worked on the prices from before its halt of 2025-10-10 when it came back.

use super::{Series, States};

/// The rules of a paused feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// First moment of each outage and first moment after it.
    pub outages: Vec<(i64, i64)>,
    /// Whether the source is published at the end of an outage.
    pub catch_up: bool,
}

impl Rules {
    fn down(&self, ts: i64) -> bool {
        self.outages.iter().any(|&(from, until)| from <= ts && ts < until)
    }

    /// Ends of outages after which the feed catches up, within `(after, until]`.
    fn ends(&self, after: i64, until: i64) -> Vec<i64> {
        let ends = self.outages.iter().map(|&(_, end)| end);
        let mut ends: Vec<i64> = ends
            .filter(|&end| self.catch_up && after < end && end <= until && !self.down(end))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// The last state of the source, and up to when the feed is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Paused(Option<(i64, i64)>);

impl Paused {
    pub fn advance(&mut self, rules: &Rules, source: &Series, until: i64) -> States {
        let mut out = States::default();
        for (ts, price) in source.instants() {
            self.catch_up(rules, ts - 1, &mut out);
            if self.0.is_none() || !rules.down(ts) {
                out.push(ts, price);
            }
            self.0 = Some((ts, price));
        }
        self.catch_up(rules, until, &mut out);
        out
    }

    fn catch_up(&mut self, rules: &Rules, until: i64, out: &mut States) {
        if let Some((done, price)) = &mut self.0 {
            for end in rules.ends(*done, until) {
                out.push(end, *price);
            }
            *done = until.max(*done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sampled::tests::states;

    #[test]
    fn stands_still_in_an_outage() {
        let source = [(0, 100), (5, 90), (9, 80), (14, 70), (30, 60)];
        let feed = |catch_up| {
            move || {
                let rules = Rules {
                    outages: vec![(4, 8), (7, 12)],
                    catch_up,
                };
                let mut feed = Paused::default();
                Box::new(move |source: &_, until| feed.advance(&rules, source, until)) as Box<dyn FnMut(&_, i64) -> _>
            }
        };
        assert_eq!(states(feed(false), &source, 40), vec![(0, 100), (14, 70), (30, 60)]);
        assert_eq!(
            states(feed(true), &source, 40),
            vec![(0, 100), (12, 80), (14, 70), (30, 60)]
        );
    }
}
