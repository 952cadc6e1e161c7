"""Rows of a vendor's file as columns in our words, block by block, each value exact.

Guarantees: rows come in file order; a value that cannot be used is a `DataError` with file, row and column; nothing is left out.
Memory: two blocks of text and the frame of one, whatever the file's size (an indexer's JSON: the whole answer).
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from underwater.data import _values
from underwater.data._open import BLOCK_BYTES, OnBytes, blocks, first_line, opened, suffix
from underwater.data.formats import Column, Format
from underwater.errors import DataError, MissingFileError

_TABLE_ROWS = 1 << 18
_TABLES = (".parquet", ".feather")
_T = TypeVar("_T")


@dataclass
class File:
    """One file of a format: where its columns are, and what its times are in."""

    path: Path
    format: Format
    market: str | None = None
    """The market of its rows if neither a column nor the file's name says it."""
    header: bool = False
    """Whether the first row names the columns."""
    units: dict[str, str] = field(default_factory=dict)
    """Unit of each column of times: s, ms, us, ns or iso."""
    row: int = 0
    """Rows that have been read."""
    _places: dict[str, int | str] = field(default_factory=dict)
    """Position (CSV) or vendor's name (else) of our columns, those that the file has."""

    def blocks(self, names: Sequence[str], on_bytes: OnBytes | None = None) -> Iterator["Block"]:
        """The rows, with the columns that are asked for; those the file lacks are null."""
        read: Callable[..., Iterable[pl.DataFrame]] = {
            "csv": self._csv,
            "fills": self._fills,
            "indexer": self._indexer,
        }[self.format.rows]
        if suffix(self.path) in _TABLES:
            read = self._table
        said = self.format.market_name(self.path) or self.market
        for texts in read(names, on_bytes):
            if said and "market" in names and "market" not in texts.columns:
                texts = texts.with_columns(pl.lit(said).alias("market"))
            if len(texts):
                yield Block(self, self.row, texts)
                self.row += len(texts)

    def fault(self, at: int, column: str, expected: str, got: object) -> DataError:
        """The error for a value. Rows count from 1, the header not counted."""
        return DataError(f"{self.path}: row {at + 1}, column `{column}`: expected {expected}, got {_shown(got)}")

    def _csv(self, names: Sequence[str], on_bytes: OnBytes | None) -> Iterator[pl.DataFrame]:
        width = self._open_csv()
        wanted = {name: place for name, place in self._places.items() if name in names and isinstance(place, int)}
        schema: dict[str, Any] = {str(i): pl.String for i in range(width)}
        first = True
        for block in blocks(self.path, on_bytes, BLOCK_BYTES):
            if first:
                block = block.removeprefix(b"\xef\xbb\xbf")
                block = block.split(b"\n", 1)[1] if self.header and b"\n" in block else b"" if self.header else block
                first = False
            if block.isspace() or not block:
                continue
            text = block.rstrip() if block.endswith((b"\n\n", b"\n\r\n")) else block
            try:
                texts = pl.read_csv(
                    text,
                    has_header=False,
                    columns=sorted(wanted.values()),
                    schema=schema,
                    infer_schema=False,
                )
            except pl.exceptions.PolarsError as error:
                self._check_widths(text, width)
                said = str(error).split("\n", 1)[0]
                raise DataError(f"{self.path}: after row {self.row}: not {width} columns of text: {said}") from error
            # The parser drops what is beyond the last column and fills up what is missing.
            if b'"' in text or text.count(b",") != len(texts) * (width - 1):
                self._check_widths(text, width)
            yield texts.rename({str(place): name for name, place in wanted.items()})

    def _check_widths(self, block: bytes, width: int) -> None:
        """Raises for the first row that has not as many columns as the file."""
        lines = block.decode("utf-8", "replace").removesuffix("\n").split("\n")
        for number, cells in enumerate(csv.reader(lines), self.row + 1):
            if len(cells) != width:
                said = ",".join(cells)[:200]
                raise DataError(f"{self.path}: row {number}: expected {width} columns, got {len(cells)}: {said!r}")

    def _open_csv(self) -> int:
        """Finds the columns; returns how many there are.

        There is a header if no cell of the first row is a number and one is a name that this format knows.
        """
        cells = [cell.strip().strip('"') for cell in first_line(self.path).split(",")]
        known = self.format.vendor_names
        self.header = not any(map(_is_number, cells)) and any(cell.lower() in known for cell in cells)
        if self.header:
            self._find(cells, cells.index)
            return len(cells)
        layout = next((row for row in self.format.layouts if len(row) == len(cells)), None)
        if layout is None:
            widths = " or ".join(str(len(row)) for row in self.format.layouts)
            expected = f"{widths} columns without a header, or " if widths else ""
            raise DataError(
                f"{self.path}: expected {self.format.name}: {expected}a header with "
                f"{', '.join(c.of[0] for c in self.format.columns if not c.optional)}; got {', '.join(cells)[:200]}"
            )
        self._find(layout, layout.index)
        return len(cells)

    def _find(self, names: Iterable[str], place: Callable[[str], int | str]) -> None:
        """Where our columns are among the vendor's."""
        by_small = {name.lower(): name for name in reversed(list(names))}
        for column in self.format.columns:
            found = next((by_small[name.lower()] for name in column.of if name.lower() in by_small), None)
            if found is not None:
                self._places[column.name] = place(found)
            elif not column.optional:
                raise DataError(f"{self.path}: expected a column {' or '.join(column.of)}, got {', '.join(names)}")

    def _fills(self, names: Sequence[str], on_bytes: OnBytes | None) -> Iterator[pl.DataFrame]:
        """Lines of JSON: `[user, fill]`, or a block of them."""
        line_number = 0
        for block in blocks(self.path, on_bytes, BLOCK_BYTES // 4):
            rows = []
            for line in block.splitlines():
                line_number += 1
                if not line.strip():
                    continue
                try:
                    said = json.loads(line, parse_float=str, parse_int=str)
                    pairs = said["events"] if isinstance(said, dict) else [said]
                    rows += [{"user": user, **fill, **fill.get("liquidation", {})} for user, fill in pairs]
                except (ValueError, TypeError, KeyError) as error:
                    raise DataError(f"{self.path}: line {line_number}: expected fills in JSON: {error}") from error
            yield self._of_objects(rows, names)

    def _indexer(self, names: Sequence[str], on_bytes: OnBytes | None) -> Iterator[pl.DataFrame]:
        """One JSON answer: a list, or an object that holds one."""
        with opened(self.path, on_bytes) as file:
            try:
                said = json.loads(file.read(), parse_float=str, parse_int=str)
            except ValueError as error:
                raise DataError(f"{self.path}: expected JSON: {error}") from error
        if isinstance(said, dict):
            said = next((value for value in said.values() if isinstance(value, list)), said)
        if not isinstance(said, list) or not all(isinstance(row, dict) for row in said):
            raise DataError(f"{self.path}: expected a list of objects")
        yield self._of_objects(said, names)

    def _of_objects(self, rows: list[dict[str, Any]], names: Sequence[str]) -> pl.DataFrame:
        data = {}
        for column in self.format.columns:
            cells = [next((row[name] for name in column.of if name in row), None) for row in rows]
            if not column.optional and None in cells:
                raise self.fault(self.row + cells.index(None), column.of[0], "a value", None)
            if column.name in names:
                data[column.name] = [None if cell is None else str(cell) for cell in cells]
        return pl.DataFrame(data, schema=dict.fromkeys(data, pl.String))

    def _table(self, names: Sequence[str], on_bytes: OnBytes | None) -> Iterator[pl.DataFrame]:
        """Feather or Parquet; a float means its shortest decimal text."""
        if not self.path.is_file():
            raise MissingFileError(f"{self.path}: no such file")
        try:
            if self.path.suffix == ".feather":
                table = feather.read_table(self.path, memory_map=True)
                self._find(table.column_names, str)
                batches = iter(table.select(self._vendors(names)).to_batches(_TABLE_ROWS))
            else:
                file = pq.ParquetFile(self.path)
                self._find(file.schema_arrow.names, str)
                batches = file.iter_batches(_TABLE_ROWS, columns=self._vendors(names))
            for batch in batches:
                frame = pl.DataFrame(pa.Table.from_batches([batch]))
                yield frame.select(
                    _as_text(frame[str(place)]).alias(name) for name, place in self._places.items() if name in names
                )
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.path}: not {self.path.suffix.lstrip('.')}, damaged or cut off: {error}") from error
        if on_bytes is not None:
            on_bytes(self.path.stat().st_size)

    def _vendors(self, names: Sequence[str]) -> list[str]:
        return [str(place) for name, place in self._places.items() if name in names]


