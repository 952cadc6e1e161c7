//! Rate that rises with the square root of the size: `min(cap, max(base, share * base + factor * root))`, where the root of the size
//! is rounded down to millionths.
//!
//! Source of the form: Drift v2, `max(ratio, 0.8 ratio + imf_factor sqrt(size))`.

use super::rule::{Rate, common, size_units};
use crate::contract::Market;
use crate::error::Result;
use crate::units::{Ratio, Size, floor_div, product};

/// Parts of a root.
const MILLION: i128 = 1_000_000;

/// The rule of one market, over a common denominator.
#[derive(Debug, Clone)]
pub(super) struct Root {
    base: i128,
    share: i128,
    /// A millionth of a root.
    factor: i128,
    cap: i128,
    den: i128,
    /// Units of a size of one.
    one: i128,
}

impl Root {
    /// Binds the rule to a market.
    pub fn bind([base, share, factor, cap]: [Ratio; 4], market: &Market) -> std::result::Result<Self, &'static str> {
        if [base, share, factor].iter().any(|r| r.num < 0) || cap.minus(base).is_none_or(|room| room.num < 0) {
            return Err("expected base, share and factor that are not negative, and a cap of at least base");
        }
        let bound = || {
            let per_millionth = factor.times(Ratio::new(1, MILLION)?)?;
            let ([base, share, factor, cap], den) = common([base, base.times(share)?, per_millionth, cap])?;
            Some(Self {
                base,
                share,
                factor,
                cap,
                den,
                one: size_units(Ratio::ONE, market)?.num,
            })
        };
        bound().ok_or("figures out of range")
    }

    /// The rate of a size.
    pub fn rate(&self, size: Size) -> Result<Rate> {
        let square = product(i128::from(size.units()), MILLION * MILLION, "root of a size")?;
        let root = floor_div(square, self.one).unsigned_abs().isqrt() as i128;
        let risen = product(self.factor, root, "margin by size")?.saturating_add(self.share);
        Ok(Rate {
            num: risen.max(self.base).min(self.cap),
            den: self.den,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::tape;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_root_is_the_greatest_whose_square_fits(units in 0i64..i64::MAX) {
            let venue = crate::contract::Venue::bind(&tape([vec![(0, 1)], vec![(0, 1)], vec![(0, 1)]])).unwrap();
            let ratio = |t: &str| Ratio::parse(t).unwrap();
            let rule = Root::bind([ratio("0"), ratio("1"), ratio("1"), ratio("1e12")], &venue.markets[0]).unwrap();
            let rate = rule.rate(Size(units)).unwrap();
            // Sizes have two decimals.
            let square = i128::from(units) * MILLION * MILLION / 100;
            let root = rate.num * MILLION / rate.den;
            prop_assert!(root * root <= square && square < (root + 1) * (root + 1));
        }
    }
}
