//! `Ticks`: the ticks of a run, from files or from Arrow.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use underwater_engine::error::{Error, Result};
use underwater_engine::progress::Progress;
use underwater_engine::progress::Silent;
use underwater_engine::replay::Kept;
use underwater_engine::tape::Tape;
use underwater_engine::ticks::{self, Columns, Selection, Source, Stream};

use crate::door;
use crate::error::{self, DataError};
use crate::table::ArrowTable;

/// The ticks of a run: checked at once, decoded by `load` or by the first call that needs them.
///
/// Frozen; may be shared between threads. Decoding happens once and is kept.
#[pyclass(module = "underwater._core", name = "Ticks", frozen)]
pub struct Ticks {
    rows: u64,
    shared: Arc<Shared>,
}

/// The decoded tape, or what it will be decoded from.
pub struct Shared {
    tape: OnceLock<Arc<Tape>>,
    /// Times and prices alone, for runs on ticks that nobody loaded.
    prices: OnceLock<Arc<Tape>>,
    /// Feeds and indices that runs have made.
    kept: Arc<Kept>,
    /// Emptied once the tape is there. Its lock is only waited for on threads that do not hold the interpreter.
    source: Mutex<Option<Source>>,
}

/// What a run reads.
pub enum Input {
    /// Ticks in memory, and what earlier runs have made of them.
    Tape(Arc<Tape>, Arc<Kept>),
    /// Ticks to be read chunk by chunk.
    Source(Source),
}

impl Shared {
    fn in_memory(&self, tape: &Arc<Tape>) -> Input {
        Input::Tape(Arc::clone(tape), Arc::clone(&self.kept))
    }

    /// What a run needs of the ticks: all of them, or, with `chunks`, what they are read from. Of ticks that were not loaded only times
    /// and prices are decoded, unless `sizes` are needed, and kept for the next run.
    pub fn input(&self, chunks: bool, sizes: bool, progress: &dyn Progress) -> Result<Input> {
        if sizes {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            if let (true, None, Some(source)) = (chunks, self.tape.get(), source.as_ref()) {
                return Ok(Input::Source(source.select(Selection::default())));
            }
            drop(source);
            return self.load(progress).map(|tape| self.in_memory(&tape));
        }
        if let Some(tape) = self.tape.get().or_else(|| self.prices.get()) {
            return Ok(self.in_memory(tape));
        }
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.tape.get().or_else(|| self.prices.get()), source.as_ref()) {
            (Some(tape), _) => Ok(self.in_memory(tape)),
            (None, Some(source)) if chunks => Ok(Input::Source(source.select(Selection::default()))),
            (None, Some(source)) => {
                let columns = Columns {
                    size: false,
                    side: false,
                };
                let tape = Arc::new(source.select(Selection { columns, markets: None }).load(progress)?);
                Ok(self.in_memory(self.prices.get_or_init(|| tape)))
            }
            (None, None) => Err(Error::Invariant("ticks have neither a tape nor a source".to_owned())),
        }
    }

    fn load(&self, progress: &dyn Progress) -> Result<Arc<Tape>> {
        if let Some(tape) = self.tape.get() {
            return Ok(Arc::clone(tape));
        }
        // An error or a panic leaves the source as it was, so a poisoned lock is still sound.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let tape = match (self.tape.get(), source.as_ref()) {
            (Some(tape), _) => Arc::clone(tape),
            (None, Some(source)) => Arc::clone(self.tape.get_or_init({
                let tape = Arc::new(source.load(progress)?);
                || tape
            })),
            (None, None) => return Err(Error::Invariant("ticks have neither a tape nor a source".to_owned())),
        };
        *source = None;
        Ok(tape)
    }
}

impl Ticks {
    fn lazy(source: Source) -> Self {
        Self {
            rows: source.rows(),
            shared: Arc::new(Shared {
                tape: OnceLock::new(),
                prices: OnceLock::new(),
                kept: Arc::default(),
                source: Mutex::new(Some(source)),
            }),
        }
    }

    /// Ticks that are decoded already.
    pub fn resident(tape: Arc<Tape>) -> Self {
        let rows = tape.rows() as u64;
        Self {
            rows,
            shared: Arc::new(Shared {
                tape: OnceLock::from(tape),
                prices: OnceLock::new(),
                kept: Arc::default(),
                source: Mutex::new(None),
            }),
        }
    }

    /// The ticks, for a thread that does not hold the interpreter.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The decoded tape; decodes it, with the interpreter released, if that has not happened yet.
    pub fn tape(&self, py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Arc<Tape>> {
        match self.shared.tape.get() {
            Some(tape) => door::check(progress).map(|()| Arc::clone(tape)),
            None => door::run(py, progress, |progress| self.shared.load(progress)),
        }
    }
}

#[pymethods]
impl Ticks {
    /// Ticks in Parquet files. Only their schemas are read now; `definitions` is JSON and overrides that in the files.
    #[staticmethod]
    #[pyo3(signature = (paths, definitions=None))]
    fn from_files(py: Python<'_>, paths: Vec<PathBuf>, definitions: Option<String>) -> PyResult<Self> {
        door::run(py, None, |_| Source::from_files(&paths, definitions.as_deref())).map(Self::lazy)
    }

