//! Penalty, and how a loss is counted.

use serde::Deserialize;

/// Entities that a protocol can name as the other side of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counterparty {
    /// The rest of the market.
    #[default]
    Outside,
    /// The liquidity pool.
    Pool,
    /// The liquidator vault.
    Vault,
    /// The keepers.
    Keepers,
}

impl Counterparty {
    /// The field of a protocol that must be there.
    pub(super) fn capital(self) -> Option<&'static str> {
        match self {
            Self::Outside | Self::Keepers => None,
            Self::Pool => Some("pool"),
            Self::Vault => Some("vault"),
        }
    }
}

/// Who receives a share of a penalty, or what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// The account itself.
    #[default]
    Account,
    /// The insurance fund.
    InsuranceFund,
    /// The liquidity pool.
    Pool,
    /// The treasury.
    Treasury,
    /// The keepers.
    Keepers,
    /// The protocol's fee account.
    Fees,
    /// The liquidator vault.
    Vault,
}

impl Sink {
    /// The field of a protocol that must be there.
    pub(super) fn capital(self) -> Option<&'static str> {
        match self {
            Self::Account | Self::Keepers | Self::Fees => None,
            Self::InsuranceFund => Some("insurance_fund"),
            Self::Pool => Some("pool"),
            Self::Treasury => Some("treasury"),
            Self::Vault => Some("vault"),
        }
    }
}

/// Order of routes and payers within an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// Each liquidation runs to its end before the next.
    #[default]
    PerFill,
    /// All that need no payer first.
    PerInstant,
}

/// What a loss is counted per.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossUnit {
    /// The whole account.
    #[default]
    Account,
    /// Each position.
    Position,
    /// Each fill.
    Fill,
}

/// How the equity of a cross account is attributed to its positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// By notional.
    #[default]
    Notional,
    /// By maintenance requirement.
    Maintenance,
    /// All on the first.
    Account,
}

/// What the outside market does with inventory that it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideInventory {
    /// Keeps it, and can be deleveraged, last of all.
    #[default]
    Keeps,
    /// Hedges it elsewhere: no counterparty for ADL.
    Hedges,
}

/// What happens to a deposit that comes after the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateDeposits {
    /// Not received.
    #[default]
    Ignore,
    /// Received, and paid on to whoever covered the loss.
    Recover,
}
