//! The ticks of one market in one chunk: checked and brought to integers, batch by batch.

use std::iter;

use super::columns::Numbers;
use super::place::{Place, iso};
use super::scaled::{Cells, Least, Scaled, Scratch, too_many};
use super::schema::{Number, View};
use crate::error::Result;
use crate::tape::Quality;

/// The ticks of one market in one chunk.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub ts: Cells<'a, i64>,
    pub price: Scaled<'a>,
    pub size: Option<Scaled<'a>>,
    pub side: Option<Cells<'a, i8>>,
    pub quality: Quality,
    /// Rows that came.
    pub rows: usize,
    /// Rows are counted and not looked at.
    pub is_ignored: bool,
    /// The last time that was taken away.
    before: Option<i64>,
}

/// Ticks that a part has handed over, in its decimals.
#[derive(Debug)]
pub(super) struct Taken {
    pub ts: Vec<i64>,
    pub price: Vec<i64>,
    pub price_decimals: u32,
    pub size: Option<Vec<i64>>,
    pub size_decimals: u32,
    pub side: Option<Vec<i8>>,
}

impl<'a> Part<'a> {
    /// A part that fills the cells that it is lent.
    pub fn new(
        view: &View,
        ts: &'a mut [i64],
        price: &'a mut [i64],
        size: Option<&'a mut [i64]>,
        side: Option<&'a mut [i8]>,
    ) -> Self {
        Self::with(
            view,
            Cells::lent(ts),
            Cells::lent(price),
            size.map(Cells::lent),
            side.map(Cells::lent),
        )
    }

    /// A part that gathers what comes until it is taken away.
    pub fn own(view: &View) -> Self {
        let (size, side) = (view.size.map(|_| Vec::new()), view.side.map(|_| Vec::new()));
        Self::with(
            view,
            Cells::Own(Vec::new()),
            Cells::Own(Vec::new()),
            size.map(Cells::Own),
            side.map(Cells::Own),
        )
    }

    /// A part for rows that nobody wants.
    pub fn ignored(view: &View) -> Self {
        Self {
            is_ignored: true,
            ..Self::own(view)
        }
    }

    fn with(
        view: &View,
        ts: Cells<'a, i64>,
        price: Cells<'a, i64>,
        size: Option<Cells<'a, i64>>,
        side: Option<Cells<'a, i8>>,
    ) -> Self {
        let kind = view.price.map_or(Number::Float, |(_, kind)| kind);
        let size = size.zip(view.size);
        Self {
            ts,
            price: Scaled::new(price, kind, Least::Positive),
            size: size.map(|(cells, (_, kind))| Scaled::new(cells, kind, Least::Zero)),
            side,
            quality: Quality::default(),
            rows: 0,
            is_ignored: false,
            before: None,
        }
    }

    /// Whether all cells are filled.
    pub fn is_full(&self) -> bool {
        match &self.ts {
            Cells::Lent { cells, filled } => *filled == cells.len(),
            Cells::Own(_) => true,
        }
    }

    /// Hands over what was gathered; what comes next is still held against it.
    pub fn take(&mut self) -> Taken {
        self.before = self.ts.filled().last().copied().or(self.before);
        Taken {
            ts: self.ts.take(),
            price: self.price.take(),
            price_decimals: self.price.decimals,
            size: self.size.as_mut().map(Scaled::take),
            size_decimals: self.size.as_ref().map_or(0, |size| size.decimals),
            side: self.side.as_mut().map(Cells::take),
        }
    }

    /// Keeps no more than the least and the greatest time.
    pub fn keep_extremes(&mut self) {
        if let Cells::Own(ts) = &mut self.ts
            && let (Some(&least), Some(&most)) = (ts.iter().min(), ts.iter().max())
        {
            ts.clear();
            ts.extend([least, most]);
        }
    }

    /// Appends times, in units of `factor` nanoseconds. Their order is checked by [`Part::observe`].
    pub fn times(&mut self, place: Place<'_>, values: &[i64], factor: i64, scratch: &mut Scratch) -> Result<()> {
        let values = place.rows.pick(values, &mut scratch.ints);
        let Some(cells) = self.ts.grow(values.len()) else {
            return too_many(place);
        };
        if factor == 1 {
            cells.copy_from_slice(values);
            return Ok(());
        }
        let (least, most) = (i64::MIN / factor, i64::MAX / factor);
        let mut good = true;
        for (cell, &value) in cells.iter_mut().zip(values) {
            good &= (value >= least) & (value <= most);
            *cell = value.wrapping_mul(factor);
        }
        match values.iter().position(|&value| value < least || value > most) {
            Some(i) if !good => place.fail(
                i,
                format!("expected a time between {} and {}", iso(i64::MIN), iso(i64::MAX)),
            ),
            _ => Ok(()),
        }
    }

