//! One error tree: what was wrong with the data, the configuration, the book, or the run itself.

use std::path::PathBuf;

/// Everything that can go wrong, in four families that Python mirrors as exceptions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not exist.
    #[error("no such file: {}", .0.display())]
    MissingFile(PathBuf),
    /// Ticks that cannot be used. The message names file, column and row where they are known.
    #[error("{0}")]
    Data(String),
    /// A protocol, market or run option that cannot be used. The message names the field.
    #[error("{0}")]
    Config(String),
    /// A book of accounts that cannot be used. The message names frame, row and column.
    #[error("{0}")]
    Book(String),
    /// A quantity left the range of its integer type.
    #[error("overflow: {0}")]
    Overflow(String),
    /// An identity that must always hold did not: a defect of the engine.
    #[error("broken invariant: {0}")]
    Invariant(String),
    /// A temporary file of records could not be made, written or read.
    #[error("records cannot be {verb} a temporary file in {}: {problem}", .directory.display())]
    Spill {
        /// What was to be done.
        verb: &'static str,
        /// Where.
        directory: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// The caller asked the run to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Result of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Overflow while computing `what`.
    pub fn overflow(what: impl Into<String>) -> Self {
        Self::Overflow(what.into())
    }
}
