//! Parts to the ticks of a market: in order, at one number of decimals, with what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::decode::{Meter, count, decode, each};
use super::input::{Chunk, Input};
use super::part::{Part, observe};
use super::schema::{Need, View};
use super::target::{Last, Target, descends, missing};
use crate::column::Slab;
use crate::error::{Error, Result};
use crate::market::{COIN_DECIMALS, MarketSpec};
use crate::progress::Progress;
use crate::tape::{MarketTicks, Quality};

/// The ticks of a market, still at the decimals of their chunks.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: String,
    ts: Slab<i64>,
    price: Slab<i64>,
    size: Option<Slab<i64>>,
    side: Option<Slab<i8>>,
    segments: Vec<Segment>,
}

/// Ticks of a market that come from one chunk.
#[derive(Debug)]
pub(super) struct Segment {
    pub chunk: Chunk,
    /// How many ticks of the market come before them in the chunk.
    pub nth: u64,
    /// Where they begin in the draft.
    pub start: usize,
    pub rows: usize,
    pub first_ts: i64,
    pub has: Has,
    pub price_decimals: u32,
    pub size_decimals: u32,
    pub quality: Quality,
}

/// Which optional columns there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Has {
    pub size: bool,
    pub side: bool,
}

/// What one chunk holds of a market, and where that stands among the markets of the chunk.
struct Piece {
    chunk: usize,
    slot: usize,
    rows: usize,
}

