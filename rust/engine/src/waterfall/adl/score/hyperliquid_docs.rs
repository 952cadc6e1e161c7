//! (mark / entry) * (notional / account value), as Hyperliquid documents it; the ratio of prices of a short is entry / mark, or mark /
//! entry too if the formula is taken by the letter, by which a short goes later the more it gains.
//!
//! Source: Hyperliquid docs, trading/auto-deleveraging. Prices stand in the ratio of values: that of a leg whose value is positive (a
//! linear long, an inverse short) rises with its gain, that of the others falls.

use super::{UNIT, leverage};
use crate::error::Result;
use crate::market::Payoff;
use crate::units::{floor_div, product};
use crate::waterfall::adl::outlook::Outlook;
use crate::waterfall::adl::standing::Standing;

/// Which ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Over one for whoever gains.
    BySide,
    /// Mark over entry.
    Literal(Payoff),
}

impl Form {
    /// The ratio is value over entry value, not the other way round.
    fn rises(self, positive: bool) -> bool {
        match self {
            Self::BySide => positive,
            Self::Literal(payoff) => payoff == Payoff::Linear,
        }
    }
}

/// The two factors, each in billionths.
pub fn of(standing: &Standing, form: Form) -> Result<i128> {
    let (value, cost) = (standing.value.0.abs(), standing.entry_value.0.abs());
    let (a, b) = if form.rises(standing.value.0 >= 0) {
        (value, cost)
    } else {
        (cost, value)
    };
    let ratio = floor_div(product(a, UNIT, "ADL score")?, b.max(1));
    product(ratio, leverage::ratio(standing)?, "ADL score")
}

/// The product of the bounds of both factors. Rounding moves a value by less than a unit.
pub fn bound(o: &Outlook, form: Form) -> f64 {
    let (low, high) = (o.low.abs().min(o.high.abs()), o.low.abs().max(o.high.abs()));
    let ratio = if form.rises(o.high > 0.0) {
        (high + 1.0) / o.cost
    } else {
        o.cost / (low * (1.0 - 1e-9) - 2.0).max(1.0)
    };
    ratio * (1.0 + 1e-9) * leverage::bound(o)
}
