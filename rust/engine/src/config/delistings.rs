//! Delistings: a market, or the whole venue, is settled: all its positions are closed at one price.

use serde::Deserialize;

use super::When;
use super::parse::{positive_ratio, usd};
use crate::units::{Amount, Ratio};

/// What brings a delisting about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DelistingTrigger {
    /// It comes at a stated time.
    Time {
        /// When.
        at: When,
    },
    /// So much was lost by nobody in particular.
    Uncovered {
        /// Dollars, of all markets, since the open.
        #[serde(deserialize_with = "usd")]
        amount: Amount,
        /// How long after (nanoseconds).
        #[serde(default)]
        delay: i64,
    },
    /// The first halt of the market ends.
    Halt {},
}

/// The price of a settlement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SettlementPrice {
    /// One that somebody states.
    Fixed {
        /// In quote units.
        #[serde(deserialize_with = "positive_ratio")]
        price: Ratio,
    },
    /// That of a feed, then.
    Feed {
        /// Its name.
        feed: String,
    },
    /// The mark, then.
    Mark {},
}

/// How accounts are settled that have less than nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeAccounts {
    /// Like others; what they lack is for the layers.
    #[default]
    Waterfall,
    /// First at their bankruptcy price, against the other side.
    Adl,
}

/// A market, or the venue, is settled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelistingConfig {
    /// Which market; None: all.
    #[serde(default)]
    pub market: Option<String>,
    /// When.
    pub trigger: DelistingTrigger,
    /// At what price.
    #[serde(default = "mark")]
    pub price: SettlementPrice,
    /// Accounts with negative equity.
    #[serde(default)]
    pub negative: NegativeAccounts,
}

fn mark() -> SettlementPrice {
    SettlementPrice::Mark {}
}

impl DelistingConfig {
    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self, has_adl: bool) -> Option<(&'static str, &'static str)> {
        match &self.trigger {
            DelistingTrigger::Uncovered { amount, .. } if amount.0 <= 0 => {
                return Some(("trigger.amount", "expected an amount above 0"));
            }
            DelistingTrigger::Uncovered { delay, .. } if *delay < 0 => {
                return Some(("trigger.delay", "expected a delay that is not negative"));
            }
            _ => {}
        }
        if matches!(self.price, SettlementPrice::Fixed { .. }) && self.market.is_none() {
            return Some(("price", "expected one market, whose price it is"));
        }
        if self.negative == NegativeAccounts::Adl {
            if !has_adl {
                return Some(("negative", "adl is not configured"));
            }
            if self.price != (SettlementPrice::Mark {}) {
                return Some(("negative", "expected the price mark, at which bankruptcy is told"));
            }
        }
        None
    }
}
