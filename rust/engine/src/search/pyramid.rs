//! The extremes of a price series over blocks of time, and over 16, 256, ... of them.

use rayon::prelude::*;

use super::grid::{FAN, FAN_BITS, Grid};
use crate::error::{Error, Result};
use crate::feeds::{Mask, Series};

/// States per block that a series must have on average to be given blocks of that level; a sparser one begins at a coarser level.
const SPARSE: usize = 8;

/// Blocks that one task fills.
const TASK: usize = 4096;

/// Lowest and highest price of a series in each block of each level from `leaf` on, the state carried in included, rounded outward.
/// Groups of [`FAN`] blocks are read whole, so levels are padded.
#[derive(Debug)]
pub struct Pyramid {
    /// The finest level that this series has.
    leaf: usize,
    /// Number of states before each block of the finest level, and at the end.
    offsets: Vec<u32>,
    low: Vec<Vec<f32>>,
    high: Vec<Vec<f32>>,
}

/// Lowest and highest of nothing.
const NOTHING: (i64, i64) = (i64::MAX, i64::MIN);

impl Pyramid {
    /// Indexes the states of a series up to `until` on a grid. With `each_print` every print is a state, else the last of an instant.
    /// What stands only while `mask` blocks is left out; a block that is blocked as a whole has no price, and an interval that is empty.
    ///
    /// # Errors
    /// Overflow if there are more than 2^32 states.
    pub fn new(series: &Series, grid: &Grid, until: i64, each_print: bool, mask: &Mask) -> Result<Self> {
        let states = series.count(until);
        if u32::try_from(states).is_err() {
            return Err(Error::overflow("states of a feed in memory"));
        }
        let mut leaf = 0;
        while leaf < grid.top() && states < grid.blocks(leaf) * SPARSE {
            leaf += 1;
        }
        let blocks = grid.blocks(leaf);
        let padded = blocks.next_multiple_of(FAN);
        let (mut low, mut high) = (vec![1.0f32; padded], vec![1.0f32; padded]);
        let mut offsets = vec![0u32; blocks + 1];
        let task = |number: usize, offsets: &mut [u32], low: &mut [f32], high: &mut [f32]| {
            let first = number * TASK;
            let mut next = if first == 0 {
                0
            } else {
                series.ts[..states].partition_point(|&t| t < grid.start(leaf, first))
            };
            for k in 0..offsets.len() {
                offsets[k] = next as u32;
                let end = match grid.end(leaf, first + k) {
                    Some(end) => next + before(&series.ts[next..states], end),
                    None => states,
                };
                if mask.is_empty() {
                    let carried = series.after_states(next).0;
                    let (least, most) = extremes(series, next, end, each_print);
                    low[k] = down(least.min(carried));
                    high[k] = up(most.max(carried));
                } else {
                    let start = if first + k == 0 {
                        i64::MIN
                    } else {
                        grid.start(leaf, first + k)
                    };
                    let block = (start, grid.end(leaf, first + k).unwrap_or(i64::MAX));
                    (low[k], high[k]) = unblocked(series, (next, end), block, mask);
                }
                next = end;
            }
        };
        offsets[..blocks]
            .par_chunks_mut(TASK)
            .zip(low[..blocks].par_chunks_mut(TASK))
            .zip(high[..blocks].par_chunks_mut(TASK))
            .enumerate()
            .for_each(|(number, ((offsets, low), high))| task(number, offsets, low, high));
        offsets[blocks] = states as u32;
        let mut pyramid = Self {
            leaf,
            offsets,
            low: vec![low],
            high: vec![high],
        };
        for level in leaf + 1..=grid.top() {
            pyramid.add_level(grid.blocks(level - 1), grid.blocks(level));
        }
        Ok(pyramid)
    }

    fn add_level(&mut self, finer: usize, blocks: usize) {
        let padded = blocks.next_multiple_of(FAN);
        let gather = |from: &[f32], fold: fn(f32, f32) -> f32| {
            let mut level: Vec<f32> = from[..finer]
                .chunks(FAN)
                .map(|c| c.iter().copied().reduce(fold).unwrap_or(1.0))
                .collect();
            level.resize(padded, 1.0);
            level
        };
        let low = gather(&self.low[self.low.len() - 1], f32::min);
        let high = gather(&self.high[self.high.len() - 1], f32::max);
        self.low.push(low);
        self.high.push(high);
    }

    /// The finest level of this series.
    pub fn leaf(&self) -> usize {
        self.leaf
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let floats: usize = self.low.iter().chain(&self.high).map(Vec::len).sum();
        (floats + self.offsets.len()) * 4
    }

    /// Lowest and highest price in a block of any level; of the block around it where the series has none of that level.
    pub fn of(&self, level: usize, block: usize) -> (f32, f32) {
        let kept = level.max(self.leaf);
        let block = block >> ((kept - level) as u32 * FAN_BITS);
        (self.low[kept - self.leaf][block], self.high[kept - self.leaf][block])
    }

