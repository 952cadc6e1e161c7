//! Streaming gives what loading gives, however the ticks lie and wherever they are cut.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{Decimal128Array, Int64Array};
use parquet::file::properties::EnabledStatistics;
use proptest::prelude::*;

use super::*;
use crate::progress::Progress;
use crate::tape::{MarketTicks, Quality};
use crate::ticks::Stream;

/// All chunks as one tape, with what the stream saw. Checks that the chunks follow each other, are large enough, and no larger than
/// they must be.
pub(super) fn collect(source: &Source, chunk: usize) -> Result<Tape> {
    let mut stream = source.stream(chunk, &Silent)?;
    let mut tape = stream.header().clone();
    assert_eq!(tape.rows(), 0);
    let mut before = None;
    let mut short = false;
    while let Some(next) = stream.next(&Silent)? {
        assert!(!short, "only the last chunk may be short");
        short = next.rows() < chunk;
        assert!(next.rows() > 0 && next.start() > before);
        before = next.end();
        let last = |market: &MarketTicks| market.ts.iter().filter(|&&ts| Some(ts) == before).count();
        let of_last: usize = next.markets.iter().map(last).sum();
        assert!(
            next.rows() - of_last < chunk,
            "all but the last instant is less than a chunk"
        );
        assert_eq!(next.definitions(), tape.definitions());
        for (all, market) in tape.markets.iter_mut().zip(next.markets) {
            all.ts.extend(market.ts.iter().copied());
            all.price.extend(market.price.iter().copied());
            assert_eq!(
                (all.size.is_some(), all.side.is_some()),
                (market.size.is_some(), market.side.is_some())
            );
            all.size
                .iter_mut()
                .zip(&market.size)
                .for_each(|(all, size)| all.extend(size.iter().copied()));
            all.side
                .iter_mut()
                .zip(&market.side)
                .for_each(|(all, side)| all.extend(side.iter().copied()));
        }
        for (all, seen) in tape.quality.iter_mut().zip(next.quality) {
            *all = Quality {
                rows: all.rows + seen.rows,
                duplicates: all.duplicates + seen.duplicates,
                same_instant: all.same_instant + seen.same_instant,
                instants: all.instants + seen.instants,
                longest_gap: all.longest_gap.max(seen.longest_gap),
            };
        }
    }
    assert_eq!(stream.next(&Silent)?, None);
    assert_eq!(tape.quality, stream.quality());
    assert_eq!(tape.rows() as u64, stream.rows());
    if source.selection.markets.is_none() {
        assert_eq!((tape.start(), tape.end()), (Some(stream.start()), Some(stream.end())));
    }
    Ok(tape)
}

pub(super) fn assert_same(loaded: &Result<Tape>, streamed: &Result<Tape>) {
    match (loaded, streamed) {
        (Ok(loaded), Ok(streamed)) => assert_eq!(loaded, streamed),
        (Err(loaded), Err(streamed)) => assert_eq!(loaded.to_string(), streamed.to_string()),
        _ => panic!("loaded: {loaded:?}\nstreamed: {streamed:?}"),
    }
}

/// How ticks are laid out.
#[derive(Debug, Clone)]
enum Layout {
    /// One frame, in batches of so many rows.
    Frame(usize),
    /// All markets in files of so many rows that follow each other.
    Together(usize),
    /// One file, by market, then time.
    ByMarket,
    /// Each market in files of so many rows, named from the last to the first if so told.
    Apart(usize, bool),
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    /// (step of time, market, price in 0.001, size in 0.1, side)
    ticks: Vec<(i64, usize, i64, i64, i8)>,
    layout: Layout,
    row_group: usize,
    statistics: bool,
    /// Prices and sizes as: doubles, integers, decimals.
    numbers: usize,
    declared: bool,
    pub chunk: usize,
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let tick = (
        prop_oneof![4 => Just(0i64), 4 => 1i64..4, 1 => Just(1_000)],
        prop_oneof![8 => 0usize..2, 1 => Just(2usize)],
        prop_oneof![3 => (1i64..50).prop_map(|n| n * 1_000), 1 => 1i64..50_000],
        0i64..30,
        -1i8..=1,
    );
    let layout = prop_oneof![
        (1usize..40).prop_map(Layout::Frame),
        (1usize..200).prop_map(Layout::Together),
        Just(Layout::ByMarket),
        (1usize..100, any::<bool>()).prop_map(|(rows, reversed)| Layout::Apart(rows, reversed)),
    ];
    let options = (
        1usize..60,
        any::<bool>(),
        0usize..3,
        any::<bool>(),
        prop_oneof![1usize..5, 1usize..200],
    );
    (prop::collection::vec(tick, 1..150), layout, options).prop_map(
        |(ticks, layout, (row_group, statistics, numbers, declared, chunk))| Case {
            ticks,
            layout,
            row_group,
            statistics,
            numbers,
            declared,
            chunk,
        },
    )
}

