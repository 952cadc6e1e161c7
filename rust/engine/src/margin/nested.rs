//! A share of an initial requirement that is rounded up to whole units before the share is taken: `share * ceil(rate * notional)`.
//!
//! Source: dYdX v4, protocol/x/perpetuals/lib/lib.go: `MMR = ceil(ceil(N * IMF) * maintenance fraction)`.

use super::bound::Line;
use super::rule::{Quote, Rate};
use crate::contract::Market;
use crate::error::Result;
use crate::market::Payoff;
use crate::units::{Price, Ratio, Size, ceil_div, product};

/// The rule of one market.
#[derive(Debug, Clone)]
pub(super) struct Nested {
    rate: Rate,
    share: Rate,
}

impl Nested {
    /// Binds the rule.
    pub fn bind(rate: Ratio, share: Ratio) -> std::result::Result<Self, &'static str> {
        if rate.num < 0 || share.num < 0 || share.num > share.den {
            return Err("expected a rate that is not negative and a share from 0 to 1");
        }
        Ok(Self {
            rate: Rate::of(rate),
            share: Rate::of(share),
        })
    }

    /// The requirement at a price. An inverse market's is settled before it is rounded.
    pub fn quote(&self, market: &Market, size: Size, price: Price) -> Result<Quote> {
        let what = "requirement";
        let settles = match market.payoff {
            Payoff::Linear => 1,
            Payoff::Inverse => i128::from(price.0),
        };
        let num = product(market.bracket_notional(size, price)?, self.rate.num, what)?;
        let den = product(product(market.bracket_den(), self.rate.den, what)?, settles, what)?;
        let whole = product(ceil_div(num, den), settles, what)?;
        Ok(Quote {
            num: product(whole, self.share.num, what)?,
            den: self.share.den,
        })
    }

    /// A line in the price, or its reciprocal, that is not below the requirement, and less than a unit above it.
    pub fn line(&self, market: &Market, size: Size) -> Line {
        let share = self.share.as_f64();
        Line {
            slope: (size.0 as f64 * market.slope()).abs() * self.rate.as_f64() * share,
            offset: share,
        }
    }
}
