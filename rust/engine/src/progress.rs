//! How a long computation reports where it is and learns that it should stop.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::error::{Error, Result};

/// Told about progress from any thread, at least every [`POLL_ROWS`] rows of work; answers whether to go on.
///
/// An implementation must be cheap and must not block: it is called from the hot phases.
pub trait Progress: Sync {
    /// `done` of `total` units of `phase` are finished. False: stop as soon as possible.
    fn step(&self, phase: &'static str, done: u64, total: u64) -> bool;

    /// [`Progress::step`] as a result: [`Error::Interrupted`] if the caller wants to stop.
    fn check(&self, phase: &'static str, done: u64, total: u64) -> Result<()> {
        if self.step(phase, done, total) {
            Ok(())
        } else {
            Err(Error::Interrupted)
        }
    }
}

/// The most rows of work between two calls of [`Progress::step`].
pub const POLL_ROWS: usize = 1 << 16;

/// Reports to nobody and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _phase: &'static str, _done: u64, _total: u64) -> bool {
        true
    }
}

/// Counts work that several threads do into one phase, and asks whether to go on.
pub struct Meter<'a> {
    progress: &'a dyn Progress,
    phase: &'static str,
    done: AtomicU64,
    total: u64,
}

impl<'a> Meter<'a> {
    /// Nothing of `total` units is done.
    pub fn new(progress: &'a dyn Progress, phase: &'static str, total: u64) -> Self {
        Self {
            progress,
            phase,
            done: AtomicU64::new(0),
            total,
        }
    }

    /// `units` more are done. [`Error::Interrupted`] if the caller wants to stop.
    pub fn advance(&self, units: u64) -> Result<()> {
        let done = self.done.fetch_add(units, Relaxed) + units;
        self.progress.check(self.phase, done.min(self.total), self.total)
    }
}
