//! Row groups that are open, and the ticks of them that wait until all markets have come as far.

use std::collections::VecDeque;
use std::sync::Arc;

use super::assemble::{Has, Segment, Slots};
use super::decode::{Decoder, Meter};
use super::input::{Chunk, Input};
use super::part::{Part, Taken, observe};
use super::survey::{Group, Plan};
use super::target::Last;
use crate::error::{Error, Result};

/// Ticks of one market in one chunk that wait for the horizon.
#[derive(Debug)]
pub(super) struct Held {
    pub market: usize,
    pub turn: usize,
    pub chunk: Chunk,
    /// How many ticks of the market come before `ticks` in the chunk.
    pub nth: u64,
    /// How many of `ticks` are gone.
    pub start: usize,
    pub ticks: Arc<Taken>,
}

impl Held {
    pub fn times(&self) -> &[i64] {
        &self.ticks.ts[self.start..]
    }

    pub fn has(&self) -> Has {
        Has {
            size: self.ticks.size.is_some(),
            side: self.ticks.side.is_some(),
        }
    }

    /// Copies the first `n` ticks to `slots`, which begin at `start` of their draft.
    pub fn copy(&self, n: usize, slots: Slots<'_>, start: usize) -> Segment {
        let range = self.start..self.start + n;
        let ticks = &self.ticks;
        let (ts, price) = (&ticks.ts[range.clone()], &ticks.price[range.clone()]);
        let size = ticks.size.as_ref().map(|size| &size[range.clone()]);
        let side = ticks.side.as_ref().map(|side| &side[range]);
        slots.ts.copy_from_slice(ts);
        slots.price.copy_from_slice(price);
        if let (Some(slots), Some(size)) = (slots.size, size) {
            slots.copy_from_slice(size);
        }
        if let (Some(slots), Some(side)) = (slots.side, side) {
            slots.copy_from_slice(side);
        }
        let (quality, _) = observe(ts, price, size, side);
        Segment {
            chunk: self.chunk,
            nth: self.nth + self.start as u64,
            start,
            rows: n,
            first_ts: ts.first().copied().unwrap_or(i64::MAX),
            has: self.has(),
            price_decimals: ticks.price_decimals,
            size_decimals: ticks.size_decimals,
            quality,
        }
    }
}

/// What waits of a market.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// In the order of turns.
    pub held: VecDeque<Held>,
    /// The turn whose ticks are due.
    pub turn: usize,
    /// How many of its ticks are gone.
    pub gone: usize,
    pub last: Option<Last>,
}

/// An open row group.
pub(super) struct Cursor {
    pub group: usize,
    decoder: Decoder,
    parts: Vec<Part<'static>>,
    /// Of each piece: how many ticks came, and the last time.
    came: Vec<(usize, i64)>,
    /// The least and the greatest time that came.
    seen: (i64, i64),
}

impl Cursor {
    pub fn open(plan: &Plan, number: usize) -> Result<Self> {
        let group = &plan.groups[number];
        let view = &plan.views[group.chunk.input];
        Ok(Self {
            group: number,
            decoder: Decoder::open(&plan.inputs[group.chunk.input], &group.chunk, view)?,
            parts: group.parts(view),
            came: vec![(0, group.times.0); group.pieces.len()],
            seen: (i64::MAX, i64::MIN),
        })
    }

    /// No tick that is still to come is earlier. None: none is to come.
    pub fn bound(&self, plan: &Plan) -> Option<i64> {
        let open = plan.groups[self.group]
            .rows()
            .zip(&self.came)
            .filter(|(rows, (came, _))| came < rows);
        open.map(|(_, &(_, last))| last).min()
    }

    pub fn left(&self, plan: &Plan) -> usize {
        let pieces = plan.groups[self.group].rows().zip(&self.came);
        pieces.map(|(rows, (came, _))| rows.saturating_sub(*came)).sum()
    }

    /// Reads about `rows` more rows, and the rest if nothing is to come after them.
    pub fn advance(&mut self, plan: &Plan, rows: usize, meter: &Meter<'_>) -> Result<Vec<Held>> {
        let group = &plan.groups[self.group];
        let input = &plan.inputs[group.chunk.input];
        let mut held = Vec::new();
        let mut ended = false;
        while !ended {
            let mut read = 0;
            while read < rows && !ended {
                match self.decoder.step(input, &mut self.parts, meter)? {
                    Some(n) => read += n,
                    None => ended = true,
                }
            }
            self.take(group, input, &mut held)?;
            if self.bound(plan).is_some() {
                break;
            }
        }
        if ended {
            let whole = group.rows().zip(&self.came).all(|(rows, (came, _))| *came == rows);
            if !whole {
                return Err(input.changed());
            }
            // Rows of other markets were not looked at.
            if group.pieces.iter().all(Option::is_some) && self.seen != group.times {
                return Err(misled(input));
            }
        }
        Ok(held)
    }

    /// Takes what the parts have gathered.
    fn take(&mut self, group: &Group, input: &Input, held: &mut Vec<Held>) -> Result<()> {
        for ((part, piece), (came, last)) in self.parts.iter_mut().zip(&group.pieces).zip(&mut self.came) {
            let Some(piece) = piece else { continue };
            let ticks = part.take();
            let (Some(&first), Some(&end)) = (ticks.ts.first(), ticks.ts.last()) else {
                continue;
            };
            self.seen = (self.seen.0.min(first), self.seen.1.max(end));
            if self.seen.0 < group.times.0 || self.seen.1 > group.times.1 {
                return Err(misled(input));
            }
            let nth = *came;
            (*came, *last) = (nth + ticks.ts.len(), end);
            if *came > piece.rows {
                return Err(input.changed());
            }
            held.push(Held {
                market: piece.market,
                turn: piece.turn,
                chunk: group.chunk,
                nth: nth as u64,
                start: 0,
                ticks: Arc::new(ticks),
            });
        }
        Ok(())
    }
}

/// The times are not those that were announced.
fn misled(input: &Input) -> Error {
    let message =
        "expected the least and the greatest time that the statistics announce, got others (the file is damaged)";
    input.origin.column("ts", message)
}
