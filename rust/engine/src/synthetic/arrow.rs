//! A synthetic book as frames, in the columns in which any book is given.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::{BookColumns, account_name};
use crate::decimal::pow10;
use crate::error::{Error, Result};

const PRECISION: u8 = 38;

/// Positions: account, market, size, entry_price, margin_mode, collateral (null if cross).
///
/// Sizes, prices and amounts are exact decimals, in the most decimals that any market or asset has.
pub fn positions_batch(book: &BookColumns) -> Result<RecordBatch> {
    let size_decimals = book.markets.iter().filter_map(|m| m.size_decimals).max().unwrap_or(0);
    let price_decimals = book.markets.iter().filter_map(|m| m.price_decimals).max().unwrap_or(0);
    let asset_decimals = book.assets.iter().map(|a| a.decimals).max().unwrap_or(0);
    let own_asset_decimals: Vec<u32> = book
        .markets
        .iter()
        .map(|m| Ok(book.assets[super::position_of(&book.assets, m.settlement_asset()?)].decimals))
        .collect::<Result<_>>()?;
    let markets = || book.market.iter().map(|&m| &book.markets[m as usize]);
    let size = book
        .size
        .iter()
        .zip(markets())
        .map(|(&s, m)| (Some(i128::from(s)), m.size_decimals.unwrap_or(0)));
    let entry = book
        .entry
        .iter()
        .zip(markets())
        .map(|(&p, m)| (Some(i128::from(p)), m.price_decimals.unwrap_or(0)));
    let collateral = book
        .collateral
        .iter()
        .zip(&book.market)
        .map(|(&c, &m)| (c, own_asset_decimals[m as usize]));
    let names: StringArray = book
        .account
        .iter()
        .map(|&a| Some(account_name(a, book.accounts)))
        .collect();
    let market: StringArray = markets().map(|m| Some(m.name.as_str())).collect();
    let mode: StringArray = book
        .cross
        .iter()
        .map(|&cross| Some(if cross { "cross" } else { "isolated" }))
        .collect();
    batch(vec![
        ("account", Arc::new(names), false),
        ("market", Arc::new(market), false),
        ("size", decimals("size", size, size_decimals)?, false),
        ("entry_price", decimals("entry_price", entry, price_decimals)?, false),
        ("margin_mode", Arc::new(mode), false),
        ("collateral", decimals("collateral", collateral, asset_decimals)?, true),
    ])
}

/// Cash of the cross accounts: account, asset, collateral.
pub fn accounts_batch(book: &BookColumns) -> Result<RecordBatch> {
    let asset_decimals = book.assets.iter().map(|a| a.decimals).max().unwrap_or(0);
    let assets = || book.cash.iter().map(|c| &book.assets[c.asset as usize]);
    let names: StringArray = book
        .cash
        .iter()
        .map(|c| Some(account_name(c.account, book.accounts)))
        .collect();
    let asset: StringArray = assets().map(|a| Some(a.name.as_str())).collect();
    let amounts = book
        .cash
        .iter()
        .zip(assets())
        .map(|(c, a)| (Some(c.amount), a.decimals));
    batch(vec![
        ("account", Arc::new(names), false),
        ("asset", Arc::new(asset), false),
        ("collateral", decimals("collateral", amounts, asset_decimals)?, false),
    ])
}

/// A decimal column from integers with their own numbers of decimals.
fn decimals(what: &str, values: impl Iterator<Item = (Option<i128>, u32)>, decimals: u32) -> Result<ArrayRef> {
    let scaled: Vec<Option<i128>> = values
        .map(|(value, own)| {
            let factor = pow10(decimals - own);
            let scale = |v: i128| {
                v.checked_mul(factor)
                    .ok_or_else(|| Error::overflow(format!("{what} in {decimals} decimals")))
            };
            value.map(scale).transpose()
        })
        .collect::<Result<_>>()?;
    let scale = i8::try_from(decimals).map_err(|_| Error::overflow(format!("decimals of {what}")))?;
    let array = Decimal128Array::from(scaled).with_precision_and_scale(PRECISION, scale);
    Ok(Arc::new(array.map_err(|e| Error::Invariant(e.to_string()))?))
}

fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> Result<RecordBatch> {
    let field = |(name, array, nullable): &(&str, ArrayRef, bool)| {
        let kind: DataType = array.data_type().clone();
        Field::new(*name, kind, *nullable)
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|e| Error::Invariant(e.to_string()))
}
