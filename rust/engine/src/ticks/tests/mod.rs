//! Tests of the reader as a whole, on small files and frames.

mod definitions;
mod errors;
mod forms;
mod order;
mod selection;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int8Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::Source;
use crate::error::{Error, Result};
use crate::progress::Silent;
use crate::tape::Tape;

/// A table that is put together column by column.
#[derive(Clone, Default)]
struct Frame {
    columns: Vec<(Field, ArrayRef)>,
    definitions: Option<String>,
}

impl Frame {
    fn with(mut self, name: &str, array: impl Into<ArrayRef>) -> Self {
        let array = array.into();
        let field = Field::new(name, array.data_type().clone(), true);
        self.columns.retain(|(known, _)| known.name() != name);
        self.columns.push((field, array));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.columns.retain(|(known, _)| known.name() != name);
        self
    }

    fn meta(mut self, name: &str, key: &str, value: &str) -> Self {
        for (field, _) in self.columns.iter_mut().filter(|(field, _)| field.name() == name) {
            field.set_metadata([(key.to_owned(), value.to_owned())].into());
        }
        self
    }

    fn defined(mut self, json: &str) -> Self {
        self.definitions = Some(json.to_owned());
        self
    }

    fn batch(&self) -> RecordBatch {
        let fields: Vec<Field> = self.columns.iter().map(|(field, _)| field.clone()).collect();
        let metadata = self
            .definitions
            .iter()
            .map(|json| ("underwater".to_owned(), json.clone()))
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        RecordBatch::try_new(
            schema,
            self.columns.iter().map(|(_, array)| Arc::clone(array)).collect(),
        )
        .unwrap()
    }

    fn write(&self, dir: &TempDir, name: &str, row_group: usize) -> PathBuf {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(row_group));
        self.write_with(dir, name, properties.build())
    }

    fn write_with(&self, dir: &TempDir, name: &str, properties: WriterProperties) -> PathBuf {
        let path = dir.path().join(name);
        let file = std::fs::File::create(&path).unwrap();
        let batch = self.batch();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    fn read(&self, definitions: Option<&str>) -> Result<Tape> {
        let batch = self.batch();
        read(&Source::from_batches(batch.schema(), vec![batch], definitions)?)
    }
}

fn array<A: arrow_array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn ns(values: &[i64]) -> ArrayRef {
    array(TimestampNanosecondArray::from(values.to_vec()).with_timezone("UTC"))
}

fn floats(values: &[f64]) -> ArrayRef {
    array(Float64Array::from(values.to_vec()))
}

fn words(values: &[&str]) -> ArrayRef {
    array(StringArray::from(values.to_vec()))
}

/// Five ticks of two markets, with sizes and sides.
fn two_markets() -> Frame {
    Frame::default()
        .with("ts", ns(&[10, 20, 20, 20, 50]))
        .with("market", words(&["B", "A", "B", "B", "A"]))
        .with("price", floats(&[100.5, 7.0, 101.25, 101.25, 8.125]))
        .with("size", floats(&[1.0, 0.0, 2.5, 2.5, 1e-3]))
        .with("side", array(Int8Array::from(vec![1, -1, 0, 0, 1])))
}

/// Three ticks of a market that the frame does not name.
fn one_market() -> Frame {
    two_markets().without("market").without("size").without("side")
}

fn read_files(paths: &[&Path], definitions: Option<&str>) -> Result<Tape> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    read(&Source::from_files(&paths, definitions)?)
}

/// Loads the ticks; streaming them must give the same, be it an error.
fn read(source: &Source) -> Result<Tape> {
    let loaded = source.load(&Silent);
    let few = source.rows() < 100;
    for chunk in [1, 3, 20, 5_000, usize::MAX]
        .into_iter()
        .filter(|&chunk| few || chunk > 1_000)
    {
        stream::assert_same(&loaded, &stream::collect(source, chunk));
    }
    loaded
}

fn names(tape: &Tape) -> Vec<&str> {
    tape.markets.iter().map(|market| market.spec.name.as_str()).collect()
}

/// The message of a data error.
fn data_error(result: Result<Tape>) -> String {
    match result {
        Err(Error::Data(message)) => message,
        other => panic!("expected a data error, got {other:?}"),
    }
}

fn config_error(result: Result<Tape>) -> String {
    match result {
        Err(Error::Config(message)) => message,
        other => panic!("expected a configuration error, got {other:?}"),
    }
}
