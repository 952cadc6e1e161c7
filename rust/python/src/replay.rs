//! `replay`: the one long call, and its result.

use std::sync::OnceLock;

use pyo3::prelude::*;
use underwater_engine::config::{Options, Protocol};
use underwater_engine::records::{FRAME_NAMES, frame, state_hash, summary};
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
        let batch = frame(&self.run, name).ok_or_else(|| {
            ConfigError::new_err(format!(
                "there is no frame {name:?}; there are {}",
                FRAME_NAMES.join(", ")
            ))
        })?;
        batch.map(ArrowTable::from).map_err(|e| error::to_py(py, e))
    }

    /// Digest of everything that the run decided; computed when it is first asked for.
    #[getter]
    fn state_hash(&self, py: Python<'_>) -> &str {
        py.detach(|| self.hash.get_or_init(|| state_hash(&self.run)))
    }

    /// Counts and totals as a JSON object; money as text in dollars.
    #[getter]
    fn summary_json(&self) -> &str {
        &self.summary
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Run({})", self.state_hash(py))
    }
}

/// Replays ticks and a book through a protocol.
///
/// Raises `ConfigError`, `BookError` or `DataError` for input that cannot be used, `EngineError` on overflow.
#[pyfunction]
#[pyo3(signature = (ticks, book, protocol_json, options_json, progress=None))]
pub fn replay(
    py: Python<'_>,
    ticks: &Bound<'_, Ticks>,
    book: &Bound<'_, Book>,
    protocol_json: &str,
    options_json: &str,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Run> {
    let protocol = Protocol::from_json(protocol_json).map_err(|e| error::to_py(py, e))?;
    let options = Options::from_json(options_json).map_err(|e| error::to_py(py, e))?;
    let shared = ticks.get().shared();
    let frames = book.get().frames();
    door::run(py, progress, |progress| {
        let chunk = options.chunk_ticks;
        let run = match shared.input(chunk.is_some(), protocol.execution.needs_sizes(), progress)? {
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
