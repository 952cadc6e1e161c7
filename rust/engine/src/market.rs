//! What a market and an asset are, as the data and the caller state it, before any arithmetic.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::decimal::{Decimal, MAX_DECIMALS};
use crate::error::{Error, Result};

/// The asset that everything is valued in.
pub const USD: &str = "USD";
/// Decimals of a USD amount, in the ledger and in every `_usd` column.
pub const USD_DECIMALS: u32 = 6;
/// Decimals of a coin that is not declared.
pub const COIN_DECIMALS: u32 = 8;

/// How profit depends on the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payoff {
    /// Profit is size times the change of the price, in quote units.
    Linear,
    /// Size is in contracts worth a fixed quote amount; profit is in the coin, in 1/price.
    Inverse,
}

/// A market of the tape, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSpec {
    /// Name, unique on the tape.
    pub name: String,
    /// Linear or inverse.
    #[serde(default = "linear")]
    pub kind: Payoff,
    /// Base units (linear) or quote units (inverse) of one contract; an exact positive decimal.
    #[serde(default = "one")]
    pub contract_size: String,
    /// Decimals of the price; None: the fewest that fit the data.
    #[serde(default)]
    pub price_decimals: Option<u32>,
    /// Decimals of sizes; None: the fewest that fit the ticks' sizes, 8 without them.
    #[serde(default)]
    pub size_decimals: Option<u32>,
    /// Asset in which profit and loss are settled.
    #[serde(default)]
    pub settlement: Option<String>,
    /// Another market of the tape whose price is this market's index.
    #[serde(default)]
    pub index: Option<String>,
}

fn linear() -> Payoff {
    Payoff::Linear
}

fn one() -> String {
    "1".to_owned()
}

impl MarketSpec {
    /// A linear USD market with everything else left to the data.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: Payoff::Linear,
            contract_size: one(),
            price_decimals: None,
            size_decimals: None,
            settlement: None,
            index: None,
        }
    }

    /// The contract size as a positive exact decimal.
    pub fn contract(&self) -> Result<Decimal> {
        Decimal::parse(&self.contract_size)
            .filter(|d| d.mantissa > 0)
            .ok_or_else(|| {
                Error::Config(format!(
                    "market {}: contract_size: expected a positive decimal, got {:?}",
                    self.name, self.contract_size
                ))
            })
    }

    /// The settlement asset: as declared, else USD for a linear market; an inverse market must name its coin.
    pub fn settlement_asset(&self) -> Result<&str> {
        match (&self.settlement, self.kind) {
            (Some(asset), _) => Ok(asset),
            (None, Payoff::Linear) => Ok(USD),
            (None, Payoff::Inverse) => Err(Error::Config(format!(
                "market {}: settlement: an inverse market must name its coin",
                self.name
            ))),
        }
    }
}

/// An asset, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetSpec {
    /// Name.
    pub name: String,
    /// Decimals of an amount.
    pub decimals: u32,
    /// Market whose price is the asset's price in USD; None: it is worth 1 USD.
    #[serde(default)]
    pub price_market: Option<String>,
}

/// The definitions that travel with the ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definitions {
    /// Markets; those on the tape that are not listed are linear USD markets.
    #[serde(default)]
    pub markets: Vec<MarketSpec>,
    /// Assets; those that are not listed follow from the markets.
    #[serde(default)]
    pub assets: Vec<AssetSpec>,
}

impl Definitions {
    /// Reads the JSON form; the error names `place` and what is wrong in it.
    pub fn from_json(place: &str, text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::Config(format!("{place}: {error}")))
    }

    /// The JSON form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Invariant(format!("definitions as JSON: {error}")))
    }

    /// The definition of a market, if it is listed.
    pub fn market(&self, name: &str) -> Option<&MarketSpec> {
        self.markets.iter().find(|market| market.name == name)
    }

    /// Checks what can be checked without ticks: names are there and unique, numbers are in range. The error names `place`.
    pub fn check(&self, place: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::Config(format!("{place}: {message}")));
        let mut names = BTreeSet::new();
        for market in &self.markets {
            let name = &market.name;
            if name.is_empty() {
                return wrong("markets: expected a name, got an empty string".to_owned());
            }
            if !names.insert(name) {
                return wrong(format!("market {name}: expected one definition, got several"));
            }
            if let Err(Error::Config(message)) = market.contract().and_then(|_| market.settlement_asset().map(|_| ())) {
                return wrong(message);
            }
            for (field, decimals) in [
                ("price_decimals", market.price_decimals),
                ("size_decimals", market.size_decimals),
            ] {
                if let Some(decimals) = decimals.filter(|&decimals| decimals > MAX_DECIMALS) {
                    return wrong(format!(
                        "market {name}: {field}: expected at most {MAX_DECIMALS}, got {decimals}"
                    ));
                }
            }
            if market.settlement.as_ref().is_some_and(String::is_empty) {
                return wrong(format!(
                    "market {name}: settlement: expected the name of an asset, got an empty string"
                ));
            }
            if market.index.as_ref() == Some(name) {
                return wrong(format!("market {name}: index: expected another market"));
            }
        }
        let mut names = BTreeSet::new();
        for asset in &self.assets {
            let name = &asset.name;
            if name.is_empty() {
                return wrong("assets: expected a name, got an empty string".to_owned());
            }
            if !names.insert(name) {
                return wrong(format!("asset {name}: expected one definition, got several"));
            }
            if asset.decimals > MAX_DECIMALS {
                return wrong(format!(
                    "asset {name}: decimals: expected at most {MAX_DECIMALS}, got {}",
                    asset.decimals
                ));
            }
        }
        Ok(())
    }
}
