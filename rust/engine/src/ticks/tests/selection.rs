//! Reading less gives the same of what is read.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::stream::{assert_same, cases, collect};
use super::*;
use crate::ticks::{Columns, Selection};

fn selection(size: bool, side: bool, markets: Option<&[&str]>) -> Selection {
    Selection {
        columns: Columns { size, side },
        markets: markets.map(|names| names.iter().map(|&name| name.to_owned()).collect()),
    }
}

/// What is left of a tape.
fn reduced(mut tape: Tape, selection: &Selection) -> Tape {
    let kept = |name: &String| selection.markets.as_ref().is_none_or(|markets| markets.contains(name));
    let mut keep: Vec<bool> = tape.markets.iter().map(|market| kept(&market.spec.name)).collect();
    keep.reverse();
    let mut quality = keep.clone();
    tape.markets.retain(|_| keep.pop() == Some(true));
    tape.quality.retain(|_| quality.pop() == Some(true));
    for market in &mut tape.markets {
        market.size = market.size.take().filter(|_| selection.columns.size);
        market.side = market.side.take().filter(|_| selection.columns.side);
    }
    tape
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_selected_is_as_in_the_whole(case in cases(), size: bool, side: bool, wanted in prop::option::of(0usize..3)) {
        let dir = TempDir::new().unwrap();
        let source = case.source(&dir);
        let whole = source.load(&Silent).unwrap();
        let wanted: Option<BTreeSet<String>> =
            wanted.map(|market| [names(&whole)[market % whole.markets.len()].to_owned()].into());
        let selection = Selection { columns: Columns { size, side }, markets: wanted };
        let source = source.select(selection.clone());
        let loaded = source.load(&Silent);
        assert_same(&loaded, &collect(&source, case.chunk));
        let (mut loaded, mut expected) = (loaded.unwrap(), reduced(whole, &selection));
        for quality in loaded.quality.iter_mut().chain(&mut expected.quality) {
            // Without a column more rows are equal.
            quality.duplicates = if size && side { quality.duplicates } else { 0 };
        }
        prop_assert_eq!(loaded, expected);
    }
}

fn source(frame: &Frame, definitions: Option<&str>) -> Source {
    let batch = frame.batch();
    Source::from_batches(batch.schema(), vec![batch], definitions).unwrap()
}

#[test]
fn what_is_left_out_is_not_checked() {
    let bad = two_markets()
        .with("price", floats(&[-1.0, 7.0, -1.0, -1.0, 8.125]))
        .with("side", array(Int8Array::from(vec![1, -1, 7, 0, 1])));
    let bad = source(&bad, Some(r#"{"markets":[{"name":"A","size_decimals":3}]}"#));
    assert!(bad.load(&Silent).is_err());
    assert!(bad.select(selection(false, true, Some(&["A"]))).load(&Silent).is_err());
    let part = bad.select(selection(false, false, Some(&["A"])));
    let tape = read(&part).unwrap();
    assert_eq!((names(&tape), tape.rows()), (vec!["A"], 2));
    let stream = part.stream(10, &Silent).unwrap();
    assert_eq!((stream.start(), stream.end(), stream.rows()), (10, 50, 2));
}

#[test]
fn what_prices_a_market_is_read_with_it() {
    let json = r#"{"markets":[{"name":"B","kind":"inverse","settlement":"COIN"},{"name":"C","index":"A"},
        {"name":"A","settlement":"COIN"}], "assets":[{"name":"GOLD","decimals":3,"price_market":"D"}]}"#;
    let frame = two_markets().with("market", words(&["B", "A", "C", "D", "A"]));
    let source = source(&frame, Some(json));
    for (wanted, expected, assets) in [
        (["C"], vec!["A", "B", "C"], vec!["COIN", "USD"]),
        (["B"], vec!["B"], vec!["COIN", "USD"]),
        (["D"], vec!["D"], vec!["GOLD", "USD"]),
    ] {
        let tape = read(&source.select(selection(true, true, Some(&wanted)))).unwrap();
        assert_eq!(names(&tape), expected);
        let seen: Vec<&str> = tape.assets.iter().map(|asset| asset.name.as_str()).collect();
        assert_eq!(seen, assets);
    }
    let message = config_error(source.select(selection(true, true, Some(&["Z"]))).load(&Silent));
    assert_eq!(
        message,
        "selection: expected a market that has ticks (A, B, C, D), got Z"
    );
    assert!(
        config_error(source.select(selection(true, true, Some(&[]))).load(&Silent)).contains("at least one market")
    );
}

#[test]
fn files_of_other_markets_are_not_opened() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, start: i64| {
        Frame::default()
            .with("ts", ns(&[start, start + 10]))
            .with("price", floats(&[1.0, 2.0]))
            .write(&dir, &format!("{name}.parquet"), 10)
    };
    let (a, b) = (file("A", 5), file("B", 0));
    let source = Source::from_files(&[a, b.clone()], None).unwrap();
    // The footer is known; nothing else is asked of it.
    std::fs::remove_file(b).unwrap();
    let part = source.select(selection(true, true, Some(&["A"])));
    assert_eq!(names(&read(&part).unwrap()), ["A"]);
    let stream = part.stream(1, &Silent).unwrap();
    assert_eq!((stream.start(), stream.end()), (0, 15));
    assert!(matches!(source.load(&Silent), Err(Error::MissingFile(_))));
}
