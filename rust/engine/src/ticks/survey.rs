//! What must be known of a source before its ticks can come in the order of time.
//!
//! Read are: the column `market`, if there is one; the first times of files that share a market; the columns `price` and `size`
//! where decimals are neither declared nor in the schema; times of row groups that have no statistics. All of it batch by batch:
//! what stays is a few numbers for each market of each row group, like the footers of the files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assemble::{Has, contents};
use super::decode::{Decoder, Meter, each};
use super::input::{Chunk, Input};
use super::part::Part;
use super::resolve;
use super::schema::{Need, Number, View};
use super::selection::Selection;
use super::target::Target;
use crate::error::Result;
use crate::market::{AssetSpec, COIN_DECIMALS, Definitions, MarketSpec};
use crate::progress::Progress;
use crate::tape::{MarketTicks, Quality, Tape};

/// How the ticks of a source are to be read.
#[derive(Debug)]
pub(super) struct Plan {
    pub inputs: Arc<Vec<Input>>,
    /// Of each input, the columns to read.
    pub views: Vec<View>,
    /// The chunks in the order of their least times.
    pub groups: Vec<Group>,
    /// By name.
    pub markets: Vec<Market>,
    pub assets: Vec<AssetSpec>,
    /// Number of ticks to read.
    pub rows: u64,
    /// Number of rows to decode.
    pub work: u64,
    /// The first and the last time, whatever is read.
    pub times: (i64, i64),
}

/// A chunk and what it holds.
#[derive(Debug)]
pub(super) struct Group {
    pub chunk: Chunk,
    /// The least and the greatest time, as announced.
    pub times: (i64, i64),
    /// Its markets, in the order in which they appear.
    /// None: the market is not read.
    pub pieces: Vec<Option<Piece>>,
}

impl Group {
    /// The number of rows to read of each market.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.pieces
            .iter()
            .map(|piece| piece.as_ref().map_or(0, |piece| piece.rows))
    }

    /// Parts that gather what is read.
    pub fn parts(&self, view: &View) -> Vec<Part<'static>> {
        let part = |piece: &Option<Piece>| match piece {
            Some(_) => Part::own(view),
            None => Part::ignored(view),
        };
        self.pieces.iter().map(part).collect()
    }
}

/// The ticks of one market in one chunk.
#[derive(Debug)]
pub(super) struct Piece {
    pub market: usize,
    /// How many pieces of the market come before it.
    pub turn: usize,
    pub rows: usize,
}

/// A market and where its ticks are.
#[derive(Debug)]
pub(super) struct Market {
    pub spec: MarketSpec,
    /// The optional columns that are read.
    pub has: Has,
    /// The decimals of its price and of its size.
    pub targets: [Target; 2],
    /// Its pieces in the order of time, as (group, piece of the group).
    pub turns: Vec<(usize, usize)>,
}

/// One market in one chunk, by their numbers among the chunks of the source and among the markets of the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    chunk: usize,
    slot: usize,
    rows: usize,
}

