//! Insurance funds that stand for some markets only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::parse::usd;
use super::sources::{FeeShareConfig, InjectionConfig, SourcesConfig};
use crate::units::Amount;

/// An insurance fund of its own, for some markets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnFundConfig {
    /// Dollars at the open.
    #[serde(deserialize_with = "usd")]
    pub balance: Amount,
    /// Its markets; None: the one that bears its name.
    pub markets: Option<Vec<String>>,
    /// What it gets of the fees on all that trades; None: nothing.
    pub fees: Option<FeeShareConfig>,
    /// Other money that it gets.
    pub injections: Vec<InjectionConfig>,
}

impl OwnFundConfig {
    /// Where it gets money from.
    pub fn sources(&self) -> SourcesConfig<'_> {
        SourcesConfig {
            fees: self.fees.as_ref(),
            injections: &self.injections,
        }
    }

    /// Its markets.
    pub fn markets<'a>(&'a self, name: &'a String) -> &'a [String] {
        self.markets.as_deref().unwrap_or(std::slice::from_ref(name))
    }
}

/// Funds by name.
pub type OwnFunds = BTreeMap<String, OwnFundConfig>;

/// The field of `insurance_fund` that is wrong, and what was expected.
pub(super) fn fault(funds: &OwnFunds, has_treasury: bool) -> Option<(String, String)> {
    let mut taken = BTreeSet::new();
    for (name, fund) in funds {
        let wrong = |field: &str, expected: String| Some((format!("funds.{name}.{field}"), expected));
        if fund.balance.0 < 0 {
            return wrong("balance", "expected an amount that is not negative".to_owned());
        }
        if let Some((field, expected)) = fund.sources().fault(has_treasury) {
            return wrong(&field, expected.to_owned());
        }
        let markets = fund.markets(name);
        if markets.is_empty() {
            return wrong("markets", "expected at least one market".to_owned());
        }
        if let Some(twice) = markets.iter().find(|m| !taken.insert(m.as_str())) {
            return wrong(
                "markets",
                format!("market {twice:?} has a fund already; expected one fund for each"),
            );
        }
    }
    None
}
