//! Chunks to parts, in parallel, with the same error whatever the number of threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::columns::{Columns, NO_SIDE, Words};
use super::group::Groups;
use super::input::{Batches, Chunk, Input};
use super::part::Part;
use super::place::{Place, Rows};
use super::scaled::Scratch;
use super::schema::{Need, View};
use crate::error::Result;
use crate::progress::Progress;

/// Counts rows for the caller's progress.
pub(super) struct Meter<'a> {
    progress: &'a dyn Progress,
    phase: &'static str,
    done: AtomicU64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub fn new(progress: &'a dyn Progress, phase: &'static str, total: u64) -> Self {
        Self {
            progress,
            phase,
            done: AtomicU64::new(0),
            total,
        }
    }

    pub fn progress(&self) -> &'a dyn Progress {
        self.progress
    }

    /// Nothing more is done, but the caller may want to stop.
    pub fn poll(&self) -> Result<()> {
        self.add(0)
    }

    /// `rows` more are done.
    pub fn add(&self, rows: usize) -> Result<()> {
        let done = self.done.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        self.progress.check(self.phase, done, self.total)
    }
}

/// Does `work` on every item in parallel. The error is that of the first item that has one, as if they had been done in order.
pub(super) fn each<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> Result<T> + Sync) -> Result<Vec<T>> {
    let failed = AtomicUsize::new(usize::MAX);
    let results: Vec<Option<Result<T>>> = items
        .into_par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(at, item)| {
            // Later ones need not be done any more; earlier ones must.
            if at > failed.load(Ordering::Relaxed) {
                return None;
            }
            let result = work(item);
            if result.is_err() {
                failed.fetch_min(at, Ordering::Relaxed);
            }
            Some(result)
        })
        .collect();
    results.into_iter().flatten().collect()
}

/// The markets of a chunk in the order in which they appear, with their numbers of rows; reads the column `market` alone.
pub(super) fn count(input: &Input, chunk: &Chunk, meter: &Meter<'_>) -> Result<Vec<(String, usize)>> {
    let mut groups = Groups::default();
    let mut rows: Vec<usize> = Vec::new();
    markets(input, chunk, |words, first| {
        groups.take(&input.origin, words, first)?;
        rows.resize(groups.names().len(), 0);
        rows.iter_mut()
            .zip(groups.counts())
            .for_each(|(sum, count)| *sum += count);
        meter.add(words.keys().len())
    })?;
    Ok(groups.names().iter().cloned().zip(rows).collect())
}

/// Calls `take` with the batches of the column `market` and the row of the input at which each begins.
fn markets(input: &Input, chunk: &Chunk, mut take: impl FnMut(&Words, u64) -> Result<()>) -> Result<()> {
    let need = Need {
        market: true,
        ..Need::NONE
    };
    let view = input.layout.view(need);
    let mut batches = input.batches(chunk, &view)?;
    while let Some((batch, first)) = batches.next(input)? {
        if let Some(words) = &Columns::of(&input.origin, &view, &batch, first)?.market {
            take(words, first)?;
        }
    }
    Ok(())
}

