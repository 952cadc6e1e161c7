"""What the archives' files look like: one declaration a kind of file, found by name.

A format says which columns a file has and what they mean in our words. Reading, checking and converting is the same for all of
them. To add a format, declare it in the module of its venue and add it to that module's `FORMATS`.

Our words: `ts` when it happened at the venue, `local_ts` when it was received, `market`, `id`, `price`, `size` (base units
or contracts: the market's definition says which), `side` of the taker (+1 buys, -1 sells); of bars `open_ts`, `close_ts`,
`open`, `high`, `low`, `close`, `volume`, `count`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from underwater.errors import ConfigError
from underwater.market import Market

Kind = Literal["time", "number", "integer", "side", "maker", "flag", "text"]


@dataclass(frozen=True)
class Column:
    """One column in our words."""

    name: str
    kind: Kind
    of: tuple[str, ...]
    """Names that vendors give it; the first that a file has counts."""
    optional: bool = False
    """A file may lack it; and if it has it, a cell may be empty."""
    scale: int = 0
    """Numbers are written as integers in `10^-scale`."""

    @property
    def dtype(self) -> pl.DataType:
        """Its type in a frame of records."""
        return {
            "time": pl.Datetime("ns", "UTC"),
            "number": pl.Decimal(38, 18),
            "integer": pl.Int64(),
            "side": pl.Int8(),
            "maker": pl.Int8(),
            "flag": pl.Boolean(),
            "text": pl.String(),
        }[self.kind]


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    """As `binance.aggTrades`: venue, then the archive's own name of the kind."""
    about: str
    columns: tuple[Column, ...]
    layouts: tuple[tuple[str, ...], ...] = ()
    """The vendor's columns in order, for files without a header; told apart by their number."""
    prices: Mapping[str, str] = field(default_factory=dict)
    """Columns that can be the price of a tick, the usual one first, each with what is added to the market's name. Empty: the
    rows are not ticks (bars, depth, positions): they are imported as records."""
    keep: pl.Expr | None = None
    """Which rows are ticks; None: all."""
    keep_reads: tuple[str, ...] = ()
    """Columns that `keep` reads."""
    names: str = ""
    """A regular expression of paths; its group `market` is the market where no column is."""
    market: Callable[[str, str], Market] | None = None
    """The definition of a market, from its name and its file's path; None: linear, one base unit."""
    rows: Literal["csv", "fills", "indexer"] = "csv"
    """How rows are written: comma-separated text, JSON of fills, JSON of an indexer. Any may also be Parquet or Feather."""

    def column(self, name: str) -> Column:
        """A column by our name."""
        return next(column for column in self.columns if column.name == name)

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return any(column.name == name for column in self.columns)

    @property
    def schema(self) -> pl.Schema:
        """Of a frame of records."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def vendor_names(self) -> set[str]:
        """All names that a header may have, in small letters."""
        known = {name for column in self.columns for name in column.of} | {name for row in self.layouts for name in row}
        return {name.lower() for name in known}

    def market_name(self, path: Path) -> str | None:
        """The market that the file's name says."""
        found = re.search(self.names, path.as_posix()) if "?P<market>" in self.names else None
        return found["market"] if found else None


def time(name: str, *of: str, optional: bool = False) -> Column:
    """A column of times."""
    return Column(name, "time", of, optional)


def number(name: str, *of: str, optional: bool = False) -> Column:
    """A column of exact numbers."""
    return Column(name, "number", of or (name,), optional)


def integer(name: str, *of: str, optional: bool = False) -> Column:
    """A column of integers."""
    return Column(name, "integer", of or (name,), optional)


def text(name: str, *of: str, optional: bool = False) -> Column:
    """A column of texts."""
    return Column(name, "text", of or (name,), optional)


def side(*of: str, optional: bool = False) -> Column:
    """The taker's side."""
    return Column("side", "side", of or ("side",), optional)


def maker(*of: str) -> Column:
    """Whether the buyer was the maker: then the taker sold."""
    return Column("side", "maker", of)


def flag(name: str, *of: str, optional: bool = False) -> Column:
    """A column of booleans."""
    return Column(name, "flag", of or (name,), optional)


def columns(line: str) -> tuple[str, ...]:
    """The vendor's columns of a layout, from one line."""
    return tuple(line.replace(" ", "").split(","))


def registry() -> dict[str, Format]:
    """All formats by name."""
    from underwater.data import binance, bitmex, bybit, chainlink, dydx, freqtrade, hyperliquid, okx, tardis

    modules = (binance, bybit, okx, bitmex, tardis, hyperliquid, dydx, chainlink, freqtrade)
    return {fmt.name: fmt for module in modules for fmt in module.FORMATS}


def mapped(
    *,
    ts: str,
    price: str,
    size: str | None = None,
    side: str | None = None,
    market: str | None = None,
    local_ts: str | None = None,
    layout: Sequence[str] = (),
    market_of: Callable[[str, str], Market] | None = None,
) -> Format:
    """A format of one's own: CSV (also compressed), Parquet or Feather with these columns.

    Args:
        ts: column of times, in s, ms, us or ns since 1970 (told by magnitude) or ISO 8601 in UTC.
        price: column of prices; a float means its shortest decimal text.
        size: column of sizes.
        side: column of the taker's side: buy and sell, or 1 and -1.
        market: column of markets; None: the file holds one, which the import names.
        local_ts: column of times of receipt.
        layout: all columns in order, for CSV without a header.
        market_of: the definition of a market from its name and path; None: linear in base units.

    >>> mapped(ts="ts_us", price="px").prices
    {'price': ''}
    """
    found = [time("ts", ts), number("price", price)]
    found += [number("size", size)] if size else []
    found += [Column("side", "side", (side,), optional=True)] if side else []
    found += [text("market", market)] if market else []
    found += [time("local_ts", local_ts)] if local_ts else []
    layouts = (tuple(layout),) if layout else ()
    return Format("columns", "a column map", tuple(found), layouts, {"price": ""}, market=market_of)


def get(name: str) -> Format:
    """A format by name.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    found = registry()
    if name not in found:
        raise ConfigError(f"format: expected one of {', '.join(found)}, got {name!r}")
    return found[name]


def of_file(path: Path) -> Format:
    """The format that a file's name says.

    Raises:
        ConfigError: none or several do; then name it.
    """
    fits = [fmt for fmt in registry().values() if fmt.names and re.search(fmt.names, path.as_posix())]
    if len(fits) != 1:
        said = f"could be {' or '.join(fmt.name for fmt in fits)}" if fits else "is like none that is known"
        raise ConfigError(f"format: {path.name} {said}; name one of {', '.join(registry())}, or give a column map")
    return fits[0]
