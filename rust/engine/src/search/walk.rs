//! The walk over the blocks of a grid: groups whose bounds clear an account are skipped, the others are entered.

use super::grid::{FAN, FAN_BITS, Grid};
use crate::error::Result;

/// Levels of a grid of 2^64 blocks.
const LEVELS: usize = 17;

/// Visits, in order of time, the blocks of level `finest` from the block `from` on that `suspects` does not clear, until `visit` finds
/// something.
///
/// `suspects(level, group)` answers with a bit for each block of a group that may hold what is looked for. The walk climbs from where
/// it stands, so that a search that ends nearby costs little.
pub fn walk<T>(
    grid: &Grid,
    finest: usize,
    from: usize,
    mut suspects: impl FnMut(usize, usize) -> u32,
    mut visit: impl FnMut(usize) -> Result<Option<T>>,
) -> Result<Option<T>> {
    // Blocks of each level's present group that are yet to be entered.
    let mut pending = [0u32; LEVELS];
    let mut group = [0usize; LEVELS];
    let mut ask = |level: usize, group: usize| {
        let there = grid.blocks(level) - (group * FAN).min(grid.blocks(level));
        let valid = if there >= FAN {
            u32::from(u16::MAX)
        } else {
            (1 << there) - 1
        };
        suspects(level, group) & valid
    };
    // From the beginning the coarsest group is asked first; from anywhere else the walk begins where it is.
    let mut level = if from == 0 { grid.top() } else { finest };
    let mut known = level;
    group[level] = if from == 0 { 0 } else { from / FAN };
    pending[level] = ask(level, group[level]);
    if from > 0 {
        pending[level] &= u32::MAX << (from % FAN);
    }
    loop {
        if pending[level] != 0 {
            let block = group[level] * FAN + pending[level].trailing_zeros() as usize;
            pending[level] &= pending[level] - 1;
            if level == finest {
                if let Some(found) = visit(block)? {
                    return Ok(Some(found));
                }
            } else {
                level -= 1;
                group[level] = block;
                pending[level] = ask(level, block);
            }
        } else if level < grid.top() {
            let done = group[level];
            level += 1;
            if level > known {
                // Climbed to a group that was never asked: only what comes after is of interest.
                known = level;
                group[level] = done >> FAN_BITS;
                let place = done % FAN;
                pending[level] = if place + 1 == FAN {
                    0
                } else {
                    ask(level, group[level]) & (u32::MAX << (place + 1))
                };
            }
        } else {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::Series;
    use crate::units::Price;

    #[test]
    fn every_suspect_from_a_block_on_is_visited_once_in_order() {
        for states in [1i64, 7, 16, 17, 300, 5000] {
            let series = Series {
                ts: (0..states).collect(),
                price: (0..states).collect(),
                before: Price(0),
            };
            let grid = Grid::new([&series].into_iter(), 1, 0, states);
            let blocks = grid.blocks(0);
            let suspect = |block: usize| block % 7 == 3 || block.is_multiple_of(64) || block + 1 == blocks;
            for from in [0, 1, 15, 16, 17, 255, 256, blocks - 1]
                .into_iter()
                .filter(|&f| f < blocks)
            {
                let mut seen = Vec::new();
                let span = |level: usize| 1usize << (level as u32 * FAN_BITS);
                walk::<()>(
                    &grid,
                    0,
                    from,
                    |level, group| {
                        (0..FAN)
                            .filter(|i| {
                                let first = (group * FAN + i) * span(level);
                                (first..first + span(level)).any(|b| b < blocks && suspect(b))
                            })
                            .map(|i| 1 << i)
                            .sum()
                    },
                    |block| {
                        seen.push(block);
                        Ok(None)
                    },
                )
                .unwrap();
                let expected: Vec<usize> = (from..blocks).filter(|&b| suspect(b)).collect();
                assert_eq!(seen, expected, "from {from} of {blocks}");
            }
        }
    }
}
