//! Push oracle: a price is written when it has moved by the deviation or the last write is older than the heartbeat, and becomes
//! visible after a latency (block inclusion and round).
//!
//! Source: Chainlink data feeds; Ethereum mainnet BTC/USD and ETH/USD write at 0.5 % or 3600 s.

use crate::error::{Error, Result};
use crate::feeds::Series;
use crate::units::{Ratio, product};

/// The rules of an oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub deviation: Ratio,
    pub heartbeat: i64,
    pub latency: i64,
}

/// An oracle between two windows: its last write, and the writes that are not visible yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    last: Option<(i64, i64)>,
    pending: Vec<(i64, i64)>,
}

impl Oracle {
    /// Samples `source`; the states that become visible up to `until`.
    pub fn advance(&mut self, rules: &Rules, source: &Series, until: i64) -> Result<(Vec<i64>, Vec<i64>)> {
        let (ts, price) = (&source.ts[..], &source.price[..]);
        for i in 0..ts.len() {
            // Only the last print of an instant is a state.
            if ts.get(i + 1) == Some(&ts[i]) {
                continue;
            }
            let write = match self.last {
                None => true,
                Some((at, was)) => {
                    ts[i].saturating_sub(at) >= rules.heartbeat || moved(price[i], was, rules.deviation)?
                }
            };
            if write {
                self.last = Some((ts[i], price[i]));
                let visible = ts[i].checked_add(rules.latency);
                self.pending
                    .push((visible.ok_or_else(|| Error::overflow("oracle latency"))?, price[i]));
            }
        }
        let visible = self.pending.partition_point(|&(ts, _)| ts <= until);
        Ok(self.pending.drain(..visible).unzip())
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
    use crate::units::Price;

    fn writes(ts: Vec<i64>, price: Vec<i64>, heartbeat: i64, latency: i64) -> (Vec<i64>, Vec<i64>) {
        let rules = Rules {
            deviation: Ratio::parse("0.005").unwrap(),
            heartbeat,
            latency,
        };
        let part = |r: std::ops::Range<usize>| Series {
            ts: ts[r.clone()].to_vec().into(),
            price: price[r].to_vec().into(),
            before: Price(1),
        };
        let whole = part(0..ts.len());
        let out = Oracle::default().advance(&rules, &whole, i64::MAX).unwrap();
        // Wherever the tape is cut, between instants, the states are the same.
        for cut in (1..ts.len()).filter(|&i| ts[i - 1] < ts[i]) {
            let mut oracle = Oracle::default();
            let mut got = oracle.advance(&rules, &part(0..cut), ts[cut - 1]).unwrap();
            assert!(got.0.iter().all(|&t| t <= ts[cut - 1]));
            let rest = oracle.advance(&rules, &part(cut..ts.len()), i64::MAX).unwrap();
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
}
