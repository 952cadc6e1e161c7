"""Vendors' files to canonical ticks and to records, out of core.

Order: files are read block by block, each value exact, into scratch files of integers; where times descend, the scratch files
are sorted, stretch by stretch; then the engine's reader checks them, brings them to one number of decimals a market, and the
canonical writer writes them in the order of time. Ties keep the order of the vendor's file.

Guarantees: the target appears whole or not at all; nothing is dropped or repaired in silence: rows that are no ticks, repeats,
and times out of order are counted, in the answer and in the provenance of the ticks. Memory: three blocks (one is
read, one converted, one written, each on a thread of its own), and a few of the writer's chunks.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.io.plugins import register_io_source

from underwater import _core
from underwater._files import atomic, expand, no_directory
from underwater._progress import ProgressCallback, callback
from underwater.data import _parts
from underwater.data._ahead import ahead
from underwater.data._patience import patience
from underwater.data._rows import Block, File
from underwater.data.formats import Format, get, of_file
from underwater.errors import ConfigError, DataError
from underwater.market import Asset, Market, definitions_json
from underwater.ticks import Ticks

_NAMED = 10
"""Markets that a message names."""

Source = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass
class Imported:
    """What an import did: where the ticks or records are, and what was counted."""

    path: Path
    """The file that was written."""
    format: str
    """Kind of the sources."""
    sources: list[str]
    """Names of the files that were read."""
    clock: str
    """The column that became `ts`; empty for records."""
    units: dict[str, str] = field(default_factory=dict)
    """Unit of the times of each file: s, ms, us, ns, or iso."""
    rows: int = 0
    """Rows read."""
    written: int = 0
    """Rows written."""
    not_ticks: int = 0
    """Rows that are no ticks: the second half of a fill, a cell without a price, a market that was not chosen."""
    repeats: int = 0
    """Rows that repeat the row before whole; they are kept."""
    backwards: int = 0
    """Times that lie before the row before, in file order; the ticks written are sorted."""
    descending: list[str] = field(default_factory=list)
    """Files whose times descend from first to last; they were turned round, ties too."""
    overlapping: list[str] = field(default_factory=list)
    """Files that run into another in time, in one market (a day and its month, two venues under one name, a file given twice);
    the ticks of both are kept."""
    bytes_in: int = 0
    """Size of the sources, compressed as they are."""
    bytes_out: int = 0
    """Size of the file written."""

    @property
    def ticks(self) -> Ticks:
        """The ticks, not loaded."""
        return Ticks.scan(self.path)


def scan(source: Source, format: str | Format | None = None) -> pl.LazyFrame:  # noqa: A002  # the word for it
    """Records of vendors' files, lazily: read block by block when collected, only the columns that are needed.

    Numbers are exact (Decimal with 18 places), times nanoseconds in UTC; the columns are those of `underwater.data.formats`. Rows
    are as the files have them: not sorted, nothing left out.

    Args:
        source: files, globs, or a list of these; zip, gz, lz4, zst or plain; CSV, JSON, Feather or Parquet.
        format: a name of `uw.data.formats()`, or a column map; None: what the files' names say.

    Raises:
        ConfigError: the format is unknown.
        DataError: a file cannot be used; raised when the frame is collected.
    """
    paths = expand(source)
    found = _format(format, paths)
    schema = _schema(found)

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = rows
        for path in paths:
            for frame in _frames(File(path, found), columns or schema.names()):
                chosen = frame if left is None else frame.head(left)
                left = None if left is None else left - len(chosen)
                yield chosen if predicate is None else chosen.filter(predicate)
                if left == 0:
                    return

    return register_io_source(read, schema=schema)


def import_records(
    source: Source,
    target: str | PathLike[str],
    format: str | Format | None = None,  # noqa: A002  # the word for it
    *,
    progress: bool | ProgressCallback = False,
) -> Imported:
    """Writes records (bars, depth, funding, quotes, fills, ...) to Parquet, in file order, in the columns of `scan`.

    Args:
        source: as for `scan`.
        target: the Parquet file; appears whole or not at all.
        format: as for `scan`.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`.

    Raises:
        DataError: a file cannot be used; the message names file, row and column.
    """
    paths = expand(source)
    found = _format(format, paths)
    schema = pa.table(pl.DataFrame(schema=_schema(found))).schema
    report = Imported(Path(target), found.name, [path.name for path in paths], "")
    with patience() as patient, callback(progress, "import") as tell, atomic(Path(target)) as part:
        with pq.ParquetWriter(part, schema, compression="zstd", write_page_index=True) as writer:
            for path, reading in _each(paths, tell, report):
                file = File(path, found)
                for frame in _frames(file, schema.names, reading.note):
                    writer.write_table(pa.table(frame).cast(schema))
                    reading.tell()
                    patient.check()
                report.rows += file.row
                report.units[path.name] = ", ".join(sorted(set(file.units.values())))
        report.written = report.rows
        report.bytes_out = part.stat().st_size
    return report


def import_ticks(
    source: Source,
    target: str | PathLike[str],
    format: str | Format | None = None,  # noqa: A002  # the word for it
    *,
    market: str | None = None,
    only: Iterable[str] | None = None,
    markets: Iterable[Market] | None = None,
    assets: Iterable[Asset] | None = None,
    price: str | None = None,
    clock: Literal["ts", "local_ts"] = "ts",
    scratch: str | PathLike[str] | None = None,
    progress: bool | ProgressCallback = False,
) -> Imported:
    """Writes canonical ticks of vendors' files.

    Args:
        source: files, globs, or a list of these; any order, the ticks come out in the order of time.
        target: the Parquet file; appears whole or not at all.
        format: a name of `uw.data.formats()`, or a column map; None: what the files' names say.
        market: name of the market; None: what the files or their names say.
        only: take these markets of the files alone, by the vendor's name; None: all.
        markets: definitions; those not given are the venue's, where it is known what a size means there.
        assets: definitions of assets.
        price: the column that is the price, such as `index_price`; None: the format's usual one.
        clock: `ts`, the venue's time, or `local_ts`, that of receipt, where a format has it.
        scratch: directory for scratch files, about 28 bytes a tick; None: beside the target.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`.

    Raises:
        DataError: a file cannot be used; the message names file, row and column.
        ConfigError: the rows are no ticks, what a market's sizes mean is not known, or one name stands for markets of two venues.
    """
    paths = expand(source)
    found = _format(format, paths)
    if not found.prices:
        raise ConfigError(f"{found.name}: {found.about}: no ticks; import them as records")
    price = price or next(iter(found.prices))
    if price not in found.prices:
        raise ConfigError(f"price: expected one of {', '.join(found.prices)} of {found.name}, got {price!r}")
    if not found.has(clock):
        raise ConfigError(f"clock: {found.name} has no {clock}")
    target = Path(target)
    no_directory(target)
    report = Imported(target, found.name, [path.name for path in paths], clock)
    names = _Names(found, market, {m.name: m for m in markets or ()}, found.prices[price])
    chosen = set(only) if only is not None else None
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        patience() as patient,
        callback(progress, "import") as tell,
        tempfile.TemporaryDirectory(prefix=f".{target.name}.scratch.", dir=scratch or target.parent) as folder,
    ):
        files: list[_parts.Writer] = []
        for path, reading in _each(paths, tell, report):
            file = File(path, found, market)
            fixed = None if market is None and found.has("market") else names.of_path(path)
            writer = _parts.Writer(Path(folder), len(files), fixed)
            before: tuple[str | None, ...] = ()
            with ahead(file.blocks(_needed(found, price, clock), reading.note)) as read, writer:
                for block in read:
                    report.repeats += _repeats(block.texts) + (block.texts.row(0) == before)
                    before = block.texts.row(-1)
                    writer.add(*_ticks(block, names, fixed, price, clock, chosen, report))
                    reading.tell()
                    patient.check()
            report.rows += file.row
            report.units[path.name] = file.units.get(clock, "")
            report.backwards += writer.backwards
            if writer.descends:
                report.descending.append(path.name)
            if any(map(writer.overlaps, files)):
                report.overlapping.append(path.name)
            files.append(writer)
        report.written = sum(writer.rows for writer in files)
        if not report.written:
            raise DataError(f"{', '.join(report.sources)}: no ticks among {report.rows} rows{names.others(chosen)}")
        ordered = _parts.in_order(files, Path(folder), tell, patient.check)
        with patient.ended():
            core = _core.Ticks.from_files(ordered, definitions_json(names.definitions(), assets))
            Ticks._of(core, _provenance(report)).write(target, progress=tell or False)
    report.bytes_out = target.stat().st_size
    return report


def _provenance(report: Imported) -> dict[str, Any]:
    counts = {key: value for key, value in asdict(report).items() if key not in ("path", "bytes_in", "bytes_out")}
    return {"kind": "imported", "real": "every tick, as its source has it", **counts}


def _needed(fmt: Format, price: str, clock: str) -> list[str]:
    """The columns that a tick is made of, and those that tell whether a row repeats."""
    wanted = {clock, price, *fmt.keep_reads, "size", "side", "market", "exchange", "id"}
    return [column.name for column in fmt.columns if column.name in wanted]


def _ticks(
    block: Block, names: "_Names", fixed: str | None, price: str, clock: str, only: set[str] | None, report: Imported
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Columns of integers, and their decimals."""
    fmt = block.file.format
    keep = pl.repeat(True, len(block), eager=True)
    columns = {"ts": block.times(clock)}
    if fmt.keep is not None:
        keep &= block.frame(fmt.keep_reads).select(fmt.keep).to_series()
    if fmt.has("market"):
        if "market" not in block.texts.columns:
            raise _nameless(block.file.path)
        said = block.text("market")
        if only is not None:
            keep &= said.is_in(only)
            names.passed |= set(said.filter(~keep).unique())
        exchange = block.text("exchange") if fmt.has("exchange") else None
        if names.from_column:
            columns["market"] = names.of_rows(said, exchange, keep, block.file.path)
        else:
            names.one_of_rows(said, exchange, keep, block.file.path)
    keep &= block.text(price).is_not_null()
    numbers = {"price": block.integers(price)}
    # A price column of its own has no sizes that belong to it.
    if price == "price" and fmt.has("size"):
        numbers["size"] = block.integers("size")
        if fmt.has("side"):
            columns["side"] = block.column("side").fill_null(0)
        block.refuse("size", (numbers["size"].values < 0).fill_null(False) & keep, "a number that is not negative")
    block.refuse(price, (numbers["price"].values <= 0).fill_null(False) & keep, "a positive number")
    for name, number in numbers.items():
        for market, places in names.declared(name, fixed).items():
            if number.decimals > places:
                own = keep if fixed is not None else keep & (columns["market"].cast(pl.String) == market)
                excess = (number.values % 10 ** (number.decimals - places) != 0).fill_null(False)
                what = f"a number of at most {places} decimals, as {market} is defined"
                block.refuse(price if name == "price" else name, own & excess, what)
    columns |= {name: number.values for name, number in numbers.items()}
    frame = pl.DataFrame(columns)
    if not keep.all():
        frame = frame.filter(keep)
        report.not_ticks += len(block) - len(frame)
    decimals = {name: number.decimals for name, number in numbers.items()}
    if fmt.has("market"):
        names.count_decimals(frame, decimals)
    return frame, decimals


