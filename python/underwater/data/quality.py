"""What should not be there, in ticks: counted, listed, drawn, never mended (`repairs` does that, when asked).

Guarantees: everything is found whatever the chunk size; ticks that are not loaded are read chunk by chunk. Floats find
what to look at and are shown; they decide nothing that is computed later.

What is looked for, market by market:
- `gap`: no tick for longer than `gap`. A missing minute is not a minute without volume: look.
- `stale`: the price did not move for longer than `stale`, though ticks came. A frozen feed looks valid.
- `outlier`: one instant's price is off its neighbours' by more than `outlier`, and they agree with each other.
- `repeat`: a tick like the one before in time, price, size and side.
- `backwards`: times before the row before, in the files that were imported (told by their provenance).
- `crossed`: two markets that should agree (a market and its index, or the pairs named) differ by more than `crossed`, until they
  differ by less than half of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pydantic import Field

from underwater.config.base import Config
from underwater.data._watch import Crossing, Watch
from underwater.durations import Duration
from underwater.errors import ConfigError
from underwater.market import parse_definitions

if TYPE_CHECKING:
    from underwater.ticks import Ticks

_CHUNK = 1 << 20
_FINDINGS = pl.Schema(
    {
        "kind": pl.String(),
        "market": pl.String(),
        "ts": pl.Datetime("ns", "UTC"),
        "until": pl.Datetime("ns", "UTC"),
        "ticks": pl.Int64(),
        "price": pl.Float64(),
        "expected": pl.Float64(),
        "note": pl.String(),
    }
)
KINDS = ("gap", "stale", "outlier", "repeat", "backwards", "crossed")
"""What is looked for."""


class Limits(Config):
    """From where on a thing is a finding.

    >>> Limits(gap="30s").gap
    30000000000
    """

    gap: Duration = 60_000_000_000
    """Longest time without a tick."""
    stale: Duration = 300_000_000_000
    """Longest time without a move, though ticks come."""
    outlier: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """Relative distance of one tick's price from its neighbours'."""
    crossed: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    """Relative difference of two markets that should agree."""


@dataclass(frozen=True)
class Check:
    """What was found."""

    summary: pl.DataFrame
    """One row per market: `market`, `ticks`, `instants`, first and last `ts`, `price_decimals`, `size_decimals`, `price_step`
    (all prices are multiples of it), the longest gap, the longest time without a move, and how many findings of each kind."""
    findings: pl.DataFrame
    """One row per finding, the first 1,000 of a kind and market: `kind`, `market`, `ts`, `until`, `ticks`, `price`,
    `expected`, `note`."""
    path: pl.DataFrame = field(repr=False)
    """For the picture: lowest and highest price of each market, in up to 2,000 stretches of time."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.summary.select(pl.sum_horizontal(KINDS)).to_series().sum()

    def worst(self, number: int) -> pl.DataFrame:
        """Of each kind the findings that are longest (`gap`, `stale`) or farthest off (`outlier`, `crossed`), worst first:
        `kind`, `market`, `ts`, `lasts`, `price`, `expected`, `off`. Repeats are left out: none is worse than another."""
        off = pl.col("price") / pl.col("expected") - 1
        found = self.findings.filter(pl.col("kind").is_in(["gap", "stale", "outlier", "crossed"])).with_columns(
            (pl.col("until") - pl.col("ts")).alias("lasts"), off.round(4).alias("off")
        )
        size = pl.when(pl.col("kind").is_in(["gap", "stale"])).then(pl.col("lasts").dt.total_nanoseconds())
        ranked = found.with_columns(size.otherwise(pl.col("off").abs()).alias("size"))
        order = ranked.sort("kind", "size", descending=[False, True], maintain_order=True)
        chosen = order.group_by("kind", maintain_order=True).head(number)
        return chosen.select("kind", "market", "ts", "lasts", "price", "expected", "off")

    def plot(self, target: str | PathLike[str]) -> Path:
        """Writes a picture of prices and findings: one HTML file that needs nothing else. Returns its path."""
        from underwater.data._picture import draw

        return draw(self, Path(target))


