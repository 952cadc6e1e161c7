//! Rows that have left memory: groups of them in a temporary file, each a small Arrow stream of integer columns.
//!
//! The file has no name, so it vanishes with its last user, even if the process is killed. It is made when the first group is
//! written.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};

use crate::config::SpillTo;
use crate::error::{Error, Result};

/// A row that can be written as integers and read back.
pub trait Row: Sized {
    /// Writes its integers, always as many of each width and in the same order.
    fn put(&self, to: &mut Put);

    /// Reads them back; None if they say nothing.
    fn get(from: &mut Get<'_>) -> Option<Self>;
}

/// Columns that are being written, row by row.
#[derive(Debug, Default)]
pub struct Put {
    narrow: Vec<Vec<i64>>,
    wide: Vec<Vec<i128>>,
    at: (usize, usize),
}

impl Put {
    /// The next integer of the row.
    pub fn int(&mut self, value: i64) -> &mut Self {
        if self.at.0 == self.narrow.len() {
            self.narrow.push(Vec::new());
        }
        self.narrow[self.at.0].push(value);
        self.at.0 += 1;
        self
    }

    /// The next number of the row.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.int(value as i64)
    }

    /// The next wide integer of the row.
    pub fn wide(&mut self, value: i128) -> &mut Self {
        if self.at.1 == self.wide.len() {
            self.wide.push(Vec::new());
        }
        self.wide[self.at.1].push(value);
        self.at.1 += 1;
        self
    }
}

/// A row that is being read.
#[derive(Debug)]
pub struct Get<'a> {
    narrow: &'a [&'a [i64]],
    wide: &'a [&'a [i128]],
    row: usize,
    at: (usize, usize),
}

impl Get<'_> {
    /// The next integer of the row.
    pub fn int(&mut self) -> Option<i64> {
        let value = self.narrow.get(self.at.0)?.get(self.row).copied();
        self.at.0 += 1;
        value
    }

    /// The next number of the row.
    pub fn count(&mut self) -> Option<usize> {
        usize::try_from(self.int()?).ok()
    }

    /// The next wide integer of the row.
    pub fn wide(&mut self) -> Option<i128> {
        let value = self.wide.get(self.at.1)?.get(self.row).copied();
        self.at.1 += 1;
        value
    }
}

/// The temporary file of a run.
#[derive(Debug)]
pub struct SpillFile {
    to: SpillTo,
    /// The file, once there is one, and its length.
    file: Mutex<Option<(File, u64)>>,
}

/// Rows in the file.
#[derive(Debug, Clone)]
pub struct Group {
    file: Arc<SpillFile>,
    at: u64,
    bytes: usize,
    /// How many.
    pub rows: usize,
}

impl SpillFile {
    /// No file yet.
    pub fn new(to: SpillTo) -> Self {
        Self {
            to,
            file: Mutex::new(None),
        }
    }

    /// Rows that are written together.
    pub fn rows(&self) -> usize {
        self.to.rows.max(1)
    }

    fn failed(&self, verb: &'static str, error: &io::Error) -> Error {
        Error::Spill {
            verb,
            directory: self.to.directory.clone(),
            problem: error.to_string(),
        }
    }

    /// What is in the file is never half written under this lock, or the run fails; so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, Option<(File, u64)>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes rows to the end of the file.
    pub fn write<T: Row>(self: &Arc<Self>, rows: &[T]) -> Result<Group> {
        let encoded = encode(rows).map_err(|e| Error::Invariant(format!("records as Arrow: {e}")))?;
        let mut file = self.lock();
        let at = self
            .append(&mut file, &encoded)
            .map_err(|e| self.failed("written to", &e))?;
        Ok(Group {
            file: Arc::clone(self),
            at,
            bytes: encoded.len(),
            rows: rows.len(),
        })
    }

    fn append(&self, file: &mut Option<(File, u64)>, bytes: &[u8]) -> io::Result<u64> {
        let (file, end) = match file {
            Some(open) => open,
            None => file.insert((tempfile::tempfile_in(&self.to.directory)?, 0)),
        };
        let at = file.seek(SeekFrom::Start(*end))?;
        file.write_all(bytes)?;
        *end = at + bytes.len() as u64;
        Ok(at)
    }

    fn read(&self, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        match &mut *self.lock() {
            None => return Err(io::Error::from(io::ErrorKind::NotFound)),
            Some((file, _)) => {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut read)?;
            }
        }
        Ok(read)
    }
}

impl Group {
    /// Reads the rows.
    pub fn read<T: Row>(&self) -> Result<Vec<T>> {
        let failed = |error: &io::Error| self.file.failed("read from", error);
        let bytes = self.file.read(self.at, self.bytes).map_err(|e| failed(&e))?;
        let damaged = |what: &str| failed(&io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
        let rows = decode(bytes).map_err(|e| damaged(&e.to_string()))?;
        rows.filter(|rows: &Vec<T>| rows.len() == self.rows)
            .ok_or_else(|| damaged("not what was written"))
    }
}

fn encode<T: Row>(rows: &[T]) -> std::result::Result<Vec<u8>, ArrowError> {
    let mut put = Put::default();
    for row in rows {
        put.at = (0, 0);
        row.put(&mut put);
    }
    let narrow = put
        .narrow
        .into_iter()
        .map(|c| Arc::new(Int64Array::from(c)) as ArrayRef);
    let wide = put
        .wide
        .into_iter()
        .map(|c| Arc::new(Decimal128Array::from(c)) as ArrayRef);
    let arrays: Vec<ArrayRef> = narrow.chain(wide).collect();
    let field = |(at, array): (usize, &ArrayRef)| Field::new(at.to_string(), array.data_type().clone(), false);
    let schema = Arc::new(Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>()));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&RecordBatch::try_new(schema, arrays)?)?;
    writer.into_inner()
}

/// None: the columns hold no such rows.
fn decode<T: Row>(bytes: Vec<u8>) -> std::result::Result<Option<Vec<T>>, ArrowError> {
    let mut rows = Vec::new();
    for batch in StreamReader::try_new(Cursor::new(bytes), None)? {
        let batch = batch?;
        let columns = batch.columns();
        let narrow = columns.iter().filter_map(|c| c.as_primitive_opt::<Int64Type>());
        let narrow: Vec<&[i64]> = narrow.map(|c| &c.values()[..]).collect();
        let wide = columns.iter().filter_map(|c| c.as_primitive_opt::<Decimal128Type>());
        let wide: Vec<&[i128]> = wide.map(|c| &c.values()[..]).collect();
        for row in 0..batch.num_rows() {
            let mut get = Get {
                narrow: &narrow,
                wide: &wide,
                row,
                at: (0, 0),
            };
            let Some(row) = T::get(&mut get) else { return Ok(None) };
            rows.push(row);
        }
    }
    Ok(Some(rows))
}
