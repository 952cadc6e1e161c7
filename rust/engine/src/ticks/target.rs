//! The decimals that a column will have, and what is said of a tick that does not fit, comes too early or lacks a value.

use super::assemble::{Segment, cut};
use super::decode::{Meter, each, locate};
use super::input::{Chunk, Input};
use super::part::unsorted;
use super::scaled::{misfit, rescale};
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::progress::POLL_ROWS;
use crate::tape::MarketTicks;

/// A tick and where it is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub chunk: Chunk,
    pub ts: i64,
    pub price: i64,
    pub size: Option<i64>,
    pub side: Option<i8>,
}

impl Last {
    /// The last of some ticks, which are from `chunk`.
    pub fn of(ticks: &MarketTicks, chunk: Chunk) -> Option<Self> {
        Some(Self {
            chunk,
            ts: *ticks.ts.last()?,
            price: *ticks.price.last()?,
            size: ticks.size.as_ref().and_then(|size| size.last().copied()),
            side: ticks.side.as_ref().and_then(|side| side.last().copied()),
        })
    }
}

/// `first`, the `nth` tick of a market in its chunk, is earlier than the tick before it.
pub(super) fn descends(inputs: &[Input], market: &str, nth: u64, first: &Last, before: &Last) -> Error {
    let mut message = unsorted(first.ts, before.ts);
    if first.chunk.input != before.chunk.input {
        let other = &inputs[before.chunk.input].origin;
        message = format!("{message}, the last of market {market} in {other}");
    }
    fault(inputs, market, &first.chunk, nth, "ts", &message)
}

/// A market has a column in the chunk `with`, and not in the chunk `without`.
pub(super) fn missing(inputs: &[Input], market: &str, with: &Chunk, without: &Chunk, column: &str) -> Error {
    let other = &inputs[with.input].origin;
    let message = format!("expected a value, as in other rows of market {market} (in {other}), got none");
    fault(inputs, market, without, 0, column, &message)
}

/// The number of decimals that a column will have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub column: &'static str,
    pub decimals: u32,
    pub declared: bool,
}

impl Target {
    /// Brings the values of all segments to the target.
    pub fn reach(
        &self,
        inputs: &[Input],
        meter: &Meter<'_>,
        market: &str,
        segments: &[Segment],
        mut values: &mut [i64],
        from: fn(&Segment) -> u32,
    ) -> Result<()> {
        let mut work = Vec::new();
        for segment in segments {
            let values = cut(&mut values, segment.rows);
            if from(segment) != self.decimals {
                work.push((segment, values));
            }
        }
        each(work, |(segment, values)| {
            let (from, to) = (from(segment), self.decimals);
            for (values, start) in values.chunks_mut(POLL_ROWS).zip((0..).step_by(POLL_ROWS)) {
                meter.poll()?;
                if let Some(nth) = misfit(values, from, to) {
                    let shown = Decimal {
                        mantissa: i128::from(values[nth]),
                        scale: from,
                    }
                    .stripped();
                    let message = if self.declared {
                        format!("market {market}: expected a number that fits the declared {to} decimals, got {shown}")
                    } else {
                        format!("market {market}: {shown} with {to} decimals, which other rows need, exceeds 64 bits")
                    };
                    let nth = segment.nth + (start + nth) as u64;
                    return Err(fault(inputs, market, &segment.chunk, nth, self.column, &message));
                }
                rescale(values, from, to);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The `nth` tick of a market in a chunk is at fault.
fn fault(inputs: &[Input], market: &str, chunk: &Chunk, nth: u64, column: &str, message: &str) -> Error {
    let input = &inputs[chunk.input];
    match locate(input, chunk, market, nth) {
        Ok(row) => input.origin.row(column, row, message),
        Err(error) => error,
    }
}
