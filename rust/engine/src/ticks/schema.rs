//! Which columns there are, and of what type.

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::place::Origin;
use crate::decimal::MAX_DECIMALS;
use crate::error::Result;
use crate::market::Definitions;

/// Key of the schema metadata that holds the definitions as JSON.
pub const DEFINITIONS_KEY: &str = "underwater";
/// Key of the metadata of an integer `price` or `size` that holds its number of decimals.
pub const DECIMALS_KEY: &str = "decimals";
/// Key of the metadata of an integer `ts`; its value must be `ns`.
pub const UNIT_KEY: &str = "unit";

/// How a column of numbers is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// Integers in `10^-decimals`.
    Int { decimals: u32 },
    /// Doubles.
    Float,
    /// 128-bit decimals.
    Decimal { scale: u32 },
}

/// The columns of an origin. Positions are those in a batch of the [`Layout::wanted`] columns alone.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The needed columns, as positions in the schema, ascending.
    pub wanted: Vec<usize>,
    pub ts: usize,
    /// Nanoseconds in a unit of `ts`.
    pub ts_factor: i64,
    pub market: Option<usize>,
    pub price: (usize, Number),
    pub size: Option<(usize, Number)>,
    pub side: Option<usize>,
    /// From the schema's metadata.
    pub definitions: Definitions,
}

impl Layout {
    /// Finds the columns; `schema` is that of the whole origin.
    pub fn of(origin: &Origin, schema: &Schema) -> Result<Self> {
        let ts = required(origin, schema, "ts")?;
        let price = required(origin, schema, "price")?;
        let market = find(origin, schema, "market")?;
        let size = find(origin, schema, "size")?;
        let side = find(origin, schema, "side")?;
        let mut wanted: Vec<usize> = [Some(ts), Some(price), market, size, side]
            .into_iter()
            .flatten()
            .collect();
        wanted.sort_unstable();
        let rank = |column: usize| wanted.partition_point(|&other| other < column);
        let field = |column: usize| schema.field(column);
        if let Some(market) = market {
            text(origin, field(market), "dictionary, utf8, large_utf8 or utf8_view")?;
        }
        if let Some(side) = side {
            side_type(origin, field(side))?;
        }
        Ok(Self {
            ts: rank(ts),
            ts_factor: time(origin, field(ts))?,
            market: market.map(rank),
            price: (rank(price), number(origin, field(price))?),
            size: size.map(|at| Ok((rank(at), number(origin, field(at))?))).transpose()?,
            side: side.map(rank),
            definitions: definitions(origin, schema)?,
            wanted,
        })
    }
}

/// Columns to read, of those that there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Need {
    pub ts: bool,
    pub market: bool,
    pub price: bool,
    pub size: bool,
    pub side: bool,
}

impl Need {
    pub const ALL: Self = Self {
        ts: true,
        market: true,
        price: true,
        size: true,
        side: true,
    };
    pub const NONE: Self = Self {
        ts: false,
        market: false,
        price: false,
        size: false,
        side: false,
    };
}

/// The columns of a layout that are read, and where they stand in a batch of these alone.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Positions among the columns of [`Layout::wanted`], ascending.
    pub columns: Vec<usize>,
    /// Whether the origin holds several markets, as far as its schema tells.
    pub several: bool,
    pub ts: Option<(usize, i64)>,
    pub market: Option<usize>,
    pub price: Option<(usize, Number)>,
    pub size: Option<(usize, Number)>,
    pub side: Option<usize>,
}

impl Layout {
    /// The needed columns that there are.
    pub fn view(&self, need: Need) -> View {
        let market = self.market.filter(|_| need.market);
        let size = self.size.filter(|_| need.size);
        let side = self.side.filter(|_| need.side);
        let ts = need.ts.then_some((self.ts, self.ts_factor));
        let price = need.price.then_some(self.price);
        let columns = [
            ts.map(|(at, _)| at),
            market,
            price.map(|(at, _)| at),
            size.map(|(at, _)| at),
            side,
        ];
        let mut columns: Vec<usize> = columns.into_iter().flatten().collect();
        columns.sort_unstable();
        let rank = |column: usize| columns.partition_point(|&other| other < column);
        let ranked = |(at, kind)| (rank(at), kind);
        View {
            several: self.market.is_some(),
            ts: ts.map(|(at, factor)| (rank(at), factor)),
            market: market.map(rank),
            price: price.map(ranked),
            size: size.map(ranked),
            side: side.map(rank),
            columns,
        }
    }
}

