//! A tape as Arrow: the canonical table, and what was seen while reading.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, DurationNanosecondArray, Int8Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::decode::{Meter, each};
use super::scaled::misfit;
use super::schema::{DECIMALS_KEY, DEFINITIONS_KEY};
use crate::decimal::checked_pow10;
use crate::error::{Error, Result};
use crate::progress::{POLL_ROWS, Progress};
use crate::tape::{MarketTicks, Tape};

/// Rows of a batch of the table.
const BATCH: usize = 1 << 20;

/// The ticks of a tape in canonical columns (ts, market, price, size, side), by time, then market, then file order.
///
/// Prices and sizes are int64 with the decimals of the market that has most, in the field's metadata; decimal128 if a value then
/// exceeds 64 bits. `size` and `side` are there if a market has them, and null for markets that have not. The schema's metadata
/// holds the definitions, so that reading the table gives the same tape.
pub fn table(tape: &Tape, progress: &dyn Progress) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let rows = tape.rows();
    let meter = Meter::new(progress, "sort", rows as u64);
    let order = order(tape, &meter)?;
    let price = NumberColumn::of(tape, &meter, |market| (market.spec.price_decimals, Some(&market.price)))?;
    let size = NumberColumn::of(tape, &meter, |market| {
        (market.spec.size_decimals, market.size.as_deref())
    })?;
    let has_size = tape.markets.iter().any(|market| market.size.is_some());
    let has_side = tape.markets.iter().any(|market| market.side.is_some());
    let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new(
            "ts",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            false,
        ),
        Field::new("market", words, false),
        price.field("price"),
    ];
    if has_size {
        fields.push(
            size.field("size")
                .with_nullable(tape.markets.iter().any(|market| market.size.is_none())),
        );
    }
    if has_side {
        fields.push(Field::new(
            "side",
            DataType::Int8,
            tape.markets.iter().any(|market| market.side.is_none()),
        ));
    }
    let metadata = [(DEFINITIONS_KEY.to_owned(), tape.definitions().to_json()?)].into();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(
        tape.markets.iter().map(|market| &market.spec.name),
    ));
    let meter = Meter::new(progress, "table", rows as u64);
    let batches = each((0..rows).step_by(BATCH).collect(), |start| {
        let rows = start..(start + BATCH).min(rows);
        let cells = || order.cells(rows.clone());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(
                TimestampNanosecondArray::from_iter_values(cells().map(|(market, row)| tape.markets[market].ts[row]))
                    .with_timezone("UTC"),
            ),
            Arc::new(
                DictionaryArray::try_new(
                    Int32Array::from_iter_values(cells().map(|(market, _)| market as i32)),
                    Arc::clone(&names),
                )
                .map_err(|error| Error::Invariant(error.to_string()))?,
            ),
            price.array(cells()),
        ];
        if has_size {
            columns.push(size.array(cells()));
        }
        if has_side {
            let side = |(market, row): (usize, usize)| tape.markets[market].side.as_ref().map(|side| side[row]);
            columns.push(Arc::new(Int8Array::from_iter(cells().map(side))));
        }
        meter.add(rows.len())?;
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Error::Invariant(error.to_string()))
    })?;
    Ok((schema, batches))
}

/// The order of all ticks by (ts, market), file order within a market.
struct Order {
    /// The market of each row.
    markets: Vec<u32>,
    /// For every [`BATCH`] rows, how many rows of each market come before.
    before: Vec<Vec<usize>>,
}

fn order(tape: &Tape, meter: &Meter<'_>) -> Result<Order> {
    let time = |market: usize, row: usize| tape.markets[market].ts.get(row).copied();
    let mut next = vec![0; tape.markets.len()];
    let mut heap: BinaryHeap<_> = (0..next.len())
        .filter_map(|market| Some(Reverse((time(market, 0)?, market))))
        .collect();
    let mut order = Order {
        markets: Vec::with_capacity(tape.rows()),
        before: Vec::new(),
    };
    while let Some(Reverse((_, market))) = heap.pop() {
        // A market goes on until another's next tick comes first.
        loop {
            if order.markets.len().is_multiple_of(BATCH) {
                order.before.push(next.clone());
            }
            order.markets.push(market as u32);
            if order.markets.len().is_multiple_of(POLL_ROWS) {
                meter.add(POLL_ROWS)?;
            }
            next[market] += 1;
            let Some(ts) = time(market, next[market]) else { break };
            if heap.peek().is_some_and(|&Reverse(other)| other < (ts, market)) {
                heap.push(Reverse((ts, market)));
                break;
            }
        }
    }
    Ok(order)
}

