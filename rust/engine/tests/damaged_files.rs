//! Damaged Parquet files: an error that names the file, or ticks; never a panic.
//!
//! A test of its own process, because it silences the panic hook: the Parquet library panics on some bytes, which the reader catches.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use underwater_engine::error::Error;
use underwater_engine::progress::Silent;
use underwater_engine::tape::Tape;
use underwater_engine::ticks::Source;

const ROWS: usize = 60;

fn ticks(with_market: bool) -> RecordBatch {
    let rows = 0..ROWS as i64;
    let ts: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(
        rows.clone().map(|i| i * 1_000_003),
    ));
    let market: ArrayRef = Arc::new(StringArray::from_iter_values(
        rows.clone().map(|i| ["AAA", "BBB"][i as usize % 2]),
    ));
    let price: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.map(|i| 100.0 + i as f64 / 8.0)));
    let columns = [("ts", ts), ("market", market), ("price", price)];
    let batch =
        RecordBatch::try_from_iter(columns.into_iter().filter(|(name, _)| with_market || *name != "market")).unwrap();
    let definitions = if with_market {
        r#"{"markets":[{"name":"AAA"}]}"#
    } else {
        "{}"
    };
    let metadata = [("underwater".to_owned(), definitions.to_owned())].into();
    let schema: SchemaRef = Arc::new(Schema::new_with_metadata(batch.schema().fields().clone(), metadata));
    batch.with_schema(schema).unwrap()
}

/// A small file of several row groups and pages.
fn file(batch: &RecordBatch, compression: Compression, encoding: Encoding) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(ROWS / 2))
        .set_data_page_row_count_limit(16)
        .set_write_batch_size(8)
        .set_compression(compression)
        .set_dictionary_enabled(encoding == Encoding::RLE_DICTIONARY);
    let properties = match encoding {
        Encoding::RLE_DICTIONARY => properties,
        _ => properties
            .set_encoding(Encoding::PLAIN)
            .set_column_encoding("ts".into(), encoding),
    };
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Reads the bytes as a file, whole and in chunks.
fn read(path: &Path, bytes: &[u8]) -> Option<Tape> {
    std::fs::write(path, bytes).unwrap();
    let source = sound(Source::from_files(&[path.to_owned()], None))?;
    let loaded = sound(source.load(&Silent));
    // Streaming relies on the statistics; it may find those damaged, which loading does not look at.
    if let Some(rows) = sound(stream(&source)) {
        assert_eq!(Some(rows), loaded.as_ref().map(Tape::rows));
    }
    loaded
}

fn stream(source: &Source) -> Result<usize, Error> {
    let mut stream = source.stream(7, &Silent)?;
    let (mut rows, mut before) = (0, None);
    while let Some(tape) = stream.next(&Silent)? {
        assert!(tape.start() > before, "chunks follow each other");
        before = tape.end();
        rows += tape.rows();
    }
    assert_eq!(before, Some(stream.end()));
    Ok(rows)
}

fn sound<T>(outcome: Result<T, Error>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(Error::Data(message)) => {
            assert!(message.contains("damaged.parquet"), "{message}");
            None
        }
        // A damaged definition may look like a wrong one.
        Err(Error::Config(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn damaged_files_never_panic() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(damage);
    std::panic::set_hook(hook);
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        panic!(
            "{}",
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default()
        );
    }
}

fn damage() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("damaged.parquet");
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (with_market, compression, encoding) in [
        (true, zstd, Encoding::DELTA_BINARY_PACKED),
        (true, Compression::SNAPPY, Encoding::RLE_DICTIONARY),
        (false, Compression::UNCOMPRESSED, Encoding::DELTA_BINARY_PACKED),
    ] {
        let good = file(&ticks(with_market), compression, encoding);
        let tape = read(&path, &good).expect("the file itself is good");
        assert_eq!((tape.rows(), tape.markets.len()), (ROWS, 1 + usize::from(with_market)));
        for cut in (0..good.len()).step_by(7) {
            assert!(read(&path, &good[..cut]).is_none(), "cut at {cut}");
        }
        for at in (0..good.len()).step_by(2) {
            let mut bad = good.clone();
            bad[at] ^= [0x01, 0x80, 0xff, 0x10][at / 2 % 4];
            if let Some(tape) = read(&path, &bad) {
                // Without a checksum a flipped value may be a value; but rows do not come and go.
                assert_eq!(tape.rows(), ROWS, "byte {at}");
            }
        }
    }
}
