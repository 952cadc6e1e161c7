//! What is asked for: markets with their anchors, checked and turned into integers.

use serde::{Deserialize, Serialize};

use crate::decimal::{Decimal, pow10};
use crate::error::{Error, Result};
use crate::market::{MarketSpec, Payoff};
use crate::tape::MarketTicks;

/// A day to reconstruct. As JSON it is what crosses the seam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Name of the day: a word of every stream of random numbers.
    pub day: String,
    /// Seed.
    pub seed: u64,
    /// Number of ticks to aim at in each market.
    pub ticks_per_market: usize,
    /// Markets, no two of one name.
    pub markets: Vec<MarketRequest>,
}

/// What a series of prices consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Trades, with sizes and sides, in bursts.
    #[default]
    Trades,
    /// A published index: one value about every second, without size or side.
    Index,
}

/// A market to reconstruct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketRequest {
    /// Definition, with price and size decimals.
    pub spec: MarketSpec,
    /// Trades or an index.
    #[serde(default)]
    pub series: Series,
    /// Grid of the prices between the anchors, an exact decimal; None: the last decimal.
    #[serde(default)]
    pub price_step: Option<String>,
    /// Mean size of a trade in USD: bounds the number of ticks and stands in where no volume is known.
    pub typical_trade_usd: f64,
    /// Resolution of the timestamps in nanoseconds.
    pub stamp_ns: i64,
    /// Periods `[from, to)` in which nothing was printed, in nanoseconds.
    #[serde(default)]
    pub quiet: Vec<(i64, i64)>,
    /// (nanoseconds, price, USD traded since the previous anchor up to and including this one, if known), in the order of time.
    pub anchors: Vec<(i64, String, Option<f64>)>,
    /// Number of ticks since the previous anchor, each anchor itself included; the first is not read. None: they follow from volume
    /// or time.
    #[serde(default)]
    pub counts: Option<Vec<u32>>,
    /// Standard deviation of a bridge's free end, in units of its segment's range; None: as measured between turning points.
    #[serde(default)]
    pub roughness: Option<f64>,
}

/// A fact: at this time, this price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// Nanoseconds since 1970, UTC.
    pub ts: i64,
    /// Price in the market's decimals.
    pub price: i64,
    /// USD traded since the previous anchor, this one's trade included; None if unknown.
    pub volume_usd: Option<f64>,
}

/// Standard deviation of the bridge's free end between two turning points, in units of the segment's range.
const ROUGHNESS: f64 = 0.8;
/// Prints that one instant has on average at most. (The fullest instants of the four measured markets had 49 to 61.)
const MOST_IN_INSTANT: usize = 50;

/// A checked market.
#[derive(Debug)]
pub(super) struct Prepared {
    pub series: Series,
    pub anchors: Vec<Anchor>,
    pub counts: Option<Vec<u32>>,
    pub roughness: f64,
    pub quiet: Vec<(i64, i64)>,
    pub stamp: i64,
    /// Grid of prices, in the price's unit.
    pub step: i64,
    pub typical_trade_usd: f64,
    inverse: bool,
    /// USD of one size unit: by itself if inverse, times the price as an integer if linear.
    unit_usd: f64,
}

impl Request {
    /// The request from JSON.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|e| Error::Config(format!("request to reconstruct: {e}")))
    }
}

impl MarketRequest {
    /// Checks everything and turns it into integers.
    pub(super) fn prepare(&self) -> Result<Prepared> {
        let name = &self.spec.name;
        let wrong = |field: &str, what: String| Error::Config(format!("market {name}: {field}: {what}"));
        let (Some(price_decimals), Some(size_decimals)) = (self.spec.price_decimals, self.spec.size_decimals) else {
            return Err(wrong("price_decimals, size_decimals", "expected both".into()));
        };
        let step = match &self.price_step {
            None => 1,
            Some(text) => Decimal::parse(text)
                .and_then(|d| d.to_integer(price_decimals))
                .and_then(|n| i64::try_from(n).ok())
                .filter(|&n| n > 0)
                .ok_or_else(|| wrong("price_step", format!("expected a positive price, got {text:?}")))?,
        };
        if !(self.typical_trade_usd.is_finite() && self.typical_trade_usd > 0.0) {
            return Err(wrong(
                "typical_trade_usd",
                format!("expected a positive number, got {}", self.typical_trade_usd),
            ));
        }
        if self.stamp_ns <= 0 {
            return Err(wrong(
                "stamp_ns",
                format!("expected a positive number, got {}", self.stamp_ns),
            ));
        }
        let ordered = |w: &[(i64, i64)]| w[0].1 <= w[1].0;
        if self.quiet.iter().any(|&(from, to)| from >= to) || !self.quiet.windows(2).all(ordered) {
            return Err(wrong(
                "quiet",
                "expected periods (from, to) in the order of time".into(),
            ));
        }
        if let Some(counts) = &self.counts
            && (counts.len() != self.anchors.len() || counts.iter().skip(1).any(|&ticks| ticks == 0))
        {
            let what = format!("expected {} numbers of at least 1", self.anchors.len());
            return Err(wrong("counts", what));
        }
        let roughness = self.roughness.unwrap_or(ROUGHNESS);
        if !(0.0..=10.0).contains(&roughness) {
            return Err(wrong(
                "roughness",
                format!("expected a number from 0 to 10, got {roughness}"),
            ));
        }
        let contract = self.spec.contract()?;
        let inverse = self.spec.kind == Payoff::Inverse;
        let size_unit = contract.mantissa as f64 / pow10(contract.scale) as f64 / pow10(size_decimals) as f64;
        Ok(Prepared {
            series: self.series,
            anchors: self.check_anchors(price_decimals)?,
            counts: self.counts.clone(),
            roughness,
            quiet: self.quiet.clone(),
            stamp: self.stamp_ns,
            step,
            typical_trade_usd: self.typical_trade_usd,
            inverse,
            unit_usd: if inverse {
                size_unit
            } else {
                size_unit / pow10(price_decimals) as f64
            },
        })
    }

