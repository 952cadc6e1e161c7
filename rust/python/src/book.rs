//! `Book`: frames of a book, checked and grouped to margin accounts; bound to markets when a replay begins.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use underwater_engine::book::BookFrames;

use crate::door;
use crate::error::BookError;
use crate::table::ArrowTable;

/// A frame as it came.
struct Frame {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Frame {
    fn read(obj: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Self> {
        let Some(obj) = obj else {
            return Ok(Self {
                schema: Arc::new(Schema::empty()),
                batches: Vec::new(),
            });
        };
        let unreadable = |e: &dyn std::fmt::Display| {
            BookError::new_err(format!("{name} frame: cannot be read as an Arrow table: {e}"))
        };
        let reader = obj
            .extract::<AnyRecordBatch>()
            .and_then(AnyRecordBatch::into_reader)
            .map_err(|e| unreadable(&e))?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| unreadable(&e))?;
        // A frame without rows still has columns to check.
        let batches = if batches.is_empty() {
            vec![RecordBatch::new_empty(Arc::clone(&schema))]
        } else {
            batches
        };
        Ok(Self { schema, batches })
    }

    fn table(&self) -> ArrowTable {
        ArrowTable::new(Arc::clone(&self.schema), self.batches.clone())
    }
}

/// Positions, cash of cross accounts, and account events.
///
/// Takes objects that export Arrow; a stream is consumed. Raises `BookError` naming frame, row and column.
#[pyclass(module = "underwater._core", name = "Book", frozen)]
pub struct Book {
    positions: Frame,
    accounts: Frame,
    events: Frame,
    frames: Arc<BookFrames>,
}

impl Book {
    /// The checked rows.
    pub fn frames(&self) -> Arc<BookFrames> {
        Arc::clone(&self.frames)
    }
}

#[pymethods]
impl Book {
    #[new]
    #[pyo3(signature = (positions, accounts=None, events=None))]
    fn new(
        py: Python<'_>,
        positions: &Bound<'_, PyAny>,
        accounts: Option<&Bound<'_, PyAny>>,
        events: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let positions = Frame::read(Some(positions), "positions")?;
        let accounts = Frame::read(accounts, "accounts")?;
        let events = Frame::read(events, "events")?;
        let frames = door::run(py, None, |progress| {
            BookFrames::read_with(&positions.batches, &accounts.batches, &events.batches, progress)
        })?;
        Ok(Self {
            positions,
            accounts,
            events,
            frames: Arc::new(frames),
        })
    }

    /// The positions frame as it came.
    fn positions(&self) -> ArrowTable {
        self.positions.table()
    }

    /// The accounts frame as it came; without columns if there was none.
    fn accounts(&self) -> ArrowTable {
        self.accounts.table()
    }

    /// The events frame as it came; without columns if there was none.
    fn events(&self) -> ArrowTable {
        self.events.table()
    }

    /// Number of different account names.
    #[getter]
    fn n_accounts(&self) -> usize {
        self.frames.accounts()
    }

    fn __repr__(&self) -> String {
        format!(
            "Book({} accounts, {} positions)",
            self.frames.accounts(),
            self.frames.position_rows()
        )
    }
}
