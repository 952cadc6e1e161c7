//! Push oracle: a price is written when it has moved by the deviation or the last write is older than the heartbeat, and becomes
//! visible after a latency (block inclusion and round). In an outage nothing is written; what was written before becomes visible all the
//! same. The latency may be drawn for each write; each becomes visible after the one before it.
//!
//! A write carries the price at which it was decided upon, or the price at the moment at which it becomes visible: then a wick that is
//! over within the latency is never seen.
//!
//! Source: Chainlink data feeds; Ethereum mainnet BTC/USD and ETH/USD write at 0.5 % or 3600 s.

use crate::config::{LatencyConfig, Observed};
use crate::contract::MarketId;
use crate::draws::{Purpose, bits};
use crate::error::{Error, Result};
use crate::feeds::{Series, States};
use crate::units::{Ratio, product};

/// The rules of an oracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub deviation: Ratio,
    pub heartbeat: i64,
    pub latency: LatencyConfig,
    pub seed: u64,
    pub observed: Observed,
    /// First moment of each outage and first moment after it.
    pub outages: Vec<(i64, i64)>,
}

impl Rules {
    /// True if a state of the source is to be written after the last write.
    fn write(&self, (ts, price): (i64, i64), last: (i64, i64)) -> Result<bool> {
        let due = ts.saturating_sub(last.0) >= self.heartbeat || moved(price, last.1, self.deviation)?;
        Ok(due && !self.outages.iter().any(|&(from, until)| from <= ts && ts < until))
    }

    /// When a write becomes visible by itself.
    fn visible(&self, ts: i64, market: MarketId, write: u64) -> Result<i64> {
        let latency = self.latency.of(|| bits(self.seed, Purpose::Oracle, market, write));
        ts.checked_add(latency).ok_or_else(|| Error::overflow("oracle latency"))
    }
}

/// The oracle of a market, between two windows.
#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    market: MarketId,
    /// Writes so far, from 0.
    writes: u64,
    /// When the last write becomes visible: none overtakes it.
    shown: Option<i64>,
    /// The last write.
    last: Option<(i64, i64)>,
    /// Writes that are not visible yet.
    pending: Vec<(i64, i64)>,
    /// When the write that was decided upon becomes visible, and the price of the source so far.
    underway: Option<(i64, i64)>,
}

impl Oracle {
    /// That has written nothing yet.
    pub fn new(market: MarketId) -> Self {
        Self {
            market,
            ..Self::default()
        }
    }

    /// Samples `source`; the states that become visible up to `until`.
    pub fn advance(&mut self, rules: &Rules, source: &Series, until: i64) -> Result<States> {
        match rules.observed {
            Observed::AtWrite => self.write_at_once(rules, source)?,
            Observed::WhenVisible => self.write_when_visible(rules, source, until)?,
        }
        let visible = self.pending.partition_point(|&(ts, _)| ts <= until);
        let mut out = States::default();
        self.pending
            .drain(..visible)
            .for_each(|(ts, price)| out.push(ts, price));
        Ok(out)
    }

    fn write_at_once(&mut self, rules: &Rules, source: &Series) -> Result<()> {
        let (ts, price) = (&source.ts[..], &source.price[..]);
        for i in 0..ts.len() {
            // Only the last print of an instant is a state.
            if ts.get(i + 1) == Some(&ts[i]) {
                continue;
            }
            let state = (ts[i], price[i]);
            if self.last.map_or(Ok(true), |last| rules.write(state, last))? {
                self.last = Some(state);
                let visible = self.visible(rules, ts[i])?;
                self.show(visible, price[i]);
            }
        }
        Ok(())
    }

    fn write_when_visible(&mut self, rules: &Rules, source: &Series, until: i64) -> Result<()> {
        for (ts, price) in source.instants() {
            self.finish(ts - 1);
            if let Some((_, seen)) = &mut self.underway {
                *seen = price;
                self.finish(ts);
                continue;
            }
            match self.last {
                None => {
                    self.last = Some((ts, price));
                    let visible = self.visible(rules, ts)?;
                    self.show(visible, price);
                }
                Some(last) if rules.write((ts, price), last)? => {
                    self.underway = Some((self.visible(rules, ts)?, price));
                    self.finish(ts);
                }
                Some(_) => {}
            }
        }
        self.finish(until);
        Ok(())
    }

    /// Makes the write that is underway, if it becomes visible up to `until`.
    fn finish(&mut self, until: i64) {
        if let Some(write) = self.underway.take_if(|(visible, _)| *visible <= until) {
            self.last = Some(write);
            self.show(write.0, write.1);
        }
    }

    /// When a write becomes visible: after the one before it.
    fn visible(&mut self, rules: &Rules, ts: i64) -> Result<i64> {
        let visible = rules.visible(ts, self.market, self.writes)?;
        self.writes += 1;
        Ok(self.shown.map_or(visible, |shown| visible.max(shown.saturating_add(1))))
    }

    fn show(&mut self, visible: i64, price: i64) {
        self.shown = Some(visible);
        self.pending.push((visible, price));
    }
}