    fn check_anchors(&self, price_decimals: u32) -> Result<Vec<Anchor>> {
        let name = &self.spec.name;
        if self.anchors.is_empty() {
            return Err(Error::Data(format!("market {name}: anchors: expected at least one")));
        }
        let mut previous = i64::MIN;
        let mut anchors = Vec::with_capacity(self.anchors.len());
        for (row, (ts, text, volume_usd)) in self.anchors.iter().enumerate() {
            let wrong =
                |field: &str, what: String| Error::Data(format!("market {name}: anchor {row}: {field}: {what}"));
            let price = Decimal::parse(text)
                .and_then(|d| d.to_integer(price_decimals))
                .and_then(|n| i64::try_from(n).ok())
                .filter(|&n| n > 0 && n < 1 << 53)
                .ok_or_else(|| {
                    wrong(
                        "price",
                        format!("expected a positive price of at most {price_decimals} decimals, got {text:?}"),
                    )
                })?;
            if *ts < previous {
                return Err(wrong("ts", "is before the previous anchor".into()));
            }
            if volume_usd.is_some_and(|v| !(v.is_finite() && v >= 0.0)) {
                return Err(wrong("volume_usd", "expected a number that is not negative".into()));
            }
            previous = *ts;
            anchors.push(Anchor {
                ts: *ts,
                price,
                volume_usd: *volume_usd,
            });
        }
        Ok(anchors)
    }
}

impl Prepared {
    /// USD of one size unit at a price.
    pub fn unit_usd(&self, price: i64) -> f64 {
        if self.inverse {
            self.unit_usd
        } else {
            self.unit_usd * price as f64
        }
    }

    /// The most ticks that lead from one anchor up to the next: each has at least one size unit, and an instant has room for
    /// [`MOST_IN_INSTANT`].
    pub fn most_ticks(&self, from: Anchor, to: Anchor) -> usize {
        let instants = (self.active(from.ts, to.ts) / self.stamp + 1) as usize;
        let units = match to.volume_usd {
            Some(volume) if self.series == Series::Trades => (volume / self.unit_usd(to.price)) as usize,
            _ => usize::MAX,
        };
        instants.saturating_mul(MOST_IN_INSTANT).min(units).max(1)
    }

    /// Nanoseconds between two times that are not quiet.
    pub fn active(&self, from: i64, to: i64) -> i64 {
        let quiet: i64 = self.quiet.iter().map(|&(a, b)| (b.min(to) - a.max(from)).max(0)).sum();
        to - from - quiet
    }

    /// The time that comes after `active` nanoseconds, not counting quiet ones, from `from`.
    pub fn after(&self, from: i64, active: i64) -> i64 {
        let mut ts = from + active;
        for &(a, b) in &self.quiet {
            if b > from && ts >= a.max(from) {
                ts += b - a.max(from);
            }
        }
        ts
    }

    /// The time itself, or the end of the quiet period that it lies in.
    pub fn not_quiet(&self, ts: i64) -> i64 {
        self.quiet
            .iter()
            .find(|&&(a, b)| (a..b).contains(&ts))
            .map_or(ts, |&(_, b)| b)
    }

    /// The first anchor, as a single trade of at most the volume up to it.
    pub fn push_first(&self, ticks: &mut MarketTicks) {
        let first = self.anchors[0];
        ticks.ts.push(first.ts);
        ticks.price.push(first.price);
        let usd = first
            .volume_usd
            .map_or(self.typical_trade_usd, |volume| volume.min(self.typical_trade_usd));
        let size = ((usd / self.unit_usd(first.price)).round() as i64).max(1);
        ticks.size.iter_mut().for_each(|sizes| sizes.push(size));
        ticks.side.iter_mut().for_each(|sides| sides.push(1));
    }
}
