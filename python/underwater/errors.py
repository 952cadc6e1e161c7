"""The exceptions of the package: one small tree.

`UnderwaterError` is the root. `DataError`: ticks that cannot be used; `MissingFileError` is a `DataError` and a
`FileNotFoundError`. `ConfigError`: a protocol, market, run option or scenario that cannot be used. `BookError`: a book
of accounts that cannot be used. `EngineError`: the run itself failed (a number left its range, an identity broke).
Messages name the file, frame, row, column or field and what was expected.
"""

from underwater._core import BookError, ConfigError, DataError, EngineError, MissingFileError, UnderwaterError

__all__ = ["BookError", "ConfigError", "DataError", "EngineError", "MissingFileError", "UnderwaterError"]