    /// Lowest and highest prices of the blocks of a group; None at levels that the series does not have.
    pub fn group(&self, level: usize, group: usize) -> Option<(&[f32; FAN], &[f32; FAN])> {
        let kept = level.checked_sub(self.leaf)?;
        let at = group * FAN..group * FAN + FAN;
        let low = self.low[kept].get(at.clone())?.try_into().ok()?;
        let high = self.high[kept].get(at)?.try_into().ok()?;
        Some((low, high))
    }

    /// The blocks of a group, as bits, in which a price may reach `edge`, which is rounded outward: may be at or below it, or at or above.
    /// All of them at levels that the series does not have.
    pub fn suspects<const BELOW: bool>(&self, level: usize, group: usize, edge: f32) -> u32 {
        let Some((low, high)) = self.group(level, group) else {
            return u32::MAX;
        };
        let mut suspects = 0;
        for i in 0..FAN {
            let hit = if BELOW { low[i] <= edge } else { high[i] >= edge };
            suspects |= u32::from(hit) << i;
        }
        suspects
    }

    /// Lowest and highest price of all; 1 if there is none.
    pub fn all(&self, grid: &Grid) -> (f32, f32) {
        let last = self.low.len() - 1;
        let blocks = grid.blocks(grid.top());
        let low = self.low[last][..blocks].iter().copied().fold(f32::INFINITY, f32::min);
        let high = self.high[last][..blocks]
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        if low > high { (1.0, 1.0) } else { (low, high) }
    }

    /// The places of the states in a block.
    pub fn states(&self, series: &Series, grid: &Grid, level: usize, block: usize) -> (usize, usize) {
        if level >= self.leaf {
            // A block of a coarser level is a run of blocks of the finest.
            let shift = (level - self.leaf) as u32 * FAN_BITS;
            let last = self.offsets.len() - 1;
            let from = (block << shift).min(last);
            let to = ((block + 1) << shift).min(last);
            return (self.offsets[from] as usize, self.offsets[to] as usize);
        }
        let around = block >> ((self.leaf - level) as u32 * FAN_BITS);
        let (from, to) = (self.offsets[around] as usize, self.offsets[around + 1] as usize);
        let ts = &series.ts[from..to];
        let first = if block == 0 {
            0
        } else {
            ts.partition_point(|&t| t < grid.start(level, block))
        };
        let last = grid
            .end(level, block)
            .map_or(ts.len(), |end| ts.partition_point(|&t| t < end));
        (from + first, from + last)
    }
}

/// Number of timestamps before `end`, found by steps that double: a block is short.
fn before(ts: &[i64], end: i64) -> usize {
    let mut step = 32;
    while step < ts.len() && ts[step] < end {
        step *= 2;
    }
    let from = if step == 32 { 0 } else { step / 2 };
    from + ts[from..ts.len().min(step)].partition_point(|&t| t < end)
}

fn extremes(series: &Series, from: usize, to: usize, each_print: bool) -> (i64, i64) {
    let price = &series.price[from..to];
    let (mut least, mut most) = NOTHING;
    if each_print {
        for &p in price {
            (least, most) = (least.min(p), most.max(p));
        }
        return (least, most);
    }
    let Some((&last, earlier)) = price.split_last() else {
        return NOTHING;
    };
    let ts = &series.ts[from..to];
    for (k, &p) in earlier.iter().enumerate() {
        // No branch: whether a print is the last of its instant is a coin toss.
        let state = ts[k] != ts[k + 1];
        least = least.min(if state { p } else { i64::MAX });
        most = most.max(if state { p } else { i64::MIN });
    }
    (least.min(last), most.max(last))
}

/// The extremes of what stands in a block at times that are not blocked; infinities the wrong way round if all of it is. Prints before
/// the last of an instant count: a bound may be wider.
fn unblocked(series: &Series, (from, to): (usize, usize), (start, end): (i64, i64), mask: &Mask) -> (f32, f32) {
    let (mut least, mut most) = NOTHING;
    let mut stands = |price: i64, since: i64, until: i64| {
        // A print that another of its instant replaces stands for that instant.
        if !mask.covers(since, until.max(since.saturating_add(1))) {
            (least, most) = (least.min(price), most.max(price));
        }
    };
    let next = |i: usize| if i < to { series.ts[i] } else { end };
    if next(from) > start {
        stands(series.after_states(from).0, start, next(from));
    }
    for i in from..to {
        stands(series.price[i], series.ts[i], next(i + 1));
    }
    if least > most {
        return (f32::INFINITY, f32::NEG_INFINITY);
    }
    (down(least), up(most))
}

/// The largest float not above `x`.
fn down(x: i64) -> f32 {
    let y = x as f32;
    if i128::from(x) < y as i128 { y.next_down() } else { y }
}

/// The smallest float not below `x`.
fn up(x: i64) -> f32 {
    let y = x as f32;
    if i128::from(x) > y as i128 { y.next_up() } else { y }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn floats_are_rounded_outward(x: i64) {
            for x in [x, x >> 20, x >> 40, i64::MAX, i64::MAX - 1, i64::MIN] {
                let (low, high) = (down(x), up(x));
                prop_assert!(low as i128 <= i128::from(x) && i128::from(x) <= high as i128);
                prop_assert!(high <= low.next_up());
            }
        }
    }
}
