//! Frames of a book as the caller gives them: read once into exact columns, checked row by row, not yet bound to markets.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::decimal::{Decimal, decimals_of, quantise};
use crate::error::{Error, Result};

/// A row of the positions frame.
#[derive(Debug, Clone)]
pub(super) struct PositionRow {
    pub account: String,
    pub market: String,
    pub size: Decimal,
    pub entry: Decimal,
    pub isolated: bool,
    pub collateral: Option<Decimal>,
    pub collateral_asset: Option<String>,
    pub key: Option<String>,
    pub owner: Option<String>,
}

/// A row of the accounts frame: cash of a cross account.
#[derive(Debug, Clone)]
pub(super) struct CashRow {
    pub account: String,
    pub asset: String,
    pub collateral: Decimal,
    pub owner: Option<String>,
}

/// A row of the events frame.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub ts: i64,
    pub account: String,
    pub market: Option<String>,
    pub deposit: bool,
    pub asset: String,
    pub amount: Decimal,
}

/// The three frames of a book.
#[derive(Debug, Clone, Default)]
pub struct BookFrames {
    pub(super) positions: Vec<PositionRow>,
    pub(super) accounts: Vec<CashRow>,
    pub(super) events: Vec<EventRow>,
}

/// One frame while it is read: its name and batches, with lookups that name what is wrong.
struct Frame<'a> {
    name: &'static str,
    batches: &'a [RecordBatch],
}

