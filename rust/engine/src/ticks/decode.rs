//! Chunks to parts, in parallel, with the same error whatever the number of threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::columns::{Columns, NO_SIDE};
use super::group::Groups;
use super::input::{Chunk, Input};
use super::part::{Part, Scratch};
use super::place::{Origin, Place, Rows};
use super::schema::Layout;
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

/// Decodes a chunk of an input of one market to `part`.
pub(super) fn one_market(input: &Input, chunk: &Chunk, part: &mut Part<'_>, meter: &Meter<'_>) -> Result<()> {
    let mut scratch = Scratch::default();
    input.read(chunk, |batch, first| {
        let columns = Columns::of(&input.origin, &input.layout, batch, first)?;
        append(
            &input.origin,
            &input.layout,
            &columns,
            first,
            Rows::All,
            part,
            &mut scratch,
        )?;
        meter.add(batch.num_rows())
    })
}

/// Decodes a chunk to a part for each market, in the order in which they appear. Without a column `market` there is one.
pub(super) fn many_markets(
    input: &Input,
    chunk: &Chunk,
    meter: &Meter<'_>,
) -> Result<Vec<(Option<String>, Part<'static>)>> {
    if input.layout.market.is_none() {
        let has = Has {
            size: input.layout.size.is_some(),
            side: input.layout.side.is_some(),
        };
        let mut part = Part::own(&input.layout, has.size, has.side);
        one_market(input, chunk, &mut part, meter)?;
        return Ok(vec![(None, part)]);
    }
    let mut scratch = Scratch::default();
    let mut groups = Groups::default();
    let mut parts: Vec<Part<'static>> = Vec::new();
    input.read(chunk, |batch, first| {
        let columns = Columns::of(&input.origin, &input.layout, batch, first)?;
        if let Some(market) = &columns.market {
            groups.take(&input.origin, market, first)?;
        }
        for market in 0..groups.names().len() {
            let Some(rows) = groups.rows(market) else { continue };
            let has = has(&input.origin, &columns, first, rows, batch.num_rows())?;
            if market == parts.len() {
                parts.push(Part::own(&input.layout, has.size, has.side));
            }
            append(
                &input.origin,
                &input.layout,
                &columns,
                first,
                rows,
                &mut parts[market],
                &mut scratch,
            )?;
        }
        meter.add(batch.num_rows())
    })?;
    Ok(groups.names().iter().cloned().map(Some).zip(parts).collect())
}

/// The row of the input at which the `nth` tick of a market stands, counted in this chunk.
pub(super) fn locate(input: &Input, chunk: &Chunk, market: &str, nth: u64) -> Result<u64> {
    if input.layout.market.is_none() {
        return Ok(chunk.first + nth);
    }
    let mut groups = Groups::default();
    let (mut left, mut found) = (nth, None);
    input.read(chunk, |batch, first| {
        if let (None, Some(column)) = (found, Columns::of(&input.origin, &input.layout, batch, first)?.market) {
            groups.take(&input.origin, &column, first)?;
            match groups.nth(market, left) {
                Ok(row) => found = Some(first + row),
                Err(seen) => left -= seen,
            }
        }
        Ok(())
    })?;
    Ok(found.unwrap_or(chunk.first))
}

/// Which optional columns a market has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Has {
    pub size: bool,
    pub side: bool,
}

/// A market has a column if none of its rows is null in it; it has not, if all are.
fn has(origin: &Origin, columns: &Columns<'_>, first: u64, rows: Rows<'_>, count: usize) -> Result<Has> {
    let whole = |column, is_null: &dyn Fn(usize) -> bool| {
        let len = if let Rows::These(rows) = rows {
            rows.len()
        } else {
            count
        };
        let null = (0..len).find(|&i| is_null(rows.row(i)));
        match null {
            None => Ok(true),
            Some(_) if (0..len).all(|i| is_null(rows.row(i))) => Ok(false),
            Some(i) => Place {
                origin,
                column,
                batch: first,
                rows,
            }
            .fail(i, "expected a value, got null"),
        }
    };
    Ok(Has {
        size: match columns.size {
            None => false,
            Some((_, None)) => true,
            Some((_, Some(nulls))) => whole("size", &|row| nulls.is_null(row))?,
        },
        side: match &columns.side {
            None => false,
            Some(sides) => whole("side", &|row| sides[row] == NO_SIDE)?,
        },
    })
}

/// Appends the rows of one market in a batch.
fn append(
    origin: &Origin,
    layout: &Layout,
    columns: &Columns<'_>,
    first: u64,
    rows: Rows<'_>,
    part: &mut Part<'_>,
    scratch: &mut Scratch,
) -> Result<()> {
    let place = |column| Place {
        origin,
        column,
        batch: first,
        rows,
    };
    let start = part.ts.filled().len();
    part.times(place("ts"), columns.ts, layout.ts_factor, scratch)?;
    part.prices(place("price"), columns.price, layout.price.1, scratch)?;
    if let (Some((numbers, nulls)), Some((_, kind))) = (columns.size, layout.size) {
        let missing = nulls.is_some_and(|nulls| nulls.is_null(rows.row(0)));
        match (&part.size, missing) {
            (None, true) => {}
            (Some(_), true) => {
                return place("size").fail(0, "expected a value, as in the market's other rows, got null");
            }
            (_, false) => part.sizes(place("size"), numbers, kind, scratch)?,
        }
    }
    if let Some(sides) = &columns.side
        && !(part.side.is_none() && sides[rows.row(0)] == NO_SIDE)
    {
        part.sides(place("side"), sides, scratch)?;
    }
    part.observe(start);
    Ok(())
}
