//! Every fault is an error that names file, column and row, and says what was expected.

use arrow_array::types::Int8Type;
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int32Array, Int64Array,
    TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};

use super::*;

fn nullable(values: [Option<f64>; 5]) -> ArrayRef {
    array(Float64Array::from(values.to_vec()))
}

fn decimals(values: [i128; 5], scale: i8) -> ArrayRef {
    array(
        Decimal128Array::from(values.to_vec())
            .with_precision_and_scale(38, scale)
            .unwrap(),
    )
}

fn sides(values: [i64; 5]) -> ArrayRef {
    array(Int64Array::from(values.to_vec()))
}

/// Changes of the five ticks of two markets, and what the message must hold after the origin.
fn faults() -> Vec<(Frame, &'static str)> {
    let good = two_markets;
    let ints = |values: [i64; 5]| array(Int64Array::from(values.to_vec()));
    vec![
        (
            good().without("ts"),
            "expected columns ts and price (market, size and side are optional); `ts` is missing among market",
        ),
        (
            good().without("price"),
            "`price` is missing among ts, market, size, side",
        ),
        (
            good().with("ts", ints([1, 2, 3, 4, 5])),
            "column `ts`: expected a timestamp in s, ms, us or ns, in UTC or without a zone, or int64 with `unit` = ns in its field metadata, got Int64",
        ),
        (
            good().with("ts", ints([1, 2, 3, 4, 5])).meta("ts", "unit", "us"),
            "column `ts`: expected a timestamp",
        ),
        (
            good().with(
                "ts",
                array(TimestampNanosecondArray::from(vec![1; 5]).with_timezone("Asia/Tokyo")),
            ),
            "got Timestamp(ns, \"Asia/Tokyo\")",
        ),
        (good().with("ts", array(Date32Array::from(vec![1; 5]))), "got Date32"),
        (
            good().with("ts", floats(&[1.0; 5])),
            "column `ts`: expected a timestamp in s, ms, us or ns, in UTC or without a zone, got Float64",
        ),
        (
            good().with("price", ints([1; 5])),
            "column `price`: expected int64 with `decimals` in its field metadata, float64 or decimal128, got Int64 without `decimals`",
        ),
        (
            good().with("price", ints([1; 5])).meta("price", "decimals", "x"),
            "column `price`: field metadata `decimals`: expected an integer from 0 to 18, got \"x\"",
        ),
        (
            good().with("price", ints([1; 5])).meta("price", "decimals", "19"),
            "expected an integer from 0 to 18",
        ),
        (
            good().with("price", array(Float32Array::from(vec![1.0; 5]))),
            "column `price`: expected int64 with `decimals` in its field metadata, float64 or decimal128, got Float32",
        ),
        (good().with("price", array(Int32Array::from(vec![1; 5]))), "got Int32"),
        (good().with("price", words(&["1"; 5])), "got Utf8"),
        (
            good().with("price", decimals([100; 5], -2)),
            "column `price`: expected a decimal128 with a scale from 0 to 38",
        ),
        (
            good().with("size", array(UInt64Array::from(vec![1; 5]))),
            "column `size`: expected int64 with",
        ),
        (
            good().with("side", floats(&[1.0; 5])),
            "column `side`: expected int8, int16, int32 or int64 (+1 buy, -1 sell, 0 unknown), or the words buy and sell, got Float64",
        ),
        (
            good().with("side", array(BooleanArray::from(vec![true; 5]))),
            "got Boolean",
        ),
        (
            good().with("market", array(Int32Array::from(vec![1; 5]))),
            "column `market`: expected dictionary, utf8, large_utf8 or utf8_view, got Int32",
        ),
        (
            good().with(
                "market",
                array(StringArray::from(vec![Some("A"), None, None, Some("B"), Some("B")])),
            ),
            "column `market`, row 1: expected a value, got null",
        ),
        (
            good().with(
                "market",
                array(DictionaryArray::<Int8Type>::from_iter([
                    Some("A"),
                    Some("A"),
                    None,
                    Some("B"),
                    Some("B"),
                ])),
            ),
            "column `market`, row 2: expected a value, got null",
        ),
        (
            good().with("market", words(&["A", "A", "A", "", "A"])),
            "column `market`, row 3: expected the name of a market, got an empty string",
        ),
        (
            good().with(
                "ts",
                array(TimestampNanosecondArray::from(vec![
                    Some(1),
                    Some(2),
                    None,
                    Some(4),
                    Some(5),
                ])),
            ),
            "column `ts`, row 2: expected a value, got null",
        ),
        (
            good().with("ts", ns(&[10, 30, 20, 25, 29])),
            "column `ts`, row 4: expected times that do not descend, got 1970-01-01T00:00:00.000000029Z after 1970-01-01T00:00:00.000000030Z",
        ),
        (
            good().with(
                "ts",
                array(TimestampMicrosecondArray::from(vec![0, 0, 1, 2, i64::MAX / 1000 + 1])),
            ),
            "column `ts`, row 4: expected a time between 1677-09-21T00:12:43",
        ),
        (
            good().with("ts", array(TimestampSecondArray::from(vec![i64::MIN, 0, 0, 0, 0]))),
            "column `ts`, row 0: expected a time between",
        ),
        (
            good().with("price", nullable([Some(1.0), Some(2.0), Some(1.0), None, Some(2.0)])),
            "column `price`, row 3: expected a value, got null",
        ),
        (
            good().with("price", floats(&[1.0, 2.0, f64::NAN, 1.0, 2.0])),
            "column `price`, row 2: expected a finite number, got NaN",
        ),
        (
            good().with("price", floats(&[1.0, 2.0, 2.0, 1.0, f64::INFINITY])),
            "column `price`, row 4: expected a finite number, got inf",
        ),
        (
            good().with("price", floats(&[1.0, 2.0, 2.0, 0.0, 1.0])),
            "column `price`, row 3: expected a positive number, got 0",
        ),
        (
            good().with("price", floats(&[1.0, -2.5, 2.0, 1.0, 1.0])),
            "column `price`, row 1: expected a positive number, got -2.5",
        ),
        (
            good()
                .with("price", ints([1, 1, 1, 0, 1]))
                .meta("price", "decimals", "2"),
            "column `price`, row 3: expected a positive number, got 0",
        ),
        (
            good().with("price", decimals([150, 0, 1, 1, 1], 2)),
            "column `price`, row 1: expected a positive number, got 0",
        ),
        (
            good().with("price", decimals([150, -150, 1, 1, 1], 2)),
            "column `price`, row 1: expected a positive number, got -1.50",
        ),
        (
            good().with("price", decimals([100, 100, 100, 101, 100], 20)),
            "column `price`, row 3: expected at most 18 decimals, got 0.00000000000000000101",
        ),
        (
            good().with("price", decimals([100, i128::MAX / 100, 100, 100, 100], 0)),
            "exceeds 64 bits",
        ),
        (
            good().with("price", floats(&[1.0, 1.0, 0.1 + 0.2, 1.0, 1.0])),
            "column `price`, row 2: expected a decimal number of at most 15 digits and 18 decimals, got 0.30000000000000004",
        ),
        (
            good().with("price", floats(&[1.0, 1.0, 1e15, 1.0, 1.0])),
            "row 2: expected a decimal number of at most 15 digits",
        ),
        (
            good().with("price", floats(&[1e14, 1.0, 1e-9, 1.0, 1.0])),
            "column `price`, row 0: 100000000000000 with 9 decimals, which other rows need, exceeds 64 bits",
        ),
        (
            good().with("price", decimals([10i128.pow(18) * 1000, 1, 1, 1, 1], 3)),
            "column `price`, row 2: needs 3 decimals, with which an earlier value of the market exceeds 64 bits",
        ),
        (
            good().with("size", floats(&[1.0, 1.0, -0.5, 1.0, 1.0])),
            "column `size`, row 2: expected a number that is not negative, got -0.5",
        ),
        (
            good().with("size", floats(&[1.0, 1.0, 1.0, 1.0, f64::NAN])),
            "column `size`, row 4: expected a finite number, got NaN",
        ),
        (
            good()
                .with("size", ints([1, 1, 1, -1, 1]))
                .meta("size", "decimals", "0"),
            "column `size`, row 3: expected a number that is not negative, got -1",
        ),
        (
            good().with("size", nullable([Some(1.0), Some(2.0), Some(1.0), None, Some(2.0)])),
            "column `size`, row 3: expected a value, got null",
        ),
        (
            good().with("side", sides([0, 1, 2, 1, 1])),
            "column `side`, row 2: expected +1 (buy), -1 (sell) or 0 (unknown), got 2",
        ),
        (
            good().with("side", sides([0, 1, 1, 1, 300])),
            "column `side`, row 4: expected +1 (buy), -1 (sell) or 0 (unknown), got 300",
        ),
        (
            good().with("side", words(&["buy", "sell", "bid", "buy", "sell"])),
            "column `side`, row 2: expected buy, sell or unknown, got \"bid\"",
        ),
        (
            good().with(
                "side",
                array(Int64Array::from(vec![Some(0), Some(1), None, Some(0), Some(0)])),
            ),
            "column `side`, row 2: expected a value, got null",
        ),
    ]
}

