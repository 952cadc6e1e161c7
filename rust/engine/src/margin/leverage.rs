//! Fees that a position owes when it is closed, and a limit of its leverage: `max(fee + fee_rate * entry, entry / max_leverage)`, where
//! `entry` is the notional at the entry. The price plays no part (but settles the amount of an inverse market).
//!
//! Source: GMX v1, `validateLiquidation`: losses beyond collateral less fees, or collateral less losses below size over leverage.

use super::rule::{Quote, Rate, entry_notional};
use crate::book::Leg;
use crate::contract::Market;
use crate::error::Result;
use crate::units::{Price, Ratio, product};

/// The rule of one market.
#[derive(Debug, Clone)]
pub(super) struct Leverage {
    /// Scaled to settlement units.
    fee: Rate,
    fee_rate: Rate,
    least: Rate,
}

impl Leverage {
    /// Binds the rule to a market.
    pub fn bind(
        fee: Ratio,
        fee_rate: Ratio,
        max_leverage: Ratio,
        market: &Market,
    ) -> std::result::Result<Self, &'static str> {
        if fee.num < 0 || fee_rate.num < 0 || max_leverage.num <= 0 {
            return Err("expected fees that are not negative and a positive max_leverage");
        }
        let bound = || {
            Some(Self {
                fee: Rate::of(fee.times(Ratio::new(market.quote_scale(), 1)?)?),
                fee_rate: Rate::of(fee_rate),
                least: Rate::of(Ratio::new(max_leverage.den, max_leverage.num)?),
            })
        };
        bound().ok_or("figures out of range")
    }

    /// The two requirements, of which the greater counts.
    pub fn quotes(&self, market: &Market, leg: &Leg, price: Price) -> Result<[Quote; 2]> {
        let entry = entry_notional(market, leg, price)?;
        let charged = entry.times(self.fee_rate)?;
        let fixed = product(self.fee.num, charged.den, "fees")?;
        let num = product(charged.num, self.fee.den, "fees")?.checked_add(fixed);
        Ok([
            Quote {
                num: num.ok_or_else(|| crate::error::Error::overflow("fees"))?,
                den: product(charged.den, self.fee.den, "fees")?,
            },
            entry.times(self.least)?,
        ])
    }
}
