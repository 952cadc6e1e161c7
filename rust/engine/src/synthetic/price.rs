//! Entries and collateral, in integers, so that the equity at the open is exact.

use rayon::prelude::*;

use super::draw::Leg;
use super::options::SyntheticOptions;
use super::{BookColumns, BookMarket, Cash};
use crate::column::Column;
use crate::contract::{Market, Venue};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::market::{AssetSpec, MarketSpec, Payoff};
use crate::progress::Meter;
use crate::tape::{MarketTicks, Tape};
use crate::units::{Price, Size};

/// Legs that one thread prices together.
const BLOCK: usize = 8192;

/// The most that a leg's unrealised profit may be of its equity: the rest is collateral, which must be positive.
const MOST_PROFIT: f64 = 0.9;

/// The markets as the engine values them, by their own decimals. Indices and prices of assets play no part at the open.
fn contracts(markets: &[BookMarket], assets: &[AssetSpec]) -> Result<Vec<Market>> {
    let no_ticks = |market: &BookMarket| MarketTicks {
        spec: MarketSpec {
            index: None,
            ..market.spec.clone()
        },
        ts: Column::default(),
        price: Column::default(),
        size: None,
        side: None,
    };
    let tape = Tape {
        markets: markets.iter().map(no_ticks).collect(),
        assets: assets
            .iter()
            .map(|asset| AssetSpec {
                price_market: None,
                ..asset.clone()
            })
            .collect(),
        quality: vec![],
    };
    Ok(Venue::bind(&tape)?.markets)
}

/// The entry price: the opening price times `exp(deviation)`, with the leg's profit at the open limited.
fn entry_price(leg: &Leg, market: &BookMarket) -> i64 {
    let opening = market.opening as f64;
    let entry = opening * libm::exp(leg.deviation);
    let most = MOST_PROFIT / leg.leverage;
    let entry = match (market.spec.kind, leg.long) {
        (Payoff::Linear, true) => entry.max(opening * (1.0 - most)),
        (Payoff::Linear, false) => entry.min(opening * (1.0 + most)),
        (Payoff::Inverse, true) => entry.max(opening / (1.0 + most)),
        (Payoff::Inverse, false) if most < 1.0 => entry.min(opening / (1.0 - most)),
        (Payoff::Inverse, false) => entry,
    };
    (entry.round() as i64).max(1)
}

/// Entry and collateral of a leg: after the cost of the entry, rounded up, and at the value of the opening price, rounded down,
/// the equity is the notional over the leverage, at least one unit.
fn entry_and_collateral(leg: &Leg, size: Size, market: &BookMarket, contract: &Market) -> Result<(i64, i128)> {
    let value = contract.value(size, Price(market.opening))?.0;
    let equity = ((value.unsigned_abs() as f64 / leg.leverage).round() as i128).max(1);
    let collateral = |entry: i64| {
        let entry = Decimal {
            mantissa: i128::from(entry),
            scale: contract.price_decimals,
        };
        Ok(equity + contract.cost(size, entry)?.0 - value)
    };
    let entry = entry_price(leg, market);
    match collateral(entry)? {
        amount if amount > 0 => Ok((entry, amount)),
        // Only where a unit of the price or of the asset is coarse.
        _ => Ok((market.opening, collateral(market.opening)?)),
    }
}

/// The columns of the book.
pub(super) fn price(
    legs: &[Leg],
    markets: &[BookMarket],
    assets: Vec<AssetSpec>,
    asset_of: &[usize],
    options: &SyntheticOptions,
    meter: &Meter<'_>,
) -> Result<BookColumns> {
    let contracts = contracts(markets, &assets)?;
    let mut book = BookColumns {
        markets: markets.iter().map(|m| m.spec.clone()).collect(),
        accounts: options.accounts,
        account: Vec::with_capacity(legs.len()),
        market: Vec::with_capacity(legs.len()),
        size: Vec::with_capacity(legs.len()),
        entry: Vec::with_capacity(legs.len()),
        cross: Vec::with_capacity(legs.len()),
        collateral: Vec::with_capacity(legs.len()),
        cash: Vec::new(),
        assets,
    };
    let price = |leg: &Leg| {
        let market = leg.market as usize;
        let size = if leg.long { leg.units } else { -leg.units };
        let (entry, amount) = entry_and_collateral(leg, Size(size), &markets[market], &contracts[market])?;
        Ok((size, entry, amount))
    };
    let blocks: Vec<Result<Vec<(i64, i64, i128)>>> = legs
        .par_chunks(BLOCK)
        .map(|legs| {
            meter.advance(0)?;
            legs.iter().map(price).collect()
        })
        .collect();
    let mut priced = Vec::with_capacity(legs.len());
    for block in blocks {
        priced.append(&mut block?);
    }
    meter.advance(u64::from(options.accounts))?;
    for (leg, (size, entry, amount)) in legs.iter().zip(priced) {
        book.account.push(leg.account);
        book.market.push(leg.market);
        book.size.push(size);
        book.entry.push(entry);
        book.cross.push(leg.cross);
        book.collateral.push((!leg.cross).then_some(amount));
        if leg.cross {
            add_cash(
                &mut book.cash,
                Cash {
                    account: leg.account,
                    asset: asset_of[leg.market as usize] as u32,
                    amount,
                },
            );
        }
    }
    Ok(book)
}

/// Adds to the account's cash; accounts come in order, the assets of one account are kept in order.
fn add_cash(cash: &mut Vec<Cash>, add: Cash) {
    let start = cash
        .iter()
        .rposition(|c| c.account != add.account)
        .map_or(0, |before| before + 1);
    match cash[start..].binary_search_by_key(&add.asset, |c| c.asset) {
        Ok(at) => cash[start + at].amount += add.amount,
        Err(at) => cash.insert(start + at, add),
    }
}