impl Frame<'_> {
    fn fail<T>(&self, row: usize, column: &str, what: impl std::fmt::Display) -> Result<T> {
        Err(Error::Book(format!(
            "{} frame, row {row}, column {column}: {what}",
            self.name
        )))
    }

    fn wrong_type<T>(&self, column: &str, expected: &str, got: &DataType) -> Result<T> {
        Err(Error::Book(format!(
            "{} frame, column {column}: expected {expected}, got {got}",
            self.name
        )))
    }

    fn column<'b>(&self, batch: &'b RecordBatch, column: &str) -> Option<&'b ArrayRef> {
        batch.column_by_name(column)
    }

    fn check_columns(&self, required: &[&str], optional: &[&str]) -> Result<()> {
        let Some(batch) = self.batches.first() else {
            return Ok(());
        };
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        if let Some(missing) = required.iter().find(|c| !names.contains(*c)) {
            return Err(Error::Book(format!(
                "{} frame: column {missing} is missing; it has {}",
                self.name,
                names.join(", ")
            )));
        }
        if let Some(unknown) = names.iter().find(|n| !required.contains(*n) && !optional.contains(*n)) {
            return Err(Error::Book(format!(
                "{} frame: unknown column {unknown}; expected {}",
                self.name,
                [required, optional].concat().join(", ")
            )));
        }
        Ok(())
    }

    /// A text column; integers are taken as text. None for an absent column or a null.
    fn text(&self, column: &str) -> Result<Vec<Option<String>>> {
        let mut out = Vec::new();
        for batch in self.batches {
            let Some(array) = self.column(batch, column) else {
                out.resize(out.len() + batch.num_rows(), None);
                continue;
            };
            let kind = array.data_type();
            let textual = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            let accepted = textual(kind)
                || kind.is_integer()
                || *kind == DataType::Null
                || matches!(kind, DataType::Dictionary(_, v) if textual(v));
            if !accepted {
                return self.wrong_type(column, "text", kind);
            }
            let cast = arrow_cast::cast(array, &DataType::Utf8)
                .map_err(|e| Error::Book(format!("{} frame: {e}", self.name)))?;
            let strings = cast.as_string::<i32>();
            out.extend(strings.iter().map(|s| s.map(str::to_owned)));
        }
        Ok(out)
    }

    fn required_text(&self, column: &str) -> Result<Vec<String>> {
        self.text(column)?
            .into_iter()
            .enumerate()
            .map(|(row, text)| match text {
                Some(t) if !t.is_empty() => Ok(t),
                _ => self.fail(row, column, "expected text, got null or nothing"),
            })
            .collect()
    }

    /// A column of exact decimals; None for an absent column or a null.
    fn numbers(&self, column: &str) -> Result<Vec<Option<Decimal>>> {
        macro_rules! integers {
            ($array:expr, $t:ty, $out:expr) => {
                $out.extend($array.as_primitive::<$t>().iter().map(|x| {
                    x.map(|x| Decimal {
                        mantissa: i128::from(x),
                        scale: 0,
                    })
                }))
            };
        }
        let mut out: Vec<Option<Decimal>> = Vec::new();
        for batch in self.batches {
            let Some(array) = self.column(batch, column) else {
                out.resize(out.len() + batch.num_rows(), None);
                continue;
            };
            match array.data_type() {
                DataType::Null => out.resize(out.len() + batch.num_rows(), None),
                DataType::Int8 => integers!(array, Int8Type, out),
                DataType::Int16 => integers!(array, Int16Type, out),
                DataType::Int32 => integers!(array, Int32Type, out),
                DataType::Int64 => integers!(array, Int64Type, out),
                DataType::UInt8 => integers!(array, UInt8Type, out),
                DataType::UInt16 => integers!(array, UInt16Type, out),
                DataType::UInt32 => integers!(array, UInt32Type, out),
                DataType::UInt64 => integers!(array, UInt64Type, out),
                DataType::Decimal128(_, scale) => {
                    let Ok(scale) = u32::try_from(*scale) else {
                        return self.wrong_type(
                            column,
                            "a decimal with a scale that is not negative",
                            array.data_type(),
                        );
                    };
                    for x in array.as_primitive::<Decimal128Type>() {
                        out.push(x.map(|mantissa| Decimal { mantissa, scale }));
                    }
                }
                DataType::Float32 => {
                    for x in array.as_primitive::<Float32Type>() {
                        let row = out.len();
                        out.push(x.map(|x| self.float(f64::from(x), row, column)).transpose()?);
                    }
                }
                DataType::Float64 => {
                    for x in array.as_primitive::<Float64Type>() {
                        let row = out.len();
                        out.push(x.map(|x| self.float(x, row, column)).transpose()?);
                    }
                }
                other => return self.wrong_type(column, "a number", other),
            }
        }
        Ok(out)
    }

    /// The shortest decimal that reads back as the float.
    fn float(&self, x: f64, row: usize, column: &str) -> Result<Decimal> {
        if !x.is_finite() {
            return self.fail(row, column, format!("expected a finite number, got {x}"));
        }
        if let Some((scale, mantissa)) = decimals_of(x).and_then(|k| Some((k, quantise(x, k)?))) {
            return Ok(Decimal {
                mantissa: i128::from(mantissa),
                scale,
            });
        }
        match Decimal::parse(&format!("{x}")) {
            Some(d) => Ok(d),
            None => self.fail(row, column, format!("{x} has too many digits")),
        }
    }

    fn required_numbers(&self, column: &str) -> Result<Vec<Decimal>> {
        self.numbers(column)?
            .into_iter()
            .enumerate()
            .map(|(row, x)| x.map_or_else(|| self.fail(row, column, "expected a number, got null"), Ok))
            .collect()
    }

    fn timestamps(&self, column: &str) -> Result<Vec<i64>> {
        let mut out = Vec::new();
        for batch in self.batches {
            let Some(array) = self.column(batch, column) else {
                continue;
            };
            let DataType::Timestamp(_, zone) = array.data_type() else {
                return self.wrong_type(column, "a timestamp", array.data_type());
            };
            let nanos = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            let cast = arrow_cast::cast_with_options(
                array,
                &nanos,
                &arrow_cast::CastOptions {
                    safe: false,
                    ..Default::default()
                },
            )
            .map_err(|e| Error::Book(format!("{} frame, column {column}: {e}", self.name)))?;
            for x in cast.as_primitive::<TimestampNanosecondType>() {
                match x {
                    Some(ts) => out.push(ts),
                    None => return self.fail(out.len(), column, "expected a timestamp, got null"),
                }
            }
        }
        Ok(out)
    }
}

impl BookFrames {
    /// Reads and checks the frames. Markets and assets are checked when the book meets the ticks.
    ///
    /// # Errors
    /// [`Error::Book`] naming frame, row and column: a missing, unknown or mistyped column; a null; a size of zero; an entry price that is
    /// not positive; negative collateral; an isolated position without collateral or a cross position with its own.
    pub fn read(positions: &[RecordBatch], accounts: &[RecordBatch], events: &[RecordBatch]) -> Result<Self> {
        Ok(Self {
            positions: read_positions(positions)?,
            accounts: read_cash(accounts)?,
            events: read_events(events)?,
        })
    }

    /// Number of different account names.
    pub fn accounts(&self) -> usize {
        let names: std::collections::BTreeSet<&str> = self
            .positions
            .iter()
            .map(|p| p.account.as_str())
            .chain(self.accounts.iter().map(|c| c.account.as_str()))
            .collect();
        names.len()
    }

    /// Number of position rows.
    pub fn position_rows(&self) -> usize {
        self.positions.len()
    }
}

