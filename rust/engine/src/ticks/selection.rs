//! Reading less than there is.

use std::collections::BTreeSet;

use super::assemble::{Draft, Has, Segment};
use super::decode::{Meter, decode, each};
use super::part::Part;
use super::resolve::unknown;
use super::schema::Need;
use super::survey::{Group, Plan};
use super::target::missing;
use crate::error::{Error, Result};
use crate::market::{AssetSpec, MarketSpec};
use crate::progress::Progress;
use crate::tape::Tape;

/// The optional columns to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Sizes of trades.
    pub size: bool,
    /// Sides of takers.
    pub side: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self { size: true, side: true }
    }
}

/// What to read of a source; by default everything.
///
/// Definitions come out as if everything were read; for sizes whose decimals are neither declared nor in the schema that takes a pass
/// over them. What is left out must still be of a known type, and the column `market` is read where a row group may hold several. **Not checked** then are: values
/// of columns that are left out, which are [`None`] in the tape; values of markets that are left out, and that their times
/// do not descend; and that statistics tell the truth about row groups in which a market was left out. Duplicates are counted by the
/// columns that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The optional columns.
    pub columns: Columns,
    /// The markets; None: all. Those that are the index of one of them, or price the asset that it is settled in, are read with it.
    /// Assets that are priced by a market that is not read are left out.
    pub markets: Option<BTreeSet<String>>,
}

impl Selection {
    pub(super) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn need(&self) -> Need {
        Need {
            size: self.columns.size,
            side: self.columns.side,
            ..Need::ALL
        }
    }

    /// Which markets are read.
    pub(super) fn markets(&self, specs: &[MarketSpec], assets: &[AssetSpec]) -> Result<Vec<bool>> {
        let Some(wanted) = &self.markets else {
            return Ok(vec![true; specs.len()]);
        };
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let mut kept = vec![false; specs.len()];
        let mut next: Vec<&str> = wanted.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            let Some(at) = names.iter().position(|&known| known == name) else {
                return Err(unknown("selection", name, &names));
            };
            if !std::mem::replace(&mut kept[at], true) {
                let asset = assets
                    .iter()
                    .find(|asset| Some(&asset.name) == specs[at].settlement.as_ref());
                next.extend(specs[at].index.as_deref());
                next.extend(asset.and_then(|asset| asset.price_market.as_deref()));
            }
        }
        if kept.contains(&true) {
            Ok(kept)
        } else {
            Err(Error::Config(
                "selection: expected at least one market, got none".to_owned(),
            ))
        }
    }
}

/// Decodes a plan, each chunk straight to where its ticks will stay.
pub(super) fn load(plan: &Plan, progress: &dyn Progress) -> Result<Tape> {
    let meter = Meter::new(progress, "decode", plan.work);
    let mut drafts = Vec::with_capacity(plan.markets.len());
    for market in &plan.markets {
        let rows = market.turns.iter().map(|&turn| plan.piece_rows(turn));
        let rows = rows.fold(0, usize::saturating_add);
        drafts.push(Draft::zeroed(&market.spec.name, rows, market.has)?);
    }
    let view = |group: &Group| &plan.views[group.chunk.input];
    let mut work: Vec<(&Group, Vec<Part<'_>>)> = Vec::with_capacity(plan.groups.len());
    for group in &plan.groups {
        let parts = group.pieces.iter().map(|_| Part::ignored(view(group))).collect();
        work.push((group, parts));
    }
    for (draft, market) in drafts.iter_mut().zip(&plan.markets) {
        let mut slots = draft.slots();
        for &(group, slot) in &market.turns {
            let slots = slots.cut(plan.piece_rows((group, slot)));
            let (group, parts) = &mut work[group];
            let (size, side) = (view(group).size.and(slots.size), view(group).side.and(slots.side));
            parts[slot] = Part::new(view(group), slots.ts, slots.price, size, side);
        }
    }
    // Errors come in the order of the input, as without a selection.
    work.sort_by_key(|(group, _)| (group.chunk.input, group.chunk.first));
    let decoded = each(work, |(group, mut parts)| {
        let input = &plan.inputs[group.chunk.input];
        decode(input, &group.chunk, view(group), &mut parts, &meter)?;
        Ok(parts
            .iter()
            .map(|part| Segment::of(group.chunk, part))
            .collect::<Vec<_>>())
    })?;
    let mut segments: Vec<Vec<(usize, Segment)>> = plan.markets.iter().map(|_| Vec::new()).collect();
    let mut groups: Vec<&Group> = plan.groups.iter().collect();
    groups.sort_by_key(|group| (group.chunk.input, group.chunk.first));
    for (decoded, group) in decoded.into_iter().zip(groups) {
        for (segment, piece) in decoded.into_iter().zip(&group.pieces) {
            if let Some(piece) = piece {
                segments[piece.market].push((piece.turn, segment));
            }
        }
    }
    let finished = each(
        drafts.into_iter().zip(segments).zip(&plan.markets).collect(),
        |((mut draft, mut segments), market)| {
            segments.sort_by_key(|(turn, _)| *turn);
            let mut segments: Vec<Segment> = segments.into_iter().map(|(_, segment)| segment).collect();
            let mut start = 0;
            for segment in &mut segments {
                segment.start = start;
                start += segment.rows;
            }
            all_or_none(plan, &market.spec.name, market.has, &segments)?;
            draft.fill(segments);
            draft.complete(&plan.inputs, market.spec.clone(), market.targets, None, &meter)
        },
    )?;
    let (markets, quality) = finished.into_iter().unzip();
    Ok(Tape {
        markets,
        assets: plan.assets.clone(),
        quality,
    })
}

/// All segments of a market have the same optional columns.
fn all_or_none(plan: &Plan, market: &str, has: Has, segments: &[Segment]) -> Result<()> {
    for segment in segments {
        for (column, is, expected) in [
            ("size", segment.has.size, has.size),
            ("side", segment.has.side, has.side),
        ] {
            if is != expected {
                let (first, this) = (&segments[0].chunk, &segment.chunk);
                let (with, without) = if is { (this, first) } else { (first, this) };
                return Err(missing(&plan.inputs, market, with, without, column));
            }
        }
    }
    Ok(())
}
