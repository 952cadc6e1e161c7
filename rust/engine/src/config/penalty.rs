//! What a liquidation costs the account, and who receives it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Sink;
use super::parse::{optional_ratio, optional_usd, ratio, ratios, usd};
use crate::units::{Amount, Ratio};

/// What the keeper's fixed fee is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeePer {
    /// An action on an account.
    #[default]
    Account,
    /// A fill in the market.
    Fill,
}

/// When the keeper is paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeIf {
    /// Always.
    #[default]
    Always,
    /// If the account cannot pay it: who can is closed as if by its owner.
    Short,
}

/// A rate that rises with time or with the shortfall.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EscalationConfig {
    /// Nanoseconds from the detection in which it does not rise.
    pub after: i64,
    /// Nanoseconds of one step.
    pub every: i64,
    /// Rise with each step.
    #[serde(deserialize_with = "ratio")]
    pub step: Ratio,
    /// Rise where equity is zero; in proportion to what is missing of the requirement.
    #[serde(deserialize_with = "ratio")]
    pub shortfall: Ratio,
    /// Highest rate; None: no limit.
    #[serde(deserialize_with = "optional_ratio")]
    pub maximum: Option<Ratio>,
}

impl Default for EscalationConfig {
    fn default() -> Self {
        Self {
            after: 0,
            every: 1_000_000_000,
            step: Ratio::ZERO,
            shortfall: Ratio::ZERO,
            maximum: None,
        }
    }
}

/// What a liquidation costs the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PenaltyConfig {
    /// Share of the closed notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// How the rate rises; None: it does not.
    pub escalation: Option<EscalationConfig>,
    /// Dollars that one charge comes to at most.
    #[serde(deserialize_with = "optional_usd")]
    pub cap: Option<Amount>,
    /// Share of what the account has left that one charge comes to at most.
    #[serde(deserialize_with = "ratio")]
    pub equity_share: Ratio,
    /// Shares by receiver; they sum to one.
    #[serde(deserialize_with = "ratios")]
    pub split: BTreeMap<Sink, Ratio>,
    /// Fixed fee of the keeper, in dollars.
    #[serde(deserialize_with = "usd")]
    pub keeper_fee: Amount,
    /// What the fixed fee is paid for.
    pub fee_per: FeePer,
    /// When the keeper is paid.
    pub fee_if: FeeIf,
    /// Fee of the keeper as a share of the closed notional, besides the fixed one.
    #[serde(deserialize_with = "ratio")]
    pub keeper_rate: Ratio,
    /// Whether the keeper is paid even by an account that has nothing.
    pub paid_if_insolvent: bool,
    /// Whether the insurance fund pays the keeper where the account does not.
    pub fund_pays_keeper: bool,
}

impl Default for PenaltyConfig {
    fn default() -> Self {
        Self {
            rate: Ratio::ZERO,
            escalation: None,
            cap: None,
            equity_share: Ratio::ONE,
            split: BTreeMap::from([(Sink::InsuranceFund, Ratio::ONE)]),
            keeper_fee: Amount::ZERO,
            fee_per: FeePer::default(),
            fee_if: FeeIf::default(),
            keeper_rate: Ratio::ZERO,
            paid_if_insolvent: false,
            fund_pays_keeper: false,
        }
    }
}

impl PenaltyConfig {
    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let shares = self.split.values().try_fold(Ratio::ZERO, |sum, r| sum.plus(*r));
        if shares != Some(Ratio::ONE) || self.split.values().any(|r| r.num < 0) {
            return Some(("penalty.split", "expected shares that are not negative and sum to 1"));
        }
        if self.split.contains_key(&Sink::Account) {
            return Some(("penalty.split", "the account cannot receive its own penalty"));
        }
        if self.rate.num < 0 || self.keeper_fee.0 < 0 || self.keeper_rate.num < 0 {
            return Some(("penalty", "expected rates and a fee that are not negative"));
        }
        if self.cap.is_some_and(|cap| cap.0 < 0) {
            return Some(("penalty.cap", "expected an amount that is not negative"));
        }
        if self.equity_share.num < 0 || self.equity_share.num > self.equity_share.den {
            return Some(("penalty.equity_share", "expected a share from 0 to 1"));
        }
        if self.fund_pays_keeper && self.paid_if_insolvent {
            return Some((
                "penalty.fund_pays_keeper",
                "expected at most one of fund_pays_keeper and paid_if_insolvent",
            ));
        }
        let escalation = self.escalation.as_ref()?;
        let rates = [Some(escalation.step), Some(escalation.shortfall), escalation.maximum];
        if escalation.after < 0 || escalation.every <= 0 || rates.iter().flatten().any(|r| r.num < 0) {
            return Some((
                "penalty.escalation",
                "expected rates that are not negative and steps longer than 0",
            ));
        }
        None
    }
}