/// Decodes a chunk to a part for each market, in the order in which they appear. Without a column `market` there is one.
pub(super) fn decode(
    input: &Input,
    chunk: &Chunk,
    view: &View,
    parts: &mut [Part<'_>],
    meter: &Meter<'_>,
) -> Result<()> {
    let mut decoder = Decoder::open(input, chunk, view)?;
    while decoder.step(input, parts, meter)?.is_some() {}
    if parts.iter().all(Part::is_full) {
        Ok(())
    } else {
        Err(input.changed())
    }
}

/// Decodes a chunk batch by batch.
pub(super) struct Decoder {
    /// The market that the statistics announce, if they announce one only.
    only: Option<String>,
    batches: Batches,
    view: View,
    groups: Groups,
    scratch: Scratch,
}

impl Decoder {
    pub fn open(input: &Input, chunk: &Chunk, view: &View) -> Result<Self> {
        Ok(Self {
            only: input.only_market(chunk).map(str::to_owned),
            batches: input.batches(chunk, view)?,
            view: view.clone(),
            groups: Groups::default(),
            scratch: Scratch::default(),
        })
    }

    /// Appends the next batch to `parts`, as [`decode`] does, and returns its number of rows. None: there is none.
    pub fn step(&mut self, input: &Input, parts: &mut [Part<'_>], meter: &Meter<'_>) -> Result<Option<usize>> {
        let Self {
            only,
            batches,
            view,
            groups,
            scratch,
        } = self;
        let Some((batch, first)) = batches.next(input)? else {
            return Ok(None);
        };
        let columns = Columns::of(&input.origin, view, &batch, first)?;
        let mut append = |part: Option<&mut Part<'_>>, rows| {
            let part = part.ok_or_else(|| input.changed())?;
            append(input, &columns, first, rows, batch.num_rows(), part, scratch)
        };
        match &columns.market {
            None => append(parts.first_mut(), Rows::All)?,
            Some(market) => {
                groups.take(&input.origin, market, first)?;
                if let Some(only) = only
                    .as_ref()
                    .filter(|&only| groups.names().iter().any(|name| name != only))
                {
                    let message =
                        format!("expected {only} alone, as the statistics announce, got another (the file is damaged)");
                    return Err(input.origin.column("market", message));
                }
                groups.sort();
                for market in 0..groups.names().len() {
                    if let Some(rows) = groups.rows(market) {
                        append(parts.get_mut(market), rows)?;
                    }
                }
            }
        }
        meter.add(batch.num_rows())?;
        Ok(Some(batch.num_rows()))
    }
}

/// The row of the input at which the `nth` tick of a market stands, counted in this chunk.
pub(super) fn locate(input: &Input, chunk: &Chunk, market: &str, nth: u64) -> Result<u64> {
    if input.layout.market.is_none() {
        return Ok(chunk.first + nth);
    }
    let mut groups = Groups::default();
    let (mut left, mut found) = (nth, None);
    markets(input, chunk, |words, first| {
        if found.is_none() {
            groups.take(&input.origin, words, first)?;
            match groups.nth(market, left) {
                Ok(row) => found = Some(first + row),
                Err(seen) => left -= seen,
            }
        }
        Ok(())
    })?;
    Ok(found.unwrap_or(chunk.first))
}

/// Whether some rows have a value in an optional column: all or none.
fn whole(place: Place<'_>, count: usize, is_null: impl Fn(usize) -> bool) -> Result<bool> {
    let count = if let Rows::These(rows) = place.rows {
        rows.len()
    } else {
        count
    };
    let null = |&i: &usize| is_null(place.rows.row(i));
    match (0..count).find(null) {
        None => Ok(true),
        Some(_) if (0..count).all(|i| null(&i)) => Ok(false),
        Some(i) => place.fail(i, "expected a value, got null"),
    }
}

/// Appends the rows of one market in a batch of `count` rows, which begins at row `first` of the input.
fn append(
    input: &Input,
    columns: &Columns<'_>,
    first: u64,
    rows: Rows<'_>,
    count: usize,
    part: &mut Part<'_>,
    scratch: &mut Scratch,
) -> Result<()> {
    let place = |column| Place {
        origin: &input.origin,
        column,
        batch: first,
        rows,
    };
    let (start, filled) = (part.ts.filled().len(), part.rows);
    part.rows += if let Rows::These(rows) = rows {
        rows.len()
    } else {
        count
    };
    if part.is_ignored {
        return Ok(());
    }
    if let Some((times, factor)) = columns.ts {
        part.times(place("ts"), times, factor, scratch)?;
    }
    if let Some((numbers, kind)) = columns.price {
        part.prices(place("price"), numbers, kind, scratch)?;
    }
    if let Some((numbers, kind, nulls)) = columns.size {
        let place = place("size");
        let has = match nulls {
            None => true,
            Some(nulls) => whole(place, count, |row| nulls.is_null(row))?,
        };
        part.size = choose(place, part.size.take(), has, filled)?;
        if has {
            part.sizes(place, numbers, kind, scratch)?;
        }
    }
    if let Some(sides) = &columns.side {
        let place = place("side");
        let has = whole(place, count, |row| sides[row] == NO_SIDE)?;
        part.side = choose(place, part.side.take(), has, filled)?;
        if has {
            part.sides(place, sides, scratch)?;
        }
    }
    match columns.ts.and(columns.price) {
        None => Ok(()),
        Some(_) => part.observe(place("ts"), start),
    }
}

/// An optional column of a part that has `filled` rows: its first rows decide whether the market has it.
fn choose<C>(place: Place<'_>, column: Option<C>, has: bool, filled: usize) -> Result<Option<C>> {
    match column {
        Some(_) if !has && filled == 0 => Ok(None),
        Some(_) if !has => place.fail(0, "expected a value, as in the market's other rows, got null"),
        None if has => place.fail(0, "expected null, as in the market's other rows, got a value"),
        column => Ok(column),
    }
}
