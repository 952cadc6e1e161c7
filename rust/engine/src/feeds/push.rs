//! Push oracle: a price is written when it has moved by the deviation or the last write is older than the heartbeat, and becomes
//! visible after a latency (block inclusion and round).
//!
//! Source: Chainlink data feeds; Ethereum mainnet BTC/USD and ETH/USD write at 0.5 % or 3600 s.

use crate::error::{Error, Result};
use crate::feeds::Series;
use crate::units::{Ratio, product};

/// The visible states of a push oracle that samples `source`.
pub(super) fn writes(source: &Series, deviation: Ratio, heartbeat: i64, latency: i64) -> Result<Series> {
    let mut out = Series::default();
    let mut last: Option<(i64, i64)> = None;
    for (&ts, &price) in source.ts.iter().zip(&source.price) {
        let write = match last {
            None => true,
            Some((at, was)) => ts - at >= heartbeat || moved(price, was, deviation)?,
        };
        if write {
            last = Some((ts, price));
            out.ts.push(
                ts.checked_add(latency)
                    .ok_or_else(|| Error::overflow("oracle latency"))?,
            );
            out.price.push(price);
        }
    }
    Ok(out)
}

/// `|price - was| >= deviation * was`, exactly.
fn moved(price: i64, was: i64, deviation: Ratio) -> Result<bool> {
    let change = product(i128::from(price.abs_diff(was)), deviation.den, "oracle deviation")?;
    Ok(change >= product(i128::from(was), deviation.num, "oracle deviation")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_on_deviation_and_heartbeat() {
        let source = Series {
            ts: vec![0, 1, 2, 3, 12, 13],
            price: vec![1000, 1004, 1005, 1006, 1006, 1001],
        };
        let out = writes(&source, Ratio::parse("0.005").unwrap(), 10, 2).unwrap();
        // 0: first; 2: exactly 0.5 %; 12: heartbeat; 13: 5/1006 is less than 0.5 %.
        assert_eq!(
            out,
            Series {
                ts: vec![2, 4, 14],
                price: vec![1000, 1005, 1006]
            }
        );
    }

    #[test]
    fn a_wick_shorter_than_the_interval_between_writes_is_not_lost_but_late() {
        let source = Series {
            ts: vec![0, 100, 101, 102],
            price: vec![1000, 900, 1000, 1000],
        };
        let out = writes(&source, Ratio::parse("0.005").unwrap(), 3600, 50).unwrap();
        assert_eq!(
            out,
            Series {
                ts: vec![50, 150, 151],
                price: vec![1000, 900, 1000]
            }
        );
    }
}
