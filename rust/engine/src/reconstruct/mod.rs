//! Seeded reconstruction of ticks between price anchors.
//!
//! An anchor is a fact: at this instant the market printed this price. Between two anchors the path is unknown, and whatever
//! fills it in is invented. What the invention promises:
//!
//! * every anchor is a tick, at its timestamp and price, and the last one of the ticks that lead up to it, so that it is the state
//!   of its instant (unless the next anchor bears the same timestamp);
//! * between two anchors no price leaves the interval of the two: the anchors are the turning points;
//! * where the volume between two anchors is known, the sizes add up to it, within one size unit a tick;
//! * where the number of ticks between two anchors is known, it is that number;
//! * time never descends; nothing is printed in a quiet period (an outage) but anchors;
//! * a segment between two anchors depends on (seed, day, market, number of the segment) and on its own figures alone, apart from
//!   its share of the market's ticks: no market disturbs another.
//!
//! What it imitates, measured on the trades of four Binance COIN-M perpetuals on 2025-10-10: the number of ticks of a segment
//! goes with the 0.83rd power of its volume (fits: 0.76 to 0.90); prints come in instants, whose number of prints has the
//! distribution `P(>= k) = (1 + (k - 1) / 2)^-2.4` (58 to 73 % of the rows share their timestamp with another); gaps between
//! instants are Weibull with a shape of about 0.4 and a slowly varying scale (median 0.06, 95th percentile 5, 99.9th 47 times the
//! mean); trade sizes are lognormal with a standard deviation of the logarithm of 1.6; an instant is one-sided (99 %), and most
//! bear one price; sampled 50 times, a segment's root of realised variance is 0.6 to 1.0 times its range.

mod anchors;
mod segment;
#[cfg(test)]
mod tests;

pub use anchors::{Anchor, MarketRequest, Request, Series};

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::column::Column;
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::tape::{MarketTicks, Quality, Tape};
use segment::Segment;

/// Name and version of the method; part of every cache key and provenance. Raise it when the output changes.
pub const METHOD: &str = "folded-bridge/1";

/// Exponent of a segment's volume in its number of ticks.
const VOLUME_EXPONENT: f64 = 0.83;
/// Exponents of a segment's duration (seconds) and relative move in its number of ticks, where the volume is unknown.
const TIME_EXPONENT: f64 = 0.65;
const MOVE_EXPONENT: f64 = 0.1;

/// Reconstructs the ticks of every market of the request.
///
/// `step(done, total)` is told from any thread how many of the anchors are done; if it answers false the work stops with
/// [`Error::Interrupted`].
pub fn reconstruct(request: &Request, step: &(dyn Fn(u64, u64) -> bool + Sync)) -> Result<Tape> {
    let total = request.markets.iter().map(|market| market.anchors.len() as u64).sum();
    let done = AtomicU64::new(0);
    let count = || {
        let before = done.fetch_add(1, Ordering::Relaxed);
        if step(before + 1, total) {
            Ok(())
        } else {
            Err(Error::Interrupted)
        }
    };
    let mut markets: Vec<MarketTicks> = request
        .markets
        .par_iter()
        .map(|market| reconstruct_market(request, market, &count))
        .collect::<Result<_>>()?;
    markets.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    if let Some(twice) = markets.windows(2).find(|pair| pair[0].spec.name == pair[1].spec.name) {
        return Err(Error::Config(format!("market {}: is given twice", twice[0].spec.name)));
    }
    // Nothing was read, so there is nothing to say of its quality.
    let quality = vec![Quality::default(); markets.len()];
    Ok(Tape {
        markets,
        assets: vec![],
        quality,
    })
}

fn reconstruct_market(
    request: &Request,
    market: &MarketRequest,
    count: &(dyn Fn() -> Result<()> + Sync),
) -> Result<MarketTicks> {
    let prepared = market.prepare()?;
    let counts = allocate(&prepared, request.ticks_per_market);
    let rows = counts.iter().sum::<usize>() + 1;
    let traded = (market.series == Series::Trades).then_some(());
    let mut ticks = MarketTicks {
        spec: market.spec.clone(),
        ts: Column::with_capacity(rows),
        price: Column::with_capacity(rows),
        size: traded.map(|()| Column::with_capacity(rows)),
        side: traded.map(|()| Column::with_capacity(rows)),
    };
    prepared.push_first(&mut ticks);
    count()?;
    for (number, (pair, &wanted)) in prepared.anchors.windows(2).zip(&counts).enumerate() {
        let segment = Segment {
            market: &prepared,
            from: pair[0],
            to: pair[1],
            ticks: wanted,
        };
        let number = (number + 1).to_string();
        segment.fill(
            &mut Rng::new(request.seed, &[METHOD, &request.day, &market.spec.name, &number]),
            &mut ticks,
        );
        count()?;
    }
    Ok(ticks)
}

/// Number of ticks of each segment, its closing anchor included.
fn allocate(market: &anchors::Prepared, target: usize) -> Vec<usize> {
    if let Some(counts) = &market.counts {
        return counts.iter().skip(1).map(|&ticks| ticks as usize).collect();
    }
    let segments = || market.anchors.windows(2).map(|pair| (pair[0], pair[1]));
    let seconds = |from: Anchor, to: Anchor| market.active(from.ts, to.ts) as f64 / 1e9;
    let weight = |(from, to): (Anchor, Anchor)| match (market.series, to.volume_usd) {
        (Series::Index, _) => seconds(from, to),
        (Series::Trades, Some(volume)) => libm::pow(volume, VOLUME_EXPONENT),
        (Series::Trades, None) => {
            let (low, high) = (from.price.min(to.price), from.price.max(to.price));
            let relative = libm::log(high as f64 / low as f64).max(1e-6);
            libm::pow(seconds(from, to).max(1e-3), TIME_EXPONENT) * libm::pow(relative, MOVE_EXPONENT)
        }
    };
    // Where every volume is known, a market never gets more ticks than it can have had trades.
    let natural = match market.series {
        Series::Index => segments().map(|(from, to)| seconds(from, to)).sum::<f64>(),
        Series::Trades => segments()
            .map(|(_, to)| to.volume_usd)
            .sum::<Option<f64>>()
            .map_or(f64::INFINITY, |volume| volume / market.typical_trade_usd),
    };
    let total: f64 = segments().map(weight).sum();
    let per_weight = if total > 0.0 {
        natural.min(target as f64) / total
    } else {
        0.0
    };
    let wanted = |pair: (Anchor, Anchor)| (weight(pair) * per_weight).round() as usize;
    segments()
        .map(|(from, to)| wanted((from, to)).clamp(1, market.most_ticks(from, to)))
        .collect()
}
