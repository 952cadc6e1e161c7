//! The ticks of a plan in the order of time, chunk by chunk, on the thread that asks.
//!
//! Row groups are opened in the order of their least times, and read batch by batch. Of an open one it is known, from what came
//! and from how many ticks of each market are still to come, how early the next tick can be; of one that is not open, its least
//! time. What is earlier than all of these, the *horizon*, is complete: a chunk is cut from it at the first instant at which it has
//! as many ticks as were asked for. Where the chunks are cut therefore depends on the ticks alone, not on files or row groups.

use std::sync::Arc;

use super::assemble::{Draft, Segment};
use super::decode::{Meter, each};
use super::input::BATCH;
use super::lane::{Cursor, Held, Lane};
use super::schema::Need;
use super::survey::{Group, Plan, scan};
use super::target::{Last, descends, missing};
use crate::error::{Error, Result};
use crate::tape::{MarketTicks, Quality, Tape};

/// The most row groups that are read at the same time. A constant, so that the error does not depend on the number of threads.
const LANES: usize = 16;
/// So many of the open row groups go on even if enough ticks are on their way, for the sake of the other threads.
const LEAST_LANES: usize = 4;
/// The most rows that are read of a row group before the horizon is looked at again.
const STRETCH: usize = 1 << 18;

/// A row group to read on, or to open if there is no cursor yet.
struct Work {
    /// Nothing that comes of it is earlier.
    bound: i64,
    group: usize,
    cursor: Option<Cursor>,
}

/// Puts the ticks of a plan in the order of time.
pub(super) struct Merge {
    plan: Arc<Plan>,
    /// Ticks of a chunk.
    chunk: usize,
    /// The first group that was not opened yet.
    unopened: usize,
    open: Vec<Cursor>,
    lanes: Vec<Lane>,
    /// The most ticks that waited, and the most row groups that were open, at a time.
    pub most: (usize, usize),
}

impl Merge {
    pub fn new(plan: Arc<Plan>, chunk: usize) -> Self {
        Self {
            chunk: chunk.max(1),
            unopened: 0,
            open: Vec::new(),
            lanes: plan.markets.iter().map(|_| Lane::default()).collect(),
            most: (0, 0),
            plan,
        }
    }

    /// The next chunk; None at the end.
    pub fn next(&mut self, meter: &Meter<'_>) -> Result<Option<Tape>> {
        loop {
            let horizon = self.horizon();
            let ready = match horizon {
                Some(horizon) => self.count(|ts| ts < horizon),
                None => self.held(),
            };
            if ready >= self.chunk || horizon.is_none() {
                return match self.until(ready, horizon) {
                    None => Ok(None),
                    Some(until) => self.cut(until, meter).map(Some),
                };
            }
            self.read(meter)?;
        }
    }

    /// All ticks before it have come. None: all have come.
    fn horizon(&self) -> Option<i64> {
        let open = self.open.iter().filter_map(|cursor| cursor.bound(&self.plan));
        let closed = self.plan.groups.get(self.unopened).map(|group| group.times.0);
        open.chain(closed).min()
    }

    fn held(&self) -> usize {
        self.count(|_| true)
    }

    /// The number of ticks that wait and are early enough.
    fn count(&self, early: impl Fn(i64) -> bool) -> usize {
        let held = self.lanes.iter().flat_map(|lane| &lane.held);
        held.map(|held| held.times().partition_point(|&ts| early(ts))).sum()
    }

