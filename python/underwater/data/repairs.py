"""Repairs of ticks, each by name, each counting what it did. Nothing else in the package mends ticks.

Each takes ticks and gives new ones with the count; their provenance keeps the list. Ticks are loaded for it.
"""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from underwater.errors import ConfigError, DataError
from underwater.ticks import Ticks


@dataclass(frozen=True)
class Repaired:
    """Ticks after a repair, and how many it removed."""

    ticks: Ticks
    removed: int


def drop_repeats(ticks: Ticks) -> Repaired:
    """Removes ticks like the one before, of the same market, in time, price, size and side.

    Venues print equal trades of equal orders in one instant, so that a repeat may be real: look first.

    >>> import polars as pl, underwater as uw
    >>> frame = pl.DataFrame({"ts": pl.from_epoch([0, 0, 1]), "market": "X", "price": [1.0, 1.0, 1.0]})
    >>> uw.data.drop_repeats(uw.Ticks(frame)).removed
    1
    """
    told_by = [name for name in ("ts", "price", "size", "side") if name in _table(ticks).column_names]
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)).over("market") for name in told_by)
    first = pl.int_range(pl.len()).over("market") == 0
    return _without(ticks, same & ~first, "drop_repeats")


def drop_outliers(ticks: Ticks, limit: float = 0.05) -> Repaired:
    """Removes single ticks whose price is off both neighbours' by more than `limit`, relative, while those agree.

    Args:
        ticks: the ticks.
        limit: as `Limits.outlier`.

    Raises:
        ConfigError: the limit is not above 0.
    """
    if not limit > 0:
        raise ConfigError(f"limit: expected a ratio above 0, got {limit!r}")
    here = pl.col("price").cast(pl.Float64)
    before, after = (here.shift(by).over("market") for by in (1, -1))
    off = ((here / before - 1).abs() > limit) & ((here / after - 1).abs() > limit)
    return _without(
        ticks, (off & ((before / after - 1).abs() < limit / 2)).fill_null(False), "drop_outliers", limit=limit
    )


def drop_between(ticks: Ticks, market: str, start: str, end: str) -> Repaired:
    """Removes the ticks of a market from `start` to before `end`, such as those of a frozen feed.

    Args:
        ticks: the ticks.
        market: its name.
        start: ISO 8601, in UTC.
        end: the same.

    Raises:
        ConfigError: there is no such market, or a time cannot be read.
    """
    if market not in {known.name for known in ticks.markets}:
        raise ConfigError(f"market: expected one of the ticks, got {market!r}")
    try:
        first, last = pl.Series([start, end]).str.to_datetime(time_unit="ns", time_zone="UTC").dt.epoch("ns")
    except pl.exceptions.PolarsError:
        raise ConfigError(f"start, end: expected times such as 2025-10-10T21:20:00, got {start!r}, {end!r}") from None
    ts = pl.col("ts").dt.epoch("ns")
    inside = (pl.col("market").cast(pl.String) == market) & (ts >= first) & (ts < last)
    return _without(ticks, inside, "drop_between", market=market, start=start, end=end)


def _table(ticks: Ticks) -> pa.Table:
    return pa.table(ticks)


def _without(ticks: Ticks, gone: pl.Expr, name: str, **how: object) -> Repaired:
    """The ticks without some, with the same definitions; the repair is added to their provenance."""
    table = _table(ticks)
    keep = pl.DataFrame(table).select(~gone).to_series()
    removed = len(keep) - int(keep.sum())
    if removed == len(keep):
        raise DataError(f"{name}: no tick would be left")
    done = [*ticks.provenance.get("repairs", []), {"repair": name, "removed": removed, **how}]
    definitions = ticks.definitions
    mended = Ticks(
        table.filter(pa.array(keep)),
        definitions.markets,
        definitions.assets,
        provenance={**ticks.provenance, "repairs": done},
    )
    return Repaired(mended, removed)
