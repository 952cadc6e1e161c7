//! A batch as slices, checked for nulls, with times in their file's unit and sides as +1, -1 or 0.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use super::place::{Origin, Place, Rows};
use super::schema::{Number, View};
use crate::error::Result;

/// Stands for a null among sides.
pub(super) const NO_SIDE: i8 = i8::MIN;

/// A column of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers<'a> {
    Int(&'a [i64]),
    Float(&'a [f64]),
    Decimal(&'a [i128]),
}

/// The columns of a batch, as far as they are read. Numbers come with their type.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    /// With the nanoseconds in a unit.
    pub ts: Option<(&'a [i64], i64)>,
    pub price: Option<(Numbers<'a>, Number)>,
    pub size: Option<(Numbers<'a>, Number, Option<&'a NullBuffer>)>,
    pub side: Option<Vec<i8>>,
    pub market: Option<Words>,
}

/// A column of strings: `keys` point into `words`.
#[derive(Debug, Clone)]
pub(super) struct Words {
    column: DictionaryArray<Int32Type>,
    words: StringArray,
}

impl Words {
    /// The column as a dictionary; strings that are none are packed into one.
    fn of(place: Place<'_>, array: &ArrayRef) -> Result<Self> {
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let cast = cast(array, &words).map_err(|error| place.origin.column(place.column, error))?;
        let column = cast.as_any().downcast_ref::<DictionaryArray<Int32Type>>();
        match column.and_then(|column| Some((column, column.values().as_string_opt()?))) {
            Some((column, words)) => Ok(Self {
                column: column.clone(),
                words: words.clone(),
            }),
            None => Err(changed(place, array)),
        }
    }

    /// The column `market`, in which there are no nulls.
    pub fn market(place: Place<'_>, array: &ArrayRef) -> Result<Self> {
        let words = Self::of(place, array)?;
        no_nulls(place, words.nulls().as_ref())?;
        Ok(words)
    }

    pub fn keys(&self) -> &[i32] {
        self.column.keys().values()
    }

    /// The distinct words; not all need be used.
    pub fn words(&self) -> &StringArray {
        &self.words
    }

    /// Nulls of the rows, whether of the key or of the word.
    fn nulls(&self) -> Option<NullBuffer> {
        self.column.logical_nulls().filter(|nulls| nulls.null_count() > 0)
    }
}

impl<'a> Columns<'a> {
    /// The columns of `batch`, which begins at row `first` of the origin. Nulls are refused, except in `size` and `side` of an
    /// origin that holds several markets.
    pub fn of(origin: &Origin, view: &View, batch: &'a RecordBatch, first: u64) -> Result<Self> {
        let place = |column| Place {
            origin,
            column,
            batch: first,
            rows: Rows::All,
        };
        let ts = match view.ts {
            None => None,
            Some((at, factor)) => Some((times(place("ts"), batch.column(at))?, factor)),
        };
        let price = match view.price {
            None => None,
            Some((at, kind)) => Some((numbers(place("price"), batch.column(at), kind)?, kind)),
        };
        if let Some((at, _)) = view.ts {
            no_nulls(place("ts"), batch.column(at).nulls())?;
        }
        if let Some((at, _)) = view.price {
            no_nulls(place("price"), batch.column(at).nulls())?;
        }
        let market = match view.market {
            None => None,
            Some(at) => Some(Words::market(place("market"), batch.column(at))?),
        };
        let size = match view.size {
            None => None,
            Some((at, kind)) => {
                let array = batch.column(at);
                let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
                if !view.several {
                    no_nulls(place("size"), nulls)?;
                }
                Some((numbers(place("size"), array, kind)?, kind, nulls))
            }
        };
        let side = match view.side {
            None => None,
            Some(at) => Some(sides(place("side"), batch.column(at), view.several)?),
        };
        Ok(Self {
            ts,
            price,
            size,
            side,
            market,
        })
    }
}

fn no_nulls(place: Place<'_>, nulls: Option<&NullBuffer>) -> Result<()> {
    match nulls
        .filter(|nulls| nulls.null_count() > 0)
        .and_then(|nulls| nulls.iter().position(|valid| !valid))
    {
        None => Ok(()),
        Some(row) => place.fail(row, "expected a value, got null"),
    }
}

fn changed(place: Place<'_>, array: &ArrayRef) -> crate::error::Error {
    place.origin.column(
        place.column,
        format!("the type changes to {} within the data", array.data_type()),
    )
}

fn times<'a>(place: Place<'_>, array: &'a ArrayRef) -> Result<&'a [i64]> {
    let values = match array.data_type() {
        DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(|array| array.values()),
        DataType::Timestamp(TimeUnit::Second, _) => array
            .as_primitive_opt::<TimestampSecondType>()
            .map(|array| array.values()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array
            .as_primitive_opt::<TimestampMillisecondType>()
            .map(|array| array.values()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|array| array.values()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array
            .as_primitive_opt::<TimestampNanosecondType>()
            .map(|array| array.values()),
        _ => None,
    };
    values.map(AsRef::as_ref).ok_or_else(|| changed(place, array))
}

fn numbers<'a>(place: Place<'_>, array: &'a ArrayRef, kind: Number) -> Result<Numbers<'a>> {
    let numbers = match kind {
        Number::Int { .. } => array
            .as_primitive_opt::<Int64Type>()
            .map(|array| Numbers::Int(array.values())),
        Number::Float => array
            .as_primitive_opt::<Float64Type>()
            .map(|array| Numbers::Float(array.values())),
        Number::Decimal { .. } => array
            .as_primitive_opt::<Decimal128Type>()
            .map(|array| Numbers::Decimal(array.values())),
    };
    numbers.ok_or_else(|| changed(place, array))
}

/// The sides as numbers, nulls as [`NO_SIDE`] if they are allowed.
fn sides(place: Place<'_>, array: &ArrayRef, nullable: bool) -> Result<Vec<i8>> {
    let mut sides = match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().values().to_vec(),
        DataType::Int16 => narrow(array.as_primitive::<Int16Type>().values()),
        DataType::Int32 => narrow(array.as_primitive::<Int32Type>().values()),
        DataType::Int64 => narrow(array.as_primitive::<Int64Type>().values()),
        _ => return side_words(place, array, nullable),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    if let Some(nulls) = nulls {
        if !nullable {
            no_nulls(place, Some(nulls))?;
        }
        // What a null slot holds is arbitrary.
        sides
            .iter_mut()
            .zip(nulls.iter())
            .filter(|(_, valid)| !valid)
            .for_each(|(side, _)| *side = 0);
    }
    if let Some(row) = sides.iter().position(|side| !(-1..=1).contains(side)) {
        let value = cast(&array.slice(row, 1), &DataType::Utf8).ok();
        let value = value
            .as_ref()
            .and_then(|value| value.as_string_opt::<i32>())
            .map_or("another", |value| value.value(0));
        return place.fail(row, format!("expected +1 (buy), -1 (sell) or 0 (unknown), got {value}"));
    }
    if let Some(nulls) = nulls {
        sides
            .iter_mut()
            .zip(nulls.iter())
            .filter(|(_, valid)| !valid)
            .for_each(|(side, _)| *side = NO_SIDE);
    }
    Ok(sides)
}

/// What does not fit becomes a number that is no side.
fn narrow<T: Copy + TryInto<i8>>(values: &[T]) -> Vec<i8> {
    values
        .iter()
        .map(|&value| value.try_into().unwrap_or(i8::MAX))
        .collect()
}

fn side_words(place: Place<'_>, array: &ArrayRef, nullable: bool) -> Result<Vec<i8>> {
    const UNKNOWN_WORD: i8 = i8::MAX;
    let column = Words::of(place, array)?;
    let nulls = column.nulls();
    if !nullable {
        no_nulls(place, nulls.as_ref())?;
    }
    let words = column.words();
    let meanings: Vec<i8> = (0..words.len())
        .map(|at| match words.value(at) {
            word if word.eq_ignore_ascii_case("buy") => 1,
            word if word.eq_ignore_ascii_case("sell") => -1,
            word if word.eq_ignore_ascii_case("unknown") => 0,
            _ => UNKNOWN_WORD,
        })
        .collect();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let meaning = |(row, &key): (usize, &i32)| {
        if valid(row) {
            usize::try_from(key)
                .ok()
                .and_then(|key| meanings.get(key))
                .copied()
                .unwrap_or(UNKNOWN_WORD)
        } else {
            NO_SIDE
        }
    };
    let sides: Vec<i8> = column.keys().iter().enumerate().map(meaning).collect();
    match sides.iter().position(|&side| side == UNKNOWN_WORD) {
        None => Ok(sides),
        Some(row) => {
            let word = usize::try_from(column.keys()[row])
                .ok()
                .filter(|&key| key < words.len())
                .map(|key| words.value(key));
            place.fail(
                row,
                format!("expected buy, sell or unknown, got {:?}", word.unwrap_or_default()),
            )
        }
    }
}