/// Decodes all inputs, each chunk straight to where its ticks will stay. `name` gives the market of the inputs that have no column
/// `market`, once the markets of the others are known. The drafts come by name.
pub(super) fn drafts(
    inputs: &[Input],
    meter: &Meter<'_>,
    name: impl FnOnce(&BTreeSet<&str>) -> Result<Vec<Option<String>>>,
) -> Result<Vec<Draft>> {
    let chunks: Vec<Chunk> = inputs
        .iter()
        .zip(0..)
        .flat_map(|(input, number)| input.chunks(number))
        .collect();
    let views: Vec<View> = inputs.iter().map(|input| input.layout.view(Need::ALL)).collect();
    let contents = contents(inputs, &chunks, meter.progress(), name)?;
    let mut markets: BTreeMap<&str, Vec<Piece>> = BTreeMap::new();
    for (found, chunk) in contents.iter().zip(0..) {
        for ((market, rows), slot) in found.iter().zip(0..) {
            markets.entry(market).or_default().push(Piece {
                chunk,
                slot,
                rows: *rows,
            });
        }
    }
    let mut drafts = Vec::new();
    for (market, pieces) in &mut markets {
        // Files of a market mostly are named in the order of time; if not, they change places at the end.
        pieces.sort_by_key(|piece| {
            let chunk = &chunks[piece.chunk];
            (&inputs[chunk.input].path, chunk.input, chunk.first)
        });
        drafts.push(Draft::new(inputs, &chunks, market, pieces)?);
    }
    let mut work: Vec<(Chunk, Vec<Option<Part<'_>>>)> = Vec::new();
    for (chunk, found) in chunks.iter().zip(&contents) {
        work.push((*chunk, found.iter().map(|_| None).collect()));
    }
    for (draft, pieces) in drafts.iter_mut().zip(markets.values()) {
        let mut slots = draft.slots();
        for piece in pieces {
            let (chunk, parts) = &mut work[piece.chunk];
            let slots = slots.cut(piece.rows);
            let view = &views[chunk.input];
            let size = slots.size.filter(|_| view.size.is_some());
            let side = slots.side.filter(|_| view.side.is_some());
            parts[piece.slot] = Some(Part::new(view, slots.ts, slots.price, size, side));
        }
    }
    let decoded = each(work, |(chunk, parts)| {
        let mut parts: Vec<Part<'_>> = parts.into_iter().flatten().collect();
        decode(&inputs[chunk.input], &chunk, &views[chunk.input], &mut parts, meter)?;
        Ok(parts.iter().map(|part| Segment::of(chunk, part)).collect::<Vec<_>>())
    })?;
    let mut decoded: Vec<Vec<Option<Segment>>> = decoded
        .into_iter()
        .map(|segments| segments.into_iter().map(Some).collect())
        .collect();
    for (draft, pieces) in drafts.iter_mut().zip(markets.values()) {
        let mut start = 0;
        for piece in pieces {
            let segment = decoded[piece.chunk].get_mut(piece.slot).and_then(Option::take);
            let segment = segment.ok_or_else(|| Error::Invariant(format!("market {}: a piece is lost", draft.name)))?;
            draft.segments.push(Segment { start, ..segment });
            start += piece.rows;
        }
    }
    Ok(drafts)
}

/// The markets of each chunk, in the order in which they appear, with their rows.
pub(super) fn contents(
    inputs: &[Input],
    chunks: &[Chunk],
    progress: &dyn Progress,
    name: impl FnOnce(&BTreeSet<&str>) -> Result<Vec<Option<String>>>,
) -> Result<Vec<Vec<(String, usize)>>> {
    let rows = inputs
        .iter()
        .filter(|input| input.layout.market.is_some())
        .map(Input::rows);
    let meter = Meter::new(progress, "count", rows.fold(0, u64::saturating_add));
    let mut contents = each(chunks.to_vec(), |chunk| match inputs[chunk.input].layout.market {
        None => Ok(Vec::new()),
        Some(_) => match inputs[chunk.input].only_market(&chunk) {
            Some(market) => {
                meter.add(chunk.rows)?;
                Ok(vec![(market.to_owned(), chunk.rows)])
            }
            None => count(&inputs[chunk.input], &chunk, &meter),
        },
    })?;
    let columns = contents.iter().flatten().map(|(market, _)| market.as_str()).collect();
    let names = name(&columns)?;
    for (found, chunk) in contents.iter_mut().zip(chunks) {
        if let Some(name) = &names[chunk.input] {
            found.push((name.clone(), chunk.rows));
        }
    }
    Ok(contents)
}

impl Segment {
    /// What a part has decoded of a chunk.
    pub fn of(chunk: Chunk, part: &Part<'_>) -> Self {
        Self {
            chunk,
            nth: 0,
            start: 0,
            rows: part.ts.filled().len(),
            first_ts: part.ts.filled().first().copied().unwrap_or(i64::MAX),
            has: Has {
                size: part.size.is_some(),
                side: part.side.is_some(),
            },
            price_decimals: part.price.decimals,
            size_decimals: part.size.as_ref().map_or(0, |size| size.decimals),
            quality: part.quality.clone(),
        }
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows
    }
}

/// Cells of a draft.
pub(super) struct Slots<'a> {
    pub ts: &'a mut [i64],
    pub price: &'a mut [i64],
    pub size: Option<&'a mut [i64]>,
    pub side: Option<&'a mut [i8]>,
}

impl Slots<'_> {
    /// Cuts the first `n` rows off.
    pub fn cut(&mut self, n: usize) -> Self {
        Self {
            ts: cut(&mut self.ts, n),
            price: cut(&mut self.price, n),
            size: self.size.as_mut().map(|size| cut(size, n)),
            side: self.side.as_mut().map(|side| cut(side, n)),
        }
    }
}

/// Cuts the first `n` off a slice.
pub(super) fn cut<'a, T>(slice: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(slice).split_at_mut(n);
    *slice = tail;
    head
}

impl Draft {
    /// Room for the pieces of a market.
    fn new(inputs: &[Input], chunks: &[Chunk], name: &str, pieces: &[Piece]) -> Result<Self> {
        let layouts = || pieces.iter().map(|piece| &inputs[chunks[piece.chunk].input].layout);
        let has = Has {
            size: layouts().any(|layout| layout.size.is_some()),
            side: layouts().any(|layout| layout.side.is_some()),
        };
        let rows = pieces.iter().try_fold(0usize, |sum, piece| sum.checked_add(piece.rows));
        Self::zeroed(name, rows.unwrap_or(usize::MAX), has)
    }

