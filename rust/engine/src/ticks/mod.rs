//! Ticks from Parquet files or Arrow batches to a [`Tape`].

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::tape::Tape;

/// Where ticks come from: checked, not yet decoded.
#[derive(Debug)]
pub struct Source {
    rows: u64,
}

impl Source {
    /// Parquet files; reads their schemas only.
    pub fn from_files(_paths: &[PathBuf], _definitions: Option<&str>) -> Result<Self> {
        Err(Error::Data("not built yet".to_owned()))
    }

    /// Arrow batches of one schema.
    pub fn from_batches(_schema: SchemaRef, _batches: Vec<RecordBatch>, _definitions: Option<&str>) -> Result<Self> {
        Err(Error::Data("not built yet".to_owned()))
    }

    /// Number of rows that will be decoded.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Decodes everything.
    pub fn load(&self, _progress: &dyn Progress) -> Result<Tape> {
        Err(Error::Data("not built yet".to_owned()))
    }
}

/// The canonical table of a tape.
pub fn table(_tape: &Tape, _progress: &dyn Progress) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    Err(Error::Data("not built yet".to_owned()))
}

/// One row a market: what was seen while reading.
pub fn quality(_tape: &Tape) -> Result<RecordBatch> {
    Err(Error::Data("not built yet".to_owned()))
}