/// `|price - was| >= deviation * was`, exactly.
fn moved(price: i64, was: i64, deviation: Ratio) -> Result<bool> {
    let change = product(i128::from(price.abs_diff(was)), deviation.den, "oracle deviation")?;
    Ok(change >= product(i128::from(was), deviation.num, "oracle deviation")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DrawnLatency;
    use crate::units::Price;

    fn writes(ts: Vec<i64>, price: Vec<i64>, heartbeat: i64, latency: i64) -> (Vec<i64>, Vec<i64>) {
        let latency = LatencyConfig::Fixed(latency);
        writes_but(ts, price, heartbeat, latency, Observed::AtWrite, vec![])
    }

    fn writes_but(
        ts: Vec<i64>,
        price: Vec<i64>,
        heartbeat: i64,
        latency: LatencyConfig,
        observed: Observed,
        outages: Vec<(i64, i64)>,
    ) -> (Vec<i64>, Vec<i64>) {
        let rules = Rules {
            deviation: Ratio::parse("0.005").unwrap(),
            heartbeat,
            latency,
            seed: 0,
            observed,
            outages,
        };
        let part = |r: std::ops::Range<usize>| Series {
            ts: ts[r.clone()].to_vec().into(),
            price: price[r].to_vec().into(),
            before: Price(1),
        };
        let whole = part(0..ts.len());
        let pair = |states: States| (states.ts, states.price);
        let out = pair(Oracle::default().advance(&rules, &whole, i64::MAX).unwrap());
        // Wherever the tape is cut, between instants, the states are the same.
        for cut in (1..ts.len()).filter(|&i| ts[i - 1] < ts[i]) {
            let mut oracle = Oracle::default();
            let mut got = pair(oracle.advance(&rules, &part(0..cut), ts[cut - 1]).unwrap());
            assert!(got.0.iter().all(|&t| t <= ts[cut - 1]));
            let rest = pair(oracle.advance(&rules, &part(cut..ts.len()), i64::MAX).unwrap());
            got.0.extend(rest.0);
            got.1.extend(rest.1);
            assert_eq!(got, out);
        }
        out
    }

    #[test]
    fn writes_on_deviation_and_heartbeat() {
        let out = writes(
            vec![0, 1, 2, 2, 3, 12, 13],
            vec![1000, 1004, 900, 1005, 1006, 1006, 1001],
            10,
            2,
        );
        // 0: first; 2: exactly 0.5 %; 12: heartbeat; 13: 5/1006 is less than 0.5 %.
        assert_eq!(out, (vec![2, 4, 14], vec![1000, 1005, 1006]));
    }

    #[test]
    fn a_wick_shorter_than_the_interval_between_writes_is_not_lost_but_late() {
        let out = writes(vec![0, 100, 101, 102], vec![1000, 900, 1000, 1000], 3600, 50);
        assert_eq!(out, (vec![50, 150, 151], vec![1000, 900, 1000]));
    }

    #[test]
    fn nothing_is_written_in_an_outage() {
        let (ts, price) = (vec![0, 10, 20, 29, 30, 40], vec![1000, 900, 800, 700, 800, 600]);
        // Written at 10 and seen within the outage; at 30 it has moved since the last write, at 10.
        let out = writes_but(
            ts.clone(),
            price.clone(),
            3600,
            LatencyConfig::Fixed(8),
            Observed::AtWrite,
            vec![(15, 30)],
        );
        assert_eq!(out, (vec![8, 18, 38, 48], vec![1000, 900, 800, 600]));
        // The first state is written whatever happens.
        let out = writes_but(
            ts,
            price,
            3600,
            LatencyConfig::Fixed(8),
            Observed::AtWrite,
            vec![(0, 35)],
        );
        assert_eq!(out, (vec![8, 48], vec![1000, 600]));
    }

    #[test]
    fn a_wick_that_is_over_when_the_write_becomes_visible_is_never_seen() {
        let (ts, price) = (
            vec![0, 100, 101, 200, 230, 249, 250, 300],
            vec![1000, 900, 1000, 700, 600, 500, 400, 300],
        );
        let out = writes_but(ts, price, 3600, LatencyConfig::Fixed(50), Observed::WhenVisible, vec![]);
        // Decided at 100 and seen with the price of 150; decided at 200 and seen with that of 250; what came between is not written.
        assert_eq!(out, (vec![50, 150, 250, 350], vec![1000, 1000, 400, 300]));
    }

    #[test]
    fn no_write_overtakes_the_one_before_it() {
        let drawn = LatencyConfig::Drawn(DrawnLatency::Uniform { low: 0, high: 60 });
        let ts: Vec<i64> = (0..200).map(|i| 7 * i).collect();
        // Each moves by 2 %, so that each is written.
        let price: Vec<i64> = std::iter::successors(Some(10_000), |p| Some(p + p / 50))
            .take(200)
            .collect();
        let (seen, prices) = writes_but(ts, price, 3600, drawn, Observed::AtWrite, vec![]);
        assert!(seen.windows(2).all(|w| w[0] < w[1]) && prices.windows(2).all(|w| w[0] < w[1]));
        // Many catch up with the one before, and are seen right after it.
        assert_eq!(seen.len(), 200);
        let close = seen.windows(2).filter(|w| w[1] - w[0] == 1).count();
        assert!(close > 20, "{close}");
    }
}
