//! The exceptions of `underwater`, and how the engine's errors become them.

use std::any::Any;
use std::path::Path;

use pyo3::exceptions::{PyException, PyFileNotFoundError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use underwater_engine::error::Error;

pyo3::create_exception!(
    underwater,
    UnderwaterError,
    PyException,
    "Base of every error that underwater raises."
);
pyo3::create_exception!(
    underwater,
    DataError,
    UnderwaterError,
    "Ticks that cannot be used; names file, column and row (0-based), and what was expected."
);
pyo3::create_exception!(
    underwater,
    ConfigError,
    UnderwaterError,
    "A protocol, market or run option that cannot be used; names the field."
);
pyo3::create_exception!(
    underwater,
    BookError,
    UnderwaterError,
    "A book of accounts that cannot be used; names frame, column and row (0-based)."
);
pyo3::create_exception!(
    underwater,
    EngineError,
    UnderwaterError,
    "The run itself failed: an amount left its range, or an invariant broke (a defect; please report it)."
);

/// The class `MissingFileError(DataError, FileNotFoundError)`; two bases, so it is made by calling `type`.
fn missing_file_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let bases = PyTuple::new(py, [py.get_type::<DataError>(), py.get_type::<PyFileNotFoundError>()])?;
        let body = PyDict::new(py);
        body.set_item("__module__", "underwater")?;
        body.set_item("__doc__", "A file that does not exist; also a FileNotFoundError.")?;
        let class = py.get_type::<PyType>().call1(("MissingFileError", bases, body))?;
        PyResult::Ok(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// A `MissingFileError` with `errno` and `filename` set.
fn missing_file(py: Python<'_>, path: &Path) -> PyResult<PyErr> {
    const ENOENT: i32 = 2;
    let error = missing_file_error(py)?.call1((ENOENT, "no such file", path.to_string_lossy().into_owned()))?;
    Ok(PyErr::from_value(error))
}

/// The exception for an error of the engine.
pub fn to_py(py: Python<'_>, error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::MissingFile(path) => missing_file(py, &path).unwrap_or_else(|raised| raised),
        Error::Data(_) => DataError::new_err(text),
        Error::Config(_) => ConfigError::new_err(text),
        Error::Book(_) => BookError::new_err(text),
        Error::Overflow(_) | Error::Invariant(_) | Error::Spill { .. } | Error::Interrupted => {
            EngineError::new_err(text)
        }
    }
}

/// The exception for a panic, which is always a defect of the engine.
pub fn from_panic(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    EngineError::new_err(format!("internal error (a defect of underwater): {text}"))
}

/// Adds the exceptions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("UnderwaterError", py.get_type::<UnderwaterError>())?;
    module.add("DataError", py.get_type::<DataError>())?;
    module.add("ConfigError", py.get_type::<ConfigError>())?;
    module.add("BookError", py.get_type::<BookError>())?;
    module.add("EngineError", py.get_type::<EngineError>())?;
    module.add("MissingFileError", missing_file_error(py)?)
}
