//! Where an insurance fund gets money from, besides what liquidations bring.

use serde::Deserialize;

use super::When;
use super::parse::{optional_usd, ratio, usd};
use crate::units::{Amount, Ratio};

/// A share of the fees on all that trades on the tape.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeShareConfig {
    /// Fees of both sides of a trade, as a share of its notional.
    #[serde(deserialize_with = "ratio")]
    pub rate: Ratio,
    /// The part of them that goes to the fund.
    #[serde(deserialize_with = "ratio")]
    pub share: Ratio,
    /// Nanoseconds from one payment to the next.
    pub every: i64,
}

/// Who gives the money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Giver {
    /// Someone from outside the venue.
    #[default]
    External,
    /// The treasury, as far as it has it.
    Treasury,
}

/// Money for a fund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InjectionConfig {
    /// At a given time.
    Scheduled {
        /// When.
        at: When,
        /// Dollars.
        #[serde(deserialize_with = "usd")]
        amount: Amount,
        /// Who gives it.
        #[serde(default)]
        giver: Giver,
    },
    /// Whenever the fund is low.
    Refill {
        /// Dollars: it comes if the fund has less.
        #[serde(deserialize_with = "usd")]
        below: Amount,
        /// Dollars at a time.
        #[serde(deserialize_with = "usd")]
        amount: Amount,
        /// Dollars in all; None: any number of times.
        #[serde(default, deserialize_with = "optional_usd")]
        total: Option<Amount>,
        /// Nanoseconds until it comes.
        #[serde(default)]
        delay: i64,
        /// Who gives it.
        #[serde(default)]
        giver: Giver,
    },
}

impl InjectionConfig {
    /// Who gives it.
    pub fn giver(&self) -> Giver {
        match self {
            Self::Scheduled { giver, .. } | Self::Refill { giver, .. } => *giver,
        }
    }
}

/// Where one fund gets money from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcesConfig<'a> {
    /// Of the fees of its markets.
    pub fees: Option<&'a FeeShareConfig>,
    /// Besides.
    pub injections: &'a [InjectionConfig],
}

impl SourcesConfig<'_> {
    /// The field that is wrong, and what was expected.
    pub(super) fn fault(&self, has_treasury: bool) -> Option<(String, &'static str)> {
        if let Some(fees) = self.fees {
            if fees.rate.num < 0 || fees.share.num < 0 || fees.share.num > fees.share.den {
                let expected = "expected a rate that is not negative and a share from 0 to 1";
                return Some(("fees".to_owned(), expected));
            }
            if fees.every <= 0 {
                return Some(("fees.every".to_owned(), "expected a duration above 0"));
            }
        }
        for (k, injection) in self.injections.iter().enumerate() {
            let wrong = |field: &str, expected| Some((format!("injections.{k}.{field}"), expected));
            if injection.giver() == Giver::Treasury && !has_treasury {
                return wrong("giver", "treasury is not configured");
            }
            let (amounts, delay) = match injection {
                InjectionConfig::Scheduled { amount, .. } => ([Some(*amount), None, None], 0),
                InjectionConfig::Refill {
                    below,
                    amount,
                    total,
                    delay,
                    ..
                } => ([Some(*amount), Some(*below), *total], *delay),
            };
            if amounts.iter().flatten().any(|a| a.0 < 0) || delay < 0 {
                return wrong("amount", "expected amounts and a delay that are not negative");
            }
        }
        None
    }
}
