//! Lower bounds of `equity - requirement` over intervals of prices, for pruning only.
//!
//! The worst price of a leg in an interval is its low end for a long and its high end for a short, because `value - requirement` rises
//! with the price for a long and falls for a short as long as every marginal rate is at most one: linear long `s p (1 - r)`, short
//! `-|s| p (1 + r)`; inverse long `-(1 + r) |s| c / p`, short `(1 - r) |s| c / p`. An account with several assets is bounded by
//! interval arithmetic. What floating point and integer rounding can move is subtracted: a relative 1e-12 of all terms (each is
//! within a few 2^-53 of its true value), two units a leg, and the height of upward jumps between brackets whose deductions are not
//! continuous.

use super::{Margin, Schedule};
use crate::book::Book;
use crate::contract::{AssetId, Market, MarketId, Venue};
use crate::units::Size;

struct LegBound<'a> {
    market: MarketId,
    bound: &'a Market,
    schedule: &'a Schedule,
    size: Size,
    /// Position of its settlement asset in `assets`.
    settled: usize,
}

struct AssetBound {
    id: AssetId,
    cash: f64,
    scale: f64,
    weight: f64,
    priced: bool,
}

/// An account as it stands, in floating point; made once for a query.
pub struct Bound<'a> {
    legs: Vec<LegBound<'a>>,
    assets: Vec<AssetBound>,
}

impl<'a> Bound<'a> {
    /// The account as it now stands.
    pub fn new(margin: &'a Margin, venue: &'a Venue, book: &Book, account: usize) -> Self {
        let assets: Vec<AssetBound> = book
            .cash(account)
            .iter()
            .map(|&(id, amount)| AssetBound {
                id,
                cash: amount.0 as f64,
                scale: venue.assets[id].scale_f64(),
                weight: margin.weights[id].as_f64(),
                priced: venue.assets[id].price_market.is_some(),
            })
            .collect();
        let legs = book
            .legs(account)
            .iter()
            .filter(|l| !l.size.is_zero())
            .map(|l| {
                let bound = &venue.markets[l.market];
                let settled = assets.iter().position(|a| a.id == bound.settlement).unwrap_or(0);
                LegBound {
                    market: l.market,
                    bound,
                    schedule: &margin.schedules[l.market],
                    size: l.size,
                    settled,
                }
            })
            .collect();
        Self { legs, assets }
    }

    /// A number that `equity - requirement` does not fall below at any prices within the intervals (low, high) that `market` and
    /// `asset` give: if it is positive, the account cannot fail there.
    pub fn lower(&self, market: impl Fn(MarketId) -> (f64, f64), asset: impl Fn(AssetId) -> (f64, f64)) -> f64 {
        if let [only] = self.assets.as_slice() {
            let mut bound = only.cash;
            let mut magnitude = bound.abs();
            let mut units = 2.0;
            for leg in &self.legs {
                let (lo, hi) = market(leg.market);
                let price = if leg.size.0 > 0 { lo } else { hi };
                let (value, required) = leg.schedule.health_f64(leg.bound, leg.size, price);
                bound += value - required;
                magnitude += value.abs() + required.abs() + leg.schedule.magnitude();
                units += 2.0 + leg.schedule.jump();
            }
            return bound - magnitude * 1e-12 - units;
        }
        let mut bound = 0.0;
        let mut magnitude = 0.0;
        let mut units = 4.0;
        for (k, held) in self.assets.iter().enumerate() {
            let mut balance = (held.cash, held.cash);
            let mut required = 0.0f64;
            let mut size = held.cash.abs();
            let mut slack = 0.0;
            for leg in self.legs.iter().filter(|l| l.settled == k) {
                let (lo, hi) = market(leg.market);
                let (v_lo, r_lo) = leg.schedule.health_f64(leg.bound, leg.size, lo);
                let (v_hi, r_hi) = leg.schedule.health_f64(leg.bound, leg.size, hi);
                balance.0 += v_lo.min(v_hi);
                balance.1 += v_lo.max(v_hi);
                required += r_lo.max(r_hi);
                size += v_lo.abs() + v_hi.abs() + r_lo.abs() + r_hi.abs() + leg.schedule.magnitude();
                slack += 2.0 + leg.schedule.jump();
            }
            let (lo, hi) = if held.priced { asset(held.id) } else { (1.0, 1.0) };
            // The worst product of the two intervals; a positive balance counts at its weight.
            let worst = if balance.0 >= 0.0 {
                balance.0 * lo * held.weight
            } else {
                balance.0 * hi
            };
            bound += (worst - required * hi) * held.scale;
            magnitude += size * hi * held.scale;
            units += 2.0 + slack * hi * held.scale;
        }
        bound - magnitude * 1e-12 - units
    }
}
