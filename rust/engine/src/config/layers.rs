//! The layers of the waterfall.

use serde::Deserialize;

use super::funds::{OwnFundConfig, OwnFunds};
use super::parse::{optional_usd, usd};
use super::sources::{FeeShareConfig, InjectionConfig, SourcesConfig};
use crate::listed::listed;
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
    /// Funds of their own for some markets; this one is that of all others.
    #[serde(default)]
    pub funds: OwnFunds,
    /// What it gets of the fees on all that trades; None: nothing.
    #[serde(default)]
    pub fees: Option<FeeShareConfig>,
    /// Other money that it gets.
    #[serde(default)]
    pub injections: Vec<InjectionConfig>,
}

impl InsuranceFundConfig {
    /// Where each fund gets money from, this one first.
    pub fn sources(&self) -> impl Iterator<Item = SourcesConfig<'_>> {
        let own = SourcesConfig {
            fees: self.fees.as_ref(),
            injections: &self.injections,
        };
        std::iter::once(own).chain(self.funds.values().map(OwnFundConfig::sources))
    }
}

/// A layer that is just capital.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapitalConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
}

/// The treasury.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreasuryConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
    /// Dollars that it pays at once, all in all; None: what it has.
    #[serde(default, deserialize_with = "optional_usd")]
    pub real_time: Option<Amount>,
    /// Nanoseconds after which it pays what nobody has covered; None: never.
    #[serde(default)]
    pub delay: Option<i64>,
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
    /// Everyone with collateral in the asset, pro rata, at once.
    Deposits,
}

/// Socialised loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocialisedConfig {
    /// Whom it is charged to.
    pub by: SocialisedBy,
}

listed! {
    /// A payer of the waterfall.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Layer {
        /// The insurance fund.
        InsuranceFund = "insurance_fund",
        /// The liquidity pool.
        Pool = "pool",
        /// Auto-deleveraging: a route that stands in the order of payers.
        Adl = "adl",
        /// Socialised loss.
        Socialised = "socialised",
        /// The treasury.
        Treasury = "treasury",
        /// New tokens, sold for what is missing.
        Token = "token",
    }
    /// Name in frames.
    pub fn name;
}
