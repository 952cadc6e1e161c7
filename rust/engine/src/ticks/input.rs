//! Where rows come from: a Parquet file, or the batches of a frame. Both come in chunks that are decoded independently.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::columns::Words;
use super::place::{Origin, Place, Rows};
use super::schema::{Layout, with_dictionaries};
use crate::error::{Error, Result};
use crate::progress::POLL_ROWS;

/// Rows of a batch: a batch should stay in the processor's cache until it is checked.
pub(super) const BATCH: usize = 1 << 14;
const _: () = assert!(BATCH <= POLL_ROWS);

/// Rows of a chunk of a frame.
const FRAME_CHUNK: usize = 1 << 20;

/// One file or frame.
#[derive(Debug)]
pub(super) struct Input {
    pub origin: Origin,
    pub layout: Layout,
    /// The file's name without its ending.
    pub stem: Option<String>,
    pub path: PathBuf,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Parquet(ArrowReaderMetadata),
    Frame(Vec<RecordBatch>),
}

/// Rows that are decoded together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// The number of the input.
    pub input: usize,
    /// The first row, in the input.
    pub first: u64,
    pub rows: usize,
    /// Row group of a file, batch of a frame.
    group: usize,
    /// The first row, in the group.
    offset: usize,
}

impl Input {
    /// Opens a Parquet file and reads its footer.
    pub fn file(path: &Path) -> Result<Self> {
        let origin = Origin::new(path.display().to_string());
        let file = open(&origin, path)?;
        let bytes = file.metadata().map_err(|error| origin.error(error))?.len();
        if bytes == 0 {
            return Err(origin.error("expected a Parquet file, got an empty file (0 bytes)"));
        }
        let footer = guarded(&origin, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
        // Strings of files that were not written by Arrow come as strings; ask for dictionaries.
        let schema = Arc::new(with_dictionaries(footer.schema()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        let metadata = guarded(&origin, || {
            ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options)
        })?;
        let layout = Layout::of(&origin, metadata.schema())?;
        for (group, at) in metadata.metadata().row_groups().iter().zip(0..) {
            let announced = group.num_rows();
            if announced < 0 || group.columns().iter().any(|column| column.num_values() < 0) {
                return Err(origin.error(format!(
                    "row group {at}: a negative number of rows (the file is damaged)"
                )));
            }
        }
        let input = Self {
            stem: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
            path: path.to_owned(),
            data: Data::Parquet(metadata),
            origin,
            layout,
        };
        if input.rows() == 0 {
            return Err(input.origin.error("expected ticks, got a file without rows"));
        }
        Ok(input)
    }

    /// Takes the batches of a frame.
    pub fn frame(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self> {
        let origin = Origin::new("frame");
        let layout = Layout::of(&origin, schema)?;
        let project = |batch: &RecordBatch| batch.project(&layout.wanted).map_err(|error| origin.error(error));
        let batches = batches.iter().map(project).collect::<Result<Vec<_>>>()?;
        let input = Self {
            stem: None,
            path: PathBuf::new(),
            data: Data::Frame(batches),
            origin,
            layout,
        };
        if input.rows() == 0 {
            return Err(input.origin.error("expected ticks, got a frame without rows"));
        }
        Ok(input)
    }

    pub fn rows(&self) -> u64 {
        match &self.data {
            Data::Parquet(metadata) => {
                let rows = metadata
                    .metadata()
                    .row_groups()
                    .iter()
                    .map(|group| group.num_rows().unsigned_abs());
                rows.fold(0, u64::saturating_add)
            }
            Data::Frame(batches) => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        }
    }

    /// The chunks, in the order of their rows. `number` is that of this input.
    pub fn chunks(&self, number: usize) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut first = 0u64;
        let mut push = |group, offset, rows| {
            if rows > 0 {
                chunks.push(Chunk {
                    input: number,
                    first,
                    rows,
                    group,
                    offset,
                });
                first = first.saturating_add(rows as u64);
            }
        };
        match &self.data {
            Data::Parquet(metadata) => {
                for (group, at) in metadata.metadata().row_groups().iter().zip(0..) {
                    push(at, 0, usize::try_from(group.num_rows()).unwrap_or(usize::MAX));
                }
            }
            Data::Frame(batches) => {
                for (batch, at) in batches.iter().zip(0..) {
                    for offset in (0..batch.num_rows()).step_by(FRAME_CHUNK) {
                        push(at, offset, FRAME_CHUNK.min(batch.num_rows() - offset));
                    }
                }
            }
        }
        chunks
    }

    /// Calls `take` with the batches of a chunk and the row of the input at which each begins.
    pub fn read(&self, chunk: &Chunk, take: impl FnMut(&RecordBatch, u64) -> Result<()>) -> Result<()> {
        self.read_columns(chunk, None, take)
    }

    /// [`Input::read`] of the column `market` alone.
    pub fn read_markets(&self, chunk: &Chunk, mut take: impl FnMut(&Words, u64) -> Result<()>) -> Result<()> {
        self.read_columns(chunk, self.layout.market, |batch, first| {
            let place = Place {
                origin: &self.origin,
                column: "market",
                batch: first,
                rows: Rows::All,
            };
            take(&Words::market(place, batch.column(0))?, first)
        })
    }

    /// Reads the needed columns, or `only` one of them.
    fn read_columns(
        &self,
        chunk: &Chunk,
        only: Option<usize>,
        mut take: impl FnMut(&RecordBatch, u64) -> Result<()>,
    ) -> Result<()> {
        match &self.data {
            Data::Frame(batches) => {
                let batch = match only {
                    None => batches[chunk.group].clone(),
                    Some(at) => batches[chunk.group]
                        .project(&[at])
                        .map_err(|error| self.origin.error(error))?,
                };
                for offset in (0..chunk.rows).step_by(BATCH) {
                    let rows = BATCH.min(chunk.rows - offset);
                    take(&batch.slice(chunk.offset + offset, rows), chunk.first + offset as u64)?;
                }
                Ok(())
            }
            Data::Parquet(metadata) => {
                let builder = self.builder(metadata, chunk.group, only)?;
                let mut reader = guarded(&self.origin, || builder.build())?;
                let mut read = 0;
                while let Some(batch) = guarded(&self.origin, || reader.next().transpose())? {
                    if batch.num_rows() > chunk.rows - read {
                        return Err(self.wrong_rows(chunk, "more"));
                    }
                    take(&batch, chunk.first + read as u64)?;
                    read += batch.num_rows();
                }
                if read == chunk.rows {
                    Ok(())
                } else {
                    Err(self.wrong_rows(chunk, &read.to_string()))
                }
            }
        }
    }

    fn wrong_rows(&self, chunk: &Chunk, got: &str) -> Error {
        let Chunk { group, rows, .. } = chunk;
        self.origin.error(format!(
            "row group {group}: expected {rows} rows as announced, got {got} (the file is damaged)"
        ))
    }

    fn builder(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        only: Option<usize>,
    ) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        // A handle for each reader: clones of one share their position.
        let file = open(&self.origin, &self.path)?;
        let wanted = self
            .layout
            .wanted
            .iter()
            .zip(0..)
            .filter(|&(_, at)| only.is_none_or(|only| only == at));
        let mask = ProjectionMask::roots(metadata.parquet_schema(), wanted.map(|(&column, _)| column));
        Ok(
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(BATCH),
        )
    }
}

fn open(origin: &Origin, path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::MissingFile(path.to_owned()),
        _ => origin.error(format!("cannot be opened: {error}")),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(origin.error("expected a Parquet file, got a directory")),
        _ => Ok(file),
    }
}

/// Runs a call of the Parquet library. It answers to some damaged files with a panic; that is an error of the file.
fn guarded<T, E: Into<ReadError>>(origin: &Origin, call: impl FnOnce() -> std::result::Result<T, E>) -> Result<T> {
    const DAMAGED: &str = "cannot be read as Parquet (not a Parquet file, truncated or damaged)";
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(origin.error(format!("{DAMAGED}: {}", error.into().0))),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(origin.error(format!("{DAMAGED}: {text}")))
        }
    }
}

/// What the Parquet and Arrow libraries say.
struct ReadError(String);

impl From<ParquetError> for ReadError {
    fn from(error: ParquetError) -> Self {
        Self(error.to_string())
    }
}

impl From<arrow_schema::ArrowError> for ReadError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self(error.to_string())
    }
}