#[test]
fn faults_name_the_place() {
    for (frame, expected) in faults() {
        let message = data_error(frame.read(None));
        assert!(
            message.starts_with("frame: ") && message.contains(expected),
            "expected: {expected}\ngot: {message}"
        );
    }
}

#[test]
fn files_name_themselves() {
    for (frame, expected) in faults() {
        let negative =
            |(field, _): &(Field, ArrayRef)| matches!(field.data_type(), arrow_schema::DataType::Decimal128(_, -2));
        if frame.columns.iter().any(negative) {
            continue; // Parquet has no negative scale.
        }
        for row_group in [1, 100] {
            let dir = TempDir::new().unwrap();
            let path = frame.write(&dir, "ticks.parquet", row_group);
            let message = data_error(read_files(&[&path], None));
            assert!(message.contains("ticks.parquet: "), "{message}");
            // A seconds column does not exist in Parquet, and it brings its values to the next unit by itself.
            if expected.contains("expected a time between") {
                continue;
            }
            // What one chunk cannot know of another is found later, with the row that then is at fault.
            let same = message.contains(expected) || (row_group == 1 && message.contains("exceeds 64 bits"));
            let late = row_group == 1 && message.contains("expected a value, as in other rows of market");
            assert!(same || late, "expected: {expected}\ngot: {message}");
        }
    }
}

