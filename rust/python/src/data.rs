//! Bundled crash days, reconstruction of ticks from anchors, synthetic books.

use pyo3::prelude::*;
use underwater_engine::reconstruct::{self as reconstruction, Request};
use underwater_engine::rng;
use underwater_engine::synthetic::{self, SyntheticOptions};
use underwater_engine::ticks;

use crate::table::ArrowTable;
use crate::ticks::Ticks;
use crate::{door, error};

/// The bundled price anchors, as CSV.
#[pyfunction]
fn crash_profiles() -> &'static str {
    include_str!("../../../data/crash_profiles.csv")
}

/// What the bundled crash days and their markets are, as TOML.
#[pyfunction]
fn crash_days_toml() -> &'static str {
    include_str!("../../../data/crash_days.toml")
}

/// Canonical ticks that pass through price anchors, filled in by a seeded generator. The request is JSON: `day`, `seed`,
/// `ticks_per_market`, and `markets` with their anchors.
#[pyfunction]
#[pyo3(signature = (request_json, progress=None))]
fn reconstruct(py: Python<'_>, request_json: &str, progress: Option<&Bound<'_, PyAny>>) -> PyResult<ArrowTable> {
    let (schema, batches) = door::run(py, progress, |progress| {
        let request = Request::from_json(request_json)?;
        let step = |done, total| progress.step("reconstruct", done, total);
        ticks::table(&reconstruction::reconstruct(&request, &step)?, progress)
    })?;
    Ok(ArrowTable::new(schema, batches))
}

/// The frames (positions, accounts) of a synthetic book for the ticks: opening prices are the first ticks', odds go by traded
/// volume. Decodes the ticks if needed.
#[pyfunction]
fn synthetic_book_frames(py: Python<'_>, ticks: &Ticks, options_json: &str) -> PyResult<(ArrowTable, ArrowTable)> {
    let options = SyntheticOptions::from_json(options_json).map_err(|raised| error::to_py(py, raised))?;
    let tape = ticks.tape(py, None)?;
    let (positions, accounts) = door::run(py, None, |progress| {
        let book = synthetic::from_tape_with(&tape, &options, progress)?;
        let positions = synthetic::positions_batch(&book)?;
        progress.check("synthetic book", 1, 1)?;
        Ok((positions, synthetic::accounts_batch(&book)?))
    })?;
    Ok((positions.into(), accounts.into()))
}

/// Adds the functions to the module, and `RECONSTRUCTION`, the name and version of the method and its generator.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add(
        "RECONSTRUCTION",
        format!("{} {}", reconstruction::METHOD, rng::GENERATOR),
    )?;
    module.add_function(wrap_pyfunction!(crash_profiles, module)?)?;
    module.add_function(wrap_pyfunction!(crash_days_toml, module)?)?;
    module.add_function(wrap_pyfunction!(reconstruct, module)?)?;
    module.add_function(wrap_pyfunction!(synthetic_book_frames, module)?)
}