impl Order {
    /// (market, row of the market) of some rows, which begin at a multiple of [`BATCH`].
    fn cells(&self, rows: std::ops::Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let mut next = self.before[rows.start / BATCH].clone();
        self.markets[rows].iter().map(move |&market| {
            let row = &mut next[market as usize];
            *row += 1;
            (market as usize, *row - 1)
        })
    }
}

/// Prices or sizes of all markets at one number of decimals.
struct NumberColumn<'a> {
    decimals: u32,
    /// Of each market: its values, and what brings them to `decimals`.
    markets: Vec<(Option<&'a [i64]>, i128)>,
    /// A value does not fit 64 bits.
    wide: bool,
}

impl<'a> NumberColumn<'a> {
    fn of(
        tape: &'a Tape,
        meter: &Meter<'_>,
        column: impl Fn(&'a MarketTicks) -> (Option<u32>, Option<&'a [i64]>),
    ) -> Result<Self> {
        let columns: Vec<(u32, Option<&[i64]>)> = tape
            .markets
            .iter()
            .map(column)
            .map(|(decimals, values)| (decimals.unwrap_or(0), values))
            .collect();
        let present = columns.iter().filter(|(_, values)| values.is_some());
        let decimals = present.map(|(decimals, _)| *decimals).max().unwrap_or(0);
        let mut wide = false;
        for (from, values) in &columns {
            for values in values.unwrap_or_default().chunks(POLL_ROWS) {
                meter.poll()?;
                wide = wide || misfit(values, *from, decimals).is_some();
            }
        }
        let factor = |from: u32| checked_pow10(decimals.saturating_sub(from)).unwrap_or(1);
        let markets = columns
            .into_iter()
            .map(|(from, values)| (values, factor(from)))
            .collect();
        Ok(Self {
            decimals,
            markets,
            wide,
        })
    }

    fn field(&self, name: &str) -> Field {
        if self.wide {
            Field::new(name, DataType::Decimal128(38, self.decimals as i8), false)
        } else {
            let metadata = [(DECIMALS_KEY.to_owned(), self.decimals.to_string())].into();
            Field::new(name, DataType::Int64, false).with_metadata(metadata)
        }
    }

    fn array(&self, cells: impl Iterator<Item = (usize, usize)>) -> ArrayRef {
        let values = cells.map(|(market, row)| {
            let (values, factor) = self.markets[market];
            values.map(|values| i128::from(values[row]) * factor)
        });
        if self.wide {
            let array = Decimal128Array::from_iter(values);
            Arc::new(array.with_data_type(DataType::Decimal128(38, self.decimals as i8)))
        } else {
            // It fits: that is what `wide` says.
            Arc::new(Int64Array::from_iter(
                values.map(|value| value.map(|value| value as i64)),
            ))
        }
    }
}

/// What was seen while reading, one row a market: market, rows, duplicates, same_instant, instants, first_ts, last_ts, longest_gap.
pub fn quality(tape: &Tape) -> Result<RecordBatch> {
    let count = |of: fn(&crate::tape::Quality) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(tape.quality.iter().map(of)))
    };
    let time = |of: fn(&[i64]) -> Option<&i64>| -> ArrayRef {
        let times = tape.markets.iter().map(|market| of(&market.ts).copied());
        Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("UTC"))
    };
    let names = tape.markets.iter().map(|market| &market.spec.name);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("market", Arc::new(StringArray::from_iter_values(names))),
        ("rows", count(|quality| quality.rows)),
        ("duplicates", count(|quality| quality.duplicates)),
        ("same_instant", count(|quality| quality.same_instant)),
        ("instants", count(|quality| quality.instants)),
        ("first_ts", time(<[i64]>::first)),
        ("last_ts", time(<[i64]>::last)),
        ("longest_gap", {
            let gaps = tape.quality.iter().map(|quality| quality.longest_gap);
            Arc::new(DurationNanosecondArray::from_iter_values(gaps))
        }),
    ];
    RecordBatch::try_from_iter(columns).map_err(|error| Error::Invariant(error.to_string()))
}
