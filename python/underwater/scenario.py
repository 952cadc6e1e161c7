"""A scenario file: the day, the book, the run and the protocols of a replay, in TOML. Its paths are relative to it.

```toml
[ticks]
day = "2025-10-10"            # a bundled crash day; or: files = ["ticks/*.parquet"], markets = [...], assets = [...]

[book.synthetic]
accounts = 100_000            # or, under [book]: positions = "positions.parquet", accounts = ..., events = ...
seed = 7

[run]
reference = "last"            # or "index", or a feed; opening = "keep", "reject" or "rescale"

[protocol]
base = "order_book"           # a shape or a TOML file, changed by `with`; or all fields of a protocol
with = { "keeper.latency" = "5s", "insurance_fund.balance" = 10e6 }
```

`underwater compare` reads `[protocols.NAME]` tables of the same form instead of `[protocol]`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater import crash_days, protocols
from underwater.book import Book
from underwater.config import Protocol, RunOptions
from underwater.config.base import Config
from underwater.errors import BookError, ConfigError, MissingFileError
from underwater.market import Asset, Market
from underwater.ticks import Ticks


class TicksSource(Config):
    """Where the ticks come from: exactly one of `day` and `files`."""

    day: str | None = None
    """A bundled crash day, such as `2025-10-10`."""
    files: str | tuple[str, ...] | None = None
    """Parquet files, directories or globs."""
    markets: tuple[Market, ...] | None = None
    """Definitions of markets, for files; None: those in the files."""
    assets: tuple[Asset, ...] | None = None
    """Definitions of assets, for files; None: those in the files."""

    @model_validator(mode="after")
    def _one(self) -> "TicksSource":
        if (self.day is None) == (self.files is None):
            raise PydanticCustomError("source", "expected either day or files")
        return self

    def open(self, base: Path, *, progress: bool = False) -> Ticks:
        """The ticks; paths are relative to `base`."""
        if self.day is not None:
            return crash_days.load(self.day, progress=progress)
        files = [self.files] if isinstance(self.files, str) else self.files or ()
        return Ticks.scan([base / file for file in files], self.markets, self.assets)


class BookSource(Config):
    """Where the book comes from: `positions`, or `synthetic`."""

    positions: str | None = None
    """Parquet file of the positions frame."""
    accounts: str | None = None
    """Parquet file of the cash of cross accounts."""
    events: str | None = None
    """Parquet file of deposits, withdrawals and trades."""
    synthetic: dict[str, Any] | None = None
    """Arguments of `Book.synthetic`."""

    @model_validator(mode="after")
    def _one(self) -> "BookSource":
        if (self.positions is None) == (self.synthetic is None):
            raise PydanticCustomError("source", "expected either positions or synthetic")
        return self

    def open(self, base: Path, ticks: Ticks) -> Book:
        """The book; paths are relative to `base`."""
        if self.synthetic is not None:
            return Book.synthetic(ticks, **self.synthetic)
        files = {"positions": self.positions, "accounts": self.accounts, "events": self.events}
        return Book.from_frames(**{name: file and _read(base / file, name) for name, file in files.items()})


class Scenario(Config):
    """What `underwater replay` and `underwater compare` run."""

    ticks: TicksSource
    """The day."""
    book: BookSource
    """The accounts."""
    run: RunOptions = RunOptions()
    """Reference and opening policy."""
    protocol: str | dict[str, Any] | None = None
    """For `replay`: a shape, a TOML file, or a table with `base` and `with`, or of all fields."""
    protocols: dict[str, str | dict[str, Any]] = Field(default_factory=dict)
    """For `compare`: the same, by name."""

    @classmethod
    def read(cls, path: Path) -> "Scenario":
        """The scenario of a file.

        Raises:
            ConfigError: the file is not TOML, or a field is wrong; names file and field.
        """
        try:
            return cls.from_toml(path)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def chosen(self, base: Path, *, several: bool) -> dict[str, Protocol]:
        """The protocols of `protocols` if several are asked for, else that of `protocol`, by name.

        Raises:
            ConfigError: there is none, or one is wrong.
        """
        if several:
            if not self.protocols:
                raise ConfigError("protocols: expected tables [protocols.NAME]")
            return {name: _protocol(spec, base, f"protocols.{name}") for name, spec in self.protocols.items()}
        if self.protocol is None:
            raise ConfigError("protocol: expected a table [protocol]")
        protocol = _protocol(self.protocol, base, "protocol")
        return {protocol.name or "protocol": protocol}


def _protocol(spec: str | Mapping[str, Any], base: Path, field: str) -> Protocol:
    try:
        if isinstance(spec, str):
            return _from_file(base / spec) if spec.endswith(".toml") else protocols.get(spec)
        if "base" not in spec:
            return Protocol.from_dict(spec)
        if unknown := spec.keys() - {"base", "with"}:
            raise ConfigError(f"unknown fields beside base and with: {', '.join(sorted(unknown))}")
        return _protocol(spec["base"], base, "base").with_(**spec.get("with", {}))
    except ConfigError as error:
        raise ConfigError(f"{field}: {error}") from None


def _from_file(path: Path) -> Protocol:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    return Protocol.from_toml(path)


def _read(path: Path, name: str) -> pl.DataFrame:
    if not path.is_file():
        raise MissingFileError(f"book.{name}: no such file: {path}")
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise BookError(f"book.{name}: {path}: not a Parquet file that can be read: {error}") from None
