//! Parts to the ticks of a market: in order, at one number of decimals, with what was seen.

use std::collections::BTreeMap;

use super::decode::{Has, Meter, each, locate, many_markets, one_market};
use super::input::{Chunk, Input};
use super::part::{Part, misfit, observe, rescale, unsorted};
use crate::column::Slab;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::market::{COIN_DECIMALS, MarketSpec};
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

/// The ticks of a market that come from one chunk.
#[derive(Debug)]
struct Segment {
    chunk: Chunk,
    rows: usize,
    price_decimals: u32,
    size_decimals: u32,
    quality: Quality,
}

impl Segment {
    fn of(chunk: Chunk, part: &Part<'_>) -> Self {
        Self {
            chunk,
            rows: part.ts.filled().len(),
            price_decimals: part.price.decimals,
            size_decimals: part.size.as_ref().map_or(0, |size| size.decimals),
            quality: part.quality.clone(),
        }
    }
}

/// Reads inputs of one market each, whose names are known, straight to where the ticks will stay.
pub(super) fn of_one_market(inputs: &[Input], names: &[String], meter: &Meter<'_>) -> Result<Vec<Draft>> {
    let mut markets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (name, number) in names.iter().zip(0..) {
        markets.entry(name).or_default().push(number);
    }
    let mut drafts = Vec::new();
    let mut plans = Vec::new();
    for (name, numbers) in &mut markets {
        sort_inputs(inputs, numbers)?;
        let chunks: Vec<Chunk> = numbers
            .iter()
            .flat_map(|&number| inputs[number].chunks(number))
            .collect();
        let input = &inputs[numbers[0]];
        let rows = chunks.iter().try_fold(0usize, |sum, chunk| sum.checked_add(chunk.rows));
        let rows = rows.ok_or_else(|| input.origin.error("more rows than memory can hold"))?;
        let has = Has {
            size: input.layout.size.is_some(),
            side: input.layout.side.is_some(),
        };
        drafts.push(Draft::zeroed(input, (*name).to_owned(), rows, has)?);
        plans.push(chunks);
    }
    let mut work = Vec::new();
    for (draft, chunks) in drafts.iter_mut().zip(&plans) {
        let mut slots = draft.slots();
        for chunk in chunks {
            let slots = slots.cut(chunk.rows);
            work.push((
                *chunk,
                Part::lent(
                    &inputs[chunk.input].layout,
                    slots.ts,
                    slots.price,
                    slots.size,
                    slots.side,
                ),
            ));
        }
    }
    let segments = each(work, |(chunk, mut part)| {
        one_market(&inputs[chunk.input], &chunk, &mut part, meter)?;
        Ok(Segment::of(chunk, &part))
    })?;
    let mut segments = segments.into_iter();
    for (draft, chunks) in drafts.iter_mut().zip(&plans) {
        draft.segments.extend(segments.by_ref().take(chunks.len()));
    }
    Ok(drafts)
}

/// Sorts the inputs of a market by (first time, path), and checks that they have the same columns.
fn sort_inputs(inputs: &[Input], numbers: &mut [usize]) -> Result<()> {
    if let [first, others @ ..] = &*numbers {
        for (number, column) in others.iter().flat_map(|number| [(number, "size"), (number, "side")]) {
            let has = |number: usize| match column {
                "size" => inputs[number].layout.size.is_some(),
                _ => inputs[number].layout.side.is_some(),
            };
            if has(*first) != has(*number) {
                let (with, without) = if has(*first) { (first, number) } else { (number, first) };
                return Err(inputs[*without].origin.column(
                    column,
                    format!(
                        "missing, but {}, a file of the same market, has it",
                        inputs[*with].origin
                    ),
                ));
            }
        }
    }
    if numbers.len() > 1 {
        let mut keyed = numbers
            .iter()
            .map(|&number| Ok((inputs[number].first_time()?, number)))
            .collect::<Result<Vec<_>>>()?;
        keyed.sort_by_key(|&(time, number)| (time, &inputs[number].path, number));
        numbers
            .iter_mut()
            .zip(keyed)
            .for_each(|(slot, (_, number))| *slot = number);
    }
    Ok(())
}

/// Cuts the first `n` off a slice.
fn cut<'a, T>(slice: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(slice).split_at_mut(n);
    *slice = tail;
    head
}

