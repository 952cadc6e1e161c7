//! Every form in which a column may come gives the same tape.

use arrow_array::types::Int8Type;
use arrow_array::{
    Decimal128Array, DictionaryArray, Int16Array, Int32Array, Int64Array, LargeStringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use proptest::prelude::*;

use super::*;
use crate::ticks::{quality, table};

#[test]
fn reads_what_is_there() {
    let tape = two_markets().read(None).unwrap();
    assert_eq!(names(&tape), ["A", "B"]);
    let [a, b] = &tape.markets[..] else { panic!() };
    assert_eq!((a.spec.price_decimals, a.spec.size_decimals), (Some(3), Some(3)));
    assert_eq!((b.spec.price_decimals, b.spec.size_decimals), (Some(2), Some(1)));
    assert_eq!((&a.ts[..], &a.price[..]), (&[20, 50][..], &[7000, 8125][..]));
    assert_eq!(
        (&b.ts[..], &b.price[..]),
        (&[10, 20, 20][..], &[10050, 10125, 10125][..])
    );
    assert_eq!(a.size.as_deref(), Some(&[0, 1][..]));
    assert_eq!(b.size.as_deref(), Some(&[10, 25, 25][..]));
    assert_eq!(a.side.as_deref(), Some(&[-1, 1][..]));
    assert_eq!(b.side.as_deref(), Some(&[1, 0, 0][..]));
    assert_eq!(tape.assets.len(), 1);
    let seen = &tape.quality[1];
    assert_eq!(
        (
            seen.rows,
            seen.duplicates,
            seen.same_instant,
            seen.instants,
            seen.longest_gap
        ),
        (3, 1, 1, 2, 10)
    );
}

#[test]
fn times_in_any_unit() {
    let expected = one_market().with("ts", ns(&[-2_000_000_000, 0, 0, 1_000_000_000, 5_000_000_000]));
    let expected = expected.read(Some(r#"{"markets":[{"name":"X"}]}"#)).unwrap();
    let seconds = [-2, 0, 0, 1, 5];
    let scaled = |factor: i64| seconds.map(|second| second * factor).to_vec();
    for ts in [
        array(TimestampSecondArray::from(scaled(1))),
        array(TimestampMillisecondArray::from(scaled(1_000)).with_timezone("+00:00")),
        array(TimestampMicrosecondArray::from(scaled(1_000_000)).with_timezone("Etc/UTC")),
        array(TimestampNanosecondArray::from(scaled(1_000_000_000))),
        array(Int64Array::from(scaled(1_000_000_000))),
    ] {
        let frame = one_market().with("ts", ts).meta("ts", "unit", "ns");
        assert_eq!(frame.read(Some(r#"{"markets":[{"name":"X"}]}"#)).unwrap(), expected);
    }
}

#[test]
fn times_as_far_apart_as_can_be() {
    let frame = one_market().with("ts", ns(&[i64::MIN, i64::MIN, 0, i64::MAX, i64::MAX]));
    let tape = frame.read(Some(r#"{"markets":[{"name":"X"}]}"#)).unwrap();
    assert_eq!((tape.quality[0].longest_gap, tape.quality[0].instants), (i64::MAX, 3));
}

#[test]
fn numbers_in_any_type() {
    let expected = two_markets().read(None).unwrap();
    let decimal = |values: Vec<i128>, scale| {
        array(
            Decimal128Array::from(values)
                .with_precision_and_scale(38, scale)
                .unwrap(),
        )
    };
    let prices = [1005, 70, 10125, 10125, 8125];
    let scales = [100i128, 100, 10, 10, 1];
    let price = decimal(
        prices.iter().zip(scales).map(|(n, m)| n * m * 10i128.pow(20)).collect(),
        23,
    );
    let size = decimal(vec![10_000, 0, 25_000, 25_000, 10], 4);
    assert_eq!(
        two_markets()
            .with("price", price)
            .with("size", size)
            .read(None)
            .unwrap(),
        expected
    );
    // Integers say their decimals, and keep them.
    let price = array(Int64Array::from(vec![100_500, 7000, 101_250, 101_250, 8125]));
    let tape = two_markets()
        .with("price", price)
        .meta("price", "decimals", "3")
        .read(None)
        .unwrap();
    assert_eq!(tape.markets[0], expected.markets[0]);
    assert_eq!(&tape.markets[1].price[..], &[100_500, 101_250, 101_250]);
    assert_eq!(tape.markets[1].spec.price_decimals, Some(3));
}

#[test]
fn words_in_any_type() {
    let expected = two_markets().read(None).unwrap();
    let markets = ["B", "A", "B", "B", "A"];
    let sides = ["buy", "SELL", "unknown", "unknown", "Buy"];
    let dictionary = DictionaryArray::<Int8Type>::from_iter(markets);
    for (market, side) in [
        (
            array(StringArray::from(markets.to_vec())),
            array(StringArray::from(sides.to_vec())),
        ),
        (
            array(LargeStringArray::from(markets.to_vec())),
            array(LargeStringArray::from(sides.to_vec())),
        ),
        (
            array(StringViewArray::from(markets.to_vec())),
            array(StringViewArray::from(sides.to_vec())),
        ),
        (array(dictionary), array(DictionaryArray::<Int8Type>::from_iter(sides))),
        (words(&markets), array(Int16Array::from(vec![1, -1, 0, 0, 1]))),
        (words(&markets), array(Int32Array::from(vec![1, -1, 0, 0, 1]))),
        (words(&markets), array(Int64Array::from(vec![1, -1, 0, 0, 1]))),
    ] {
        let frame = two_markets().with("market", market).with("side", side);
        assert_eq!(frame.read(None).unwrap(), expected);
        let dir = TempDir::new().unwrap();
        assert_eq!(
            read_files(&[&frame.write(&dir, "x.parquet", 2)], None).unwrap(),
            expected
        );
    }
}

#[test]
fn a_table_reads_back() {
    let json = r#"{"markets":[{"name":"B","kind":"inverse","contract_size":"10","settlement":"COIN","index":"C"}],
                   "assets":[{"name":"GOLD","decimals":3}]}"#;
    let sizeless = [None, Some(1.5), None, None, Some(2.0)];
    let frame = two_markets()
        .with("market", words(&["B", "A", "B", "B", "C"]))
        .with("size", array(Float64Array::from(sizeless.to_vec())));
    let tape = frame.read(Some(json)).unwrap();
    assert!(tape.markets[0].size.is_some() && tape.markets[1].size.is_none());
    assert_eq!(tape.markets[1].spec.size_decimals, Some(8));
    let (schema, batches) = table(&tape, &Silent).unwrap();
    assert_eq!(schema.field(2).metadata()["decimals"], "3");
    let back = Source::from_batches(schema, batches, None)
        .unwrap()
        .load(&Silent)
        .unwrap();
    assert_eq!(back, tape);
    assert_eq!(quality(&tape).unwrap().num_rows(), 3);
}

#[test]
fn a_table_whose_decimals_exceed_64_bits_reads_back() {
    let frame = two_markets().with("price", floats(&[1e-17, 1e14, 3e-17, 3e-17, 2e14]));
    let tape = frame.read(None).unwrap();
    let (schema, batches) = table(&tape, &Silent).unwrap();
    assert_eq!(*schema.field(2).data_type(), arrow_schema::DataType::Decimal128(38, 17));
    assert_eq!(
        Source::from_batches(schema, batches, None)
            .unwrap()
            .load(&Silent)
            .unwrap(),
        tape
    );
}

proptest! {
    /// Decimals written as floats come back as the integers they were, at the fewest decimals that fit.
    #[test]
    fn floats_become_the_decimals_they_were(
        numbers in prop::collection::vec((1i64..1_000_000, 0u32..=8), 1..3000),
        late in prop::option::of((1i64..1_000_000, 9u32..=12)),
    ) {
        let numbers: Vec<_> = numbers.into_iter().chain(late).collect();
        let xs: Vec<f64> = numbers.iter().map(|(n, k)| format!("{n}e-{k}").parse().unwrap()).collect();
        let ts: Vec<i64> = (0..xs.len() as i64).collect();
        let tape = Frame::default().with("ts", ns(&ts)).with("price", floats(&xs));
        let tape = tape.read(Some(r#"{"markets":[{"name":"X"}]}"#)).unwrap();
        let decimals = tape.markets[0].spec.price_decimals.unwrap();
        for (&price, (n, k)) in tape.markets[0].price.iter().zip(&numbers) {
            prop_assert_eq!(i128::from(price) * 10i128.pow(12), i128::from(*n) * 10i128.pow(12 + decimals - k));
        }
        let fits = |decimals: u32| numbers.iter().all(|(n, k)| *k <= decimals || n % 10i64.pow(k - decimals) == 0);
        prop_assert!(fits(decimals) && (decimals == 0 || !fits(decimals - 1)));
    }
}
