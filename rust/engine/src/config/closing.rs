//! Keeper, execution, and how a loss is counted.

use serde::Deserialize;

use super::parse::ratio;
use crate::units::Ratio;

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
}

impl Counterparty {
    /// The field of a protocol that must be there.
    pub(super) fn capital(self) -> Option<&'static str> {
        match self {
            Self::Outside => None,
            Self::Pool => Some("pool"),
            Self::Vault => Some("vault"),
        }
    }
}

/// When a closing order fills.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionKind {
    /// At the execution feed, at once.
    #[default]
    Feed,
    /// At the market's next print.
    NextTick,
}

/// One rung of a ladder of depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungConfig {
    /// Share of the whole position that fills here.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Relative price against the account; negative is worse for it.
    #[serde(deserialize_with = "ratio")]
    pub offset: Ratio,
}

/// How a close is executed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionConfig {
    /// When.
    #[serde(default)]
    pub kind: ExecutionKind,
    /// Against whom.
    #[serde(default)]
    pub counterparty: Counterparty,
    /// Depth; None: all at one price.
    #[serde(default)]
    pub ladder: Option<Vec<RungConfig>>,
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
