//! The most leveraged first: notional over equity.

use super::UNIT;
use crate::error::Result;
use crate::units::{floor_div, product};
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// Notional over equity, in billionths.
pub fn ratio(standing: &Standing) -> Result<i128> {
    Ok(floor_div(
        product(standing.notional, UNIT, "leverage")?,
        standing.equity,
    ))
}

/// The leverage.
pub fn of(standing: &Standing) -> Result<i128> {
    product(ratio(standing)?, UNIT, "ADL score")
}

/// Not less than the leverage anywhere, as a plain number.
///
/// It is at most `(abs(v) + 1) / (v + c)`, c the rest: monotone in v where v keeps its sign, so the ends bound it. A leg keeps the sign of
/// its value; where rounding blurs it the greater of both ends is still above, for `abs(v) <= 1` there.
pub fn most(o: &Outlook) -> f64 {
    if o.low + o.rest <= 0.0 {
        return f64::INFINITY;
    }
    let at = |v: f64| (v.abs() + 1.0) / (v + o.rest);
    at(o.low).max(at(o.high)) * (1.0 + 1e-9)
}

/// See [`most`].
pub fn bound(o: &Outlook) -> f64 {
    most(o) * (UNIT as f64) * (UNIT as f64)
}

/// The bound of a score that is nowhere above zero but where the other bounds it.
pub fn or_zero(bound: f64) -> f64 {
    if bound.is_nan() { bound } else { bound.max(0.0) }
}
