//! Rate that rises linearly with the size: `min(cap, base + slope * max(0, size - above))`.
//!
//! Source of the form: Deribit, BTC maintenance 1 % + size * 0.005 %.

use super::rule::{Rate, common, size_units};
use crate::contract::Market;
use crate::error::Result;
use crate::units::{Ratio, Size, product};

/// The rule of one market, over a common denominator.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    base: i128,
    /// A unit of size.
    slope: i128,
    /// What `above` takes off.
    before: i128,
    cap: i128,
    den: i128,
}

impl Linear {
    /// Binds the rule to a market.
    pub fn bind([base, slope, above, cap]: [Ratio; 4], market: &Market) -> std::result::Result<Self, &'static str> {
        if [base, slope, above].iter().any(|r| r.num < 0) || cap.minus(base).is_none_or(|room| room.num < 0) {
            return Err("expected base, slope and above that are not negative, and a cap of at least base");
        }
        let bound = || {
            let one = size_units(Ratio::ONE, market)?;
            let per_unit = slope.times(Ratio::new(one.den, one.num)?)?;
            let before = slope.times(above)?;
            let ([base, slope, before, cap], den) = common([base, per_unit, before, cap])?;
            Some(Self {
                base,
                slope,
                before,
                cap,
                den,
            })
        };
        bound().ok_or("figures out of range")
    }

    /// The rate of a size.
    pub fn rate(&self, size: Size) -> Result<Rate> {
        let risen = product(self.slope, i128::from(size.units()), "margin by size")? - self.before;
        Ok(Rate {
            num: self.base.saturating_add(risen.max(0)).min(self.cap),
            den: self.den,
        })
    }
}
