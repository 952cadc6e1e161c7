//! Halts: when the venue is down.

use serde::Deserialize;

use super::When;

/// A stretch of time in which the venue is down, as a whole or in some markets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltConfig {
    /// First moment.
    pub start: When,
    /// First moment after it.
    pub end: When,
    /// In which markets; None: the whole venue.
    #[serde(default)]
    pub markets: Option<Vec<String>>,
}
