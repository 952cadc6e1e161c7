//! The layers of the waterfall.

use serde::Deserialize;

use super::parse::usd;
use crate::units::Amount;

/// How the insurance fund covers a loss that exceeds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// As much of the position is sold as the fund can cover; ADL takes the rest.
    #[default]
    Slices,
    /// All is sold; the fund pays until it is empty.
    Exhaust,
    /// All or nothing.
    AllOrNone,
}

/// The insurance fund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsuranceFundConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
    /// Partial cover or none.
    #[serde(default)]
    pub coverage: Coverage,
}

/// A layer that is just capital.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapitalConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
}

/// Price of an ADL match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlPrice {
    /// Where the loser's equity is zero.
    #[default]
    Bankruptcy,
    /// The trigger feed.
    Mark,
}

/// How much a counterparty can be made to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlCapacity {
    /// Up to its own bankruptcy.
    #[default]
    Equity,
    /// Up to its position, whatever it costs it.
    Position,
    /// Up to its profit.
    Profit,
}

/// Auto-deleveraging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdlConfig {
    /// Price of a match.
    pub price: AdlPrice,
    /// Limit of a counterparty.
    pub capacity: AdlCapacity,
}

/// Whom a socialised loss is charged to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocialisedBy {
    /// The session's winners, pro rata to profit, at the end of the tape.
    #[default]
    Profit,
    /// Everyone with a position in the market, pro rata to size, at once.
    OpenInterest,
}

/// Socialised loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocialisedConfig {
    /// Whom it is charged to.
    pub by: SocialisedBy,
}

/// A payer of the waterfall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The insurance fund.
    InsuranceFund,
    /// The liquidity pool.
    Pool,
    /// Auto-deleveraging: a route that stands in the order of payers.
    Adl,
    /// Socialised loss.
    Socialised,
    /// The treasury.
    Treasury,
}

impl Layer {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::InsuranceFund,
        Self::Pool,
        Self::Adl,
        Self::Socialised,
        Self::Treasury,
    ];
}
