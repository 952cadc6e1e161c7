//! A grid over time that all price series share: blocks with about equally many states, and groups of 16, 256, ... blocks.

use rayon::prelude::*;

use crate::feeds::Series;

/// Blocks of one level that make one of the next.
pub const FAN: usize = 16;

/// Its logarithm.
pub const FAN_BITS: u32 = FAN.trailing_zeros();

/// Samples that make a block.
const SAMPLES: usize = 8;

/// Boundaries of blocks. No boundary splits an instant.
#[derive(Debug)]
pub struct Grid {
    /// First timestamp of each block of level 0; the first holds everything before the second.
    starts: Vec<i64>,
    top: usize,
}

impl Grid {
    /// Blocks of about `block` states of all series together that lie after `first`, where the first block begins, and not after `until`.
    ///
    /// Boundaries come from a systematic sample of all timestamps: equal counts, so that bursts are split finely.
    pub fn new<'a>(series: impl Iterator<Item = &'a Series>, block: usize, first: i64, until: i64) -> Self {
        let step = (block / SAMPLES).max(1);
        let mut sample: Vec<i64> = Vec::new();
        for s in series {
            let within = &s.ts[s.count(first)..s.count(until)];
            sample.extend(within.iter().skip(step / 2).step_by(step));
        }
        // Runs that ascend, one for each series, are merged.
        sample.par_sort();
        let mut starts = vec![first];
        let samples = (block / step).max(1);
        for &t in sample.iter().skip(samples - 1).step_by(samples) {
            if starts.last().is_some_and(|&last| t > last) {
                starts.push(t);
            }
        }
        let mut top = 0;
        while starts.len().div_ceil(1 << (top as u32 * FAN_BITS)) > FAN {
            top += 1;
        }
        Self { starts, top }
    }

    /// The coarsest level: all its blocks are one group.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Number of blocks of a level.
    pub fn blocks(&self, level: usize) -> usize {
        self.starts.len().div_ceil(1 << (level as u32 * FAN_BITS))
    }

    /// First timestamp of a block; the first block also holds what is earlier.
    pub fn start(&self, level: usize, block: usize) -> i64 {
        self.starts[block << (level as u32 * FAN_BITS)]
    }

    /// First timestamp after a block; None after the last.
    pub fn end(&self, level: usize, block: usize) -> Option<i64> {
        self.starts.get((block + 1) << (level as u32 * FAN_BITS)).copied()
    }

    /// The block of a level that holds `t`.
    pub fn block(&self, level: usize, t: i64) -> usize {
        (self.starts.partition_point(|&s| s <= t).max(1) - 1) >> (level as u32 * FAN_BITS)
    }
}
