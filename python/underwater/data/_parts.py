"""Scratch files of an import, and their order.

A part holds the ticks of one block, as integers. Parts of one market in the order of time are left as they are; else all
parts of the market are dealt into stretches of time of a bounded number of ticks, each sorted by itself, ties in file order.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from underwater._progress import ProgressCallback
from underwater.errors import DataError

STRETCH = 1 << 22
"""Ticks that are sorted at a time."""
_SAMPLE = 512
_TYPES = {"ts": pa.timestamp("ns", "UTC"), "market": pa.dictionary(pa.int32(), pa.string())}


@dataclass(frozen=True)
class Part:
    """One scratch file."""

    path: Path
    rows: int
    low: int
    high: int


@dataclass
class Writer:
    """Parts of one vendor's file, in file order, and how its times run.

    Parts are written on a thread of their own, one at a time; leaving the context waits for the last.
    """

    folder: Path
    number: int
    market: str | None
    """The market of all its ticks; None: a column says."""
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    backwards: int = 0
    markets: set[str] = field(default_factory=set)
    """Those of its ticks."""
    _forwards: int = 0
    _last: int | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _pending: "Future[Part] | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._thread:
            self._wait()

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.parts.append(pending.result())

    def add(self, ticks: pl.DataFrame, decimals: dict[str, int]) -> None:
        """Writes the ticks of a block."""
        if not len(ticks):
            return
        ts = ticks["ts"]
        steps = ts.diff()[1:]
        self.backwards += int((steps < 0).sum()) + (self._last is not None and ts[0] < self._last)
        self._forwards += int((steps > 0).sum()) + (self._last is not None and ts[0] > self._last)
        self._last = ts[-1]
        self.rows += len(ticks)
        if self.market is not None:
            ticks = ticks.with_columns(pl.lit(self.market).cast(pl.Categorical).alias("market"))
            self.markets.add(self.market)
        else:
            self.markets |= set(ticks["market"].unique())
        self._wait()
        path = self.folder / f"{self.number:06}-{len(self.parts):06}.parquet"
        self._pending = self._thread.submit(write, path, ticks, decimals)

    @property
    def descends(self) -> bool:
        """Whether time runs from last to first."""
        return self.backwards > 0 and not self._forwards

    @property
    def low(self) -> int:
        """First time of the file."""
        return min(part.low for part in self.parts)

    @property
    def high(self) -> int:
        """Last time of the file."""
        return max(part.high for part in self.parts)

    def overlaps(self, other: "Writer") -> bool:
        """Whether both have ticks of one market, and their times run into each other."""
        if not (self.parts and other.parts and self.markets & other.markets):
            return False
        return self.low < other.high and other.low < self.high


def write(path: Path, ticks: pl.DataFrame, decimals: dict[str, int]) -> Part:
    """Writes one part."""
    table = ticks.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = []
    for name in table.column_names:
        kind = _TYPES.get(name) or table.field(name).type
        metadata = {"decimals": str(decimals[name])} if name in decimals else None
        fields.append(pa.field(name, kind, metadata=metadata))
    table = table.cast(pa.schema(fields))
    # Read once and removed: what compressing takes is more than what reading more bytes does.
    pq.write_table(table, path, compression="none", use_dictionary=["market"], row_group_size=STRETCH)
    low, high = ticks["ts"].min(), ticks["ts"].max()
    assert isinstance(low, int)  # noqa: S101  # there are ticks, and times are integers
    assert isinstance(high, int)  # noqa: S101
    return Part(path, len(ticks), low, high)


def in_order(
    files: Sequence[Writer], folder: Path, tell: ProgressCallback | None, check: Callable[[], None]
) -> list[str]:
    """Paths of parts whose names and times are in order, market by market; `check` may raise at each part."""
    files = [file for file in files if file.parts]
    several = any(file.market is None for file in files)
    by_market: defaultdict[str | None, list[Writer]] = defaultdict(list)
    for file in sorted(files, key=lambda file: (file.low, file.number)):
        by_market[None if several else file.market].append(file)
    found: list[str] = []
    for number, group in enumerate(by_market.values()):
        parts = []
        for part in (part for file in group for part in _turned(file)):
            parts.append(part)
            check()
        sorted_within = not any(file.backwards and not file.descends for file in group)
        if not sorted_within or any(a.high > b.low for a, b in pairwise(parts)):
            parts = list(_sorted(parts, folder, number, tell, check))
        for place, part in enumerate(parts):
            path = folder / f"sorted-{number:04}-{place:06}.parquet"
            part.path.rename(path)
            found.append(str(path))
    return found


def _turned(file: Writer) -> Iterator[Part]:
    """The parts of a file; last row first if time runs so."""
    if not file.descends:
        yield from file.parts
        return
    for part in reversed(file.parts):
        ticks, decimals = _read(part)
        yield write(part.path, ticks.reverse(), decimals)


def _sorted(
    parts: Sequence[Part], folder: Path, number: int, tell: ProgressCallback | None, check: Callable[[], None]
) -> Iterator[Part]:
    """The same ticks in parts that follow each other in time."""
    sample = sorted(
        value
        for part in parts
        for value in pl.DataFrame(pq.read_table(part.path, columns=["ts"]))["ts"]
        .dt.epoch("ns")
        .gather_every(max(1, part.rows // _SAMPLE))
        .to_list()
    )
    rows = sum(part.rows for part in parts)
    stretches = -(-rows // STRETCH)
    bounds = sorted({sample[len(sample) * i // stretches] for i in range(1, stretches)})
    # Each part is read once and dealt out, so that reading does not grow with the number of stretches.
    heaps: list[list[Path]] = [[] for _ in range(len(bounds) + 1)]
    done = 0
    for place, part in enumerate(parts):
        ticks, decimals = _read(part)
        first, last = bisect_left(bounds, part.low + 1), bisect_left(bounds, part.high + 1)
        for heap in range(first, last + 1):
            inside = pl.repeat(True, len(ticks), eager=True)
            if heap > 0:
                inside &= ticks["ts"] >= bounds[heap - 1]
            if heap < len(bounds):
                inside &= ticks["ts"] < bounds[heap]
            if inside.any():
                path = folder / f"heap-{number:04}-{heap:06}-{place:06}.parquet"
                write(path, ticks.filter(inside), decimals)
                heaps[heap].append(path)
        part.path.unlink()
        check()
        done += part.rows
        if tell:
            tell("sort", done, 2 * rows)
    for heap, paths in enumerate(heaps):
        if not paths:
            continue
        read = [_read(Part(path, 0, 0, 0)) for path in paths]
        most = {name: max(decimals[name] for _, decimals in read) for name in read[0][1]}
        ticks = pl.concat([_rescaled(ticks, decimals, most) for ticks, decimals in read])
        yield write(folder / f"stretch-{number:04}-{heap:06}.parquet", ticks.sort("ts", maintain_order=True), most)
        for path in paths:
            path.unlink()
        check()
        done += len(ticks)
        if tell:
            tell("sort", done, 2 * rows)


def _read(part: Part) -> tuple[pl.DataFrame, dict[str, int]]:
    table = pq.read_table(part.path)
    decimals = {f.name: int(f.metadata[b"decimals"]) for f in table.schema if f.metadata and b"decimals" in f.metadata}
    return pl.DataFrame(table).with_columns(pl.col("ts").dt.epoch("ns")), decimals


def _rescaled(ticks: pl.DataFrame, decimals: dict[str, int], most: dict[str, int]) -> pl.DataFrame:
    try:
        return ticks.with_columns(
            (pl.col(name).cast(pl.Int128) * 10 ** (most[name] - decimals[name])).cast(pl.Int64)
            for name in most
            if most[name] > decimals[name]
        )
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(f"{', '.join(most)}: expected numbers within 64 bits at {most} decimals: {error}") from error
