//! `replay`: the one long call, and its result.

use std::path::PathBuf;
use std::sync::OnceLock;

use pyo3::prelude::*;
use underwater_engine::config::{Options, Protocol, SpillTo};
use underwater_engine::error::Result;
use underwater_engine::records::{FRAME_NAMES, frame, parts, state_hash, summary};
use underwater_engine::replay as engine;

use crate::book::Book;
use crate::door;
use crate::error::{self, ConfigError};
use crate::table::ArrowTable;
use crate::ticks::{Input, Ticks};

/// What a replay recorded.
#[pyclass(module = "underwater._core", name = "Run", frozen)]
pub struct Run {
    run: engine::Run,
    hash: OnceLock<String>,
    summary: String,
}

#[pymethods]
impl Run {
    /// A frame of the result by name; raises `ConfigError` for a name that is not in `FRAMES`.
    fn frame(&self, py: Python<'_>, name: &str) -> PyResult<ArrowTable> {
        let parts = self.parts(name)?;
        let batches = door::run(py, None, |progress| {
            let read = |part| {
                progress.check("frame", part as u64, parts as u64)?;
                frame(&self.run, name, part).transpose()
            };
            (0..parts)
                .filter_map(|part| read(part).transpose())
                .collect::<Result<Vec<_>>>()
        })?;
        match batches.first().map(|batch| batch.schema()) {
            Some(schema) => Ok(ArrowTable::new(schema, batches)),
            None => Err(no_frame(name)),
        }
    }

    /// Number of parts in which `part` hands out a frame: those that have left memory, and the rest.
    fn parts(&self, name: &str) -> PyResult<usize> {
        parts(&self.run, name).ok_or_else(|| no_frame(name))
    }

    /// One part of a frame.
    fn part(&self, py: Python<'_>, name: &str, part: usize) -> PyResult<ArrowTable> {
        let batch = py
            .detach(|| frame(&self.run, name, part))
            .ok_or_else(|| no_frame(name))?;
        batch.map(ArrowTable::from).map_err(|e| error::to_py(py, e))
    }

    /// Digest of everything that the run decided; computed when it is first asked for.
    #[getter]
    fn state_hash(&self, py: Python<'_>) -> PyResult<&str> {
        if self.hash.get().is_none() {
            let hash = py.detach(|| state_hash(&self.run)).map_err(|e| error::to_py(py, e))?;
            let _ = self.hash.set(hash);
        }
        Ok(self.hash.get().map_or("", String::as_str))
    }

    /// Counts and totals as a JSON object; money as text in dollars.
    #[getter]
    fn summary_json(&self) -> &str {
        &self.summary
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Run({})", self.state_hash(py)?))
    }
}

fn no_frame(name: &str) -> PyErr {
    ConfigError::new_err(format!(
        "there is no frame {name:?}; there are {}",
        FRAME_NAMES.join(", ")
    ))
}

/// Replays ticks and a book through a protocol.
///
/// `spill` is a directory and a number of rows: records beyond so many of a kind go to a temporary file there.
///
/// Raises `ConfigError`, `BookError` or `DataError` for input that cannot be used, `EngineError` on overflow.
#[pyfunction]
#[pyo3(signature = (ticks, book, protocol_json, options_json, progress=None, spill=None))]
pub fn replay(
    py: Python<'_>,
    ticks: &Bound<'_, Ticks>,
    book: &Bound<'_, Book>,
    protocol_json: &str,
    options_json: &str,
    progress: Option<&Bound<'_, PyAny>>,
    spill: Option<(PathBuf, usize)>,
) -> PyResult<Run> {
    let protocol = Protocol::from_json(protocol_json).map_err(|e| error::to_py(py, e))?;
    let mut options = Options::from_json(options_json).map_err(|e| error::to_py(py, e))?;
    options.spill = spill.map(|(directory, rows)| SpillTo { directory, rows });
    let shared = ticks.get().shared();
    let frames = book.get().frames();
    door::run(py, progress, |progress| {
        let chunk = options.chunk_ticks;
        let run = match shared.input(chunk.is_some(), protocol.needs_sizes(), progress)? {
            Input::Tape(tape, kept) => engine::replay_kept(&tape, &kept, &frames, protocol, options, progress)?,
            Input::Source(source) => {
                let chunk = chunk.unwrap_or(usize::MAX);
                engine::replay_stream(&source, chunk, &frames, protocol, options, progress)?
            }
        };
        let summary = summary(&run)?;
        Ok(Run {
            run,
            hash: OnceLock::new(),
            summary,
        })
    })
}
