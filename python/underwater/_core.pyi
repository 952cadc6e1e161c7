"""The Rust engine, as Python sees it: Arrow and JSON in, Arrow out. `underwater` wraps it; use that.

Exact numbers are text, durations nanoseconds (docs/semantics.md). Long calls release the interpreter, answer to Ctrl-C,
and call `progress(phase, done, total)` on the calling thread at most 20 times a second.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, final

__all__ = [
    "RECONSTRUCTION",
    "ArrowTable",
    "Book",
    "BookError",
    "ConfigError",
    "DataError",
    "EngineError",
    "MissingFileError",
    "Run",
    "TickChunks",
    "Ticks",
    "UnderwaterError",
    "__version__",
    "build_profile",
    "crash_days_toml",
    "crash_profiles",
    "reconstruct",
    "replay",
    "synthetic_book_frames",
]

__version__: str
"""Version of the extension, that of the package."""
RECONSTRUCTION: str
"""Name and version of the method that fills in ticks between anchors."""
build_profile: str
"""`release`, or `debug` if the extension was built without optimisation."""

_Progress = Callable[[str, int, int], object]

class UnderwaterError(Exception):
    """Root of the package's exceptions."""

class DataError(UnderwaterError):
    """Ticks that cannot be used; names file, row and column."""

class MissingFileError(DataError, FileNotFoundError):
    """A file that does not exist."""

class ConfigError(UnderwaterError):
    """A protocol, market, option or scenario that cannot be used; names the field."""

class BookError(UnderwaterError):
    """A book of accounts that cannot be used; names frame, row and column."""

class EngineError(UnderwaterError):
    """The run failed: a number left its range, or an identity broke."""

@final
class ArrowTable:
    """A table for anything that reads Arrow, such as `polars.DataFrame` or `pyarrow.table`; may be read again."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream."""
    def __arrow_c_schema__(self) -> object:
        """The Arrow C schema."""
    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
    def __len__(self) -> int: ...

@final
class Ticks:
    """Ticks of one or more markets, on disk or resident."""

    @staticmethod
    def from_files(paths: Sequence[str | PathLike[str]], definitions: str | None = None) -> Ticks:
        """Opens Parquet files; checks their schema, decodes nothing yet."""
    @staticmethod
    def from_arrow(obj: Any, definitions: str | None = None) -> Ticks:
        """Takes any object that exports Arrow; a stream is consumed."""
    def load(self, progress: _Progress | None = None) -> Ticks:
        """The same ticks, decoded and checked."""
    @property
    def is_loaded(self) -> bool:
        """Whether the ticks are resident."""
    def definitions(self) -> str:
        """JSON of markets and assets, with the decimals resolved; loads if needed."""
    @property
    def rows(self) -> int:
        """Number of ticks."""
    def quality(self) -> ArrowTable:
        """One row per market: what was seen while reading."""
    def table(self) -> ArrowTable:
        """Canonical ticks: ts, market, price, size, side."""
    def chunks(self, rows: int) -> TickChunks | None:
        """Tables of `rows` ticks or somewhat more in the order of time, nothing kept; None if the ticks are resident."""

@final
class TickChunks:
    """Canonical ticks in the order of time, table by table; read once."""

    def __iter__(self) -> TickChunks: ...
    def __next__(self) -> ArrowTable: ...

@final
class Book:
    """Positions, cross cash and events of accounts."""

    def __new__(cls, positions: Any, accounts: Any = None, events: Any = None) -> Book:
        """Takes Arrow-exporting frames and checks their columns."""
    def positions(self) -> ArrowTable:
        """The positions frame."""
    def accounts(self) -> ArrowTable:
        """The cash of cross accounts."""
    def events(self) -> ArrowTable:
        """Deposits and withdrawals."""
    @property
    def n_accounts(self) -> int:
        """Number of accounts."""

@final
class Run:
    """What a replay computed."""

    def frame(self, name: str) -> ArrowTable:
        """A frame of the result by name."""
    def parts(self, name: str) -> int:
        """Number of parts in which `part` hands out a frame."""
    def part(self, name: str, part: int) -> ArrowTable:
        """One part of a frame; rows that have left memory come in parts of their own."""
    @property
    def state_hash(self) -> str:
        """Hash of the final state and of everything recorded."""
    @property
    def summary_json(self) -> str:
        """Counts and totals."""

def replay(
    ticks: Ticks,
    book: Book,
    protocol_json: str,
    options_json: str,
    progress: _Progress | None = None,
    spill: tuple[str | PathLike[str], int] | None = None,
) -> Run:
    """Replays the ticks through a protocol; `spill`: records beyond so many rows go to a file in a directory."""

def reconstruct(request_json: str, progress: _Progress | None = None) -> ArrowTable:
    """Ticks that pass through price anchors, filled in by a seeded generator."""

def synthetic_book_frames(ticks: Ticks, options_json: str) -> tuple[ArrowTable, ArrowTable]:
    """Positions and accounts of a generated book, longs and shorts balanced."""

def crash_profiles() -> str:
    """The bundled price anchors, as CSV."""

def crash_days_toml() -> str:
    """What the bundled days and their markets are, as TOML."""