/// Parts by market, in the order in which inputs and chunks come.
pub(super) type Parts = BTreeMap<String, Vec<(Chunk, Part<'static>)>>;

/// Reads inputs of which some have a column `market`. `name` gives the market of those that have none, once the others' are known.
pub(super) fn of_many_markets(
    inputs: &[Input],
    meter: &Meter<'_>,
    name: impl FnOnce(&Parts) -> Result<Vec<Option<String>>>,
) -> Result<Vec<Draft>> {
    let chunks: Vec<Chunk> = inputs
        .iter()
        .zip(0..)
        .flat_map(|(input, number)| input.chunks(number))
        .collect();
    let decoded = each(chunks.clone(), |chunk| {
        many_markets(&inputs[chunk.input], &chunk, meter)
    })?;
    let mut parts = Parts::new();
    let mut nameless = Vec::new();
    for (chunk, found) in chunks.into_iter().zip(decoded) {
        for (market, part) in found {
            match market {
                Some(market) => parts.entry(market).or_default().push((chunk, part)),
                None => nameless.push((chunk, part)),
            }
        }
    }
    let names = name(&parts)?;
    for (chunk, part) in nameless {
        if let Some(name) = &names[chunk.input] {
            parts.entry(name.clone()).or_default().push((chunk, part));
        }
    }
    let mut drafts = Vec::new();
    let mut plans = Vec::new();
    for (name, mut parts) in parts {
        sort_parts(inputs, &mut parts);
        drafts.push(outline(inputs, name, &parts)?);
        plans.push(parts);
    }
    let mut work = Vec::new();
    for (draft, parts) in drafts.iter_mut().zip(plans) {
        let mut slots = draft.slots();
        for (_, part) in parts {
            work.push((slots.cut(part.ts.filled().len()), part));
        }
    }
    // A part is given back as soon as it is copied.
    each(work, |(slots, part)| {
        slots.fill(&part);
        Ok(())
    })?;
    Ok(drafts)
}

/// Sorts the parts of a market by (first time in the file, path), those of one file in its order.
fn sort_parts(inputs: &[Input], parts: &mut [(Chunk, Part<'static>)]) {
    let mut starts: BTreeMap<usize, i64> = BTreeMap::new();
    for (chunk, part) in parts.iter() {
        starts
            .entry(chunk.input)
            .or_insert_with(|| part.ts.filled().first().copied().unwrap_or(i64::MAX));
    }
    parts.sort_by_key(|(chunk, _)| {
        (
            starts.get(&chunk.input),
            &inputs[chunk.input].path,
            chunk.input,
            chunk.first,
        )
    });
}

/// The draft that parts will fill, once it is clear that they have the same columns.
fn outline(inputs: &[Input], name: String, parts: &[(Chunk, Part<'static>)]) -> Result<Draft> {
    let has = |part: &Part<'_>| [part.size.is_some(), part.side.is_some()];
    if let Some(((first, expected), others)) = parts.split_first() {
        for (chunk, part) in others {
            for ((column, a), b) in ["size", "side"].into_iter().zip(has(expected)).zip(has(part)) {
                if a != b {
                    let (with, without) = if a { (first, chunk) } else { (chunk, first) };
                    let row = locate(&inputs[without.input], without, &name, 0)?;
                    return Err(inputs[without.input].origin.row(
                        column,
                        row,
                        format!(
                            "expected a value, as in other rows of market {name} (in {}), got none",
                            inputs[with.input].origin
                        ),
                    ));
                }
            }
        }
    }
    let Some((chunk, part)) = parts.first() else {
        return Err(Error::Invariant(format!("market {name} has no parts")));
    };
    let rows = parts.iter().map(|(_, part)| part.ts.filled().len()).sum();
    let has = Has {
        size: part.size.is_some(),
        side: part.side.is_some(),
    };
    let mut draft = Draft::zeroed(&inputs[chunk.input], name, rows, has)?;
    draft.segments = parts.iter().map(|(chunk, part)| Segment::of(*chunk, part)).collect();
    Ok(draft)
}

/// Cells of a draft that one chunk fills.
struct Slots<'a> {
    ts: &'a mut [i64],
    price: &'a mut [i64],
    size: Option<&'a mut [i64]>,
    side: Option<&'a mut [i8]>,
}

impl<'a> Slots<'a> {
    /// Cuts the first `n` rows off.
    fn cut(&mut self, n: usize) -> Self {
        Self {
            ts: cut(&mut self.ts, n),
            price: cut(&mut self.price, n),
            size: self.size.as_mut().map(|size| cut(size, n)),
            side: self.side.as_mut().map(|side| cut(side, n)),
        }
    }

    fn fill(self, part: &Part<'_>) {
        self.ts.copy_from_slice(part.ts.filled());
        self.price.copy_from_slice(part.price.cells.filled());
        if let (Some(size), Some(part)) = (self.size, &part.size) {
            size.copy_from_slice(part.cells.filled());
        }
        if let (Some(side), Some(part)) = (self.side, &part.side) {
            side.copy_from_slice(part.filled());
        }
    }
}

impl Draft {
    fn zeroed(input: &Input, name: String, rows: usize, has: Has) -> Result<Self> {
        let no_memory = |error| {
            input
                .origin
                .error(format!("market {name}: no memory for {rows} rows: {error}"))
        };
        Ok(Self {
            ts: Slab::zeroed(rows).map_err(no_memory)?,
            price: Slab::zeroed(rows).map_err(no_memory)?,
            size: has.size.then(|| Slab::zeroed(rows).map_err(no_memory)).transpose()?,
            side: has.side.then(|| Slab::zeroed(rows).map_err(no_memory)).transpose()?,
            segments: Vec::new(),
            name,
        })
    }

    fn slots(&mut self) -> Slots<'_> {
        Slots {
            ts: &mut self.ts,
            price: &mut self.price,
            size: self.size.as_deref_mut(),
            side: self.side.as_deref_mut(),
        }
    }

    /// The ticks with `spec`, whose decimals are completed: as declared, else the fewest that fit.
    pub fn finish(mut self, inputs: &[Input], mut spec: MarketSpec) -> Result<(MarketTicks, Quality)> {
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
        price.reach(inputs, &self.name, &self.segments, &mut self.price, |segment| {
            segment.price_decimals
        })?;
        if let Some(sizes) = &mut self.size {
            size.reach(inputs, &self.name, &self.segments, sizes, |segment| {
                segment.size_decimals
            })?;
        }
        spec.price_decimals = Some(price.decimals);
        spec.size_decimals = Some(size.decimals);
        let quality = self.quality(inputs)?;
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

    /// Sums up what was seen in the chunks, and looks at the seams between them.
    fn quality(&self, inputs: &[Input]) -> Result<Quality> {
        let mut quality = Quality::default();
        let mut add = |seen: &Quality| {
            quality.duplicates += seen.duplicates;
            quality.same_instant += seen.same_instant;
            quality.longest_gap = quality.longest_gap.max(seen.longest_gap);
        };
        let mut start = 0;
        for (segment, before) in self
            .segments
            .iter()
            .zip([None].into_iter().chain(self.segments.iter().map(Some)))
        {
            add(&segment.quality);
            if let Some(before) = before {
                let seam = start - 1..=start;
                let ts = &self.ts[seam.clone()];
                if ts[1] < ts[0] {
                    let mut message = unsorted(ts[1], ts[0]);
                    if segment.chunk.input != before.chunk.input {
                        let other = &inputs[before.chunk.input].origin;
                        message = format!("{message}, the last of market {} in {other}", self.name);
                    }
                    return Err(fault(inputs, &self.name, segment, 0, "ts", &message));
                }
                add(&observe(
                    ts,
                    &self.price[seam.clone()],
                    self.size.as_ref().map(|size| &size[seam.clone()]),
                    self.side.as_ref().map(|side| &side[seam]),
                ));
            }
            start += segment.rows;
        }
        quality.rows = self.ts.len() as u64;
        quality.instants = quality.rows - quality.same_instant;
        Ok(quality)
    }
}

/// The number of decimals that a column will have.
struct Target {
    column: &'static str,
    decimals: u32,
    declared: bool,
}

impl Target {
    /// Brings the values of all segments to the target.
    fn reach(
        &self,
        inputs: &[Input],
        market: &str,
        segments: &[Segment],
        mut values: &mut [i64],
        from: fn(&Segment) -> u32,
    ) -> Result<()> {
        let mut work = Vec::new();
        for segment in segments {
            let values = cut(&mut values, segment.rows);
            if from(segment) != self.decimals {
                work.push((segment, values));
            }
        }
        each(work, |(segment, values)| {
            match misfit(values, from(segment), self.decimals) {
                None => {
                    rescale(values, from(segment), self.decimals);
                    Ok(())
                }
                Some(nth) => {
                    let to = self.decimals;
                    let shown = Decimal {
                        mantissa: i128::from(values[nth]),
                        scale: from(segment),
                    };
                    let message = if self.declared {
                        format!("market {market}: expected a number that fits the declared {to} decimals, got {shown}")
                    } else {
                        format!("market {market}: {shown} with {to} decimals, which other rows need, exceeds 64 bits")
                    };
                    Err(fault(inputs, market, segment, nth, self.column, &message))
                }
            }
        })?;
        Ok(())
    }
}

/// The `nth` tick of a segment is at fault.
fn fault(inputs: &[Input], market: &str, segment: &Segment, nth: usize, column: &str, message: &str) -> Error {
    let input = &inputs[segment.chunk.input];
    match locate(input, &segment.chunk, market, nth as u64) {
        Ok(row) => input.origin.row(column, row, message),
        Err(error) => error,
    }
}