impl Plan {
    /// Reads what must be known.
    pub fn of(
        inputs: &Arc<Vec<Input>>,
        definitions: &Definitions,
        selection: &Selection,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let need = selection.need();
        let chunks: Vec<Chunk> = inputs
            .iter()
            .zip(0..)
            .flat_map(|(input, number)| input.chunks(number))
            .collect();
        let contents = contents(inputs, &chunks, progress, |columns| {
            resolve::names(inputs, definitions, columns)
        })?;
        let mut found: BTreeMap<&str, Vec<Turn>> = BTreeMap::new();
        for (markets, chunk) in contents.iter().zip(0..) {
            for ((market, rows), slot) in markets.iter().zip(0..) {
                let rows = *rows;
                found.entry(market).or_default().push(Turn { chunk, slot, rows });
            }
        }
        let names: Vec<&str> = found.keys().copied().collect();
        let mut turns: Vec<Vec<Turn>> = found.values().cloned().collect();
        let mut specs = resolve::markets(inputs, definitions, &names)?;
        let mut assets = resolve::assets(inputs, definitions, &specs)?;
        let kept = selection.markets(&specs, &assets)?;
        let mut keep = kept.iter();
        turns.retain(|_| keep.next() == Some(&true));
        let mut keep = kept.iter();
        specs.retain(|_| keep.next() == Some(&true));
        let is_kept = |name: &String| specs.iter().any(|spec| spec.name == *name);
        assets.retain(|asset| asset.price_market.as_ref().is_none_or(is_kept));
        let scan = Scan {
            inputs,
            chunks: &chunks,
            kept: contents
                .iter()
                .map(|markets| markets.iter().map(|(name, _)| is_kept(name)).collect())
                .collect(),
            progress,
        };
        let times = scan.times()?;
        scan.sort(&mut turns)?;
        let mut has = scan.has(&turns, need)?;
        let decimals = scan.decimals(&turns, &specs, &has)?;
        for ((spec, decimals), has) in specs.iter_mut().zip(&decimals).zip(&mut has) {
            spec.price_decimals = Some(decimals[0].decimals);
            spec.size_decimals = Some(decimals[1].decimals);
            has.size &= need.size;
            has.side &= need.side;
        }
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        order.retain(|&chunk| scan.kept[chunk].contains(&true));
        order.sort_by_key(|&chunk| (times[chunk].0, chunk));
        let mut groups: Vec<Group> = Vec::with_capacity(order.len());
        let mut place = vec![0; chunks.len()];
        for chunk in order {
            place[chunk] = groups.len();
            groups.push(Group {
                chunk: chunks[chunk],
                times: times[chunk],
                pieces: Vec::new(),
            });
        }
        // The pieces of a chunk come in the order of their slots.
        let mut pieces: Vec<Vec<Option<Piece>>> = contents
            .iter()
            .map(|markets| markets.iter().map(|_| None).collect())
            .collect();
        for (turns, market) in turns.iter().zip(0..) {
            for (&Turn { chunk, slot, rows }, turn) in turns.iter().zip(0..) {
                pieces[chunk][slot] = Some(Piece { market, turn, rows });
            }
        }
        for ((pieces, &group), kept) in pieces.into_iter().zip(&place).zip(&scan.kept) {
            if kept.contains(&true) {
                groups[group].pieces = pieces;
            }
        }
        let markets = specs
            .into_iter()
            .zip(has)
            .zip(decimals)
            .zip(&turns)
            .map(|(((spec, has), targets), turns)| Market {
                spec,
                has,
                targets,
                turns: turns.iter().map(|turn| (place[turn.chunk], turn.slot)).collect(),
            })
            .collect();
        let mut plan = Self {
            views: inputs.iter().map(|input| input.layout.view(need)).collect(),
            rows: 0,
            work: 0,
            times: times.iter().fold((i64::MAX, i64::MIN), |(start, end), (least, most)| {
                (start.min(*least), end.max(*most))
            }),
            inputs: Arc::clone(inputs),
            groups,
            markets,
            assets,
        };
        plan.count();
        Ok(plan)
    }

    /// Reads no more ticks of the other markets: they stay, as markets without any.
    pub fn keep(&mut self, kept: &[bool]) {
        for group in &mut self.groups {
            for piece in &mut group.pieces {
                *piece = piece.take().filter(|piece| kept[piece.market]);
            }
        }
        let is_read = |group: &Group| group.pieces.iter().any(Option::is_some);
        let (mut places, mut place) = (Vec::with_capacity(self.groups.len()), 0);
        for group in &self.groups {
            places.push(place);
            place += usize::from(is_read(group));
        }
        for (market, kept) in self.markets.iter_mut().zip(kept) {
            market.turns.retain(|_| *kept);
            for (group, _) in &mut market.turns {
                *group = places[*group];
            }
        }
        self.groups.retain(is_read);
        self.count();
    }

    /// Counts what is to be read.
    fn count(&mut self) {
        let sum = |sum: u64, rows: usize| sum.saturating_add(rows as u64);
        self.rows = self.groups.iter().flat_map(Group::rows).fold(0, sum);
        self.work = self.groups.iter().map(|group| group.chunk.rows).fold(0, sum);
    }

    /// Everything but ticks.
    pub fn header(&self) -> Tape {
        let market = |market: &Market| MarketTicks {
            spec: market.spec.clone(),
            ts: Vec::new().into(),
            price: Vec::new().into(),
            size: market.has.size.then(|| Vec::new().into()),
            side: market.has.side.then(|| Vec::new().into()),
        };
        Tape {
            markets: self.markets.iter().map(market).collect(),
            assets: self.assets.clone(),
            quality: vec![Quality::default(); self.markets.len()],
        }
    }

    /// The number of ticks of a market in one of its turns.
    pub fn piece_rows(&self, (group, slot): (usize, usize)) -> usize {
        self.groups[group].pieces[slot].as_ref().map_or(0, |piece| piece.rows)
    }
}

