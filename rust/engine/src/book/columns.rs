//! Reading the columns of a frame, whatever Arrow type they have.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::decimals::Decimals;
use super::names::{Interner, NO_NAME};
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::progress::{Meter, POLL_ROWS};

/// One frame while it is read: its name and batches, with lookups that name what is wrong.
pub(super) struct Frame<'a> {
    pub name: &'static str,
    pub batches: &'a [RecordBatch],
    pub meter: &'a Meter<'a>,
}

/// The error of a row: frame, row and column, and what was expected.
pub(super) fn row_error(frame: &str, row: usize, column: &str, what: impl std::fmt::Display) -> Error {
    Error::Book(format!("{frame} frame, row {row}, column {column}: {what}"))
}

impl Frame<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn wrong_type<T>(&self, column: &str, expected: &str, got: &DataType) -> Result<T> {
        Err(Error::Book(format!(
            "{} frame, column {column}: expected {expected}, got {got}",
            self.name
        )))
    }

    fn unreadable(&self, column: &str, error: &dyn std::fmt::Display) -> Error {
        Error::Book(format!("{} frame, column {column}: {error}", self.name))
    }

    /// The column's part in each batch, behind the row at which it starts. None where it is absent or nothing but nulls, whatever
    /// its type: a column that was never filled has the type that its maker happened to give it.
    fn parts<'b>(&'b self, column: &'b str) -> impl Iterator<Item = (usize, usize, Option<&'b ArrayRef>)> {
        let mut next = 0;
        self.batches.iter().map(move |batch| {
            let (at, rows) = (next, batch.num_rows());
            next += rows;
            let filled = |array: &&ArrayRef| rows == 0 || array.logical_null_count() < rows;
            (at, rows, batch.column_by_name(column).filter(filled))
        })
    }

    /// Checks that the required columns are there and that there is none but these.
    pub fn check_columns(&self, required: &[&str], optional: &[&str]) -> Result<()> {
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

    /// A text column as numbers of names; integers are taken as text. [`NO_NAME`] for a null and for a column that is absent.
    pub fn words(&self, column: &str, names: &mut Interner) -> Result<Vec<u32>> {
        let mut words = Words {
            names,
            numbers: Vec::with_capacity(self.rows()),
        };
        for (_, rows, array) in self.parts(column) {
            match array {
                None => words.numbers.resize(words.numbers.len() + rows, NO_NAME),
                Some(array) => self.read_words(column, array, &mut words)?,
            }
        }
        Ok(words.numbers)
    }

    fn read_words(&self, column: &str, array: &ArrayRef, words: &mut Words<'_>) -> Result<()> {
        let as_text = |array: &ArrayRef| {
            arrow_cast::cast(array, &DataType::LargeUtf8).map_err(|error| self.unreadable(column, &error))
        };
        match array.data_type() {
            DataType::Null => {
                words.numbers.resize(words.numbers.len() + array.len(), NO_NAME);
                Ok(())
            }
            DataType::Utf8 => words.read(array.as_string::<i32>(), self.meter),
            DataType::LargeUtf8 => words.read(array.as_string::<i64>(), self.meter),
            DataType::Utf8View => words.read(array.as_string_view(), self.meter),
            kind if kind.is_integer() => words.read(as_text(array)?.as_string::<i64>(), self.meter),
            DataType::Dictionary(_, values)
                if matches!(**values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) =>
            {
                let Some(dictionary) = array.as_any_dictionary_opt().filter(|_| !array.is_empty()) else {
                    return Ok(());
                };
                // Once for each value that occurs, in order of appearance.
                let values = as_text(dictionary.values())?;
                let values = values.as_string::<i64>();
                let mut known: Vec<Option<u32>> = vec![None; values.len()];
                let nulls = array.logical_nulls();
                for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                        words.numbers.push(NO_NAME);
                        continue;
                    }
                    let number = match known[key] {
                        Some(number) => number,
                        None => *known[key].insert(words.names.number(values.value(key))?),
                    };
                    words.numbers.push(number);
                }
                self.meter.advance(array.len() as u64)
            }
            other => self.wrong_type(column, "text", other),
        }
    }

    /// A column of exact decimals. Null for a null and for a column that is absent.
    pub fn numbers(&self, column: &str) -> Result<Decimals> {
        let mut out = Decimals::nulls(self.rows());
        for (at, _, array) in self.parts(column) {
            if let Some(array) = array {
                self.read_numbers(column, array, at, &mut out)?;
            }
        }
        Ok(out)
    }

    fn read_numbers(&self, column: &str, array: &ArrayRef, at: usize, out: &mut Decimals) -> Result<()> {
        let (nulls, meter) = (array.nulls(), self.meter);
        macro_rules! integers {
            ($t:ty) => {
                out.write(at, array.as_primitive::<$t>().values(), nulls, meter, |x| {
                    Decimal {
                        mantissa: i128::from(x),
                        scale: 0,
                    }
                })
            };
        }
        match array.data_type() {
            DataType::Null => Ok(()),
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Decimal128(_, scale) => {
                let Ok(scale) = u32::try_from(*scale) else {
                    return self.wrong_type(column, "a decimal with a scale that is not negative", array.data_type());
                };
                let values = array.as_primitive::<Decimal128Type>().values();
                out.write(at, values, nulls, meter, |mantissa| Decimal { mantissa, scale })
            }
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>().values();
                let wide: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
                out.write_floats(at, &wide, nulls, meter)
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                out.write_floats(at, values, nulls, meter)
            }
            other => self.wrong_type(column, "a number", other),
        }
    }

    /// A column of instants.
    pub fn timestamps(&self, column: &str) -> Result<Vec<Option<i64>>> {
        let mut out = Vec::with_capacity(self.rows());
        for (_, rows, array) in self.parts(column) {
            let Some(array) = array.filter(|array| !array.is_empty()) else {
                out.resize(out.len() + rows, None);
                continue;
            };
            let DataType::Timestamp(_, zone) = array.data_type() else {
                return self.wrong_type(column, "a timestamp", array.data_type());
            };
            let nanos = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            let strict = arrow_cast::CastOptions {
                safe: false,
                ..Default::default()
            };
            let cast = arrow_cast::cast_with_options(array, &nanos, &strict)
                .map_err(|error| self.unreadable(column, &error))?;
            out.extend(cast.as_primitive::<TimestampNanosecondType>());
            self.meter.advance(rows as u64)?;
        }
        Ok(out)
    }
}

/// A text column while it is read.
struct Words<'a> {
    names: &'a mut Interner,
    numbers: Vec<u32>,
}

impl Words<'_> {
    fn read<'b>(&mut self, texts: impl ArrayAccessor<Item = &'b str>, meter: &Meter<'_>) -> Result<()> {
        let mut last = NO_NAME;
        for start in (0..texts.len()).step_by(POLL_ROWS) {
            let end = texts.len().min(start + POLL_ROWS);
            for row in start..end {
                if texts.is_null(row) {
                    self.numbers.push(NO_NAME);
                    continue;
                }
                // The rows of one account mostly follow each other, and so do the accounts in another frame.
                let text = texts.value(row);
                let names = self.names.names();
                let is = |number: u32| (number as usize) < names.len() && names.get(number) == text;
                last = match last {
                    last if is(last) => last,
                    last if is(last.wrapping_add(1)) => last.wrapping_add(1),
                    _ => self.names.number(text)?,
                };
                self.numbers.push(last);
            }
            meter.advance((end - start) as u64)?;
        }
        Ok(())
    }
}