    /// The last time of the next chunk: the first at which it has enough ticks, all of the instant counted. `ready` ticks are before
    /// the horizon. None: there are no ticks.
    fn until(&self, ready: usize, horizon: Option<i64>) -> Option<i64> {
        if ready <= self.chunk {
            // Those of the horizon itself may not be complete.
            return (ready > 0).then(|| horizon.map_or(i64::MAX, |horizon| horizon.saturating_sub(1)));
        }
        let heads = self.lanes.iter().flat_map(|lane| &lane.held);
        let mut low = heads.filter_map(|held| held.times().first().copied()).min()?;
        let mut high = horizon.map_or(i64::MAX, |horizon| horizon.saturating_sub(1));
        while low < high {
            let middle = ((i128::from(low) + i128::from(high)) >> 1) as i64;
            if self.count(|ts| ts <= middle) >= self.chunk {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(low)
    }

    /// Reads on: the row groups that hold the horizon back, and others on other threads as long as ticks are wanted.
    fn read(&mut self, meter: &Meter<'_>) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let wanted = self.chunk.saturating_sub(self.held());
        let stretch = (self.chunk / (2 * self.open.len().max(1))).clamp(BATCH, STRETCH);
        let closed = (self.unopened..plan.groups.len()).take(LANES).map(|group| Work {
            bound: plan.groups[group].times.0,
            group,
            cursor: None,
        });
        let open = std::mem::take(&mut self.open).into_iter().map(|cursor| Work {
            bound: cursor.bound(&plan).unwrap_or(i64::MAX),
            group: cursor.group,
            cursor: Some(cursor),
        });
        let mut candidates: Vec<Work> = open.chain(closed).collect();
        candidates.sort_by_key(|candidate| (candidate.bound, candidate.group));
        let (mut work, mut coming, mut opens) = (Vec::new(), 0usize, true);
        for candidate in candidates {
            let room = work.len() < LANES && (work.is_empty() || coming < wanted);
            match candidate.cursor {
                None => {
                    opens &= room;
                    if opens {
                        coming = coming.saturating_add(plan.groups[candidate.group].chunk.rows);
                        self.unopened += 1;
                        work.push(candidate);
                    }
                }
                Some(ref cursor) if room || work.len() < LEAST_LANES => {
                    coming = coming.saturating_add(cursor.left(&plan));
                    work.push(candidate);
                }
                Some(cursor) => self.open.push(cursor),
            }
        }
        let read = each(work, |work| {
            let mut cursor = match work.cursor {
                Some(cursor) => cursor,
                None => Cursor::open(&plan, work.group)?,
            };
            let held = cursor.advance(&plan, stretch, meter)?;
            Ok((cursor, held))
        })?;
        self.most.1 = self.most.1.max(self.open.len() + read.len());
        for (cursor, held) in read {
            for held in held {
                self.hold(held)?;
            }
            if cursor.bound(&plan).is_some() {
                self.open.push(cursor);
            }
        }
        self.most.0 = self.most.0.max(self.held());
        Ok(())
    }

    /// Lets ticks wait.
    fn hold(&mut self, held: Held) -> Result<()> {
        let market = &self.plan.markets[held.market];
        let (has, first) = (held.has(), &self.plan.groups[market.turns[0].0].chunk);
        for (column, has, expected) in [("size", has.size, market.has.size), ("side", has.side, market.has.side)] {
            if has != expected {
                let (with, without) = if has {
                    (&held.chunk, first)
                } else {
                    (first, &held.chunk)
                };
                return Err(missing(&self.plan.inputs, &market.spec.name, with, without, column));
            }
        }
        let lane = &mut self.lanes[held.market];
        let at = lane.held.partition_point(|other| other.turn <= held.turn);
        lane.held.insert(at, held);
        Ok(())
    }

    /// Cuts off what is not later than `until`.
    fn cut(&mut self, until: i64, meter: &Meter<'_>) -> Result<Tape> {
        let plan = Arc::clone(&self.plan);
        let mut taken = Vec::with_capacity(self.lanes.len());
        for market in 0..self.lanes.len() {
            taken.push(self.take(market, until, meter)?);
        }
        let mut drafts = Vec::with_capacity(taken.len());
        for (market, taken) in plan.markets.iter().zip(&taken) {
            let rows = taken.iter().map(|(_, n)| n).sum();
            drafts.push(Draft::zeroed(&market.spec.name, rows, market.has)?);
        }
        let mut work = Vec::new();
        for ((draft, taken), market) in drafts.iter_mut().zip(taken).zip(0..) {
            let (mut slots, mut start) = (draft.slots(), 0);
            for (held, n) in taken {
                work.push((market, held, n, slots.cut(n), start));
                start += n;
            }
        }
        let copied = each(work, |(market, held, n, slots, start): (usize, Held, usize, _, _)| {
            meter.poll()?;
            Ok((market, held.copy(n, slots, start)))
        })?;
        let mut segments: Vec<Vec<Segment>> = drafts.iter().map(|_| Vec::new()).collect();
        for (market, segment) in copied {
            segments[market].push(segment);
        }
        let work: Vec<_> = drafts
            .into_iter()
            .zip(segments)
            .zip(&plan.markets)
            .zip(&mut self.lanes)
            .collect();
        let finished: Vec<(MarketTicks, Quality)> = each(work, |(((mut draft, segments), market), lane)| {
            let chunk = segments.last().map(|segment| segment.chunk);
            draft.fill(segments);
            let before = lane.last;
            let spec = market.spec.clone();
            let (ticks, quality) = draft.complete(&plan.inputs, spec, market.targets, before.as_ref(), meter)?;
            lane.last = chunk.and_then(|chunk| Last::of(&ticks, chunk)).or(before);
            Ok((ticks, quality))
        })?;
        let (markets, quality) = finished.into_iter().unzip();
        Ok(Tape {
            markets,
            assets: plan.assets.clone(),
            quality,
        })
    }

    /// Takes the ticks of a market that are not later than `until`, with how many of each piece; they must be in the order of turns.
    fn take(&mut self, market: usize, until: i64, meter: &Meter<'_>) -> Result<Vec<(Held, usize)>> {
        let turns = &self.plan.markets[market].turns;
        let lane = &mut self.lanes[market];
        let mut taken = Vec::new();
        while let Some(mut held) = lane.held.pop_front() {
            let n = held.times().partition_point(|&ts| ts <= until);
            if n > 0 && held.turn != lane.turn {
                let (due, turn) = (lane.turn, held.turn);
                return Err(self.disorder(market, due, turn, meter));
            }
            if n > 0 {
                lane.gone += n;
                if lane.gone == self.plan.piece_rows(turns[lane.turn]) {
                    (lane.turn, lane.gone) = (lane.turn + 1, 0);
                }
            }
            if n == held.times().len() {
                taken.push((held, n));
                continue;
            }
            if n > 0 {
                let rest = Held {
                    start: held.start + n,
                    ticks: Arc::clone(&held.ticks),
                    ..held
                };
                taken.push((held, n));
                held = rest;
            }
            // Nothing that comes later in the order of turns may be earlier.
            let early = lane
                .held
                .iter()
                .find(|other| other.times().first().is_some_and(|&ts| ts <= until));
            if let Some(turn) = early.map(|early| early.turn) {
                let due = held.turn.min(lane.turn);
                return Err(self.disorder(market, due, turn, meter));
            }
            lane.held.push_front(held);
            break;
        }
        Ok(taken)
    }

    /// The error that pieces of a market are not in the order of time, from the one that is `due` to the one at `turn`.
    fn disorder(&self, market: usize, due: usize, turn: usize, meter: &Meter<'_>) -> Error {
        let market = &self.plan.markets[market];
        let mut before: Option<Last> = None;
        for &(group, piece) in &market.turns[due..=turn] {
            let group = &self.plan.groups[group];
            match extent(&self.plan, group, piece, meter) {
                Err(error) => return error,
                Ok((first, last)) => {
                    if let Some(before) = before.filter(|before| first.ts < before.ts) {
                        return descends(&self.plan.inputs, &market.spec.name, 0, &first, &before);
                    }
                    before = Some(last);
                }
            }
        }
        self.plan.inputs[self.plan.groups[market.turns[turn].0].chunk.input].changed()
    }
}

/// The first and the last time of a piece.
fn extent(plan: &Plan, group: &Group, piece: usize, meter: &Meter<'_>) -> Result<(Last, Last)> {
    let input = &plan.inputs[group.chunk.input];
    let mut times: Option<(i64, i64)> = None;
    let need = Need {
        ts: true,
        market: true,
        price: true,
        ..Need::NONE
    };
    let kept: Vec<bool> = (0..group.pieces.len()).map(|slot| slot == piece).collect();
    scan(input, &group.chunk, need, &kept, meter, |parts| {
        for (part, slot) in parts.iter_mut().zip(0..) {
            let ts = part.take().ts;
            if let (true, Some(&first), Some(&last)) = (slot == piece, ts.first(), ts.last()) {
                times = Some((times.map_or(first, |(first, _)| first), last));
            }
        }
        false
    })?;
    let (first, last) = times.ok_or_else(|| input.changed())?;
    let tick = |ts| Last {
        chunk: group.chunk,
        ts,
        price: 0,
        size: None,
        side: None,
    };
    Ok((tick(first), tick(last)))
}
