//! What the definitions and the data together say about markets and assets.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Input;
use crate::error::{Error, Result};
use crate::market::{AssetSpec, COIN_DECIMALS, Definitions, MarketSpec, Payoff, USD_DECIMALS};

/// Where the caller's definitions stand, for messages.
pub(super) const CALLER: &str = "definitions";

/// The market of each input that has no column `market`; `columns` are the markets in such columns.
///
/// Its natural name is that of the only market in its metadata, else the file's stem. If the caller defines exactly one market
/// that is neither in a column nor a natural name, that is the market of all inputs whose natural name the caller does not define.
pub(super) fn names(inputs: &[Input], caller: &Definitions, columns: &BTreeSet<&str>) -> Result<Vec<Option<String>>> {
    let natural: Vec<Option<&str>> = inputs.iter().map(natural_name).collect();
    let present = |name: &str| columns.contains(name) || natural.contains(&Some(name));
    let mut free = caller.markets.iter().filter(|market| !present(&market.name));
    let only = match (free.next(), free.next()) {
        (Some(market), None) => Some(market.name.as_str()),
        _ => None,
    };
    let name = |(input, natural): (&Input, &Option<&str>)| {
        if input.layout.market.is_some() {
            return Ok(None);
        }
        let defined = natural.filter(|name| caller.market(name).is_some());
        match defined.or(only).or(*natural) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(input
                .origin
                .error("expected a column `market`, or the definition of exactly one market")),
        }
    };
    inputs.iter().zip(&natural).map(name).collect()
}

fn natural_name(input: &Input) -> Option<&str> {
    match (input.layout.market, input.layout.definitions.markets.as_slice()) {
        (Some(_), _) => None,
        (None, [market]) => Some(&market.name),
        (None, _) => input.stem.as_deref(),
    }
}

/// The definitions of the markets `names`, in their order: the caller's, else those of the inputs, else the default. Decimals are
/// still as declared.
pub(super) fn markets(inputs: &[Input], caller: &Definitions, names: &[&str]) -> Result<Vec<MarketSpec>> {
    if let Some(market) = caller
        .markets
        .iter()
        .find(|market| !names.contains(&market.name.as_str()))
    {
        return Err(unknown(
            &format!("{CALLER}: market {}", market.name),
            &market.name,
            names,
        ));
    }
    let mut found: BTreeMap<&str, (&Input, MarketSpec)> = BTreeMap::new();
    for input in inputs {
        for market in &input.layout.definitions.markets {
            if caller.market(&market.name).is_some() {
                continue;
            }
            match found.get_mut(market.name.as_str()) {
                None => {
                    found.insert(&market.name, (input, market.clone()));
                }
                Some((other, known)) => join(known, market).map_err(|field| {
                    input.origin.error(format!(
                        "market {}: {field} differs from that in {}",
                        market.name, other.origin
                    ))
                })?,
            }
        }
    }
    let spec = |name: &&str| {
        let mut spec = match (caller.market(name), found.get(name)) {
            (Some(market), _) => market.clone(),
            (None, Some((_, market))) => market.clone(),
            (None, None) => MarketSpec::named(*name),
        };
        spec.settlement = Some(spec.settlement_asset()?.to_owned());
        if let Some(index) = spec.index.as_deref().filter(|index| !names.contains(index)) {
            return Err(unknown(&format!("market {name}: index"), index, names));
        }
        Ok(spec)
    };
    names.iter().map(spec).collect()
}

pub(super) fn unknown(place: &str, name: &str, names: &[&str]) -> Error {
    const SHOWN: usize = 10;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    Error::Config(format!(
        "{place}: expected a market that has ticks ({shown}{more}), got {name}"
    ))
}

/// Brings another file's definition of the same market into `known`. They may differ only in decimals, which one day's data may
/// have needed more of than another's: the larger counts. The error is the name of the field that differs.
fn join(known: &mut MarketSpec, other: &MarketSpec) -> std::result::Result<(), &'static str> {
    let larger = |a: Option<u32>, b: Option<u32>| a.zip(b).map(|(a, b)| a.max(b));
    known.price_decimals = larger(known.price_decimals, other.price_decimals);
    known.size_decimals = larger(known.size_decimals, other.size_decimals);
    let equal = [
        ("kind", known.kind == other.kind),
        ("contract_size", known.contract().ok() == other.contract().ok()),
        (
            "settlement",
            known.settlement_asset().ok() == other.settlement_asset().ok(),
        ),
        ("index", known.index == other.index),
    ];
    equal
        .into_iter()
        .find(|(_, equal)| !equal)
        .map_or(Ok(()), |(field, _)| Err(field))
}

/// The assets of the markets and those that are defined, by name.
pub(super) fn assets(inputs: &[Input], caller: &Definitions, markets: &[MarketSpec]) -> Result<Vec<AssetSpec>> {
    let mut assets: BTreeMap<String, AssetSpec> = BTreeMap::new();
    for asset in &caller.assets {
        assets.insert(asset.name.clone(), asset.clone());
    }
    for input in inputs {
        for asset in &input.layout.definitions.assets {
            let known = assets.entry(asset.name.clone()).or_insert_with(|| asset.clone());
            if known != asset && !caller.assets.iter().any(|declared| declared.name == asset.name) {
                return Err(input
                    .origin
                    .error(format!("asset {}: differs from that in another file", asset.name)));
            }
        }
    }
    for market in markets {
        let name = market.settlement_asset()?;
        if assets.contains_key(name) {
            continue;
        }
        // Markets come by name, so a coin is priced by the first of its inverse markets.
        let is_priced_by =
            |market: &&MarketSpec| market.kind == Payoff::Inverse && market.settlement.as_deref() == Some(name);
        let price_market = markets.iter().find(is_priced_by).map(|market| market.name.clone());
        let decimals = if price_market.is_some() {
            COIN_DECIMALS
        } else {
            USD_DECIMALS
        };
        assets.insert(
            name.to_owned(),
            AssetSpec {
                name: name.to_owned(),
                decimals,
                price_market,
            },
        );
    }
    let names: Vec<&str> = markets.iter().map(|market| market.name.as_str()).collect();
    for asset in assets.values() {
        if let Some(market) = asset.price_market.as_deref().filter(|market| !names.contains(market)) {
            return Err(unknown(&format!("asset {}: price_market", asset.name), market, &names));
        }
    }
    Ok(assets.into_values().collect())
}