/// Reads some columns of a chunk to a part for each of its markets, until `look`, called after every batch, has seen enough.
pub(super) fn scan(
    input: &Input,
    chunk: &Chunk,
    need: Need,
    kept: &[bool],
    meter: &Meter<'_>,
    mut look: impl FnMut(&mut [Part<'static>]) -> bool,
) -> Result<Vec<Part<'static>>> {
    let view = input.layout.view(need);
    let part = |&is_kept: &bool| {
        if is_kept {
            Part::own(&view)
        } else {
            Part::ignored(&view)
        }
    };
    let mut parts: Vec<Part<'static>> = kept.iter().map(part).collect();
    let mut decoder = Decoder::open(input, chunk, &view)?;
    while decoder.step(input, &mut parts, meter)?.is_some() {
        if look(&mut parts) {
            break;
        }
    }
    Ok(parts)
}

/// Passes over the chunks of a source.
struct Scan<'a> {
    inputs: &'a [Input],
    chunks: &'a [Chunk],
    /// Which markets of each chunk are read.
    kept: Vec<Vec<bool>>,
    progress: &'a dyn Progress,
}

impl Scan<'_> {
    fn input(&self, chunk: usize) -> &Input {
        &self.inputs[self.chunks[chunk].input]
    }

    /// Reads the columns that each chunk needs, of those that need some, up to where `look` has seen enough.
    fn pass(
        &self,
        phase: &'static str,
        work: Vec<(usize, Need)>,
        look: impl Fn(usize, &mut [Part<'static>]) -> bool + Sync,
    ) -> Result<Vec<(usize, Vec<Part<'static>>)>> {
        let rows = work.iter().map(|&(chunk, _)| self.chunks[chunk].rows as u64);
        let meter = Meter::new(self.progress, phase, rows.fold(0, u64::saturating_add));
        each(work, |(chunk, need)| {
            // Without the column `market` all rows go to one part.
            let kept: &[bool] = if need.market { &self.kept[chunk] } else { &[true] };
            let parts = scan(self.input(chunk), &self.chunks[chunk], need, kept, &meter, |parts| {
                look(chunk, parts)
            })?;
            Ok((chunk, parts))
        })
    }

    /// The least and the greatest time of each chunk: of its statistics, else read.
    fn times(&self) -> Result<Vec<(i64, i64)>> {
        let known: Vec<Option<(i64, i64)>> = self
            .chunks
            .iter()
            .zip(0..)
            .map(|(chunk, at)| self.input(at).times(chunk))
            .collect();
        let need = Need { ts: true, ..Need::NONE };
        let unknown = (0..known.len()).filter(|&chunk| known[chunk].is_none());
        let read = self.pass("times", unknown.map(|chunk| (chunk, need)).collect(), |_, parts| {
            parts.iter_mut().for_each(Part::keep_extremes);
            false
        })?;
        let mut times: Vec<(i64, i64)> = known.into_iter().map(|times| times.unwrap_or((0, 0))).collect();
        for (chunk, parts) in read {
            for part in parts {
                let ts = part.ts.filled();
                if let (Some(&least), Some(&most)) = (ts.iter().min(), ts.iter().max()) {
                    times[chunk] = (least, most);
                }
            }
        }
        Ok(times)
    }

    /// Puts the files of each market in the order of (first time, path).
    fn sort(&self, turns: &mut [Vec<Turn>]) -> Result<()> {
        let input = |turn: &Turn| self.chunks[turn.chunk].input;
        // The first turn of each input, for markets of several inputs.
        let mut wanted: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for turns in turns.iter() {
            let several = turns.first().map(input) != turns.last().map(input);
            let firsts = turns.chunk_by(|a, b| input(a) == input(b)).filter_map(<[Turn]>::first);
            for turn in firsts.filter(|_| several) {
                wanted.entry(turn.chunk).or_default().insert(turn.slot);
            }
        }
        let need = Need {
            ts: true,
            market: true,
            ..Need::NONE
        };
        let work = wanted.keys().map(|&chunk| (chunk, need)).collect();
        let read = self.pass("times", work, |chunk, parts| {
            wanted[&chunk].iter().all(|&slot| parts[slot].rows > 0)
        })?;
        let mut firsts: BTreeMap<(usize, usize), i64> = BTreeMap::new();
        for (chunk, parts) in read {
            for &slot in &wanted[&chunk] {
                if let Some(&first) = parts[slot].ts.filled().first() {
                    firsts.insert((chunk, slot), first);
                }
            }
        }
        for turns in turns {
            let mut times: BTreeMap<usize, i64> = BTreeMap::new();
            for turn in turns.iter() {
                if let Some(&first) = firsts.get(&(turn.chunk, turn.slot)) {
                    times.entry(input(turn)).or_insert(first);
                }
            }
            turns.sort_by_key(|turn| {
                let input = input(turn);
                (times.get(&input).copied(), &self.inputs[input].path, *turn)
            });
        }
        Ok(())
    }

    /// The optional columns of each market, as its first row tells.
    ///
    /// Sizes are looked for even if they are not needed: it depends on them which decimals are the default.
    fn has(&self, turns: &[Vec<Turn>], need: Need) -> Result<Vec<Has>> {
        let mut has = Vec::with_capacity(turns.len());
        let mut wanted: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
        for (turns, market) in turns.iter().zip(0..) {
            let Some(first) = turns.first() else {
                has.push(Has::default());
                continue;
            };
            let (input, chunk) = (self.input(first.chunk), &self.chunks[first.chunk]);
            let (size, side) = (
                input.layout.size.map(|(at, _)| at),
                input.layout.side.filter(|_| need.side),
            );
            // In an origin of one market nulls are an error.
            let is_known = |column: &usize| input.layout.market.is_none() || input.is_whole(chunk, *column);
            if !size.iter().chain(&side).all(is_known) {
                wanted.entry(first.chunk).or_default().insert(first.slot, market);
            }
            has.push(Has {
                size: size.is_some(),
                side: side.is_some(),
            });
        }
        let need = Need {
            market: true,
            size: true,
            side: need.side,
            ..Need::NONE
        };
        let work = wanted.keys().map(|&chunk| (chunk, need)).collect();
        let read = self.pass("columns", work, |chunk, parts| {
            wanted[&chunk].keys().all(|&slot| parts[slot].rows > 0)
        })?;
        for (chunk, parts) in read {
            for (&slot, &market) in &wanted[&chunk] {
                has[market] = Has {
                    size: parts[slot].size.is_some(),
                    side: parts[slot].side.is_some(),
                };
            }
        }
        Ok(has)
    }

    /// The decimals of the price and of the size of each market: as declared, else the fewest that fit.
    fn decimals(&self, turns: &[Vec<Turn>], specs: &[MarketSpec], has: &[Has]) -> Result<Vec<[Target; 2]>> {
        let open = |kind: Number| !matches!(kind, Number::Int { .. });
        let mut needs: BTreeMap<usize, Need> = BTreeMap::new();
        for ((turns, spec), has) in turns.iter().zip(specs).zip(has) {
            for turn in turns {
                let layout = &self.input(turn.chunk).layout;
                let price = spec.price_decimals.is_none() && open(layout.price.1);
                let size = layout.size.filter(|_| has.size && spec.size_decimals.is_none());
                let size = size.is_some_and(|(_, kind)| open(kind));
                if price || size {
                    let need = needs.entry(turn.chunk).or_insert(Need {
                        market: true,
                        ..Need::NONE
                    });
                    need.price |= price;
                    need.size |= size;
                }
            }
        }
        let read = self.pass("decimals", needs.into_iter().collect(), |_, parts| {
            parts.iter_mut().for_each(|part| drop(part.take()));
            false
        })?;
        let mut seen: Vec<Vec<[u32; 2]>> = self.kept.iter().map(|_| Vec::new()).collect();
        for (chunk, parts) in read {
            let decimals = |part: &Part<'_>| [part.price.decimals, part.size.as_ref().map_or(0, |size| size.decimals)];
            seen[chunk] = parts.iter().map(decimals).collect();
        }
        let most = |turns: &[Turn], column: usize, kind: &dyn Fn(&Input) -> Option<Number>| {
            let decimals = |turn: &Turn| match kind(self.input(turn.chunk)) {
                Some(Number::Int { decimals }) => decimals,
                _ => seen[turn.chunk].get(turn.slot).map_or(0, |seen| seen[column]),
            };
            turns.iter().map(decimals).max().unwrap_or(0)
        };
        let targets = turns.iter().zip(specs).zip(has).map(|((turns, spec), has)| {
            let fewest = || {
                if has.size {
                    most(turns, 1, &|input| input.layout.size.map(|(_, kind)| kind))
                } else {
                    COIN_DECIMALS
                }
            };
            let price = || most(turns, 0, &|input| Some(input.layout.price.1));
            [
                Target {
                    column: "price",
                    decimals: spec.price_decimals.unwrap_or_else(price),
                    declared: spec.price_decimals.is_some(),
                },
                Target {
                    column: "size",
                    decimals: spec.size_decimals.unwrap_or_else(fewest),
                    declared: spec.size_decimals.is_some(),
                },
            ]
        });
        Ok(targets.collect())
    }
}