#[test]
fn nulls_of_a_market_are_all_or_none() {
    let part = |sizes, start: i64| two_markets().with("size", nullable(sizes)).with("ts", ns(&[start; 5]));
    let frame = part([None, Some(1.0), None, None, Some(1.0)], 0);
    let tape = frame.read(None).unwrap();
    assert!(tape.markets[0].size.is_some() && tape.markets[1].size.is_none());
    // In one chunk after the other.
    let (batch, rest) = (frame.batch(), part([Some(1.0); 5], 1).batch());
    let batches = vec![batch.clone(), rest];
    let message = data_error(
        Source::from_batches(batch.schema(), batches, None)
            .unwrap()
            .load(&Silent),
    );
    let expected = "frame: column `size`, row 0: expected a value, as in other rows of market B (in frame), got none";
    assert_eq!(message, expected);
    // Alone in its frame a market either has the column or it has not.
    let alone = frame.without("market");
    assert!(
        data_error(alone.read(Some(r#"{"markets":[{"name":"X"}]}"#)))
            .contains("column `size`, row 0: expected a value")
    );
}

#[test]
fn any_step_back_is_seen() {
    let message = |ts: &[i64; 5]| {
        data_error(
            one_market()
                .with("ts", ns(ts))
                .read(Some(r#"{"markets":[{"name":"X"}]}"#)),
        )
    };
    assert!(message(&[0, 1, 2, 3, 2]).contains("`ts`, row 4: expected times that do not descend"));
    assert!(message(&[i64::MAX, i64::MIN, -1, i64::MAX - 1, i64::MAX]).contains("`ts`, row 1: expected times that"));
}

#[test]
fn declared_decimals_must_fit() {
    let declared = |field: &str, decimals: u32| {
        let json = format!(r#"{{"markets":[{{"name":"A","{field}":{decimals}}}]}}"#);
        two_markets().read(Some(&json))
    };
    assert_eq!(
        declared("price_decimals", 6).unwrap().markets[0].price[..],
        [7_000_000, 8_125_000]
    );
    let message = data_error(declared("price_decimals", 2));
    let expected =
        "frame: column `price`, row 4: market A: expected a number that fits the declared 2 decimals, got 8.125";
    assert_eq!(message, expected);
    assert!(data_error(declared("size_decimals", 2)).contains("column `size`, row 4: market A: expected a number"));
    let json = r#"{"markets":[{"name":"B","price_decimals":17}]}"#;
    let message = data_error(two_markets().read(Some(json)));
    let expected = "row 0: market B: expected a number that fits the declared 17 decimals, got 100.5";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn files_that_are_no_ticks() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    assert!(
        matches!(read_files(&[&path("none.parquet")], None), Err(Error::MissingFile(missing)) if missing == path("none.parquet"))
    );
    assert_eq!(
        data_error(read_files(&[], None)),
        "files: expected at least one Parquet file, got none"
    );
    std::fs::write(path("zero.parquet"), b"").unwrap();
    assert!(
        data_error(read_files(&[&path("zero.parquet")], None))
            .contains("zero.parquet: expected a Parquet file, got an empty file (0 bytes)")
    );
    std::fs::write(path("text.parquet"), b"ts,price\n1,2\n").unwrap();
    assert!(data_error(read_files(&[&path("text.parquet")], None)).contains("text.parquet: cannot be read as Parquet"));
    assert!(data_error(read_files(&[dir.path()], None)).contains("expected a Parquet file, got a directory"));
    let empty = Frame::default().with("ts", ns(&[])).with("price", floats(&[]));
    assert!(
        data_error(read_files(&[&empty.write(&dir, "rows.parquet", 10)], None))
            .contains("rows.parquet: expected ticks, got a file without rows")
    );
    assert_eq!(
        data_error(empty.read(None)),
        "frame: expected ticks, got a frame without rows"
    );
    let good = two_markets().write(&dir, "good.parquet", 10);
    assert!(data_error(read_files(&[&good, &good], None)).contains("expected each file once"));
    // The error is that of the first file that has one.
    let message = data_error(read_files(&[&good, &path("text.parquet"), &path("zero.parquet")], None));
    assert!(message.contains("text.parquet"), "{message}");
    let doubled = two_markets();
    let twice = Frame {
        columns: [doubled.columns.clone(), vec![doubled.columns[2].clone()]].concat(),
        definitions: None,
    };
    assert_eq!(
        data_error(twice.read(None)),
        "frame: column `price`: expected one column of this name, found several"
    );
}

#[test]
fn files_that_change_after_they_were_opened() {
    let dir = TempDir::new().unwrap();
    let path = two_markets().write(&dir, "ticks.parquet", 2);
    let source = Source::from_files(std::slice::from_ref(&path), None).unwrap();
    two_markets().without("side").write(&dir, "ticks.parquet", 1);
    let message = data_error(read(&source));
    assert!(
        message.ends_with("ticks.parquet: changed since it was opened"),
        "{message}"
    );
}

#[test]
fn files_of_a_market_have_the_same_columns() {
    let dir = TempDir::new().unwrap();
    let with = one_market()
        .with("size", floats(&[1.0; 5]))
        .write(&dir, "with.parquet", 10);
    let without = one_market()
        .with("ts", ns(&[100; 5]))
        .write(&dir, "without.parquet", 10);
    for order in [[&with, &without], [&without, &with]] {
        let message = data_error(read_files(&[order[0], order[1]], Some(r#"{"markets":[{"name":"X"}]}"#)));
        let expected = "/without.parquet: column `size`, row 0: expected a value, as in other rows of market X (in ";
        assert!(
            message.contains(expected) && message.ends_with("/with.parquet), got none"),
            "{message}"
        );
    }
}

#[test]
fn the_first_fault_is_told_whatever_the_threads() {
    let n = 50_000;
    let mut prices = vec![1.5; n];
    for row in [49_999, 30_000, 20_001] {
        prices[row] = -1.0;
    }
    let frame = Frame::default()
        .with("ts", ns(&(0..n as i64).collect::<Vec<_>>()))
        .with("price", floats(&prices));
    let dir = TempDir::new().unwrap();
    let path = frame.write(&dir, "x.parquet", 1_000);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let message = data_error(pool.install(|| read_files(&[&path], None)));
        assert!(
            message.ends_with("column `price`, row 20001: expected a positive number, got -1"),
            "{message}"
        );
    }
}
