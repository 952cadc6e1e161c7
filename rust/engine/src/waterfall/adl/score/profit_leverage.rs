//! Profit times effective leverage: (profit / entry notional) * (notional / equity).
//!
//! Source: the form that was found from what Hyperliquid did on 2025-10-10; [`super::hyperliquid_docs`] is what it documents. For who is in
//! profit it is [`super::bitmex`] too.

use super::{UNIT, leverage};
use crate::error::Result;
use crate::units::{floor_div, product};
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// `floor(pnl / abs(entry value)) * floor(notional / equity)`, each in billionths; nothing without profit.
pub fn of(standing: &Standing) -> Result<i128> {
    if standing.pnl.0 <= 0 {
        return Ok(0);
    }
    let cost = standing.entry_value.0.abs().max(1);
    let profit = floor_div(product(standing.pnl.0, UNIT, "ADL score")?, cost);
    product(profit, leverage::ratio(standing)?, "ADL score")
}

/// Within an outlook the score is at most `f(v) + g(v)` over the cost, with `f = (v - e) abs(v) / (v + c)`, `g = (v - e) / (v + c)`,
/// e the entry and c the rest, where `v > e` (there is no score elsewhere).
///
/// With the equity `w = v + c` and `a = c (c + e)`, `f = w + a / w - (2 c + e)` where v is positive, and minus that where it is
/// negative. The first has no maximum but at the ends of the interval: convex if `a > 0`, rising otherwise. The second has one where
/// `w^2 = a > 0`, of the value `2 c + e - 2 sqrt(a) = e^2 / (sqrt(c) + sqrt(c + e))^2`; there c is positive, for `v = w - c` is
/// negative. g is monotone. Where the equity may be as low as zero there is no bound.
pub fn bound(o: &Outlook) -> f64 {
    let (e, c) = (o.entry, o.rest);
    let (low, high) = (o.low.max(e), o.high);
    if high <= e {
        return 0.0;
    }
    if low + c <= 0.0 {
        return f64::INFINITY;
    }
    let g = |v: f64| (v - e) / (v + c);
    let f = |v: f64| g(v) * v.abs();
    let mut most = f(low).max(f(high));
    if high < 0.0 && c > 0.0 && c + e > 0.0 {
        let peak = (c * (c + e)).sqrt();
        // A little too wide rather than too narrow: the peak bounds f everywhere.
        if peak >= (low + c) * (1.0 - 1e-9) && peak <= (high + c) * (1.0 + 1e-9) {
            let root = c.sqrt() + (c + e).sqrt();
            most = most.max(e * e / (root * root));
        }
    }
    let unit = UNIT as f64;
    (most + g(low).max(g(high))) / o.cost * (unit * unit) * (1.0 + 1e-9)
}
