//! The extension module `underwater._core`: registration only.

mod book;
mod data;
mod door;
mod error;
mod replay;
mod table;
mod ticks;

use pyo3::prelude::*;

/// The engine of underwater. Use the package `underwater`; this module is its inside.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add(
        "build_profile",
        if cfg!(debug_assertions) { "debug" } else { "release" },
    )?;
    error::register(module)?;
    module.add_class::<table::ArrowTable>()?;
    module.add_class::<ticks::Ticks>()?;
    module.add_class::<ticks::TickChunks>()?;
    module.add_class::<book::Book>()?;
    module.add_class::<replay::Run>()?;
    module.add_function(wrap_pyfunction!(replay::replay, module)?)?;
    data::register(module)?;
    Ok(())
}
