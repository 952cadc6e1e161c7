//! Where rows come from: a Parquet file, or the batches of a frame. Both come in chunks that are decoded independently.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use super::place::Origin;
use super::schema::{Layout, View, with_dictionaries};
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
    /// Length and time of the last change of the file; it is opened again to be read.
    version: Option<(u64, Option<SystemTime>)>,
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
        let version = version(&origin, &file)?;
        if version.0 == 0 {
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
            version: Some(version),
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
            version: None,
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

    /// The least and the greatest time of a chunk in nanoseconds, as the file's statistics announce them.
    pub fn times(&self, chunk: &Chunk) -> Option<(i64, i64)> {
        let (column, statistics) = self.statistics(chunk, self.layout.ts)?;
        let stored = match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(stamp)), _) => match stamp.unit {
                TimeUnit::MILLIS => 1_000_000,
                TimeUnit::MICROS => 1_000,
                TimeUnit::NANOS => 1,
            },
            (None, ConvertedType::TIMESTAMP_MILLIS) => 1_000_000,
            (None, ConvertedType::TIMESTAMP_MICROS) => 1_000,
            (None, ConvertedType::NONE | ConvertedType::INT_64) => 1,
            (Some(LogicalType::Integer(_)), ConvertedType::INT_64) => 1,
            _ => return None,
        };
        let Statistics::Int64(statistics) = statistics else {
            return None;
        };
        let (least, most) = (*statistics.min_opt()?, *statistics.max_opt()?);
        // The unit of the values may be another one than that of the file.
        (stored == self.layout.ts_factor && least <= most)
            .then(|| (least.saturating_mul(stored), most.saturating_mul(stored)))
    }

    /// The market of a chunk that surely has no other, as the file's statistics announce.
    pub fn only_market(&self, chunk: &Chunk) -> Option<&str> {
        let Some((_, Statistics::ByteArray(statistics))) = self.statistics(chunk, self.layout.market?) else {
            return None;
        };
        // What lies between them, shortened or not, is the same.
        let (least, most) = (statistics.min_opt()?, statistics.max_opt()?);
        let is_only = least == most && statistics.null_count_opt() == Some(0);
        least.as_utf8().ok().filter(|name| is_only && !name.is_empty())
    }

    /// Whether there surely are no nulls in a column, a position in a batch of the wanted ones.
    pub fn is_whole(&self, chunk: &Chunk, column: usize) -> bool {
        match &self.data {
            Data::Frame(batches) => {
                let nulls = batches[chunk.group].column(column).logical_nulls();
                nulls.is_none_or(|nulls| nulls.null_count() == 0)
            }
            Data::Parquet(_) => self.statistics(chunk, column).is_some_and(|(column, statistics)| {
                column.max_def_level() == 0 || statistics.null_count_opt() == Some(0)
            }),
        }
    }

    /// A column of a row group and what the file says of it; `column` is a position in a batch of the wanted ones.
    fn statistics(&self, chunk: &Chunk, column: usize) -> Option<(&ColumnDescriptor, &Statistics)> {
        let Data::Parquet(metadata) = &self.data else {
            return None;
        };
        let schema = metadata.parquet_schema();
        let root = self.layout.wanted[column];
        let leaf = (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == root)?;
        let column = metadata.metadata().row_groups().get(chunk.group)?.columns().get(leaf)?;
        Some((column.column_descr(), column.statistics()?))
    }

    /// The batches of a chunk, of the columns of a view alone.
    pub fn batches(&self, chunk: &Chunk, view: &View) -> Result<Batches> {
        let source = match &self.data {
            Data::Frame(batches) => {
                let columns = batches[chunk.group].project(&view.columns);
                Batch::Frame(columns.map_err(|error| self.origin.error(error))?)
            }
            Data::Parquet(metadata) => {
                let builder = self.builder(metadata, chunk.group, view)?;
                Batch::Parquet(guarded(&self.origin, || builder.build())?)
            }
        };
        Ok(Batches {
            chunk: *chunk,
            read: 0,
            source,
        })
    }

    /// The input is not what it was when it was opened.
    pub fn changed(&self) -> Error {
        self.origin.error("changed since it was opened")
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
        view: &View,
    ) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        // A handle for each reader: clones of one share their position.
        let file = open(&self.origin, &self.path)?;
        // What the footer says is not of another file.
        if Some(version(&self.origin, &file)?) != self.version {
            return Err(self.changed());
        }
        let columns = view.columns.iter().map(|&at| self.layout.wanted[at]);
        let mask = ProjectionMask::roots(metadata.parquet_schema(), columns);
        Ok(
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(BATCH),
        )
    }
}

/// The batches of a chunk, one after the other.
pub(super) struct Batches {
    chunk: Chunk,
    /// Rows that came.
    read: usize,
    source: Batch,
}

enum Batch {
    Frame(RecordBatch),
    Parquet(ParquetRecordBatchReader),
}

impl Batches {
    /// The next batch and the row of the input at which it begins; `input` is the one that they were asked of.
    pub fn next(&mut self, input: &Input) -> Result<Option<(RecordBatch, u64)>> {
        let Self { chunk, read, source } = self;
        let left = chunk.rows - *read;
        let batch = match source {
            Batch::Frame(batch) => (left > 0).then(|| batch.slice(chunk.offset + *read, BATCH.min(left))),
            Batch::Parquet(reader) => match guarded(&input.origin, || reader.next().transpose())? {
                Some(batch) if batch.num_rows() > left => return Err(input.wrong_rows(chunk, "more")),
                None if left > 0 => return Err(input.wrong_rows(chunk, &read.to_string())),
                batch => batch,
            },
        };
        let first = chunk.first + *read as u64;
        *read += batch.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(batch.map(|batch| (batch, first)))
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

fn version(origin: &Origin, file: &File) -> Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata().map_err(|error| origin.error(error))?;
    Ok((metadata.len(), metadata.modified().ok()))
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