const NAMES: [&str; 3] = ["A", "B", "C"];

type Row = (i64, usize, i64, i64, i8);

impl Case {
    /// The ticks at their times, in the order of time.
    fn rows(&self) -> Vec<Row> {
        let mut now = 0;
        let at = |&(step, market, price, size, side): &Row| {
            now += step;
            (now, market, price, size, side)
        };
        self.ticks.iter().map(at).collect()
    }

    fn frame(&self, rows: &[Row], with_market: bool) -> Frame {
        let number = |scale: u32, of: &dyn Fn(&Row) -> i64| -> ArrayRef {
            let values = rows.iter().map(of);
            match self.numbers {
                0 => array(Float64Array::from_iter_values(
                    values.map(|value| value as f64 / 10f64.powi(scale as i32)),
                )),
                1 => array(Int64Array::from_iter_values(values)),
                _ => array(
                    Decimal128Array::from_iter_values(values.map(i128::from))
                        .with_precision_and_scale(20, scale as i8)
                        .unwrap(),
                ),
            }
        };
        let frame = Frame::default()
            .with("ts", ns(&rows.iter().map(|row| row.0).collect::<Vec<_>>()))
            .with("price", number(3, &|row| row.2))
            .meta("price", "decimals", "3")
            .with("size", number(1, &|row| row.3))
            .meta("size", "decimals", "1")
            .with("side", array(Int8Array::from_iter_values(rows.iter().map(|row| row.4))));
        if with_market {
            frame.with(
                "market",
                words(&rows.iter().map(|row| NAMES[row.1]).collect::<Vec<_>>()),
            )
        } else {
            frame
        }
    }