def check(ticks: "Ticks", limits: Limits = Limits(), pairs: Iterable[tuple[str, str]] = ()) -> Check:  # noqa: B008  # frozen
    """Looks for gaps, staleness, outliers, repeats, times that run backwards, and markets that disagree.

    Args:
        ticks: loaded or not.
        limits: from where on a thing is a finding.
        pairs: markets that should have the same price, besides each market and its index.

    Raises:
        DataError: the ticks cannot be read.
        ConfigError: a limit is out of range, or a pair names no market.

    >>> import polars as pl, underwater as uw
    >>> ts = pl.from_epoch([0, 1, 2, 300], "s")
    >>> ticks = uw.Ticks(pl.DataFrame({"ts": ts, "market": "X", "price": [10.0, 10.0, 15.0, 10.0]}))
    >>> found = uw.data.check(ticks).findings
    >>> found["kind"].to_list(), found["until"].dt.minute().to_list()
    (['gap', 'outlier'], [5, 0])
    """
    tables = _tables(ticks)
    first = next(tables)
    definitions = {m.name: m for m in parse_definitions(first.schema.metadata[b"underwater"].decode()).markets}
    joined = [(market.name, market.index) for market in definitions.values() if market.index] + list(pairs)
    for pair in joined:
        if missing := [name for name in pair if name not in definitions]:
            raise ConfigError(f"pairs: expected markets of the ticks, got {missing[0]!r}")
    states = {name: Watch(name, limits) for name in definitions}
    crosses = [Crossing(a, b, limits) for a, b in dict.fromkeys(joined)]
    for table in chain([first], tables):
        chunk = _prepared(table)
        for (name,), rows in chunk.group_by("market", maintain_order=True):
            states[str(name)].add(rows)
        for cross in crosses:
            cross.add(chunk)
    found = [row for state in states.values() for row in state.finish()]
    found += [row for cross in crosses for row in cross.finish()]
    crossed = {name: sum(cross.count for cross in crosses if cross.a == name) for name in states}
    backwards = int(ticks.provenance.get("backwards", 0))
    summary = [
        {
            "market": name,
            "ticks": state.ticks,
            "instants": state.instants,
            "first": state.first,
            "last": state.last,
            "price_decimals": definitions[name].price_decimals,
            "size_decimals": definitions[name].size_decimals,
            "price_step": state.step,
            "longest_gap": state.longest_gap,
            "longest_stale": state.longest_stale,
            **state.counts,
            # Files are counted whole; which market it was is not known once the ticks are sorted.
            "backwards": backwards if len(states) == 1 else 0,
            "crossed": crossed[name],
        }
        for name, state in states.items()
    ]
    if backwards:
        sources = ", ".join(map(str, ticks.provenance.get("sources", [])))
        note = f"{backwards} times lay before the row before in {sources}; the import sorted them"
        found.append({"kind": "backwards", "ticks": backwards, "note": note})
        if len(states) > 1:
            summary.append({"market": "(all)", "ticks": ticks.rows, "backwards": backwards})
    times, durations = ("first", "last"), ("longest_gap", "longest_stale")
    table = pl.DataFrame(summary, infer_schema_length=None).with_columns(
        *(pl.from_epoch(name, "ns").dt.replace_time_zone("UTC") for name in times),
        *(pl.col(name).cast(pl.Duration("ns")) for name in durations),
        pl.col(KINDS).fill_null(0),
    )
    listed = pl.DataFrame(found, schema=_FINDINGS | {"ts": pl.Int64(), "until": pl.Int64()}).with_columns(
        pl.from_epoch(name, "ns").dt.replace_time_zone("UTC") for name in ("ts", "until")
    )
    path = pl.concat([state.path.frame(name) for name, state in states.items()])
    return Check(table, listed.sort("ts", "kind", "market", maintain_order=True), path)


def _tables(ticks: "Ticks") -> Iterator[pa.Table]:
    """The ticks in the order of time; those that are not loaded are not held."""
    chunks = ticks._core.chunks(_CHUNK)
    if chunks is not None:
        yield from map(pa.table, chunks)
        return
    whole = pa.table(ticks._core.table())
    yield from (whole.slice(start, _CHUNK) for start in range(0, len(whole), _CHUNK))


def _prepared(table: pa.Table) -> pl.DataFrame:
    """Times in nanoseconds, prices as they are and as floats in quote units."""
    field = table.schema.field("price")
    wide = pa.types.is_decimal(field.type)
    scale = field.type.scale if wide else int((field.metadata or {}).get(b"decimals", 0))
    return pl.DataFrame(table).with_columns(
        pl.col("ts").dt.epoch("ns"),
        pl.col("market").cast(pl.String),
        pl.col("price").to_physical(),
        (pl.col("price").to_physical().cast(pl.Float64) / 10**scale).alias("value"),
        pl.lit(scale).alias("scale"),
    )
