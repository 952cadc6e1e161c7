//! Files, row groups and threads: what they change (the order of files) and what they must not.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::progress::Progress;

/// `n` ticks of a market or three, with bursts and repeated rows.
fn many(n: i64, markets: i64) -> Frame {
    let rows: Vec<i64> = (0..n).collect();
    let names = ["A", "B", "C"];
    let frame = Frame::default()
        .with("ts", ns(&rows.iter().map(|i| i / 3 * 7).collect::<Vec<_>>()))
        .with(
            "price",
            floats(
                &rows
                    .iter()
                    .map(|i| 100.0 + (i / 2 % 50) as f64 / 4.0)
                    .collect::<Vec<_>>(),
            ),
        )
        .with(
            "size",
            floats(&rows.iter().map(|i| (i % 4 / 2) as f64).collect::<Vec<_>>()),
        );
    if markets == 1 {
        return frame;
    }
    frame.with(
        "market",
        words(
            &rows
                .iter()
                .map(|i| names[(i / 5 % markets) as usize])
                .collect::<Vec<_>>(),
        ),
    )
}

#[test]
fn row_groups_and_threads_do_not_matter() {
    for markets in [1, 3] {
        let frame = many(40_000, markets);
        let expected = frame
            .read(Some(if markets == 1 {
                r#"{"markets":[{"name":"x"}]}"#
            } else {
                "{}"
            }))
            .unwrap();
        assert!(
            expected
                .quality
                .iter()
                .all(|seen| seen.duplicates > 0 && seen.same_instant > seen.duplicates)
        );
        for row_group in [999, 16_384, 1 << 20] {
            let dir = TempDir::new().unwrap();
            let path = frame.write(&dir, "x.parquet", row_group);
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert_eq!(pool.install(|| read_files(&[&path], None)).unwrap(), expected);
            }
        }
    }
}

#[test]
fn batches_of_a_frame_do_not_matter() {
    let frame = many(5_000, 3);
    let batch = frame.batch();
    let pieces = [(0, 1), (1, 0), (1, 4_000), (4_001, 999)].map(|(start, len)| batch.slice(start, len));
    let tape = Source::from_batches(batch.schema(), pieces.to_vec(), None)
        .unwrap()
        .load(&Silent)
        .unwrap();
    assert_eq!(tape, frame.read(None).unwrap());
}

#[test]
fn files_of_a_market_follow_their_first_times() {
    let dir = TempDir::new().unwrap();
    let piece = |start: i64| {
        Frame::default()
            .with("ts", ns(&[start, start + 5]))
            .with("price", floats(&[start as f64, start as f64 / 8.0]))
            .defined(r#"{"markets":[{"name":"X"}]}"#)
    };
    let late = piece(100).write(&dir, "a.parquet", 1);
    let early = piece(10).write(&dir, "b.parquet", 1);
    // Meets `early` at one instant: the path decides.
    let meets = piece(15).write(&dir, "c.parquet", 1);
    let tape = read_files(&[&late, &meets, &early], None).unwrap();
    assert_eq!(tape.markets[0].ts[..], [10, 15, 15, 20, 100, 105]);
    assert_eq!(
        tape.markets[0].price[..],
        [10_000, 1_250, 15_000, 1_875, 100_000, 12_500]
    );
    assert_eq!(tape.quality[0].same_instant, 1);
    assert_eq!(tape.quality[0].longest_gap, 80);
    // With a column `market`, the same for each market.
    let with = |frame: Frame, name: &str, names: &[&str]| frame.with("market", words(names)).write(&dir, name, 1);
    let late = with(piece(100), "d.parquet", &["X", "Y"]);
    let early = with(piece(10), "e.parquet", &["Y", "X"]);
    let tape = read_files(&[&late, &early], None).unwrap();
    assert_eq!(tape.markets[0].ts[..], [15, 100]);
    assert_eq!(tape.markets[1].ts[..], [10, 105]);
}

#[test]
fn files_that_overlap_are_refused() {
    let dir = TempDir::new().unwrap();
    let frame = |start: i64| {
        Frame::default()
            .with("ts", ns(&[start, start + 10]))
            .with("price", floats(&[1.0, 2.0]))
    };
    let first = frame(0).write(&dir, "a.parquet", 10);
    let second = frame(5).write(&dir, "b.parquet", 10);
    let message = data_error(read_files(&[&first, &second], Some(r#"{"markets":[{"name":"X"}]}"#)));
    let expected = "b.parquet: column `ts`, row 0: expected times that do not descend, got \
                    1970-01-01T00:00:00.000000005Z after 1970-01-01T00:00:00.000000010Z, the last of market X in";
    assert!(
        message.contains(expected) && message.ends_with("a.parquet"),
        "{message}"
    );
}

/// Stops after some steps.
struct Stopper {
    steps: AtomicU64,
    after: u64,
    most: AtomicU64,
}

impl Progress for Stopper {
    fn step(&self, phase: &'static str, done: u64, total: u64) -> bool {
        assert!(phase == "decode" && done <= total);
        self.most.fetch_max(done, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed) < self.after
    }
}

#[test]
fn can_be_interrupted_and_says_where_it_is() {
    let stopper = |after| Stopper {
        steps: AtomicU64::new(0),
        after,
        most: AtomicU64::new(0),
    };
    let dir = TempDir::new().unwrap();
    let path = many(100_000, 1).write(&dir, "x.parquet", 10_000);
    let source = Source::from_files(&[path], None).unwrap();
    let whole = stopper(u64::MAX);
    assert_eq!(source.load(&whole).unwrap().rows(), 100_000);
    assert_eq!(whole.most.into_inner(), 100_000);
    for after in 0..whole.steps.into_inner() {
        assert!(
            matches!(source.load(&stopper(after)), Err(Error::Interrupted)),
            "{after}"
        );
    }
}