fn find(origin: &Origin, schema: &Schema, name: &str) -> Result<Option<usize>> {
    let mut found = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| field.name() == name)
        .map(|(at, _)| at);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(origin.column(name, "expected one column of this name, found several")),
    }
}

fn required(origin: &Origin, schema: &Schema, name: &str) -> Result<usize> {
    find(origin, schema, name)?.ok_or_else(|| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        origin.error(format!(
            "expected columns ts and price (market, size and side are optional); `{name}` is missing among {}",
            names.join(", ")
        ))
    })
}

fn wrong_type<T>(origin: &Origin, field: &Field, expected: &str) -> Result<T> {
    Err(origin.column(field.name(), format!("expected {expected}, got {}", field.data_type())))
}

/// Nanoseconds in a unit of the column.
fn time(origin: &Origin, field: &Field) -> Result<i64> {
    const EXPECTED: &str = "a timestamp in s, ms, us or ns, in UTC or without a zone";
    match field.data_type() {
        DataType::Timestamp(_, Some(zone))
            if !["UTC", "Etc/UTC", "Z", "+00:00", "+0000", "+00"].contains(&zone.as_ref()) =>
        {
            wrong_type(origin, field, EXPECTED)
        }
        DataType::Timestamp(TimeUnit::Second, _) => Ok(1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Ok(1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(1),
        DataType::Int64 if field.metadata().get(UNIT_KEY).is_some_and(|unit| unit == "ns") => Ok(1),
        DataType::Int64 => wrong_type(
            origin,
            field,
            &format!("{EXPECTED}, or int64 with `{UNIT_KEY}` = ns in its field metadata"),
        ),
        _ => wrong_type(origin, field, EXPECTED),
    }
}

fn number(origin: &Origin, field: &Field) -> Result<Number> {
    let expected = format!("int64 with `{DECIMALS_KEY}` in its field metadata, float64 or decimal128");
    match field.data_type() {
        DataType::Float64 => Ok(Number::Float),
        DataType::Decimal128(_, scale) => match u32::try_from(*scale) {
            Ok(scale) if scale <= 38 => Ok(Number::Decimal { scale }),
            _ => wrong_type(origin, field, "a decimal128 with a scale from 0 to 38"),
        },
        DataType::Int64 => match field.metadata().get(DECIMALS_KEY) {
            Some(text) => match text.parse() {
                Ok(decimals) if decimals <= MAX_DECIMALS => Ok(Number::Int { decimals }),
                _ => Err(origin.column(
                    field.name(),
                    format!(
                        "field metadata `{DECIMALS_KEY}`: expected an integer from 0 to {MAX_DECIMALS}, got {text:?}"
                    ),
                )),
            },
            None => Err(origin.column(
                field.name(),
                format!("expected {expected}, got Int64 without `{DECIMALS_KEY}`"),
            )),
        },
        _ => wrong_type(origin, field, &expected),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => {
            matches!(**values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        _ => false,
    }
}

fn text(origin: &Origin, field: &Field, expected: &str) -> Result<()> {
    if is_text(field.data_type()) {
        Ok(())
    } else {
        wrong_type(origin, field, expected)
    }
}

fn side_type(origin: &Origin, field: &Field) -> Result<()> {
    match field.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(()),
        _ => text(
            origin,
            field,
            "int8, int16, int32 or int64 (+1 buy, -1 sell, 0 unknown), or the words buy and sell",
        ),
    }
}

fn definitions(origin: &Origin, schema: &Schema) -> Result<Definitions> {
    match schema.metadata().get(DEFINITIONS_KEY) {
        None => Ok(Definitions::default()),
        Some(json) => {
            let place = format!("schema metadata `{DEFINITIONS_KEY}`");
            Definitions::from_json(&place, json)
                .and_then(|definitions| definitions.check(&place).map(|()| definitions))
                .map_err(|error| origin.error(error))
        }
    }
}

/// The same schema with strings as dictionaries, which spares a string for every row.
pub(super) fn with_dictionaries(schema: &Schema) -> Schema {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
                if is_text(field.data_type()) && ["market", "side"].contains(&field.name().as_str()) =>
            {
                let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                field.as_ref().clone().with_data_type(words)
            }
            _ => field.as_ref().clone(),
        })
        .collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}
