//! The token backstop: new tokens are sold for what is missing.

use serde::Deserialize;

use super::parse::{optional_usd, positive_ratio, ratio};
use crate::units::{Amount, Ratio};

/// How sales move the token's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleImpactKind {
    /// In proportion to what is sold.
    Linear,
    /// With its square root.
    SquareRoot,
}

/// What a sale does to the price of the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleImpactConfig {
    /// In which form.
    pub kind: SaleImpactKind,
    /// Dollars of tokens, at the price before, whose sale takes all of the price.
    #[serde(deserialize_with = "positive_ratio")]
    pub depth: Ratio,
    /// Nanoseconds in which half of it is forgotten; None: nothing is.
    #[serde(default)]
    pub half_life: Option<i64>,
}

/// Tokens are put up later, not sold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuctionConfig {
    /// Nanoseconds from a loss until tokens are put up for it.
    pub delay: i64,
    /// Dollars that are asked for at most at a time; None: all that is due.
    #[serde(default, deserialize_with = "optional_usd")]
    pub lot: Option<Amount>,
    /// Nanoseconds from one time to the next; None: there is one for each loss.
    #[serde(default)]
    pub interval: Option<i64>,
}

/// The token backstop.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Tokens at the open.
    #[serde(deserialize_with = "positive_ratio")]
    pub supply: Ratio,
    /// Dollars of a token.
    #[serde(default, deserialize_with = "optional_usd")]
    pub price: Option<Amount>,
    /// Market whose reference price is the token's.
    #[serde(default)]
    pub market: Option<String>,
    /// What sales do to it; None: nothing.
    #[serde(default)]
    pub impact: Option<SaleImpactConfig>,
    /// How far below the price buyers get the tokens.
    #[serde(default = "zero", deserialize_with = "ratio")]
    pub discount: Ratio,
    /// Tokens are put up later; None: they are sold at once.
    #[serde(default)]
    pub auction: Option<AuctionConfig>,
}

fn zero() -> Ratio {
    Ratio::ZERO
}

impl TokenConfig {
    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.price.is_some() == self.market.is_some() {
            return Some(("price", "expected either a price or a market"));
        }
        if self.price.is_some_and(|p| p.0 <= 0) {
            return Some(("price", "expected a positive price"));
        }
        if self.discount.num < 0 || self.discount.num >= self.discount.den {
            return Some(("discount", "expected a share of at least 0, below 1"));
        }
        if self.impact.as_ref().is_some_and(|i| i.half_life.is_some_and(|h| h < 0)) {
            return Some(("impact.half_life", "expected a half-life that is not negative"));
        }
        let auction = self.auction?;
        if auction.delay <= 0 || auction.interval.is_some_and(|i| i <= 0) {
            return Some(("auction", "expected a delay and an interval above 0"));
        }
        if auction.lot.is_some_and(|lot| lot.0 <= 0 || auction.interval.is_none()) {
            return Some(("auction.lot", "expected a lot above 0, and an interval beside it"));
        }
        None
    }
}