    pub fn source(&self, dir: &TempDir) -> Source {
        let rows = self.rows();
        let statistics = if self.statistics {
            EnabledStatistics::Chunk
        } else {
            EnabledStatistics::None
        };
        let properties = || {
            WriterProperties::builder()
                .set_max_row_group_row_count(Some(self.row_group))
                .set_statistics_enabled(statistics)
                .build()
        };
        let declared: Vec<String> = NAMES
            .iter()
            .zip(0..)
            .filter(|&(_, market)| rows.iter().any(|row| row.1 == market))
            .map(|(name, _)| format!(r#"{{"name":"{name}","price_decimals":5,"size_decimals":2}}"#))
            .collect();
        let definitions = format!(r#"{{"markets":[{}]}}"#, declared.join(","));
        let definitions = self.declared.then_some(definitions.as_str());
        let mut paths = Vec::new();
        match self.layout {
            Layout::Frame(size) => {
                let batch = self.frame(&rows, true).batch();
                let batches = (0..rows.len()).step_by(size);
                let batches = batches
                    .map(|start| batch.slice(start, size.min(rows.len() - start)))
                    .collect();
                return Source::from_batches(batch.schema(), batches, definitions).unwrap();
            }
            Layout::Together(size) => {
                for (rows, number) in rows.chunks(size).zip(0..) {
                    paths.push(
                        self.frame(rows, true)
                            .write_with(dir, &format!("{number:03}.parquet"), properties()),
                    );
                }
            }
            Layout::ByMarket => {
                let mut rows = rows;
                rows.sort_by_key(|row| row.1);
                paths.push(self.frame(&rows, true).write_with(dir, "all.parquet", properties()));
            }
            Layout::Apart(size, reversed) => {
                for (name, market) in NAMES.iter().zip(0..) {
                    let rows: Vec<Row> = rows.iter().copied().filter(|row| row.1 == market).collect();
                    // Files that meet at an instant are in the order of their names.
                    let meet = rows
                        .chunks(size)
                        .zip(rows.chunks(size).skip(1))
                        .any(|(a, b)| a[a.len() - 1].0 == b[0].0);
                    for (rows, number) in rows.chunks(size).zip(0..) {
                        let number = if reversed && !meet { 999 - number } else { number };
                        let metadata = format!(r#"{{"markets":[{{"name":"{name}"}}]}}"#);
                        let frame = self.frame(rows, false).defined(&metadata);
                        paths.push(frame.write_with(dir, &format!("{name}{number:03}.parquet"), properties()));
                    }
                }
            }
        }
        Source::from_files(&paths, definitions).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_of_any_layout_are_the_tape(case in cases()) {
        let dir = TempDir::new().unwrap();
        let source = case.source(&dir);
        let loaded = source.load(&Silent);
        let streamed = collect(&source, case.chunk);
        assert_same(&loaded, &streamed);
        let tape = streamed.unwrap();
        // And it is what went in.
        for (name, market) in NAMES.iter().zip(0..) {
            let rows: Vec<Row> = case.rows().into_iter().filter(|row| row.1 == market).collect();
            let Some(ticks) = tape.markets.iter().find(|ticks| ticks.spec.name == *name) else {
                prop_assert!(rows.is_empty());
                continue;
            };
            prop_assert_eq!(&ticks.ts[..], rows.iter().map(|row| row.0).collect::<Vec<_>>());
            let unit = 10i64.pow(5 - ticks.spec.price_decimals.unwrap());
            let prices: Vec<i64> = ticks.price.iter().map(|price| price * unit).collect();
            prop_assert_eq!(prices, rows.iter().map(|row| row.2 * 100).collect::<Vec<_>>());
            prop_assert_eq!(ticks.side.as_deref().unwrap(), rows.iter().map(|row| row.4).collect::<Vec<_>>());
        }
    }
}

#[test]
fn one_giant_instant_is_one_chunk() {
    let n = 70_000;
    let frame = Frame::default()
        .with("ts", ns(&vec![7; n]))
        .with(
            "price",
            floats(&(0..n).map(|i| 1.0 + (i % 100) as f64).collect::<Vec<_>>()),
        )
        .with("market", words(&(0..n).map(|i| NAMES[i % 3]).collect::<Vec<_>>()));
    let dir = TempDir::new().unwrap();
    let path = frame.write(&dir, "x.parquet", 10_000);
    let source = Source::from_files(&[path], None).unwrap();
    for chunk in [0, 1, 1_000] {
        let mut stream = source.stream(chunk, &Silent).unwrap();
        assert_eq!(stream.next(&Silent).unwrap().unwrap(), source.load(&Silent).unwrap());
        assert_eq!(stream.next(&Silent).unwrap(), None);
    }
}

/// `n` ticks of one market, one a nanosecond from `start`.
fn run(start: i64, n: i64) -> Frame {
    Frame::default()
        .with("ts", ns(&(start..start + n).collect::<Vec<_>>()))
        .with(
            "price",
            floats(&(0..n).map(|i| 1.0 + (i % 100) as f64).collect::<Vec<_>>()),
        )
}

#[test]
fn memory_does_not_grow_with_the_tape() {
    const FILE: i64 = 40_000;
    let dir = TempDir::new().unwrap();
    let mut held = Vec::new();
    for files in [3, 24] {
        let mut paths = Vec::new();
        for name in ["A", "B"] {
            for file in 0..files {
                let frame = run(file * FILE, FILE).defined(&format!(r#"{{"markets":[{{"name":"{name}"}}]}}"#));
                paths.push(frame.write(&dir, &format!("{name}{file:02}.parquet"), 30_000));
            }
        }
        let source = Source::from_files(&paths, None).unwrap();
        let mut stream = source.stream(1_000, &Silent).unwrap();
        let mut rows = 0;
        while let Some(tape) = stream.next(&Silent).unwrap() {
            assert!((1_000..1_010).contains(&tape.rows()) || rows + tape.rows() as i64 == 2 * files * FILE);
            rows += tape.rows() as i64;
        }
        let [most_held, most_open] = stream.most();
        assert!(most_open <= 4, "{most_open} open");
        held.push(most_held);
    }
    assert!(held[1] <= held[0].max(70_000), "{held:?}");
}

#[test]
fn a_large_chunk_is_not_exceeded_by_much() {
    let dir = TempDir::new().unwrap();
    let path = run(0, 1_000_000)
        .defined(r#"{"markets":[{"name":"A"}]}"#)
        .write(&dir, "x.parquet", 50_000);
    let source = Source::from_files(&[path], None).unwrap();
    let mut stream = source.stream(100_000, &Silent).unwrap();
    while let Some(tape) = stream.next(&Silent).unwrap() {
        assert_eq!(tape.rows(), 100_000);
    }
    let [most_held, most_open] = stream.most();
    assert!(
        most_held < 200_000 && most_open <= 4,
        "{most_held} held, {most_open} open"
    );
}

fn endless(dir: &TempDir) -> Source {
    let path = run(0, 2_000_000).write(dir, "x.parquet", 100_000);
    Source::from_files(&[path], None).unwrap()
}

#[test]
fn dropping_a_stream_ends_its_thread() {
    let dir = TempDir::new().unwrap();
    let source = endless(&dir);
    for chunks in 0..3 {
        let mut stream = source.stream(100_000, &Silent).unwrap();
        for _ in 0..chunks {
            assert_eq!(stream.next(&Silent).unwrap().unwrap().rows(), 100_000);
        }
        let start = Instant::now();
        // Waits for its thread.
        drop(stream);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

/// Stops at a call.
struct Stop(AtomicUsize);

impl Progress for Stop {
    fn step(&self, _phase: &'static str, done: u64, total: u64) -> bool {
        assert!(done <= total);
        self.0.fetch_sub(1, Ordering::Relaxed) != 1
    }
}

#[test]
fn an_interrupted_stream_goes_on() {
    let dir = TempDir::new().unwrap();
    let source = endless(&dir);
    assert!(matches!(
        source.stream(10, &Stop(AtomicUsize::new(2))),
        Err(Error::Interrupted)
    ));
    let mut stream = source.stream(500_000, &Silent).unwrap();
    let (mut rows, mut interrupts) = (0, 0);
    loop {
        match stream.next(&Stop(AtomicUsize::new(1))) {
            Err(Error::Interrupted) => interrupts += 1,
            other => panic!("{other:?}"),
        }
        match stream.next(&Silent).unwrap() {
            Some(tape) => rows += tape.rows(),
            None => break,
        }
    }
    assert_eq!((rows, interrupts), (2_000_000, 5));
}

#[test]
fn a_stream_that_failed_says_so() {
    let dir = TempDir::new().unwrap();
    let first = run(0, 50).write(&dir, "a.parquet", 10);
    let second = run(40, 50).write(&dir, "b.parquet", 10);
    let source = Source::from_files(&[first, second], Some(r#"{"markets":[{"name":"X"}]}"#)).unwrap();
    let mut stream = source.stream(10, &Silent).unwrap();
    // What came before is sound.
    let mut rows = 0;
    let error = loop {
        match stream.next(&Silent) {
            Ok(tape) => rows += tape.unwrap().rows(),
            Err(error) => break error,
        }
    };
    assert!(
        rows >= 30
            && error
                .to_string()
                .contains("b.parquet: column `ts`, row 0: expected times that do not descend")
    );
    assert!(matches!(stream.next(&Silent), Err(Error::Invariant(_))));
}

#[test]
fn a_stream_does_not_wait_for_its_own_thread() {
    let dir = TempDir::new().unwrap();
    let source = endless(&dir);
    fn is_send<T: Send>() {}
    is_send::<Stream>();
    // As many callers on the pool that decodes as it has threads.
    let rows: Vec<usize> = rayon::broadcast(|_| {
        let mut stream = source.stream(300_000, &Silent).unwrap();
        let mut rows = 0;
        while let Some(tape) = stream.next(&Silent).unwrap() {
            rows += tape.rows();
        }
        rows
    });
    assert!(rows.iter().all(|&rows| rows == 2_000_000));
}