    /// Room for `rows` ticks.
    pub fn zeroed(name: &str, rows: usize, has: Has) -> Result<Self> {
        let no_memory = |error| Error::Data(format!("market {name}: no memory for {rows} rows: {error}"));
        Ok(Self {
            name: name.to_owned(),
            ts: Slab::zeroed(rows).map_err(no_memory)?,
            price: Slab::zeroed(rows).map_err(no_memory)?,
            size: has.size.then(|| Slab::zeroed(rows).map_err(no_memory)).transpose()?,
            side: has.side.then(|| Slab::zeroed(rows).map_err(no_memory)).transpose()?,
            segments: Vec::new(),
        })
    }

    /// The cells of all ticks.
    pub fn slots(&mut self) -> Slots<'_> {
        Slots {
            ts: &mut self.ts,
            price: &mut self.price,
            size: self.size.as_deref_mut(),
            side: self.side.as_deref_mut(),
        }
    }

    /// Drops optional columns that the market does not have; it must have them in all segments or in none.
    fn settle_columns(&mut self, inputs: &[Input]) -> Result<()> {
        for (column, of) in [("size", (|has| has.size) as fn(Has) -> bool), ("side", |has| has.side)] {
            let find = |wanted: bool| self.segments.iter().find(|segment| of(segment.has) == wanted);
            if let (Some(with), Some(without)) = (find(true), find(false)) {
                return Err(missing(inputs, &self.name, &with.chunk, &without.chunk, column));
            }
        }
        let has = self.segments.first().map(|segment| segment.has);
        self.size = self.size.take().filter(|_| has.is_some_and(|has| has.size));
        self.side = self.side.take().filter(|_| has.is_some_and(|has| has.side));
        Ok(())
    }

    /// Puts the files in the order of (first time, path).
    fn settle_order(&mut self, inputs: &[Input], meter: &Meter<'_>) -> Result<()> {
        let mut firsts: BTreeMap<usize, i64> = BTreeMap::new();
        for segment in &self.segments {
            firsts.entry(segment.chunk.input).or_insert(segment.first_ts);
        }
        let key = |segment: &Segment| {
            let input = segment.chunk.input;
            (
                firsts.get(&input).copied(),
                &inputs[input].path,
                input,
                segment.chunk.first,
            )
        };
        if self.segments.is_sorted_by_key(key) {
            return Ok(());
        }
        let has = Has {
            size: self.size.is_some(),
            side: self.side.is_some(),
        };
        let mut sorted = Self::zeroed(&self.name, self.ts.len(), has)?;
        let mut segments = std::mem::take(&mut self.segments);
        segments.sort_by_key(key);
        let mut start = 0;
        for segment in segments {
            meter.poll()?;
            let (from, to) = (segment.range(), start..start + segment.rows);
            sorted.ts[to.clone()].copy_from_slice(&self.ts[from.clone()]);
            sorted.price[to.clone()].copy_from_slice(&self.price[from.clone()]);
            if let (Some(sorted), Some(size)) = (&mut sorted.size, &self.size) {
                sorted[to.clone()].copy_from_slice(&size[from.clone()]);
            }
            if let (Some(sorted), Some(side)) = (&mut sorted.side, &self.side) {
                sorted[to.clone()].copy_from_slice(&side[from]);
            }
            start = to.end;
            sorted.segments.push(Segment {
                start: to.start,
                ..segment
            });
        }
        *self = sorted;
        Ok(())
    }

    /// The ticks with `spec`, whose decimals are completed: as declared, else the fewest that fit.
    pub fn finish(
        mut self,
        inputs: &[Input],
        mut spec: MarketSpec,
        meter: &Meter<'_>,
    ) -> Result<(MarketTicks, Quality)> {
        self.settle_columns(inputs)?;
        self.settle_order(inputs, meter)?;
        let most = |decimals: fn(&Segment) -> u32| self.segments.iter().map(decimals).max().unwrap_or(0);
        let price = Target {
            column: "price",
            decimals: spec
                .price_decimals
                .unwrap_or_else(|| most(|segment| segment.price_decimals)),
            declared: spec.price_decimals.is_some(),
        };
        let fewest = || {
            if self.size.is_some() {
                most(|segment| segment.size_decimals)
            } else {
                COIN_DECIMALS
            }
        };
        let size = Target {
            column: "size",
            decimals: spec.size_decimals.unwrap_or_else(fewest),
            declared: spec.size_decimals.is_some(),
        };
        spec.price_decimals = Some(price.decimals);
        spec.size_decimals = Some(size.decimals);
        self.complete(inputs, spec, [price, size], None, meter)
    }

    /// The segments of the ticks, which fill the draft.
    pub fn fill(&mut self, segments: Vec<Segment>) {
        self.segments = segments;
    }

    /// The ticks with `spec`, at the decimals of the targets (of the price, of the size). `before` is the tick before them.
    pub fn complete(
        mut self,
        inputs: &[Input],
        spec: MarketSpec,
        [price, size]: [Target; 2],
        before: Option<&Last>,
        meter: &Meter<'_>,
    ) -> Result<(MarketTicks, Quality)> {
        price.reach(inputs, meter, &self.name, &self.segments, &mut self.price, |segment| {
            segment.price_decimals
        })?;
        if let Some(sizes) = &mut self.size {
            size.reach(inputs, meter, &self.name, &self.segments, sizes, |segment| {
                segment.size_decimals
            })?;
        }
        let quality = self.quality(inputs, before)?;
        let Self {
            ts, price, size, side, ..
        } = self;
        let ticks = MarketTicks {
            spec,
            ts: ts.into(),
            price: price.into(),
            size: size.map(Into::into),
            side: side.map(Into::into),
        };
        Ok((ticks, quality))
    }

    fn last(&self, at: usize, chunk: Chunk) -> Last {
        Last {
            chunk,
            ts: self.ts[at],
            price: self.price[at],
            size: self.size.as_ref().map(|size| size[at]),
            side: self.side.as_ref().map(|side| side[at]),
        }
    }

    /// Sums up what was seen in the segments, and looks at the seams between them.
    fn quality(&self, inputs: &[Input], before: Option<&Last>) -> Result<Quality> {
        let mut quality = Quality::default();
        let mut add = |seen: &Quality| {
            quality.duplicates += seen.duplicates;
            quality.same_instant += seen.same_instant;
            quality.longest_gap = quality.longest_gap.max(seen.longest_gap);
        };
        let mut before = before.copied();
        for segment in &self.segments {
            add(&segment.quality);
            let Range { start, end } = segment.range();
            let first = self.last(start, segment.chunk);
            if let Some(before) = before {
                if first.ts < before.ts {
                    return Err(descends(inputs, &self.name, segment.nth, &first, &before));
                }
                let (size, side) = (before.size.zip(first.size), before.side.zip(first.side));
                let (seen, _) = observe(
                    &[before.ts, first.ts],
                    &[before.price, first.price],
                    size.map(|(before, first)| [before, first])
                        .as_ref()
                        .map(<[i64; 2]>::as_slice),
                    side.map(|(before, first)| [before, first])
                        .as_ref()
                        .map(<[i8; 2]>::as_slice),
                );
                add(&seen);
            }
            before = Some(self.last(end - 1, segment.chunk));
        }
        quality.rows = self.ts.len() as u64;
        quality.instants = quality.rows - quality.same_instant;
        Ok(quality)
    }
}
