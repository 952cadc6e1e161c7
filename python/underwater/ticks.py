"""Ticks: what really traded, or what was reconstructed and says so."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from underwater import _core
from underwater._arrow import as_arrow, frame
from underwater._files import atomic, expand
from underwater._progress import ProgressCallback, callback
from underwater._stream import Stream, slices
from underwater.errors import DataError
from underwater.market import Asset, Definitions, Market, definitions_json, parse_definitions

_DEFINITIONS = b"underwater"
_PROVENANCE = b"underwater.provenance"
_COUNTS = ("rows", "written", "not_ticks", "repeats", "backwards", "bars")
"""What an import or a reconstruction counts in its provenance."""
_ROWS_PER_GROUP = 1 << 20
# Ticks that are not loaded and more than these are written without being loaded.
_ROWS_PER_CHUNK = 1 << 20
_BYTES_PER_PAGE = 1 << 17


class Ticks:
    """Ticks of one or more markets, in the order of time. Never changed in place.

    Columns in: `ts` (timestamp in UTC or without zone), `market` (text; may be missing if one market is defined),
    `price` (in quote units; float64, decimal, or int64 with `decimals` in the field's metadata), and optionally `size`
    (base units or contracts; the same types) and `side` of the taker (+1, -1, 0 or `buy`, `sell`). Sorted by `ts`; ties
    keep their order.

    Args:
        data: a polars frame, a pyarrow table or dataset, or any object that exports Arrow. A stream is consumed.
        markets: definitions of markets; those not defined are linear and settled in USD.
        assets: definitions of assets; those not defined follow from the markets.
        provenance: where the ticks are from, what is real and what is reconstructed.

    Raises:
        DataError: a column is missing or of the wrong type, a value does not fit; the message names it.
        ConfigError: a definition is wrong.

    >>> import polars as pl, underwater as uw
    >>> ticks = uw.Ticks(pl.DataFrame({"ts": pl.from_epoch([0, 1]), "market": "ETH-PERP", "price": [2000.0, 1700.0]}))
    >>> ticks.rows
    2
    """

    def __init__(
        self,
        data: Any,
        markets: Iterable[Market] | None = None,
        assets: Iterable[Asset] | None = None,
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        source = as_arrow(data, "ticks", DataError)
        self._core = _core.Ticks.from_arrow(source, definitions_json(markets, assets))
        self._provenance = dict(provenance or {})
        self._quality: pl.DataFrame | None = None

    @classmethod
    def _of(cls, core: _core.Ticks, provenance: Mapping[str, Any]) -> Self:
        ticks = cls.__new__(cls)
        ticks._core, ticks._provenance, ticks._quality = core, dict(provenance), None
        return ticks

    @classmethod
    def scan(
        cls,
        source: str | PathLike[str] | Sequence[str | PathLike[str]],
        markets: Iterable[Market] | None = None,
        assets: Iterable[Asset] | None = None,
    ) -> Self:
        """Ticks of Parquet files, decoded when they are needed.

        Args:
            source: a file, a directory, a glob such as `"ticks/*.parquet"`, or a list of these; a glob's files in order
                of name.
            markets: as for `Ticks`; None: those that the files define.
            assets: as for `Ticks`.

        Raises:
            MissingFileError: there is no such file; it is also a `FileNotFoundError`.
            DataError: a file is not Parquet or its columns cannot be used.
        """
        paths = _paths(source)
        core = _core.Ticks.from_files(paths, definitions_json(markets, assets))
        return cls._of(core, _read_provenance(paths))

    def load(self, progress: bool | ProgressCallback = False) -> Self:
        """The same ticks, decoded, checked and held in memory; worth it before several runs.

        Args:
            progress: True for a bar on stderr, or a callable `(phase, done, total)`.

        Raises:
            DataError: a value cannot be used; the message names file, column and row.
        """
        with callback(progress, "ticks") as report:
            return self._of(self._core.load(report), self._provenance)

    @property
    def is_loaded(self) -> bool:
        """Whether the ticks are in memory."""
        return self._core.is_loaded

    @property
    def rows(self) -> int:
        """Number of ticks."""
        return self._core.rows

    @property
    def definitions(self) -> Definitions:
        """Markets and assets, with everything resolved that was left to the data. Loads if needed."""
        return parse_definitions(self._core.definitions())

    @property
    def markets(self) -> tuple[Market, ...]:
        """The markets, by name."""
        return self.definitions.markets

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the ticks are from, what is real and what is reconstructed; empty if nobody said."""
        return dict(self._provenance)

    @property
    def quality(self) -> pl.DataFrame:
        """One row per market: rows, duplicates, rows that share an instant, instants, longest gap; decimals; and how much of
        each kind a check with the usual limits finds (`uw.data.check` tells where). Computed once."""
        if self._quality is None:
            from underwater.data.quality import check

            seen = frame(self._core.quality())
            found = check(self).summary.drop("ticks", "instants", "first", "last", "longest_gap", "repeat")
            self._quality = seen.join(found, on="market", how="left", maintain_order="left")
        return self._quality

    def to_polars(self) -> pl.DataFrame:
        """Canonical ticks, by time, then market: `ts` (ns, UTC), `market`, `price`, and if a market has them `size` and `side`
        (+1, -1, 0). Prices and sizes are integers, in the decimals of the market that has most. Loads if needed."""
        return frame(self._core.table())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._core.table().__arrow_c_stream__(requested_schema)

    def write(self, path: str | PathLike[str], progress: bool | ProgressCallback = False) -> Path:
        """Writes canonical Parquet: zstd, delta-packed integers, a page index, and the definitions in the metadata.

        The file appears whole or not at all; it may be one that the ticks are read from. Many ticks that are not loaded
        are written as they are read and need not fit in memory, unless prices of different markets have no common
        number of decimals within 64 bits. Returns the path.

        Args:
            path: the file.
            progress: True for a bar on stderr, or a callable `(phase, done, total)`.

        Raises:
            ConfigError: the path is a directory.
        """
        with callback(progress, "ticks") as report, atomic(Path(path)) as part:
            tables = self._chunks()
            if tables is None or not self._write(part, tables, report):
                self._write(part, [pa.table(self)], report)
        return Path(path)

    def _chunks(self) -> Iterator[pa.Table] | None:
        """The canonical tables, one after the other; None if the ticks are in memory or few."""
        chunks = self._core.chunks(_ROWS_PER_CHUNK) if self.rows > _ROWS_PER_CHUNK else None
        return None if chunks is None else map(pa.table, chunks)

    def _for_run(self, chunk_ticks: int | None) -> _core.Ticks:
        """What a run reads."""
        return self._core

    def _stream(self) -> Stream:
        """The ticks as frames, chunk by chunk; of ticks in memory, slices."""
        return Stream.of(self._chunks() or slices(pa.table(self)))

    def _write(self, part: Path, tables: Iterable[pa.Table], report: ProgressCallback | None) -> bool:
        """Writes the tables to one file. False: their types differ, so they cannot be."""
        tables = iter(tables)
        rest = next(tables)
        schema = rest.schema.with_metadata(
            {**(rest.schema.metadata or {}), _PROVENANCE: json.dumps(self._provenance).encode()}
        )
        packed = [field.name for field in schema if field.type in (pa.timestamp("ns", "UTC"), pa.int64())]
        with pq.ParquetWriter(
            part,
            schema,
            compression="zstd",
            data_page_size=_BYTES_PER_PAGE,
            use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
            column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
            write_page_index=True,
        ) as writer:
            done = 0
            for table in tables:
                if table.schema != rest.schema:
                    return False
                if whole := len(rest) // _ROWS_PER_GROUP * _ROWS_PER_GROUP:
                    writer.write_table(rest.slice(0, whole), _ROWS_PER_GROUP)
                done += whole
                if report is not None:
                    report("write", done, self.rows)
                rest = pa.concat_tables([rest.slice(whole), table])
            writer.write_table(rest, _ROWS_PER_GROUP)
            if report is not None:
                report("write", self.rows, self.rows)
        return True

    def __repr__(self) -> str:
        if not self.is_loaded:
            return "Ticks(not loaded)"
        return f"Ticks({self.rows:,} rows, markets: {', '.join(market.name for market in self.markets)})"


def _paths(source: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[str]:
    return [str(path) for path in expand(source, "*.parquet")]


def _read_provenance(paths: list[str]) -> dict[str, Any]:
    """What the files say of themselves, and which they are."""
    said: dict[str, Any] = {}
    for path in paths:
        metadata = pq.read_schema(path).metadata or {}
        for key, value in json.loads(metadata.get(_PROVENANCE, b"{}")).items():
            said[key] = _both(key, said[key], value) if key in said else value
    return {**said, "files": paths}


def _both(key: str, one: Any, other: Any) -> Any:
    """What two files say, together: counts added, texts that differ one after the other, so that nothing is lost."""
    match one, other:
        case int(), int() if key in _COUNTS:
            return one + other
        case list(), list():
            return [*one, *(item for item in other if item not in one)]
        case dict(), dict():
            return {**one, **{name: _both(name, one[name], v) if name in one else v for name, v in other.items()}}
        case _ if one == other or (isinstance(one, str) and str(other) in one.split("; ")):
            return one
        case _:
            return f"{one}; {other}"
