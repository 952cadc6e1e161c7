//! Auto-deleveraging: who is a counterparty, in which order, at what price, and who gives how much.

use serde::Deserialize;

use super::parse::{optional_ratio, ratio};
use crate::units::Ratio;

/// Price of an ADL match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlPrice {
    /// Where the loser's equity is zero.
    #[default]
    Bankruptcy,
    /// The mark of ADL.
    Mark,
    /// The mark before the visible one.
    PreviousMark,
    /// A feed of its own.
    Oracle,
    /// The mark while the insurance fund has enough left, else where the loser's equity is zero.
    MarkThenBankruptcy,
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

/// Who can be a counterparty, of those on the other side who have equity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlEligibility {
    /// Those in profit.
    #[default]
    InProfit,
    /// Those whose own bankruptcy price is not beyond the price of the match.
    Overlap,
    /// All.
    Any,
}

/// What ranks the candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlScore {
    /// Profit over entry value, times notional over equity.
    #[default]
    ProfitLeverage,
    /// The same, and losses over leverage.
    Bitmex,
    /// Mark over entry, or entry over mark for shorts, times notional over equity.
    HyperliquidDocs,
    /// Mark over entry for shorts too.
    HyperliquidDocsLiteral,
    /// Profit over wallet, times the margin ratio.
    Binance,
    /// Notional over equity.
    Leverage,
    /// Profit.
    Profit,
    /// Notional.
    Position,
    /// None: in the order of accounts from a drawn one on.
    RandomStart,
}

/// What of the leverage counts in [`AdlPolicy::RiskAware`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskWeight {
    /// The leverage.
    #[default]
    Linear,
    /// A power of it.
    Power,
    /// What is above a threshold.
    Cvar,
}

/// An exact number with a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Exact(#[serde(deserialize_with = "ratio")] pub Ratio);

impl Default for Exact {
    fn default() -> Self {
        Self(Ratio::ZERO)
    }
}

/// Who gives how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdlPolicy {
    /// One after the other, each up to its capacity.
    #[default]
    Queue,
    /// The same share of everyone's profit.
    ProRata,
    /// The same share of everyone's contracts.
    ContractsProRata,
    /// The same share of everyone's profit, up to a share.
    CappedProRata {
        /// Largest share of a profit.
        #[serde(deserialize_with = "ratio")]
        cap: Ratio,
    },
    /// More from the more leveraged.
    RiskAware {
        /// What of the leverage counts.
        #[serde(default)]
        weight: RiskWeight,
        /// The power of [`RiskWeight::Power`].
        #[serde(default = "one")]
        power: u32,
        /// The threshold of [`RiskWeight::Cvar`].
        #[serde(default)]
        threshold: Exact,
        /// Largest share of a profit; None: no limit.
        #[serde(default, deserialize_with = "optional_ratio")]
        cap: Option<Ratio>,
    },
    /// The largest share of an equity is as small as can be.
    MinMax,
    /// The shares of profit that are nearest to given ones.
    MirrorDescent {
        /// Share of everyone's profit.
        #[serde(default)]
        start: Exact,
        /// What is added to it for each unit of leverage.
        #[serde(default)]
        step: Exact,
    },
}

const fn one() -> u32 {
    1
}

/// What becomes of what ADL is asked for and nobody is matched with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdlLeftover {
    /// It goes to the market.
    #[default]
    Market,
    /// It stays open, and is tried again.
    Open,
}

/// Auto-deleveraging.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdlConfig {
    /// Who gives how much.
    pub policy: AdlPolicy,
    /// What ranks the candidates.
    pub score: AdlScore,
    /// Seed of [`AdlScore::RandomStart`].
    pub seed: u64,
    /// Who is a candidate.
    pub eligibility: AdlEligibility,
    /// Price of a match.
    pub price: AdlPrice,
    /// Feed of [`AdlPrice::Oracle`].
    pub price_feed: Option<String>,
    /// Share of the fund of [`AdlPrice::MarkThenBankruptcy`].
    #[serde(deserialize_with = "optional_ratio")]
    pub threshold: Option<Ratio>,
    /// Limit of a counterparty.
    pub capacity: AdlCapacity,
    /// Counterparties of one leg at most.
    pub counterparties: Option<u32>,
    /// Closes with ADL in one instant at most.
    pub attempts: Option<u32>,
    /// The last counterparty may be closed in part.
    pub partial_last: bool,
    /// What becomes of what nobody is matched with.
    pub leftover: AdlLeftover,
}

impl AdlConfig {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Self {
        policy: AdlPolicy::Queue,
        score: AdlScore::ProfitLeverage,
        seed: 0,
        eligibility: AdlEligibility::InProfit,
        price: AdlPrice::Bankruptcy,
        price_feed: None,
        threshold: None,
        capacity: AdlCapacity::Equity,
        counterparties: None,
        attempts: None,
        partial_last: true,
        leftover: AdlLeftover::Market,
    };

    /// True if nothing is asked of a counterparty but that bankruptcy prices overlap, and nobody is ranked: then it may have no equity.
    pub fn asks_for_overlap_only(&self) -> bool {
        self.eligibility == AdlEligibility::Overlap
            && self.score == AdlScore::RandomStart
            && self.policy == AdlPolicy::Queue
    }

    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self, has_fund: bool) -> Option<(&'static str, &'static str)> {
        let share = |r: &Ratio| r.num >= 0 && r.num <= r.den;
        if (self.price == AdlPrice::Oracle) != self.price_feed.is_some() {
            return Some(("price_feed", "expected the feed of the price oracle, and only of that"));
        }
        if (self.price == AdlPrice::MarkThenBankruptcy) != self.threshold.is_some() {
            return Some((
                "threshold",
                "expected the share of the fund for mark_then_bankruptcy, and only for that",
            ));
        }
        if self.price == AdlPrice::MarkThenBankruptcy && !has_fund {
            return Some(("price", "insurance_fund is not configured"));
        }
        if self.threshold.is_some_and(|r| !share(&r)) {
            return Some(("threshold", "expected a share from 0 to 1"));
        }
        if !self.partial_last && self.policy != AdlPolicy::Queue {
            return Some(("partial_last", "expected true: only a queue takes whole positions"));
        }
        if self.counterparties == Some(0) {
            return Some(("counterparties", "expected at least 1"));
        }
        let fine = match &self.policy {
            AdlPolicy::CappedProRata { cap } => share(cap),
            AdlPolicy::RiskAware {
                power, threshold, cap, ..
            } => (1..=3).contains(power) && threshold.0.num >= 0 && cap.is_none_or(|cap| share(&cap)),
            AdlPolicy::MirrorDescent { start, step } => share(&start.0) && step.0.num >= 0,
            AdlPolicy::Queue | AdlPolicy::ProRata | AdlPolicy::ContractsProRata | AdlPolicy::MinMax => true,
        };
        (!fine).then_some((
            "policy",
            "expected shares from 0 to 1, a power from 1 to 3, and rates that are not negative",
        ))
    }
}

impl Default for AdlConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
