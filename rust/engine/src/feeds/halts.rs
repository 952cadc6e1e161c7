//! Halts: while the venue is down nobody is liquidated and no account event is accepted.
//!
//! Source: dYdX v4 halted for eight hours on 2025-10-10.

use super::Mask;
use crate::config::HaltConfig;
use crate::contract::{MarketId, Venue};
use crate::error::{Error, Result};

/// When the venue is down: for each stretch the first moment, the first one after it, and the markets (None: all).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Halts(Vec<(i64, i64, Option<Vec<MarketId>>)>);

impl Halts {
    /// Halts on a tape that begins at `opening`.
    pub fn bind(halts: &[HaltConfig], opening: i64, venue: &Venue) -> Result<Self> {
        let wrong = |k: usize, what: String| Error::Config(format!("protocol: halts.{k}.{what}"));
        let bind = |(k, halt): (usize, &HaltConfig)| {
            let (start, end) = (halt.start.on(opening), halt.end.on(opening));
            if end <= start {
                return Err(wrong(k, "end: expected a time after the start".to_owned()));
            }
            let number = |name: &String| {
                let found = venue.markets.iter().position(|market| market.name == *name);
                found.ok_or_else(|| wrong(k, format!("markets: there is no market {name:?}")))
            };
            let markets = halt.markets.as_ref().map(|names| names.iter().map(number).collect());
            Ok((start, end, markets.transpose()?))
        };
        halts.iter().enumerate().map(bind).collect::<Result<_>>().map(Self)
    }

    /// True if a market is down at `t`; without one, if the whole venue is.
    pub fn stop(&self, market: Option<MarketId>, t: i64) -> bool {
        let mut now = self.0.iter().filter(|(start, end, _)| (*start..*end).contains(&t));
        now.any(|(_, _, markets)| match (markets, market) {
            (None, _) => true,
            (Some(markets), Some(market)) => markets.contains(&market),
            (Some(_), None) => false,
        })
    }

    /// When the first halt of a market is over (None: of the whole venue).
    pub fn first_end(&self, market: Option<MarketId>) -> Option<i64> {
        let stops = |markets: &Option<Vec<MarketId>>| match (markets, market) {
            (None, _) => true,
            (Some(markets), Some(market)) => markets.contains(&market),
            (Some(_), None) => false,
        };
        let ends = self.0.iter().filter(|(_, _, markets)| stops(markets));
        ends.map(|(_, end, _)| *end).min()
    }

    /// When a market is down, over the window that begins after `since` and lasts up to `until`.
    pub(super) fn mask(&self, market: MarketId, since: i64, until: i64) -> Mask {
        let mut out = Mask::default();
        for (start, end, markets) in &self.0 {
            if *start <= until && *end > since && markets.as_ref().is_none_or(|m| m.contains(&market)) {
                let mut one = Mask::default();
                one.push(*start, if *end <= until { *end } else { i64::MAX });
                out = out.union(&one);
            }
        }
        out
    }
}
