//! Feeds, and the guard that watches them.

use serde::Deserialize;

use super::latency::LatencyConfig;
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

/// Which price a write of an oracle carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// That of the moment at which it was decided upon.
    #[default]
    AtWrite,
    /// That of the moment at which it becomes visible; until then nothing else is written.
    WhenVisible,
}

/// A stretch of time after the first tick of the tape, in nanoseconds; `end` is the first moment after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// First moment.
    pub start: i64,
    /// First moment after it.
    pub end: i64,
}

fn at_once() -> LatencyConfig {
    LatencyConfig::Fixed(0)
}

/// A published price series. Sources are named feeds.
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
        /// What it samples.
        source: String,
        /// Relative change that forces a write.
        #[serde(deserialize_with = "ratio")]
        deviation: Ratio,
        /// Age that forces a write at the next state of the source, in nanoseconds.
        heartbeat: i64,
        /// From write to visibility.
        #[serde(default = "at_once")]
        latency: LatencyConfig,
        /// Of what is drawn.
        #[serde(default)]
        seed: u64,
        /// Which price a write carries.
        #[serde(default)]
        observed: Observed,
        /// When nothing is written.
        #[serde(default)]
        outages: Vec<Outage>,
    },
    /// The source at the points of a cadence.
    Periodic {
        /// What it samples.
        source: String,
        /// Time between samples, in nanoseconds.
        every: i64,
        /// Samples are taken at this time after 1970, and every so often from there, in nanoseconds.
        #[serde(default)]
        offset: i64,
    },
    /// An exponential average over the updates of the source, weighted by the time since the one before.
    Ema {
        /// What it averages.
        source: String,
        /// Time in which a weight falls to 1/e, in nanoseconds.
        time_constant: i64,
        /// Time between samples, in nanoseconds.
        every: i64,
        /// As for `Periodic`.
        #[serde(default)]
        offset: i64,
    },
    /// The time-weighted average over a window.
    Twap {
        /// What it averages.
        source: String,
        /// Length of the window, in nanoseconds.
        window: i64,
        /// Time between samples, in nanoseconds.
        every: i64,
        /// As for `Periodic`.
        #[serde(default)]
        offset: i64,
    },
    /// A reference plus the average distance of the source from it, weighted as by `Ema`.
    Basis {
        /// Whose distance is averaged.
        source: String,
        /// From what, and what it is added to.
        reference: String,
        /// As for `Ema`.
        time_constant: i64,
        /// Time between samples, in nanoseconds.
        every: i64,
        /// As for `Periodic`.
        #[serde(default)]
        offset: i64,
    },
    /// The median of several feeds.
    Median {
        /// Of which.
        sources: Vec<String>,
    },
    /// The source, which is not published in outages.
    Paused {
        /// What it shows otherwise.
        source: String,
        /// When it stands still.
        outages: Vec<Outage>,
        /// Whether the source is published when an outage is over.
        #[serde(default)]
        catch_up: bool,
    },
    /// What the source was before its last update.
    Lagged {
        /// Behind which.
        source: String,
    },
    /// The lowest of several feeds for longs, the highest for shorts.
    WorstOf {
        /// Of which.
        sources: Vec<String>,
    },
    /// The source, or where it is too far from a reference the worse of the two by side.
    Spread {
        /// The price as long as both agree.
        source: String,
        /// What it must agree with.
        reference: String,
        /// Greatest distance, relative to the reference, at which they agree.
        #[serde(deserialize_with = "ratio")]
        limit: Ratio,
    },
}

/// When no account with a size in a market may be liquidated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// While two feeds diverge.
    #[serde(default)]
    pub divergence: Option<DivergenceConfig>,
    /// While the trigger feed was not updated for longer than this, in nanoseconds.
    #[serde(default)]
    pub staleness: Option<i64>,
}

/// Two feeds that must not be too far apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DivergenceConfig {
    /// The one.
    pub feed: String,
    /// The other.
    pub reference: String,
    /// Greatest distance, relative to the reference, that is tolerated.
    #[serde(deserialize_with = "ratio")]
    pub limit: Ratio,
}

impl FeedConfig {
    /// Names of the feeds that it is made from.
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Self::Last { .. } => Vec::new(),
            Self::Push { source, .. }
            | Self::Periodic { source, .. }
            | Self::Ema { source, .. }
            | Self::Twap { source, .. }
            | Self::Paused { source, .. }
            | Self::Lagged { source } => vec![source],
            Self::Median { sources } | Self::WorstOf { sources } => sources.iter().map(String::as_str).collect(),
            Self::Spread { source, reference, .. } | Self::Basis { source, reference, .. } => vec![source, reference],
        }
    }
}
