//! Synthetic books of accounts: a population drawn from documented distributions, with its open interest balanced.
//!
//! Order: *draw* (accounts, legs, sides, notionals, leverages, entries; parallel, each block of accounts from its own stream, so
//! that an account does not depend on how many there are), *balance* (in each market the smaller side is scaled up until longs
//! and shorts sum to exactly zero: no outside counterparty is needed at the open), *price* (entries and collateral in integers).
//!
//! Guarantees: sizes are integers in the market's decimals and sum to zero in every market; the equity of every leg at the opening
//! price, as the engine computes it, is its notional divided by the account's leverage, rounded to a unit of the settlement asset;
//! every collateral is positive; the same options give the same book on every machine. A million accounts take about a second.

mod arrow;
mod balance;
mod draw;
mod options;
mod price;
#[cfg(test)]
mod tests;

pub use arrow::{accounts_batch, positions_batch};
pub use options::{CrossAssets, SideOptions, SyntheticOptions};

use std::collections::BTreeMap;

use crate::decimal::checked_pow10;
use crate::error::{Error, Result};
use crate::market::{AssetSpec, COIN_DECIMALS, MarketSpec, Payoff, USD_DECIMALS};
use crate::progress::{Meter, Progress, Silent};
use crate::tape::{MarketTicks, Tape};

/// A market that a synthetic book may hold.
#[derive(Debug, Clone, PartialEq)]
pub struct BookMarket {
    /// Definition, with price and size decimals.
    pub spec: MarketSpec,
    /// Price at the open, in the market's decimals.
    pub opening: i64,
    /// Relative odds of a position being here, before the options' own; None: the mean of those that are known.
    pub weight: Option<f64>,
}

/// The columns of a synthetic book.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BookColumns {
    /// Markets, sorted by name.
    pub markets: Vec<MarketSpec>,
    /// Settlement assets, sorted by name.
    pub assets: Vec<AssetSpec>,
    /// Number of accounts; account `n` is called [`account_name`]`(n, accounts)`.
    pub accounts: u32,
    /// Per position: its account; not descending.
    pub account: Vec<u32>,
    /// Per position: its market, in [`Self::markets`].
    pub market: Vec<u32>,
    /// Per position: its signed size, in the market's size decimals.
    pub size: Vec<i64>,
    /// Per position: its entry price, in the market's price decimals.
    pub entry: Vec<i64>,
    /// Per position: true if its account is cross.
    pub cross: Vec<bool>,
    /// Per position: the collateral in the settlement asset's unit; None if its account is cross.
    pub collateral: Vec<Option<i128>>,
    /// Cash of the cross accounts, by account and asset.
    pub cash: Vec<Cash>,
}

/// Cash of a cross account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cash {
    /// Account.
    pub account: u32,
    /// Asset, in [`BookColumns::assets`].
    pub asset: u32,
    /// Amount in the asset's unit; positive.
    pub amount: i128,
}

/// `a0000001` for the first account: names sort like numbers.
pub fn account_name(account: u32, accounts: u32) -> String {
    let width = accounts.checked_ilog10().unwrap_or(0).max(6) as usize + 1;
    format!("a{:0width$}", account + 1)
}

/// A synthetic book for a tape: opening prices are the first ticks', odds go by traded volume.
pub fn from_tape(tape: &Tape, options: &SyntheticOptions) -> Result<BookColumns> {
    from_tape_with(tape, options, &Silent)
}

/// [`from_tape`], telling `progress` of the accounts. [`Error::Interrupted`] if it asks to stop.
pub fn from_tape_with(tape: &Tape, options: &SyntheticOptions, progress: &dyn Progress) -> Result<BookColumns> {
    let markets = tape.markets.iter().filter_map(|market| {
        Some(BookMarket {
            spec: market.spec.clone(),
            opening: *market.price.first()?,
            weight: traded_usd(market),
        })
    });
    generate_with(&markets.collect::<Vec<_>>(), &tape.assets, options, progress)
}

/// USD traded in a market; None if its ticks have no sizes or they are all zero.
pub fn traded_usd(market: &MarketTicks) -> Option<f64> {
    let sizes = market.size.as_ref()?;
    let unit = unit_quote(&market.spec)?;
    let traded = match market.spec.kind {
        Payoff::Inverse => sizes.iter().map(|&s| s as f64).sum::<f64>() * unit,
        Payoff::Linear => {
            sizes
                .iter()
                .zip(&market.price)
                .map(|(&s, &p)| s as f64 * p as f64)
                .sum::<f64>()
                * unit
        }
    };
    (traded > 0.0).then_some(traded)
}

