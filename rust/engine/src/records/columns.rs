//! Columns of the frames of a result: Arrow arrays of the engine's integers, in scales that are the same for all rows of a column.

use std::sync::Arc;

use arrow_array::types::TimestampNanosecondType;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, PrimitiveArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, Field, Schema};

use crate::contract::AssetId;
use crate::error::{Error, Result};
use crate::ledger::Holder;
use crate::market::USD_DECIMALS;
use crate::replay::Run;
use crate::units::{Size, Usd};

/// Builds frames of one run.
pub(super) struct Frame<'a> {
    pub(super) run: &'a Run,
    size_scale: u32,
    price_scale: u32,
    amount_scale: u32,
}

pub(super) type Columns = Vec<(&'static str, ArrayRef)>;

pub(super) fn arrow(e: ArrowError) -> Error {
    Error::Invariant(format!("result frame: {e}"))
}

pub(super) fn batch(columns: Columns) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, a)| Field::new(*name, a.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(arrow)
}

pub(super) fn decimals(values: impl Iterator<Item = Option<i128>>, scale: u32) -> Result<ArrayRef> {
    let array: Decimal128Array = values.collect();
    let scale = i8::try_from(scale).map_err(|_| Error::overflow("decimals of a column"))?;
    let array = array.with_precision_and_scale(38, scale).map_err(arrow)?;
    array
        .validate_decimal_precision(38)
        .map_err(|_| Error::overflow("a figure of more than 38 digits"))?;
    Ok(Arc::new(array))
}

pub(super) fn usd(values: impl Iterator<Item = Usd>) -> Result<ArrayRef> {
    decimals(values.map(|v| Some(v.0)), USD_DECIMALS)
}

pub(super) fn optional_usd(values: impl Iterator<Item = Option<Usd>>) -> Result<ArrayRef> {
    decimals(values.map(|v| v.map(|v| v.0)), USD_DECIMALS)
}

pub(super) fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let array: PrimitiveArray<TimestampNanosecondType> = values.collect();
    Arc::new(array.with_timezone("UTC"))
}

pub(super) fn text<'b>(values: impl Iterator<Item = Option<&'b str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn flags(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values.collect::<Vec<_>>()))
}

pub(super) fn counts(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<UInt64Array>())
}

pub(super) fn numbers(values: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    Arc::new(values.collect::<UInt32Array>())
}

pub(super) fn side(size: Size) -> &'static str {
    if size.0 > 0 { "long" } else { "short" }
}

impl<'a> Frame<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let venue = &run.setup.venue;
        Self {
            run,
            size_scale: venue.markets.iter().map(|m| m.size_decimals).max().unwrap_or(0),
            price_scale: venue.markets.iter().map(|m| m.price_decimals).max().unwrap_or(0),
            amount_scale: venue
                .assets
                .iter()
                .map(|a| a.decimals)
                .max()
                .unwrap_or(0)
                .max(USD_DECIMALS),
        }
    }

    pub(super) fn market(&self, m: usize) -> &'a str {
        &self.run.setup.venue.markets[m].name
    }

    pub(super) fn account(&self, a: usize) -> &'a str {
        self.run.state.book.name(a)
    }

    pub(super) fn account_market(&self, a: usize) -> Option<&'a str> {
        self.run.state.book.isolated(a).map(|m| self.market(m))
    }

    pub(super) fn opening(&self, a: usize) -> bool {
        self.run.state.book.accounts[a].opening
    }

    pub(super) fn holder(&self, h: Holder) -> &'a str {
        match h {
            Holder::Account(a) => self.account(a),
            Holder::Fund(f) => self.run.setup.funds.name(f),
            Holder::Entity(e) => e.name(),
        }
    }

    pub(super) fn holder_market(&self, h: Holder) -> Option<&'a str> {
        match h {
            Holder::Account(a) => self.account_market(a),
            Holder::Fund(_) | Holder::Entity(_) => None,
        }
    }

    pub(super) fn asset(&self, a: AssetId) -> &'a str {
        &self.run.setup.venue.assets[a].name
    }

    pub(super) fn scaled(value: i128, decimals: u32, scale: u32) -> Result<Option<i128>> {
        let factor = 10i128.pow(scale - decimals);
        value
            .checked_mul(factor)
            .map(Some)
            .ok_or_else(|| Error::overflow("a figure of more than 38 digits"))
    }

    pub(super) fn sizes(&self, values: impl Iterator<Item = (usize, i128)>) -> Result<ArrayRef> {
        let markets = &self.run.setup.venue.markets;
        let scaled = values.map(|(m, v)| Self::scaled(v, markets[m].size_decimals, self.size_scale));
        decimals(scaled.collect::<Result<Vec<_>>>()?.into_iter(), self.size_scale)
    }

    pub(super) fn sizes_or_none(&self, values: impl Iterator<Item = Option<(usize, Size)>>) -> Result<ArrayRef> {
        let markets = &self.run.setup.venue.markets;
        let scaled = values.map(|value| {
            value.map_or(Ok(None), |(m, size)| {
                Self::scaled(size.0.into(), markets[m].size_decimals, self.size_scale)
            })
        });
        decimals(scaled.collect::<Result<Vec<_>>>()?.into_iter(), self.size_scale)
    }

    pub(super) fn prices(&self, values: impl Iterator<Item = (usize, i64)>) -> Result<ArrayRef> {
        let markets = &self.run.setup.venue.markets;
        let scaled = values.map(|(m, v)| Self::scaled(i128::from(v), markets[m].price_decimals, self.price_scale));
        decimals(scaled.collect::<Result<Vec<_>>>()?.into_iter(), self.price_scale)
    }

    pub(super) fn amounts(&self, values: impl Iterator<Item = (Option<AssetId>, i128)>) -> Result<ArrayRef> {
        let assets = &self.run.setup.venue.assets;
        let scaled = values.map(|(a, v)| match a {
            None => Ok(None),
            Some(a) => Self::scaled(v, assets[a].decimals, self.amount_scale),
        });
        decimals(scaled.collect::<Result<Vec<_>>>()?.into_iter(), self.amount_scale)
    }
}
