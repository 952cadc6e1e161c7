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

`underwater compare` reads `[protocols.NAME]` tables of the same form instead of `[protocol]`. Bars, indices and price scenarios
are tables under `[ticks]` (`scenario_ticks`), snapshots, trades and open interest under `[book]` (`scenario_book`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from underwater import protocols
from underwater.config import Protocol, RunOptions
from underwater.config.base import Config
from underwater.errors import ConfigError, MissingFileError
from underwater.scenario_book import BookSource
from underwater.scenario_ticks import TicksSource


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
