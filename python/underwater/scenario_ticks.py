"""The ticks of a scenario file: a bundled day or files, of ticks or of bars, and what is done to them, in order.

```toml
[ticks]
files = "ticks/*.parquet"

[ticks.bars]                  # if the files hold bars: they become ticks, reconstructed
interval = "1m"

[[ticks.steps]]               # a function of `uw.scenarios`, or `index`, and its arguments
step = "index"
name = "ETH-INDEX"
sources = { "ETH-USD" = 2, "ETH-USDT" = 1 }
stale_after = "10s"

[[ticks.steps]]
step = "amplify"
factor = 1.5
start = "9h30m"               # or a time: 2025-10-10T21:15:00Z
```
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater import bars, crash_days, scenarios
from underwater._files import expand
from underwater.config.base import Config
from underwater.errors import ConfigError, DataError
from underwater.indices import index
from underwater.market import Asset, Market
from underwater.ticks import Ticks

Time = datetime | str
"""A time of TOML, text such as `2025-10-10T21:15:00Z`, or a time from the first tick: `9h30m`."""
Number = int | float | str
"""A number; as text it is exact: `"1.1"`, `"1/3"`."""
Markets = str | tuple[str, ...] | None
"""A market, several, or none given: all."""
Open = Callable[["TicksSource"], Ticks]


class _Step(Config):
    def apply(self, ticks: Ticks, _open: Open) -> Ticks:
        """The ticks after the step."""
        function = getattr(scenarios, self.step)  # type: ignore[attr-defined]  # each step has its name
        made: Ticks = function(ticks, **self._arguments())
        return made

    def _arguments(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "step"}
        return {name: value for name, value in said.items() if value is not None}


class Amplify(_Step):
    """Multiplies returns."""

    step: Literal["amplify"]
    """`amplify`."""
    factor: Number
    """2 doubles the logarithm of each return."""
    markets: Markets = None
    """Whose returns."""
    start: Time | None = None
    """From here on."""
    end: Time | None = None
    """Up to here, exclusive."""


class Jump(_Step):
    """Prices change at once, for good or for a while."""

    step: Literal["jump"]
    """`jump`."""
    size: Number
    """Relative; -0.3 is a fall by 30 %."""
    at: Time
    """From the first tick at or after this."""
    until: Time | None = None
    """Up to here, exclusive: a wick."""
    markets: Markets = None
    """Whose prices."""


class Shift(_Step):
    """Markets are moved in time or in level."""

    step: Literal["shift"]
    """`shift`."""
    markets: Markets = None
    """Those that are moved."""
    time: str | int = "0s"
    """Later by a duration, or earlier by `-5s`."""
    level: Number = 1
    """All prices are multiplied by this."""


class Speed(_Step):
    """The day goes faster or slower."""

    step: Literal["speed"]
    """`speed`."""
    factor: Number
    """2 is twice as fast."""


class Outage(_Step):
    """Markets are silent for a while."""

    step: Literal["outage"]
    """`outage`."""
    start: Time
    """First instant without ticks."""
    end: Time
    """First instant with ticks again."""
    markets: Markets = None
    """Those that are out."""


class Cut(_Step):
    """What lies outside is left out."""

    step: Literal["cut"]
    """`cut`."""
    start: Time | None = None
    """First instant that stays."""
    end: Time | None = None
    """First instant that does not."""


class Splice(_Step):
    """Other days follow."""

    step: Literal["splice"]
    """`splice`."""
    parts: tuple["TicksSource", ...] = Field(min_length=1)
    """The days that follow, in order; each a table like `[ticks]`, with steps of its own if wanted."""
    gap: str | int = "1s"
    """Time from the last tick of a day to the first of the next."""
    level: Literal["continue", "keep"] = "continue"
    """Whether a market goes on from its last price, or jumps to its own."""

    def apply(self, ticks: Ticks, open_: Open) -> Ticks:
        """The ticks and the other days."""
        return scenarios.splice(ticks, *map(open_, self.parts), gap=self.gap, level=self.level)


class Index(_Step):
    """A market more: an index of several."""

    step: Literal["index"]
    """`index`."""
    name: str
    """Of the new market."""
    sources: dict[str, Number] | tuple[str, ...]
    """Markets with their weights, or markets that count alike."""
    method: Literal["median", "mean"] = "median"
    """Weighted."""
    stale_after: str | int | None = None
    """A source whose last print is longer ago drops out; none given: never."""
    min_sources: int = 1
    """With fewer nothing is published."""
    cadence: str | int | None = None
    """Time between publications; none given: whenever a source prints."""
    decimals: int | None = None
    """Of the index; none given: the most that a source has."""
    of: tuple[str, ...] = ()
    """Markets whose index it becomes."""

    def apply(self, ticks: Ticks, _open: Open) -> Ticks:
        """The ticks with the index."""
        return index(ticks, **self._arguments())


Step = Annotated[
    Amplify | Jump | Shift | Speed | Outage | Cut | Splice | Index,
    Field(discriminator="step"),
]
"""One table of `[[ticks.steps]]`."""


_STAMPS = ("ts", "open_ts", "close_ts")


class Bars(Config):
    """The files hold bars: `ts`, `open_ts` or `close_ts`, `open`, `high`, `low`, `close`, optionally `market`, `volume`, `count`,
    what `underwater data import --records` writes of klines. They become ticks by `uw.bars.to_ticks`.
    """

    interval: str
    """Length of a bar, such as `1m`."""
    seed: int = 1
    """Of the reconstruction."""
    stamp: Literal["open", "close"] = "open"
    """What `ts` is, or which of `open_ts` and `close_ts` is taken if there are both."""
    open_is_trade: bool = True
    """False: the open is the close before and may lie outside low to high (BitMEX)."""
    ticks_per_bar: int = 60
    """Where the bars do not count trades."""

    def ticks(self, paths: list[Path], markets: tuple[Market, ...] | None, assets: tuple[Asset, ...] | None) -> Ticks:
        """The ticks of the bars in the files."""
        frames = [self._read(path) for path in expand(paths, "*.parquet")]
        together = pl.concat(frames, how="vertical_relaxed")
        together = together.sort(next(name for name in _STAMPS if name in together.columns), maintain_order=True)
        options = {name: getattr(self, name) for name in ("seed", "stamp", "open_is_trade", "ticks_per_bar")}
        return bars.to_ticks(together, self.interval, markets, assets, **options)

    def _read(self, path: Path) -> pl.DataFrame:
        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{path}: not a Parquet file that can be read: {error}") from None
        known = (*_STAMPS, "market", "open", "high", "low", "close", "volume", "count")
        missing = [name for name in ("open", "high", "low", "close") if name not in frame.columns]
        if not set(_STAMPS) & set(frame.columns):
            missing.insert(0, "ts")
        if missing:
            raise DataError(f"{path}: expected bars with a column {missing[0]!r}, got {', '.join(frame.columns)}")
        return frame.select(name for name in known if name in frame.columns)


class TicksSource(Config):
    """Where the ticks come from: exactly one of `day` and `files`."""

    day: str | None = None
    """A bundled crash day, such as `2025-10-10`."""
    files: str | tuple[str, ...] | None = None
    """Parquet files, directories or globs."""
    bars: Bars | None = None
    """If the files hold bars."""
    markets: tuple[Market, ...] | None = None
    """Definitions of markets, for files; None: those in the files."""
    assets: tuple[Asset, ...] | None = None
    """Definitions of assets, for files; None: those in the files."""
    steps: tuple[Step, ...] = ()
    """What is done to the ticks, in order."""

    @model_validator(mode="after")
    def _one(self) -> "TicksSource":
        if (self.day is None) == (self.files is None):
            raise PydanticCustomError("source", "expected either day or files")
        if self.bars is not None and self.files is None:
            raise PydanticCustomError("source", "expected files with bars")
        return self

    def open(self, base: Path, *, progress: bool = False) -> Ticks:
        """The ticks; paths are relative to `base`.

        Raises:
            ConfigError, DataError: a file or a step cannot be used; names which.
        """
        ticks = self._opened(base, progress=progress)
        for number, step in enumerate(self.steps):
            try:
                ticks = step.apply(ticks, lambda source: source.open(base, progress=progress))
                ticks.definitions  # noqa: B018  # tells now what does not fit the ticks
            except (ConfigError, DataError) as error:
                raise type(error)(f"ticks.steps.{number}: {error}") from None
        return ticks

    def _opened(self, base: Path, *, progress: bool) -> Ticks:
        if self.day is not None:
            return crash_days.load(self.day, progress=progress)
        files = [self.files] if isinstance(self.files, str) else self.files or ()
        paths = [base / file for file in files]
        if self.bars is not None:
            return self.bars.ticks(paths, self.markets, self.assets)
        return Ticks.scan(paths, self.markets, self.assets)


Splice.model_rebuild()
