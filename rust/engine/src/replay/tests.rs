//! What a caller sees of a replay while it runs.

use std::sync::{Mutex, PoisonError};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};

use super::replay;
use crate::book::BookFrames;
use crate::config::{Options, Protocol};
use crate::error::Error;
use crate::progress::Progress;
use crate::testing::tape;

const ACCOUNTS: usize = 2000;

/// Keeps what it is told; stops after so many calls.
struct Listener {
    heard: Mutex<Vec<(&'static str, u64, u64)>>,
    patience: usize,
}

impl Progress for Listener {
    fn step(&self, phase: &'static str, done: u64, total: u64) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((phase, done, total));
        heard.len() < self.patience
    }
}

/// All accounts fail in one instant in the middle of the tape.
fn run(patience: usize, latency: i64) -> (Result<u64, Error>, Vec<(&'static str, u64, u64)>) {
    let tape = tape([vec![(0, 10_000), (100, 5_000), (200, 5_000)], vec![], vec![]]);
    let words = |word: &str| std::sync::Arc::new(StringArray::from(vec![word; ACCOUNTS])) as ArrayRef;
    let numbers = |n: f64| std::sync::Arc::new(Float64Array::from(vec![n; ACCOUNTS])) as ArrayRef;
    let names: StringArray = (0..ACCOUNTS).map(|n| Some(n.to_string())).collect();
    let positions = RecordBatch::try_from_iter([
        ("account", std::sync::Arc::new(names) as ArrayRef),
        ("market", words("A")),
        ("size", numbers(1.0)),
        ("entry_price", numbers(100.0)),
        ("margin_mode", words("isolated")),
        ("collateral", numbers(20.0)),
    ])
    .unwrap();
    let frames = BookFrames::read(&[positions], &[], &[]).unwrap();
    let protocol = Protocol::from_json(&format!(r#"{{"keeper": {{"latency": {latency}}}}}"#)).unwrap();
    let listener = Listener {
        heard: Mutex::default(),
        patience,
    };
    let run = replay(&tape, &frames, protocol, Options::default(), &listener);
    let heard = listener.heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    (run.map(|run| run.state.records.detections), heard)
}

#[test]
fn progress_moves_within_an_instant() {
    for latency in [0, 50] {
        let (run, heard) = run(usize::MAX, latency);
        assert_eq!(run.unwrap(), ACCOUNTS as u64);
        let steps: Vec<u64> = heard.iter().filter(|h| h.0 == "replay").map(|h| h.1).collect();
        assert!(steps.len() > ACCOUNTS);
        assert!(heard.iter().all(|&(_, done, total)| done <= total));
        let mut distinct = steps.clone();
        distinct.dedup();
        assert!(distinct.is_sorted(), "{distinct:?}");
        // The tape has 200 units of time; half of them are for what is done.
        assert!(distinct.len() > 40, "{distinct:?}");
        assert!(distinct.windows(2).all(|pair| pair[1] - pair[0] <= 80), "{distinct:?}");
    }
}

#[test]
fn a_replay_stops_wherever_it_is_told_to() {
    let (_, heard) = run(usize::MAX, 0);
    for patience in [1, 2, 5, heard.len() / 2, heard.len() - 1] {
        let (run, before) = run(patience, 0);
        assert!(matches!(run, Err(Error::Interrupted)), "after {patience}");
        // Other threads may be a step further.
        assert!(before.len() < patience + 16);
    }
}
