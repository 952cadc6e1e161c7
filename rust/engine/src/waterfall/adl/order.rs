//! Candidates of an instant in the order of the rank, from which those that have something to give can be walked.
//!
//! Sorted blocks, each with the greatest reach in it. A counterparty that has been drained stays on top of the rank with nothing left
//! to give, often with thousands of its kind: they are stepped over block by block. An insertion, a removal and a step cost the
//! length of a block and the number of blocks, both of which are small.

use std::cmp::Ordering;

/// Entries of a block before it is split.
const BLOCK: usize = 256;

/// Place in the rank: score descending, account, leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Score.
    pub score: i128,
    /// Account.
    pub account: u32,
    /// Leg of the account.
    pub leg: u32,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .cmp(&self.score)
            .then(self.account.cmp(&other.account))
            .then(self.leg.cmp(&other.leg))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Block {
    /// Keys with their reach.
    entries: Vec<(Key, f64)>,
    reach: f64,
}

impl Block {
    fn of(entries: Vec<(Key, f64)>) -> Self {
        let mut block = Self { entries, reach: 0.0 };
        block.measure();
        block
    }

    fn measure(&mut self) {
        self.reach = self.entries.iter().map(|e| e.1).fold(f64::NEG_INFINITY, f64::max);
    }

    fn last(&self) -> Option<Key> {
        self.entries.last().map(|e| e.0)
    }
}

/// The sorted blocks; none is empty.
#[derive(Default)]
pub struct Order {
    blocks: Vec<Block>,
}

/// A place in an order that is not changed meanwhile, save at its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    block: usize,
    index: usize,
    /// Entries before the block.
    before: usize,
}

impl Order {
    /// The last key.
    pub fn last(&self) -> Option<Key> {
        self.blocks.last().and_then(Block::last)
    }

    /// Puts a key in its place.
    pub fn insert(&mut self, key: Key, reach: f64) {
        let at = self
            .blocks
            .partition_point(|b| b.last().is_some_and(|last| last < key))
            .min(self.blocks.len().saturating_sub(1));
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::of(vec![(key, reach)]));
            return;
        };
        let index = block.entries.partition_point(|e| e.0 < key);
        block.entries.insert(index, (key, reach));
        block.reach = block.reach.max(reach);
        if block.entries.len() > BLOCK {
            // Mostly keys come in order, at the end: full blocks are left behind.
            let from = if index == BLOCK { BLOCK } else { BLOCK / 2 };
            let rest = block.entries.split_off(from);
            block.measure();
            self.blocks.insert(at + 1, Block::of(rest));
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: Key) {
        let at = self.blocks.partition_point(|b| b.last().is_some_and(|last| last < key));
        let Some(block) = self.blocks.get_mut(at) else { return };
        if let Ok(index) = block.entries.binary_search_by(|e| e.0.cmp(&key)) {
            block.entries.remove(index);
            if block.entries.is_empty() {
                self.blocks.remove(at);
            } else {
                block.measure();
            }
        }
    }

    /// The next key at or after the cursor whose reach is not below `least`, with the number of keys before it; the cursor moves on
    /// behind it, or to the end.
    pub fn next(&self, cursor: &mut Cursor, least: f64) -> Option<(Key, usize)> {
        while let Some(block) = self.blocks.get(cursor.block) {
            if block.reach >= least {
                while let Some(&(key, reach)) = block.entries.get(cursor.index) {
                    cursor.index += 1;
                    if reach >= least {
                        return Some((key, cursor.before + cursor.index - 1));
                    }
                }
            } else {
                cursor.index = block.entries.len();
            }
            if cursor.block + 1 == self.blocks.len() {
                // The end may yet grow.
                return None;
            }
            cursor.before += block.entries.len();
            cursor.block += 1;
            cursor.index = 0;
        }
        None
    }
}
