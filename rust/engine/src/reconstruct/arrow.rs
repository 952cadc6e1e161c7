//! Reconstructed ticks in canonical form.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::decimal::pow10;
use crate::error::{Error, Result};
use crate::market::{AssetSpec, Definitions};
use crate::tape::MarketTicks;

/// One canonical table: ts, market, price, size, side, sorted by time, ties in the order of the markets given.
///
/// `price` and `size` are in the largest number of decimals of the markets, which stands in the fields' metadata; the schema's
/// metadata holds the definitions of these markets and of `assets`.
pub fn table(markets: &[MarketTicks], assets: &[AssetSpec]) -> Result<RecordBatch> {
    let decimals = |of: fn(&MarketTicks) -> Option<u32>| markets.iter().filter_map(of).max().unwrap_or(0);
    let (price_decimals, size_decimals) = (decimals(|m| m.spec.price_decimals), decimals(|m| m.spec.size_decimals));
    let rows = merge(markets);
    let column =
        |what: &str, decimals: u32, own: fn(&MarketTicks) -> Option<u32>, value: fn(&MarketTicks, usize) -> i64| {
            let factors: Vec<i64> = markets.iter().map(|m| pow10(decimals - own(m).unwrap_or(0)) as i64).collect();
            rows.iter()
                .map(|&(market, row)| value(&markets[market as usize], row).checked_mul(factors[market as usize]))
                .collect::<Option<Vec<i64>>>()
                .map(Int64Array::from)
                .ok_or_else(|| Error::overflow(format!("{what} in {decimals} decimals")))
        };
    let price = column("price", price_decimals, |m| m.spec.price_decimals, |m, row| m.price[row])?;
    let size = column("size", size_decimals, |m| m.spec.size_decimals, |m, row| m.size.as_ref().map_or(0, |s| s[row]))?;
    let side: Int8Array =
        rows.iter().map(|&(market, row)| markets[market as usize].side.as_ref().map_or(0, |s| s[row])).collect();
    let ts: Vec<i64> = rows.iter().map(|&(market, row)| markets[market as usize].ts[row]).collect();
    let keys: Int32Array = rows.iter().map(|&(market, _)| market).collect();
    let names = StringArray::from_iter_values(markets.iter().map(|m| &m.spec.name));
    let market =
        DictionaryArray::<Int32Type>::try_new(keys, Arc::new(names)).map_err(|e| Error::Invariant(e.to_string()))?;

    let with_decimals = |name: &str, decimals: u32| {
        Field::new(name, DataType::Int64, false).with_metadata([("decimals".to_owned(), decimals.to_string())].into())
    };
    let definitions =
        Definitions { markets: markets.iter().map(|m| m.spec.clone()).collect(), assets: assets.to_vec() };
    let json = serde_json::to_string(&definitions).map_err(|e| Error::Invariant(e.to_string()))?;
    let schema = Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("market", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), false),
        with_decimals("price", price_decimals),
        with_decimals("size", size_decimals),
        Field::new("side", DataType::Int8, false),
    ])
    .with_metadata([("underwater".to_owned(), json)].into());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from(ts).with_timezone("UTC")),
        Arc::new(market),
        Arc::new(price),
        Arc::new(size),
        Arc::new(side),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| Error::Invariant(e.to_string()))
}

/// (market, row) in the order of time, ties in the order of the markets.
fn merge(markets: &[MarketTicks]) -> Vec<(i32, usize)> {
    let mut rows: Vec<(i32, usize)> = Vec::with_capacity(markets.iter().map(|m| m.ts.len()).sum());
    for (market, ticks) in (0..).zip(markets) {
        rows.extend((0..ticks.ts.len()).map(|row| (market, row)));
    }
    if markets.len() > 1 {
        // Stable, and the rows of each market are sorted already: a merge of runs.
        rows.sort_by_key(|&(market, row)| markets[market as usize].ts[row]);
    }
    rows
}