    pub fn prices(&mut self, place: Place<'_>, values: Numbers<'_>, kind: Number, scratch: &mut Scratch) -> Result<()> {
        self.price.append(place, values, kind, scratch)
    }

    pub fn sizes(&mut self, place: Place<'_>, values: Numbers<'_>, kind: Number, scratch: &mut Scratch) -> Result<()> {
        match &mut self.size {
            Some(size) => size.append(place, values, kind, scratch),
            None => Ok(()),
        }
    }

    pub fn sides(&mut self, place: Place<'_>, values: &[i8], scratch: &mut Scratch) -> Result<()> {
        let values = place.rows.pick(values, &mut scratch.bytes);
        match self.side.as_mut().map(|side| side.grow(values.len())) {
            Some(Some(cells)) => cells.copy_from_slice(values),
            Some(None) => return too_many(place),
            None => {}
        }
        Ok(())
    }

    /// Counts what came since `start` rows; the times of these, of which `place` is the column, must not descend.
    pub fn observe(&mut self, place: Place<'_>, start: usize) -> Result<()> {
        let from = start.saturating_sub(1);
        let ts = &self.ts.filled()[from..];
        if start == 0
            && let (Some(&first), Some(before)) = (ts.first(), self.before)
            && first < before
        {
            return place.fail(0, unsorted(first, before));
        }
        let (seen, is_sorted) = observe(
            ts,
            &self.price.cells.filled()[from..],
            self.size.as_ref().map(|size| &size.cells.filled()[from..]),
            self.side.as_ref().map(|side| &side.filled()[from..]),
        );
        if !is_sorted && let Some(i) = (1..ts.len()).find(|&i| ts[i] < ts[i - 1]) {
            // The window begins one before the batch, unless there is none.
            return place.fail(i - usize::from(start > 0), unsorted(ts[i], ts[i - 1]));
        }
        self.quality.rows = self.ts.filled().len() as u64;
        self.quality.duplicates += seen.duplicates;
        self.quality.same_instant += seen.same_instant;
        self.quality.longest_gap = self.quality.longest_gap.max(seen.longest_gap);
        Ok(())
    }
}

/// What is to be said of a time that is before the one before it.
pub(super) fn unsorted(ts: i64, before: i64) -> String {
    format!(
        "expected times that do not descend, got {} after {}",
        iso(ts),
        iso(before)
    )
}

/// Counts neighbours: all but `rows` and `instants`. False: a time is before the one before it.
pub(super) fn observe(ts: &[i64], price: &[i64], size: Option<&[i64]>, side: Option<&[i8]>) -> (Quality, bool) {
    match (size, side) {
        (None, None) => count(ts, price, iter::repeat(true)),
        (Some(size), None) => count(ts, price, pairs(size)),
        (None, Some(side)) => count(ts, price, pairs(side)),
        (Some(size), Some(side)) => count(ts, price, pairs(size).zip(pairs(side)).map(|(size, side)| size & side)),
    }
}

/// Whether each value equals the one before it.
fn pairs<T: PartialEq>(values: &[T]) -> impl Iterator<Item = bool> {
    values
        .iter()
        .zip(values.iter().skip(1))
        .map(|(before, after)| before == after)
}

/// Without branches: which rows share an instant cannot be predicted.
fn count(ts: &[i64], price: &[i64], others: impl Iterator<Item = bool>) -> (Quality, bool) {
    let (mut same_instant, mut duplicates, mut longest_gap, mut is_sorted) = (0u64, 0u64, 0u64, true);
    let times = ts.iter().zip(ts.iter().skip(1));
    for (((before, after), price), other) in times.zip(pairs(price)).zip(others) {
        let same = before == after;
        same_instant += u64::from(same);
        duplicates += u64::from(same & price & other);
        is_sorted &= before <= after;
        // Of ascending times this is the difference, however large.
        longest_gap = longest_gap.max(after.wrapping_sub(*before) as u64);
    }
    let quality = Quality {
        same_instant,
        duplicates,
        longest_gap: i64::try_from(longest_gap).unwrap_or(i64::MAX),
        ..Quality::default()
    };
    (quality, is_sorted)
}
