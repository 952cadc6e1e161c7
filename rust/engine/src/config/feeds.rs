//! Feeds.

use serde::Deserialize;

use super::parse::ratio;
use crate::units::Ratio;

/// Which prints of one instant are states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prints {
    /// The last in file order.
    #[default]
    LastOfInstant,
    /// Every print, for accounts with a single leg.
    Each,
}

/// Ticks that a feed is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The market's own ticks.
    #[default]
    Own,
    /// The ticks of the market's index market.
    Index,
}

/// A published price series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedConfig {
    /// The ticks themselves.
    Last {
        /// Whose ticks.
        #[serde(default)]
        source: Source,
        /// Which prints of an instant are states.
        #[serde(default)]
        prints: Prints,
    },
    /// A push oracle: written on deviation or heartbeat, visible after a latency.
    Push {
        /// Name of the feed that it samples: `last` or `index`.
        source: String,
        /// Relative change that forces a write.
        #[serde(deserialize_with = "ratio")]
        deviation: Ratio,
        /// Age that forces a write at the next tick, in nanoseconds.
        heartbeat: i64,
        /// From write to visibility, in nanoseconds.
        #[serde(default)]
        latency: i64,
    },
}
