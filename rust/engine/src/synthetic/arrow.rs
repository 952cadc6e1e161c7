//! A synthetic book as frames, in the columns in which any book is given.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema};
use rayon::prelude::*;

use super::{BookColumns, account_name};
use crate::decimal::pow10;
use crate::error::{Error, Result};
use crate::progress::POLL_ROWS;

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
    let market_of = |row: usize| &book.markets[book.market[row] as usize];
    let rows = book.account.len();
    let size = |row: usize| (i128::from(book.size[row]), market_of(row).size_decimals.unwrap_or(0));
    let entry = |row: usize| (i128::from(book.entry[row]), market_of(row).price_decimals.unwrap_or(0));
    let collateral = |row: usize| {
        let amount = book.collateral[row].unwrap_or_default();
        (amount, own_asset_decimals[book.market[row] as usize])
    };
    let isolated = BooleanBuffer::collect_bool(rows, |row| book.collateral[row].is_some());
    let names = account_names(&book.account, book.accounts)?;
    let market: StringArray = (0..rows).map(|row| Some(market_of(row).name.as_str())).collect();
    let mode: StringArray = book
        .cross
        .iter()
        .map(|&cross| Some(if cross { "cross" } else { "isolated" }))
        .collect();
    batch(vec![
        ("account", Arc::new(names), false),
        ("market", Arc::new(market), false),
        ("size", decimals("size", rows, size, None, size_decimals)?, false),
        (
            "entry_price",
            decimals("entry_price", rows, entry, None, price_decimals)?,
            false,
        ),
        ("margin_mode", Arc::new(mode), false),
        (
            "collateral",
            decimals("collateral", rows, collateral, Some(isolated), asset_decimals)?,
            true,
        ),
    ])
}

/// Cash of the cross accounts: account, asset, collateral.
pub fn accounts_batch(book: &BookColumns) -> Result<RecordBatch> {
    let asset_decimals = book.assets.iter().map(|a| a.decimals).max().unwrap_or(0);
    let asset_of = |row: usize| &book.assets[book.cash[row].asset as usize];
    let rows = book.cash.len();
    let accounts: Vec<u32> = book.cash.iter().map(|c| c.account).collect();
    let names = account_names(&accounts, book.accounts)?;
    let asset: StringArray = (0..rows).map(|row| Some(asset_of(row).name.as_str())).collect();
    let amounts = |row: usize| (book.cash[row].amount, asset_of(row).decimals);
    batch(vec![
        ("account", Arc::new(names), false),
        ("asset", Arc::new(asset), false),
        (
            "collateral",
            decimals("collateral", rows, amounts, None, asset_decimals)?,
            false,
        ),
    ])
}

/// [`account_name`] of each, which all have the same length.
fn account_names(numbers: &[u32], accounts: u32) -> Result<StringArray> {
    let width = account_name(0, accounts).len();
    if i32::try_from(numbers.len() * width).is_err() {
        return Err(Error::overflow("names of a synthetic book"));
    }
    let mut text = vec![b'0'; numbers.len() * width];
    text.par_chunks_mut(width * POLL_ROWS)
        .zip(numbers.par_chunks(POLL_ROWS))
        .for_each(|(text, numbers)| {
            for (name, &number) in text.chunks_exact_mut(width).zip(numbers) {
                name[0] = b'a';
                let mut left = u64::from(number) + 1;
                for digit in name[1..].iter_mut().rev() {
                    *digit = b'0' + (left % 10) as u8;
                    left /= 10;
                }
            }
        });
    let offsets = OffsetBuffer::from_repeated_length(width, numbers.len());
    StringArray::try_new(offsets, text.into(), None).map_err(|e| Error::Invariant(e.to_string()))
}

/// A decimal column from integers with their own numbers of decimals.
fn decimals(
    what: &str,
    rows: usize,
    value: impl Fn(usize) -> (i128, u32) + Sync,
    valid: Option<BooleanBuffer>,
    decimals: u32,
) -> Result<ArrayRef> {
    let scaled: Option<Vec<i128>> = (0..rows)
        .into_par_iter()
        .with_min_len(POLL_ROWS)
        .map(|row| {
            let (value, own) = value(row);
            value.checked_mul(pow10(decimals - own))
        })
        .collect();
    let scaled = scaled.ok_or_else(|| Error::overflow(format!("{what} in {decimals} decimals")))?;
    let scale = i8::try_from(decimals).map_err(|_| Error::overflow(format!("decimals of {what}")))?;
    let array = Decimal128Array::try_new(scaled.into(), valid.map(NullBuffer::new));
    let array = array.and_then(|array| array.with_precision_and_scale(PRECISION, scale));
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