fn read_positions(batches: &[RecordBatch]) -> Result<Vec<PositionRow>> {
    let frame = Frame {
        name: "positions",
        batches,
    };
    frame.check_columns(
        &["account", "market", "size", "entry_price"],
        &["margin_mode", "collateral", "collateral_asset", "position", "owner"],
    )?;
    let (accounts, markets) = (frame.required_text("account")?, frame.required_text("market")?);
    let (sizes, entries) = (frame.required_numbers("size")?, frame.required_numbers("entry_price")?);
    let (modes, collaterals) = (frame.text("margin_mode")?, frame.numbers("collateral")?);
    let (assets, keys, owners) = (
        frame.text("collateral_asset")?,
        frame.text("position")?,
        frame.text("owner")?,
    );
    let mut rows = Vec::with_capacity(accounts.len());
    let columns = accounts
        .into_iter()
        .zip(markets)
        .zip(sizes)
        .zip(entries)
        .zip(modes)
        .zip(collaterals)
        .zip(assets)
        .zip(keys)
        .zip(owners);
    for (row, ((((((((account, market), size), entry), mode), collateral), collateral_asset), key), owner)) in
        columns.enumerate()
    {
        if size.mantissa == 0 {
            return frame.fail(row, "size", "a position of size 0; leave the row out");
        }
        if entry.mantissa <= 0 {
            return frame.fail(row, "entry_price", format!("expected a positive price, got {entry}"));
        }
        let isolated = match mode.as_deref() {
            None | Some("isolated") => true,
            Some("cross") => false,
            Some(other) => return frame.fail(row, "margin_mode", format!("expected isolated or cross, got {other:?}")),
        };
        match (&collateral, isolated) {
            (Some(c), true) if c.mantissa < 0 => {
                return frame.fail(
                    row,
                    "collateral",
                    format!("expected an amount that is not negative, got {c}"),
                );
            }
            (None, true) => return frame.fail(row, "collateral", "an isolated position needs its collateral"),
            (Some(_), false) => {
                return frame.fail(
                    row,
                    "collateral",
                    "the collateral of a cross position stands in the accounts frame",
                );
            }
            _ => {}
        }
        rows.push(PositionRow {
            account,
            market,
            size,
            entry,
            isolated,
            collateral,
            collateral_asset,
            key,
            owner,
        });
    }
    Ok(rows)
}

fn read_cash(batches: &[RecordBatch]) -> Result<Vec<CashRow>> {
    let frame = Frame {
        name: "accounts",
        batches,
    };
    frame.check_columns(&["account", "asset", "collateral"], &["owner"])?;
    let (accounts, assets) = (frame.required_text("account")?, frame.required_text("asset")?);
    let (collaterals, owners) = (frame.required_numbers("collateral")?, frame.text("owner")?);
    let mut rows = Vec::with_capacity(accounts.len());
    for (row, (((account, asset), collateral), owner)) in accounts
        .into_iter()
        .zip(assets)
        .zip(collaterals)
        .zip(owners)
        .enumerate()
    {
        if collateral.mantissa < 0 {
            return frame.fail(
                row,
                "collateral",
                format!("expected an amount that is not negative, got {collateral}"),
            );
        }
        rows.push(CashRow {
            account,
            asset,
            collateral,
            owner,
        });
    }
    Ok(rows)
}

fn read_events(batches: &[RecordBatch]) -> Result<Vec<EventRow>> {
    let frame = Frame {
        name: "events",
        batches,
    };
    frame.check_columns(&["ts", "account", "kind", "asset", "amount"], &["market"])?;
    let (times, accounts, markets) = (
        frame.timestamps("ts")?,
        frame.required_text("account")?,
        frame.text("market")?,
    );
    let (kinds, assets) = (frame.required_text("kind")?, frame.required_text("asset")?);
    let amounts = frame.required_numbers("amount")?;
    let mut rows: Vec<EventRow> = Vec::with_capacity(times.len());
    let columns = times
        .into_iter()
        .zip(accounts)
        .zip(markets)
        .zip(kinds)
        .zip(assets)
        .zip(amounts);
    for (row, (((((ts, account), market), kind), asset), amount)) in columns.enumerate() {
        let deposit = match kind.as_str() {
            "deposit" => true,
            "withdrawal" => false,
            other => return frame.fail(row, "kind", format!("expected deposit or withdrawal, got {other:?}")),
        };
        if amount.mantissa <= 0 {
            return frame.fail(row, "amount", format!("expected a positive amount, got {amount}"));
        }
        if rows.last().is_some_and(|last| last.ts > ts) {
            return frame.fail(row, "ts", "events are not sorted by time");
        }
        rows.push(EventRow {
            ts,
            account,
            market,
            deposit,
            asset,
            amount,
        });
    }
    Ok(rows)
}
