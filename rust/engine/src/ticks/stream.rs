//! Ticks of a source chunk by chunk: the tape need not fit in memory.
//!
//! Guarantees: the chunks, one after the other, are the tape of [`Source::load`](super::Source::load) — the same ticks in the same
//! order, the same decimals, the same quality — and depend neither on threads nor on how the ticks are cut into files, row groups
//! and batches. A fault is the same error that loading gives; of several faults the first that is met is told, and chunks
//! before it have been handed out. Besides, the times that a file's statistics announce must be those that it holds.
//!
//! Cost: the memory of two chunks, that in use and the next, which is decoded on a thread of its own meanwhile; of the ticks that
//! wait until all markets have come as far, at most a stretch of each open file of one market and a row group of each open file of
//! several; and a few numbers for each market of each row group. A file is open only while its times are due, so files that follow
//! each other in time are not open at once. Where the markets of a file are not in the order of time together, as in one that is
//! sorted by market, ticks wait as long as the markets are apart. An instant is never split, so a chunk is at least as large as the
//! largest instant.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::decode::Meter;
use super::merge::Merge;
use super::survey::Plan;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::tape::{Quality, Tape};

/// Who waits for a chunk looks this often whether he should stop.
const WAKE: Duration = Duration::from_millis(20);

const PHASE: &str = "decode";

/// Ticks of a source, chunk by chunk in the order of time, in bounded memory. Made by [`Source::stream`](super::Source::stream).
///
/// The next chunk is decoded on another thread while the caller works; dropping the stream ends that.
#[derive(Debug)]
pub struct Stream {
    header: Tape,
    times: (i64, i64),
    rows: u64,
    /// Rows to decode.
    total: u64,
    quality: Vec<Quality>,
    signal: Arc<Signal>,
    /// Closed before the worker is waited for.
    chunks: Option<Receiver<Result<Option<Tape>>>>,
    worker: Option<JoinHandle<()>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is read yet of this plan, in chunks of so many ticks.
    New(Box<Plan>, usize),
    Reading,
    Ended,
    Failed,
}

/// What the worker and its stream tell each other.
#[derive(Debug, Default)]
struct Signal {
    stop: AtomicBool,
    /// Rows that are decoded.
    done: AtomicU64,
    /// The most ticks that waited, and the most row groups that were open, at a time.
    most: [AtomicUsize; 2],
}

impl Progress for Signal {
    fn step(&self, _phase: &'static str, done: u64, _total: u64) -> bool {
        self.done.fetch_max(done, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

impl Stream {
    pub(super) fn new(plan: Plan, chunk: usize) -> Self {
        let header = plan.header();
        Self {
            times: plan.times,
            rows: plan.rows,
            total: plan.work,
            quality: header.quality.clone(),
            header,
            signal: Arc::new(Signal::default()),
            chunks: None,
            worker: None,
            state: State::New(Box::new(plan), chunk),
        }
    }

    /// Reads the ticks of these markets only, by their places in the header; the others stay, as markets without ticks, and are not
    /// checked. To be said before the first chunk.
    pub fn keep(&mut self, markets: &[bool]) {
        if let State::New(plan, _) = &mut self.state {
            plan.keep(markets);
            (self.rows, self.total) = (plan.rows, plan.work);
        }
    }

    /// Starts to decode.
    fn start_reading(&mut self, plan: Plan, chunk: usize) -> Result<()> {
        let total = self.total;
        // Handed over from hand to hand: no chunk waits in between.
        let (sender, chunks) = sync_channel(0);
        let merge = Merge::new(Arc::new(plan), chunk);
        let signal = Arc::clone(&self.signal);
        let worker = thread::Builder::new().name("ticks".to_owned());
        let worker = worker.spawn(move || work(merge, total, &signal, &sender));
        self.worker = Some(worker.map_err(|error| Error::Data(format!("no thread to decode ticks on: {error}")))?);
        self.chunks = Some(chunks);
        Ok(())
    }

    /// Markets and assets with everything resolved, and no ticks: what a venue is bound to.
    pub fn header(&self) -> &Tape {
        &self.header
    }

    /// The first time of the tape, of all its markets, in nanoseconds since 1970.
    pub fn start(&self) -> i64 {
        self.times.0
    }

    /// The last time of the tape, of all its markets, in nanoseconds since 1970.
    pub fn end(&self) -> i64 {
        self.times.1
    }

    /// Number of ticks that the stream gives, in all its markets.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was seen in the chunks so far; after the last one, what loading would have seen.
    pub fn quality(&self) -> &[Quality] {
        &self.quality
    }

    /// The next chunk: every tick from the first of its times to the last, in all markets, some of which may have none. Its
    /// `quality` is of its own ticks and of the step to the first from the tick before. None: there are no more.
    ///
    /// An interrupted call loses nothing: the next one goes on. After another error there is nothing to go on with.
    pub fn next(&mut self, progress: &dyn Progress) -> Result<Option<Tape>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::New(plan, chunk) => self.start_reading(*plan, chunk)?,
            State::Reading => {}
            State::Ended => {
                self.state = State::Ended;
                return Ok(None);
            }
            State::Failed => return Err(Error::Invariant("ticks are read on after an error".to_owned())),
        }
        match self.wait(progress) {
            Ok(Some(tape)) => {
                self.state = State::Reading;
                for (sum, seen) in self.quality.iter_mut().zip(&tape.quality) {
                    sum.rows += seen.rows;
                    sum.duplicates += seen.duplicates;
                    sum.same_instant += seen.same_instant;
                    sum.instants += seen.instants;
                    sum.longest_gap = sum.longest_gap.max(seen.longest_gap);
                }
                Ok(Some(tape))
            }
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(Error::Interrupted) => {
                self.state = State::Reading;
                Err(Error::Interrupted)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the worker.
    fn wait(&mut self, progress: &dyn Progress) -> Result<Option<Tape>> {
        let ended = || Error::Invariant("the thread that decodes ticks has ended".to_owned());
        let chunks = self.chunks.as_ref().ok_or_else(ended)?;
        loop {
            progress.check(PHASE, self.signal.done.load(Ordering::Relaxed), self.total)?;
            // On a thread of the pool that decodes: it must not wait for itself.
            while let Some(rayon::Yield::Executed) = rayon::yield_now() {}
            match chunks.recv_timeout(WAKE) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match self.worker.take().map(JoinHandle::join) {
            Some(Err(panic)) => resume_unwind(panic),
            _ => Err(ended()),
        }
    }

    /// The most ticks that waited for others, and the most row groups that were open, at a time, so far.
    #[cfg(test)]
    pub(super) fn most(&self) -> [usize; 2] {
        self.signal.most.each_ref().map(|most| most.load(Ordering::Relaxed))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.signal.stop.store(true, Ordering::Relaxed);
        drop(self.chunks.take());
        if let Some(worker) = self.worker.take() {
            // It ends at its next batch. If it has panicked, nobody asked for what it was at.
            let _ = worker.join();
        }
    }
}

/// Decodes chunks and hands them over, until the last, an error, or nobody takes them.
fn work(mut merge: Merge, total: u64, signal: &Signal, chunks: &SyncSender<Result<Option<Tape>>>) {
    let meter = Meter::new(signal, PHASE, total);
    loop {
        let outcome = merge.next(&meter);
        let (held, open) = merge.most;
        signal.most[0].store(held, Ordering::Relaxed);
        signal.most[1].store(open, Ordering::Relaxed);
        let goes_on = matches!(outcome, Ok(Some(_)));
        if chunks.send(outcome).is_err() || !goes_on {
            return;
        }
    }
}