@dataclass(frozen=True)
class Block:
    """Some rows of a file, still as text; columns are converted when they are asked for."""

    file: File
    row: int
    """Rows of the file before these."""
    texts: pl.DataFrame

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, name: str) -> pl.Series:
        """A column's texts, checked for missing cells; all null if the file has no such column."""
        column = self.file.format.column(name)
        if name not in self.texts.columns:
            return pl.Series(name, [None], dtype=pl.String).new_from_index(0, len(self.texts))
        texts = self.texts[name]
        if not column.optional and texts.null_count():
            raise self._fault(column, _values.Misfit(texts.is_null().arg_max() or 0, "a value", None))
        return texts

    def integers(self, name: str) -> _values.Integers:
        """A column of numbers as integers in the fewest decimals."""
        column = self.file.format.column(name)
        found = self._tell(column, lambda: _values.integers(self.text(name)))
        return _values.Integers(found.values, found.decimals + column.scale)

    def times(self, name: str) -> pl.Series:
        """A column of times, in nanoseconds."""
        column = self.file.format.column(name)
        unit = self.file.units.get(name)
        values, found = self._tell(column, lambda: _values.times(self.text(name), unit))
        if found is not None:
            self.file.units[name] = found
        return values

    def column(self, name: str) -> pl.Series:
        """A column of records, in the type that the format says."""
        column = self.file.format.column(name)

        def convert() -> pl.Series:
            match column.kind:
                case "time":
                    return self.times(name).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
                case "number":
                    values = _values.decimals(self.text(name))
                    if column.scale:
                        exact = [None if value is None else value.scaleb(-column.scale) for value in values]
                        return pl.Series(name, exact, dtype=column.dtype)
                    return values
                case "integer":
                    return _values.whole(self.text(name))
                case "side":
                    return _values.sides(self.text(name))
                case "maker":
                    return _values.makers(self.text(name))
                case "flag":
                    return _values.flags(self.text(name))
                case "text":
                    return self.text(name)

        return self._tell(column, convert).alias(name)

    def frame(self, names: Sequence[str]) -> pl.DataFrame:
        """Records."""
        return pl.DataFrame([self.column(name) for name in names])

    def _tell(self, column: Column, convert: Callable[[], _T]) -> _T:
        try:
            return convert()
        except _values.Misfit as misfit:
            raise self._fault(column, misfit) from None

    def refuse(self, name: str, wrong: pl.Series, expected: str) -> None:
        """Raises for the first of the rows that are wrong, if there is one.

        Raises:
            DataError: names file, row and column.
        """
        if wrong.any():
            at = wrong.arg_max() or 0
            raise self._fault(self.file.format.column(name), _values.Misfit(at, expected, self.text(name)[at]))

    def _fault(self, column: Column, misfit: _values.Misfit) -> DataError:
        return self.file.fault(self.row + misfit.at, column.of[0], misfit.expected, misfit.got)


def _as_text(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.cast_time_unit("ns").dt.epoch("ns").cast(pl.String)
    return values.cast(pl.String)


def _is_number(cell: str) -> bool:
    try:
        return Decimal(cell).is_finite()
    except ArithmeticError:
        return False


def _shown(got: object) -> str:
    return "nothing" if got is None else repr(got)
