//! How a long computation reports where it is and learns that it should stop.

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