    /// Ticks in an object that exports Arrow: one with `__arrow_c_stream__` or `__arrow_c_array__`, such as a polars frame, a
    /// pyarrow table, batch or reader.
    ///
    /// The data is taken now and a stream is consumed: a reader or generator cannot be read again afterwards. Tables and
    /// frames share their memory with the ticks and stay usable.
    #[staticmethod]
    #[pyo3(signature = (obj, definitions=None))]
    fn from_arrow(py: Python<'_>, obj: &Bound<'_, PyAny>, definitions: Option<String>) -> PyResult<Self> {
        if !obj.hasattr("__arrow_c_stream__")? && !obj.hasattr("__arrow_c_array__")? {
            let kind = obj.get_type();
            return Err(PyTypeError::new_err(format!(
                "ticks: expected an object with __arrow_c_stream__ or __arrow_c_array__, got {kind}"
            )));
        }
        let reader = obj.extract::<AnyRecordBatch>().and_then(AnyRecordBatch::into_reader);
        let mut reader = reader.map_err(|raised| not_arrow(py, raised))?;
        let schema = reader.schema();
        let mut batches = Vec::new();
        // On this thread, because a stream may run Python code that is bound to it; released, because one may wait for
        // other threads that need the interpreter.
        while let Some(batch) = py.detach(|| reader.next()) {
            batches.push(batch.map_err(|raised| DataError::new_err(format!("frame: cannot be read: {raised}")))?);
            py.check_signals()?;
        }
        door::run(py, None, |_| {
            Source::from_batches(schema, batches, definitions.as_deref())
        })
        .map(Self::lazy)
    }

    /// Decodes the ticks, if that has not happened yet, and returns them.
    #[pyo3(signature = (progress=None))]
    fn load(slf: Bound<'_, Self>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Py<Self>> {
        slf.get().tape(slf.py(), progress)?;
        Ok(slf.unbind())
    }

    /// True once the ticks are decoded.
    #[getter]
    fn is_loaded(&self) -> bool {
        self.shared.tape.get().is_some()
    }

    /// Number of ticks in all markets.
    #[getter]
    fn rows(&self) -> u64 {
        self.rows
    }

    /// Markets and assets as JSON, with everything resolved that was left to the data. Decodes the ticks if needed.
    fn definitions(&self, py: Python<'_>) -> PyResult<String> {
        let tape = self.tape(py, None)?;
        tape.definitions().to_json().map_err(|error| error::to_py(py, error))
    }

    /// What was seen while reading, one row a market. Decodes the ticks if needed.
    fn quality(&self, py: Python<'_>) -> PyResult<ArrowTable> {
        let tape = self.tape(py, None)?;
        ticks::quality(&tape)
            .map(ArrowTable::from)
            .map_err(|error| error::to_py(py, error))
    }

    /// The ticks as a table in canonical form (ts, market, price, size, side), by time, then market. Decodes if needed.
    fn table(&self, py: Python<'_>) -> PyResult<ArrowTable> {
        let tape = self.tape(py, None)?;
        let (schema, batches) = door::run(py, None, |progress| ticks::table(&tape, progress))?;
        Ok(ArrowTable::new(schema, batches))
    }

    /// The ticks in the order of time, in tables of whole instants with `rows` ticks or somewhat more; nothing is kept. None if
    /// they are decoded already.
    fn chunks(&self, py: Python<'_>, rows: usize) -> PyResult<Option<TickChunks>> {
        let stream = door::run(py, None, |progress| {
            let source = self.shared.source.lock().unwrap_or_else(PoisonError::into_inner);
            source.as_ref().map(|source| source.stream(rows, progress)).transpose()
        })?;
        Ok(stream.map(|stream| TickChunks {
            stream: Mutex::new(stream),
        }))
    }

    fn __repr__(&self) -> String {
        let state = if self.is_loaded() { "loaded" } else { "not loaded" };
        format!("Ticks({} rows, {state})", self.rows)
    }
}

/// Ticks in the order of time, table by table; read once. The next table is decoded while the last is used.
#[pyclass(module = "underwater._core", name = "TickChunks", frozen)]
pub struct TickChunks {
    /// Its lock is only waited for on threads that do not hold the interpreter.
    stream: Mutex<Stream>,
}

#[pymethods]
impl TickChunks {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<ArrowTable>> {
        let next = door::run(py, None, |progress| {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            let tape = stream.next(progress)?;
            tape.map(|tape| ticks::table(&tape, &Silent)).transpose()
        })?;
        Ok(next.map(|(schema, batches)| ArrowTable::new(schema, batches)))
    }
}

/// What a producer raised while it handed over its data.
fn not_arrow(py: Python<'_>, raised: PyErr) -> PyErr {
    let error = DataError::new_err(format!("frame: cannot be read as an Arrow table: {raised}"));
    error.set_cause(py, Some(raised));
    error
}