def _repeats(texts: pl.DataFrame) -> int:
    """Rows that are like the row before in every column."""
    # Most rows differ in the first column looked at: the others are compared for the rest alone.
    first, *others = sorted(texts.columns, key=lambda name: name != "id")
    alike = texts[first].eq_missing(texts[first].shift(1))
    rows = alike.arg_true()
    rows = rows.filter(rows > 0)
    for name in others:
        column = texts[name]
        rows = rows.filter(column.gather(rows).eq_missing(column.gather(rows - 1)))
    return len(rows)


@dataclass
class _Names:
    """Names of markets, and their definitions as they are met."""

    format: Format
    chosen: str | None
    given: dict[str, Market]
    suffix: str
    known: dict[str, Market] = field(default_factory=dict)
    venues: dict[str, str] = field(default_factory=dict)
    """Where each market is traded, where a column says it."""
    seen: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    """Markets of the files that were not chosen, by the vendor's name."""
    decimals: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of `price` and `size`, the decimals that each market's own values need; where rows of several markets are in one file."""

    @property
    def from_column(self) -> bool:
        return self.chosen is None and self.format.has("market")

    def others(self, chosen: set[str] | None) -> str:
        """What the files have instead of what was chosen, for a message."""
        if chosen is None or not self.passed:
            return ""
        names = sorted(self.passed)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return (
            f"; only: expected markets of the files, {', '.join(names[:_NAMED])}{more}, got {', '.join(sorted(chosen))}"
        )

    def declared(self, column: str, fixed: str | None) -> dict[str, int]:
        """Decimals of `price` or `size` that are defined: of the market of all rows, or of all markets met so far."""
        markets = self.known if fixed is None else {fixed: self.known[fixed]} if fixed in self.known else {}
        found = {name: getattr(market, f"{column}_decimals") for name, market in markets.items()}
        return {name: places for name, places in found.items() if places is not None}

    def count_decimals(self, ticks: pl.DataFrame, decimals: dict[str, int]) -> None:
        """A block's values are in the decimals of its finest market; each market has those that its own need."""
        market = pl.col("market") if "market" in ticks.columns else pl.lit(self.chosen)
        for column, most in decimals.items():
            found = self.decimals.setdefault(column, {})
            rows = ticks.select(market.cast(pl.String).alias("market"), column)
            places = most
            while places and len(rows):
                known = [name for name, already in found.items() if already >= places]
                rows = rows.filter(~pl.col("market").is_in(known))
                needing = rows.filter(pl.col(column) % 10 != 0)["market"].unique()
                found |= dict.fromkeys(needing.to_list(), places)
                rows = rows.with_columns(pl.col(column) // 10)
                places -= 1
            found |= {name: 0 for name in rows["market"].unique() if name not in found}

    def definitions(self) -> list[Market]:
        """The definitions, with the decimals of the values where they say none."""
        return [
            market.model_copy(
                update={
                    f"{column}_decimals": found[name]
                    for column, found in self.decimals.items()
                    if name in found and getattr(market, f"{column}_decimals") is None
                }
            )
            for name, market in self.known.items()
        ]

    def of_path(self, path: Path) -> str:
        said = self.format.market_name(path)
        if said is None and self.chosen is None:
            raise _nameless(path)
        name = self.chosen or f"{said}{self.suffix}"
        if not self.format.has("market"):
            self._define(name, said or name, path)
        return name

    def one_of_rows(self, said: pl.Series, exchange: pl.Series | None, keep: pl.Series, path: Path) -> None:
        """The market that was named is the one that the rows say; they may not say two."""
        self.of_rows(said, exchange, keep, path)
        self.seen |= set(said.filter(keep).unique())
        if len(self.seen) > 1:
            raise ConfigError(
                f"market: {path}: {self.chosen} cannot be all of {', '.join(sorted(self.seen))}; choose one with only"
            )

    def of_rows(self, said: pl.Series, exchange: pl.Series | None, keep: pl.Series, path: Path) -> pl.Series:
        rows = pl.DataFrame({"said": said, "at": exchange if exchange is not None else ""}).filter(keep).unique()
        for symbol, at in rows.sort("said", "at").iter_rows():
            name = self.chosen or f"{symbol}{self.suffix}"
            if self.venues.setdefault(name, at) != at:
                raise ConfigError(
                    f"market: {path}: {name} is of {self.venues[name]} and of {at}; import them apart and name them with market"
                )
            self._define(name, f"{at}:{symbol}" if at else symbol, path)
        return (said + self.suffix).cast(pl.Categorical)

    def _define(self, name: str, symbol: str, path: Path) -> None:
        if name in self.known:
            return
        if name in self.given:
            self.known[name] = self.given[name]
        elif self.suffix or self.format.market is None:
            self.known[name] = Market(name=name)  # a price series, not a contract
        else:
            self.known[name] = self.format.market(symbol, path.as_posix()).model_copy(update={"name": name})


def _nameless(path: Path) -> ConfigError:
    return ConfigError(f"{path}: its name does not say the market; give it as market")


def _frames(file: File, names: Sequence[str], on_bytes: Any = None) -> Iterator[pl.DataFrame]:
    """Records; where no column of the file says the market, its name does."""
    of_columns = [name for name in names if file.format.has(name)]
    for block in file.blocks(of_columns, on_bytes):
        frame = block.frame(of_columns)
        if "market" in names and "market" not in block.texts.columns:
            frame = frame.with_columns(pl.lit(file.format.market_name(file.path), pl.String).alias("market"))
        yield frame.select(names)


def _schema(fmt: Format) -> pl.Schema:
    schema = fmt.schema
    if "market" not in schema:
        schema["market"] = pl.String()
    return schema


@dataclass
class _Reading:
    """How far the files have been read. Bytes are noted on the thread that reads, and told on the caller's."""

    callback: ProgressCallback | None
    total: int
    before: int = 0
    now: int = 0

    def note(self, read: int) -> None:
        """So many bytes of the file have been read."""
        self.now = read

    def tell(self) -> None:
        """Tells the callback, which may raise."""
        if self.callback is not None:
            self.callback("read", self.before + self.now, self.total)


def _each(paths: Sequence[Path], tell: ProgressCallback | None, report: Imported) -> Iterator[tuple[Path, _Reading]]:
    """The files, each with what counts its bytes."""
    sizes = [path.stat().st_size for path in paths]
    report.bytes_in = sum(sizes)
    reading = _Reading(tell, report.bytes_in)
    for path, size in zip(paths, sizes, strict=True):
        reading.now = 0
        yield path, reading
        reading.before, reading.now = reading.before + size, 0
        reading.tell()


def _format(given: str | Format | None, paths: Sequence[Path]) -> Format:
    if isinstance(given, Format):
        return given
    if given is not None:
        return get(given)
    found = {fmt.name: fmt for fmt in map(of_file, paths)}
    if len(found) > 1:
        raise ConfigError(f"format: expected files of one format, got {', '.join(found)}; name one")
    return next(iter(found.values()))
