//! Rate that rises with the open interest of the market, between two notionals: for the initial requirement only, since nobody knows
//! the open interest in advance.
//!
//! Source: dYdX v4, protocol/x/perpetuals/types/liquidity_tier.go: `IMF = base + (1 - base) * (OI - lower) / (upper - lower)`, where the
//! second term is rounded down to millionths.

use super::rule::{Rate, common};
use crate::contract::Market;
use crate::error::Result;
use crate::units::{Price, Ratio, Size, mul_div_floor, product};

const MILLION: i128 = 1_000_000;

/// The rule of one market.
#[derive(Debug, Clone)]
pub(super) struct Ramp {
    base: i128,
    cap: i128,
    den: i128,
    /// Scaled to settlement units, over a common denominator.
    lower: i128,
    upper: i128,
    bound_den: i128,
}

impl Ramp {
    /// Binds the rule to a market.
    pub fn bind([base, lower, upper, cap]: [Ratio; 4], market: &Market) -> std::result::Result<Self, &'static str> {
        let rises = |a: Ratio, b: Ratio| b.minus(a).is_some_and(|step| step.num > 0);
        if base.num < 0 || lower.num < 0 || !rises(lower, upper) || rises(cap, base) {
            return Err("expected figures that are not negative, lower below upper, and a cap of at least base");
        }
        let bound = || {
            let scale = Ratio::new(market.quote_scale(), 1)?;
            let ([base, cap], den) = common([base, cap])?;
            let ([lower, upper], bound_den) = common([lower.times(scale)?, upper.times(scale)?])?;
            Some(Self {
                base,
                cap,
                den,
                lower,
                upper,
                bound_den,
            })
        };
        bound().ok_or("figures out of range")
    }

    /// The rate while so many units are open on the larger side.
    pub fn rate(&self, market: &Market, open_interest: Size, price: Price) -> Result<Rate> {
        let what = "margin by open interest";
        let den = market.bracket_den();
        let open = product(market.bracket_notional(open_interest, price)?, self.bound_den, what)?;
        let (lower, upper) = (product(self.lower, den, what)?, product(self.upper, den, what)?);
        let (above, width) = ((open - lower).clamp(0, upper - lower), upper - lower);
        let whole = product(self.cap - self.base, MILLION, what)?;
        let risen = mul_div_floor(whole, above, product(width, self.den, what)?, what)?;
        Ok(Rate {
            num: product(self.base, MILLION, what)? + product(risen, self.den, what)?,
            den: product(self.den, MILLION, what)?,
        })
    }
}
