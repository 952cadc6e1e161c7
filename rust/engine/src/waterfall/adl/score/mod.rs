//! What orders the candidates. Each score has its exact value and the value's upper bound side by side in a file of its own.
//!
//! Scores are in units of 10^-18.

mod binance;
mod bitmex;
mod hyperliquid_docs;
mod leverage;
mod position;
mod profit;
mod profit_leverage;
pub(super) mod random_start;

pub use crate::config::AdlScore as Score;

use super::outlook::Outlook;
use super::standing::Standing;
use crate::contract::{MarketId, Venue};
use crate::error::Result;

/// Fixed point of each factor of a score.
pub(super) const UNIT: i128 = 1_000_000_000;

impl Score {
    /// The exact score of a candidate of a market.
    pub(super) fn of(self, venue: &Venue, market: MarketId, standing: &Standing) -> Result<i128> {
        match self {
            Self::ProfitLeverage => profit_leverage::of(standing),
            Self::Bitmex => bitmex::of(standing),
            Self::HyperliquidDocs => hyperliquid_docs::of(standing, hyperliquid_docs::Form::BySide),
            Self::HyperliquidDocsLiteral => {
                let payoff = venue.markets[market].payoff;
                hyperliquid_docs::of(standing, hyperliquid_docs::Form::Literal(payoff))
            }
            Self::Binance => binance::of(standing),
            Self::Leverage => leverage::of(standing),
            Self::Profit => profit::of(standing, decimals(venue, market)),
            Self::Position => position::of(standing, decimals(venue, market)),
            Self::RandomStart => Ok(0),
        }
    }

    /// A number that the exact score exceeds nowhere in the stretch of the outlook.
    pub(super) fn bound(self, venue: &Venue, market: MarketId, outlook: &Outlook) -> f64 {
        let bound = match self {
            Self::ProfitLeverage => profit_leverage::bound(outlook),
            Self::Bitmex => bitmex::bound(outlook),
            Self::HyperliquidDocs => hyperliquid_docs::bound(outlook, hyperliquid_docs::Form::BySide),
            Self::HyperliquidDocsLiteral => {
                let payoff = venue.markets[market].payoff;
                hyperliquid_docs::bound(outlook, hyperliquid_docs::Form::Literal(payoff))
            }
            Self::Binance => binance::bound(outlook),
            Self::Leverage => leverage::bound(outlook),
            Self::Profit => profit::bound(outlook, decimals(venue, market)),
            Self::Position => position::bound(outlook, decimals(venue, market)),
            Self::RandomStart => 0.0,
        };
        // Figures beyond the range of floating point bound nothing.
        if bound.is_nan() { f64::INFINITY } else { bound }
    }
}

/// Decimals of the settlement asset.
fn decimals(venue: &Venue, market: MarketId) -> u32 {
    venue.assets[venue.markets[market].settlement].decimals
}
