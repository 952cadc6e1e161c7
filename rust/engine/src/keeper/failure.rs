//! Attempts that fail.

use crate::config::FailureConfig;
use crate::error::Result;

/// With what probability an attempt fails, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Draws below this fail.
    threshold: u128,
    /// From a failure to the next attempt.
    pub retry: i64,
}

impl Failure {
    /// None if nothing ever fails.
    pub fn bind(config: &FailureConfig) -> Result<Option<Self>> {
        let threshold = config.probability.floor_of(1 << 64, "probability of a failure")?;
        Ok((threshold > 0).then_some(Self {
            threshold: threshold.unsigned_abs(),
            retry: config.retry,
        }))
    }

    pub fn fails(&self, bits: u64) -> bool {
        u128::from(bits) < self.threshold
    }
}