/// Quote units of one size unit; for a linear market, times the price as an integer.
fn unit_quote(spec: &MarketSpec) -> Option<f64> {
    let contract = spec.contract().ok()?;
    let price_decimals = match spec.kind {
        Payoff::Linear => spec.price_decimals?,
        Payoff::Inverse => 0,
    };
    let scale = checked_pow10(contract.scale + spec.size_decimals? + price_decimals)?;
    Some(contract.mantissa as f64 / scale as f64)
}

/// A synthetic book of these markets. `assets` declares decimals; others follow from the markets.
pub fn generate(markets: &[BookMarket], assets: &[AssetSpec], options: &SyntheticOptions) -> Result<BookColumns> {
    generate_with(markets, assets, options, &Silent)
}

fn generate_with(
    markets: &[BookMarket],
    assets: &[AssetSpec],
    options: &SyntheticOptions,
    progress: &dyn Progress,
) -> Result<BookColumns> {
    options.check()?;
    let mut markets = markets.to_vec();
    markets.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let bad = |what: String| Error::Config(format!("synthetic book: {what}"));
    if let Some(twice) = markets.windows(2).find(|w| w[0].spec.name == w[1].spec.name) {
        return Err(bad(format!("market {} is given twice", twice[0].spec.name)));
    }
    let mut unit_usd = Vec::with_capacity(markets.len());
    for market in &markets {
        let name = &market.spec.name;
        market.spec.contract()?;
        let quote = unit_quote(&market.spec).ok_or_else(|| {
            bad(format!(
                "market {name}: expected price_decimals and size_decimals of a moderate size"
            ))
        })?;
        if market.opening <= 0 {
            return Err(bad(format!(
                "market {name}: opening price: expected a positive integer, got {}",
                market.opening
            )));
        }
        unit_usd.push(if market.spec.kind == Payoff::Linear {
            quote * market.opening as f64
        } else {
            quote
        });
    }
    let assets = settlement_assets(&markets, assets)?;
    let asset_of = |m: &BookMarket| Ok(position_of(&assets, m.spec.settlement_asset()?));
    let asset_of: Vec<usize> = markets.iter().map(asset_of).collect::<Result<_>>()?;
    let odds = draw::Odds::new(&odds(&markets, options)?, &asset_of, options.cross_assets);
    // Drawn once, balanced once, priced once.
    let meter = Meter::new(progress, "synthetic book", 3 * u64::from(options.accounts));
    let mut legs = draw::draw(&odds, options, &meter)?;
    balance::balance(&mut legs, &unit_usd, &meter)?;
    meter.advance(u64::from(options.accounts))?;
    price::price(&legs, &markets, assets, &asset_of, options, &meter)
}

/// Odds of each market: the options' weights, or else the markets'.
fn odds(markets: &[BookMarket], options: &SyntheticOptions) -> Result<Vec<f64>> {
    let bad = |what: String| Error::Config(format!("options of a synthetic book: weights: {what}"));
    let weights: Vec<f64> = match &options.weights {
        Some(weights) => {
            if let Some(name) = weights
                .keys()
                .find(|&name| markets.iter().all(|m| m.spec.name != *name))
            {
                let names: Vec<&str> = markets.iter().map(|m| m.spec.name.as_str()).collect();
                return Err(bad(format!("no market {name:?}; there are {}", names.join(", "))));
            }
            markets
                .iter()
                .map(|m| weights.get(&m.spec.name).copied().unwrap_or(0.0))
                .collect()
        }
        None => {
            let known: Vec<f64> = markets.iter().filter_map(|m| m.weight).collect();
            let mean = if known.is_empty() {
                1.0
            } else {
                known.iter().sum::<f64>() / known.len() as f64
            };
            markets.iter().map(|m| m.weight.unwrap_or(mean)).collect()
        }
    };
    let total: f64 = weights.iter().sum();
    if weights.iter().any(|w| w.is_nan() || *w < 0.0) || !(total.is_finite() && total > 0.0) {
        return Err(bad(
            "expected numbers that are not negative, at least one positive".into()
        ));
    }
    Ok(weights)
}

/// Settlement assets by name, as declared or with default decimals.
fn settlement_assets(markets: &[BookMarket], declared: &[AssetSpec]) -> Result<Vec<AssetSpec>> {
    let mut assets: BTreeMap<&str, AssetSpec> = BTreeMap::new();
    for market in markets {
        let name = market.spec.settlement_asset()?;
        let inverse = market.spec.kind == Payoff::Inverse;
        let follows = || AssetSpec {
            name: name.to_owned(),
            decimals: if inverse { COIN_DECIMALS } else { USD_DECIMALS },
            price_market: inverse.then(|| market.spec.name.clone()),
        };
        let asset = declared.iter().find(|a| a.name == name).cloned();
        assets.entry(name).or_insert_with(|| asset.unwrap_or_else(follows));
    }
    Ok(assets.into_values().collect())
}

fn position_of(assets: &[AssetSpec], name: &str) -> usize {
    assets.partition_point(|asset| asset.name.as_str() < name)
}
