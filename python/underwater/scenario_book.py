"""The book of a scenario file: frames, a generated book (also with a snapshot's marginals), a venue's snapshot, or tables of
trades; and what is done to it.

```toml
[book.snapshot]               # or: [book.calibrated], [book.synthetic], [book.trades], or positions = "..." under [book]
file = "hyperliquid_positions.parquet"
layout = "hyperliquid"
negative_cash = "rebase"

[book.scaled_to]              # open interest by market, in the market's unit
BTC = 12_500

[book.balanced]               # counterparties, so that longs and shorts sum to zero
leverage = 1
```
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater import books
from underwater.book import Book
from underwater.config.base import Config
from underwater.errors import BookError, ConfigError, MissingFileError
from underwater.ticks import Ticks


class Snapshot(Config):
    """A snapshot of positions and account values: `uw.books.from_snapshot`."""

    file: str
    """Parquet file."""
    layout: Literal["columns", "hyperliquid"] = "columns"
    """`columns` of `from_snapshot`, or `hyperliquid`: of `hyperliquid_positions`."""
    asset: str = "USD"
    """Of the cash."""
    decimals: int = 6
    """Of the asset."""
    negative_cash: Literal["error", "rebase"] = "error"
    """Accounts that have drawn on their profit."""

    def open(self, base: Path) -> Book:
        """The book."""
        rows = _snapshot(base / self.file, "snapshot.file", self.layout)
        return books.from_snapshot(rows, asset=self.asset, decimals=self.decimals, negative_cash=self.negative_cash)


class Calibrated(Config):
    """A generated book with a snapshot's marginals: `uw.books.calibrate`, then `Book.synthetic`."""

    file: str
    """Parquet file of the snapshot."""
    layout: Literal["columns", "hyperliquid"] = "columns"
    """As of a snapshot."""
    markets: dict[str, str] | None = None
    """Market of the ticks by market of the snapshot; None: odds by traded volume."""
    accounts: int = 100_000
    """Number of accounts."""
    seed: int = 7
    """Of the generator."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Of `Book.synthetic`, instead of what the snapshot says; leverage is said by side, in `longs` and `shorts`."""

    def open(self, base: Path, ticks: Ticks) -> Book:
        """The book."""
        rows = _snapshot(base / self.file, "calibrated.file", self.layout)
        options = {**books.calibrate(rows, self.markets), **self.options}
        return Book.synthetic(ticks, self.accounts, self.seed, **options)


class Trades(Config):
    """Tables of opens, closes, deposits and withdrawals: `uw.books.from_trades`."""

    trades: str
    """Parquet file of trades."""
    transfers: str
    """Parquet file of transfers."""
    at: datetime | str
    """The instant at which the book is made: the first of the ticks."""
    decimals: int = 6
    """Of the asset."""
    later_trades: Literal["events", "ignore"] = "events"
    """What becomes of later trades."""

    def open(self, base: Path) -> Book:
        """The book."""
        trades, transfers = (_read(base / getattr(self, name), f"trades.{name}") for name in ("trades", "transfers"))
        at = self.at if isinstance(self.at, datetime) else _instant(self.at)
        return books.from_trades(trades, transfers, at=at, decimals=self.decimals, later_trades=self.later_trades)


class Balanced(Config):
    """Counterparties for net open interest: `uw.books.balanced`."""

    leverage: int | float | str = 1
    """Notional over collateral."""
    accounts: int = 1
    """Counterparties a market."""


class BookSource(Config):
    """Where the book comes from: exactly one of `positions`, `synthetic`, `calibrated`, `snapshot` and `trades`."""

    positions: str | None = None
    """Parquet file of the positions frame."""
    accounts: str | None = None
    """Parquet file of the cash of cross accounts."""
    events: str | None = None
    """Parquet file of deposits, withdrawals and trades."""
    synthetic: dict[str, Any] | None = None
    """Arguments of `Book.synthetic`."""
    calibrated: Calibrated | None = None
    """A generated book with a snapshot's marginals."""
    snapshot: Snapshot | None = None
    """A venue's snapshot."""
    trades: Trades | None = None
    """Tables of trades and transfers."""
    scaled_to: dict[str, int | float | str] | None = None
    """Target open interest by market: `uw.books.scaled_to`."""
    balanced: Balanced | None = None
    """Counterparties, after scaling."""

    @model_validator(mode="after")
    def _one(self) -> "BookSource":
        sources = (self.positions, self.synthetic, self.calibrated, self.snapshot, self.trades)
        if sum(source is not None for source in sources) != 1:
            raise PydanticCustomError("source", "expected one of positions, synthetic, calibrated, snapshot and trades")
        if self.positions is None and (self.accounts or self.events):
            raise PydanticCustomError("source", "expected positions with accounts and events")
        return self

    def open(self, base: Path, ticks: Ticks) -> Book:
        """The book; paths are relative to `base`.

        Raises:
            ConfigError, BookError: a file or a field cannot be used; names which.
        """
        try:
            book = self._opened(base, ticks)
            if self.scaled_to is not None:
                book = books.scaled_to(book, ticks, self.scaled_to)
            if self.balanced is not None:
                book = books.balanced(book, ticks, leverage=self.balanced.leverage, accounts=self.balanced.accounts)
        except MissingFileError:
            raise
        except (ConfigError, BookError) as error:
            raise type(error)(f"book: {error}") from None
        return book

    def _opened(self, base: Path, ticks: Ticks) -> Book:
        if self.synthetic is not None:
            return Book.synthetic(ticks, **self.synthetic)
        if self.calibrated is not None:
            return self.calibrated.open(base, ticks)
        if self.snapshot is not None:
            return self.snapshot.open(base)
        if self.trades is not None:
            return self.trades.open(base)
        files = {"positions": self.positions, "accounts": self.accounts, "events": self.events}
        return Book.from_frames(**{name: file and _read(base / file, name) for name, file in files.items()})


def _snapshot(path: Path, name: str, layout: str) -> pl.DataFrame:
    frame = _read(path, name)
    return books.hyperliquid_positions(frame) if layout == "hyperliquid" else frame


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"trades.at: expected a time such as 2025-10-10T00:00:00Z, got {text!r}") from None


def _read(path: Path, name: str) -> pl.DataFrame:
    if not path.is_file():
        raise MissingFileError(f"book.{name}: no such file: {path}")
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise BookError(f"{name}: {path}: not a Parquet file that can be read: {error}") from None
