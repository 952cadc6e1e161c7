//! When the factor of a side of a market is too large for its part of the pool, and who is deleveraged then (semantics, section 7a).
//!
//! Each side is a pseudo-account: what it is expected to exceed is searched for like any account's trigger, and again whenever the pool's
//! cash or the summed positions have changed. At the end of an instant a round is due for every side that exceeds, and for no other.

use super::event_loop::Replayer;
use crate::config::PoolAdlConfig;
use crate::contract::MarketId;
use crate::error::Result;
use crate::payout::adl::{self, Seen};
use crate::payout::claim;
use crate::state::{Moment, Setup};

/// One side of a market.
#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    /// When the next round is due, and when the factor was seen to be too large.
    due: Option<(i64, i64)>,
    /// No round is due earlier.
    not_before: Option<i64>,
    /// When the factor is expected to be too large, as long as nothing changes.
    expected: Option<i64>,
}

/// All sides that may be deleveraged; none where no protocol asks for it.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolAdl {
    /// By market: longs, then shorts.
    sides: Vec<[Watch; 2]>,
    /// Changes of the pool that were seen.
    seen: u64,
}

impl PoolAdl {
    /// At the opening.
    pub fn new(setup: &Setup) -> Self {
        let markets = rules(setup).map_or(0, |_| setup.venue.markets.len());
        Self {
            sides: vec![[Watch::default(); 2]; markets],
            seen: 0,
        }
    }

    /// The next instant at which something is due or expected.
    pub fn next(&self) -> Option<i64> {
        let watches = self.sides.iter().flatten();
        watches.filter_map(|w| w.due.map(|(due, _)| due).or(w.expected)).min()
    }
}

fn rules(setup: &Setup) -> Option<&PoolAdlConfig> {
    setup.protocol.payout.as_ref()?.adl.as_ref()
}

impl Replayer<'_> {
    /// What is expected of every side after `after` (None: from the opening on).
    pub(super) fn expect_pool_adl(&mut self, after: Option<i64>) -> Result<()> {
        self.pool_adl.seen = self.state.ledger.pool_changes();
        for market in 0..self.pool_adl.sides.len() {
            for long in [true, false] {
                self.expect_side(market, long, after)?;
            }
        }
        Ok(())
    }

    fn expect_side(&mut self, market: MarketId, long: bool, after: Option<i64>) -> Result<()> {
        let Some(rules) = rules(self.setup) else { return Ok(()) };
        // While the venue is down nothing exceeds; when it is up again all is looked at.
        let is_down = self.is_down_after(after);
        let watch = &mut self.pool_adl.sides[market][usize::from(!long)];
        watch.expected = None;
        if watch.due.is_none() && !is_down {
            let claim = claim(&self.state, self.setup, market, long)?;
            watch.expected = self
                .search
                .first_exceeding(&claim, rules.enable, after, &mut self.scratch)?;
        }
        Ok(())
    }

    /// Deleverages what is due at the end of an instant, and looks ahead. Returns the accounts that this changed.
    pub(super) fn deleverage_pool(&mut self, t: i64) -> Result<Vec<usize>> {
        let mut changed = Vec::new();
        let Some(rules) = rules(self.setup).filter(|_| !self.pool_adl.sides.is_empty()) else {
            return Ok(changed);
        };
        let sides = (0..self.pool_adl.sides.len()).flat_map(|m| [(m, true), (m, false)]);
        let lifted = self.lifted;
        let is_awake = |w: &Watch| lifted || w.expected == Some(t) || w.due.is_some_and(|(due, _)| due <= t);
        let mut awake: Vec<(MarketId, bool)> = Vec::new();
        for (market, long) in sides.clone() {
            let watch = self.pool_adl.sides[market][usize::from(!long)];
            if self.state.ledger.pool_changes() == self.pool_adl.seen && !is_awake(&watch) {
                continue;
            }
            awake.push((market, long));
            let moment = Moment::new(self.setup, self.board, t);
            let enabled = adl::is_enabled(&self.state, &moment, rules, (market, long))?;
            let due = match watch.due {
                None if enabled => Some((self.due(watch, t, rules), t)),
                due => due,
            };
            let watch = &mut self.pool_adl.sides[market][usize::from(!long)];
            watch.due = due;
            let Some((_, ts)) = due.filter(|&(due, _)| due <= t) else {
                continue;
            };
            watch.due = None;
            if enabled {
                watch.not_before = Some(t.saturating_add(rules.pause));
                changed.extend(adl::deleverage(
                    &mut self.state,
                    &moment,
                    rules,
                    Seen { market, long, ts },
                )?);
                self.tally()?;
            }
        }
        // What rounds have changed, and what they have left.
        let all = self.state.ledger.pool_changes() != self.pool_adl.seen;
        self.pool_adl.seen = self.state.ledger.pool_changes();
        for (market, long) in if all { sides.collect() } else { awake } {
            let watch = self.pool_adl.sides[market][usize::from(!long)];
            let moment = Moment::new(self.setup, self.board, t);
            if watch.due.is_none() && adl::is_enabled(&self.state, &moment, rules, (market, long))? {
                let due = self.due(watch, t, rules).max(t.saturating_add(1));
                self.pool_adl.sides[market][usize::from(!long)].due = Some((due, t));
            }
            self.expect_side(market, long, Some(t))?;
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    fn due(&self, watch: Watch, t: i64, rules: &PoolAdlConfig) -> i64 {
        let due = t.saturating_add(rules.latency);
        watch.not_before.map_or(due, |earliest| due.max(earliest))
    }
}
