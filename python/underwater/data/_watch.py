"""What a check remembers of a market, and of two markets, from one chunk of ticks to the next.

Chunks come in the order of time and may split an instant. What is open at the end of a chunk (a price that has not moved, the
last two ticks, markets that disagree) is carried over, so that the findings do not depend on the chunks.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

LISTED = 1000
"""Findings of a kind and market that are listed; all are counted."""
_STRETCHES = 2000
_SECOND = 10**9


class Thresholds(Protocol):
    """From where on a thing is a finding; durations in nanoseconds."""

    @property
    def gap(self) -> int: ...
    @property
    def stale(self) -> int: ...
    @property
    def outlier(self) -> float: ...
    @property
    def crossed(self) -> float: ...


@dataclass
class Watch:
    """One market."""

    market: str
    limits: Thresholds
    ticks: int = 0
    instants: int = 0
    first: int | None = None
    last: int | None = None
    longest_gap: int = 0
    longest_stale: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("gap", "stale", "outlier", "repeat"), 0))
    path: "Path" = field(default_factory=lambda: Path())
    _divisor: int = 0
    _scale: int = 0
    _carry: pl.DataFrame | None = None
    """The last two ticks."""
    _run: dict[str, Any] | None = None
    """Since when the price has not moved."""
    _found: list[dict[str, Any]] = field(default_factory=list)

    @property
    def step(self) -> float:
        """The largest number that all prices are multiples of."""
        return float(self._divisor / 10**self._scale)

    def add(self, rows: pl.DataFrame) -> None:
        """Looks at more ticks of the market."""
        carried = 0 if self._carry is None else len(self._carry)
        seen = rows if self._carry is None else pl.concat([self._carry, rows])
        fresh = pl.int_range(pl.len()) >= carried
        self.ticks += len(rows)
        self._scale = rows["scale"][0]
        self._divisor = math.gcd(self._divisor, *rows["price"].unique().to_list())
        self.path.add(rows)
        step = pl.col("ts").diff()
        moments = seen.with_columns(step.alias("step"), fresh.alias("fresh"), pl.col("ts").shift(1).alias("before"))
        news = moments.filter("fresh")
        self.instants += int((news["step"].fill_null(1) > 0).sum())
        if self.first is None:
            self.first = rows["ts"][0]
        self.last = rows["ts"][-1]
        longest = news["step"].max()
        self.longest_gap = max(self.longest_gap, longest if isinstance(longest, int) else 0)
        gaps = news.filter(pl.col("step") > self.limits.gap)
        self._note("gap", gaps.select(ts="before", until="ts", ticks=pl.lit(0), price="value"))
        self._repeats(seen, fresh)
        self._outliers(seen, carried)
        self._runs(rows)
        self._carry = seen.tail(2)

    def _repeats(self, seen: pl.DataFrame, fresh: pl.Expr) -> None:
        same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in _told_by(seen))
        again = seen.filter(same & fresh & (pl.int_range(pl.len()) > 0))
        self._note("repeat", again.select(ts="ts", until="ts", ticks=pl.lit(1), price="value"))

    def _outliers(self, seen: pl.DataFrame, carried: int) -> None:
        """Ticks between two others, the last of them new."""
        limit = self.limits.outlier
        here, before, after = pl.col("value"), pl.col("value").shift(1), pl.col("value").shift(-1)
        middle = (before + after) / 2
        off = ((here / before - 1).abs() > limit) & ((here / after - 1).abs() > limit)
        agree = (before / after - 1).abs() < limit / 2
        place = pl.int_range(pl.len()) + 1
        odd = seen.with_columns(middle.alias("expected")).filter(off & agree & (place >= carried))
        self._note("outlier", odd.select(ts="ts", until="ts", ticks=pl.lit(1), price="value", expected="expected"))

    def _runs(self, rows: pl.DataFrame) -> None:
        """Stretches of one price."""
        runs = (
            rows.with_columns(pl.col("price").rle_id().alias("run"))
            .group_by("run", maintain_order=True)
            .agg(
                pl.col("ts").first(),
                pl.col("ts").last().alias("until"),
                pl.len().cast(pl.Int64).alias("ticks"),
                pl.col("value", "price").first(),
            )
            .drop("run")
        )
        if self._run is not None:
            if runs["price"][0] == self._run["price"]:
                head = runs.row(0, named=True)
                joined = {**self._run, "until": head["until"], "ticks": self._run["ticks"] + head["ticks"]}
                runs = pl.concat([pl.DataFrame([joined], schema=runs.schema), runs[1:]])
            else:
                runs = pl.concat([pl.DataFrame([self._run], schema=runs.schema), runs])
        self._run = runs.row(-1, named=True)
        self._still(runs[:-1])

    def _still(self, runs: pl.DataFrame) -> None:
        length = pl.col("until") - pl.col("ts")
        longest = runs.select(length.max()).item()
        self.longest_stale = max(self.longest_stale, longest or 0)
        long = runs.filter(length > self.limits.stale)
        self._note("stale", long.select("ts", "until", "ticks", price="value"))

    def _note(self, kind: str, found: pl.DataFrame) -> None:
        room = LISTED - self.counts[kind]
        self.counts[kind] += len(found)
        if room > 0:
            self._found += [{"kind": kind, "market": self.market, **row} for row in found.head(room).to_dicts()]

    def finish(self) -> list[dict[str, Any]]:
        """What was found."""
        if self._run is not None:
            self._still(pl.DataFrame([self._run]))
            self._run = None
        return self._found


@dataclass
class Crossing:
    """Two markets that should agree; both states are known after an instant.

    They disagree from more than the limit until less than half of it, so that one disagreement is not told as a hundred.
    """

    a: str
    b: str
    limits: Thresholds
    count: int = 0
    _states: dict[str, float | None] = field(default_factory=dict)
    _pending: pl.DataFrame | None = None
    """The last instant: more of it may come."""
    _open: dict[str, Any] | None = None
    _found: list[dict[str, Any]] = field(default_factory=list)

    def add(self, chunk: pl.DataFrame) -> None:
        """Looks at more ticks of all markets."""
        rows = chunk.filter(pl.col("market").is_in([self.a, self.b])).select("ts", "market", "value")
        if self._pending is not None:
            rows = pl.concat([self._pending, rows])
        if len(rows):
            last = rows["ts"][-1]
            self._pending = rows.filter(pl.col("ts") == last)
            self._look(rows.filter(pl.col("ts") < last))

    def _look(self, rows: pl.DataFrame) -> None:
        if not len(rows):
            return
        states = rows.with_columns(
            pl.when(pl.col("market") == name)
            .then("value")
            .forward_fill()
            .fill_null(pl.lit(self._states.get(name), pl.Float64))
            .alias(side)
            for name, side in ((self.a, "price"), (self.b, "expected"))
        )
        self._states = {self.a: states["price"][-1], self.b: states["expected"][-1]}
        instants = states.filter((pl.col("ts") != pl.col("ts").shift(-1)).fill_null(True)).drop_nulls()
        off = pl.col("price") / pl.col("expected") - 1
        limit = self.limits.crossed
        wide = pl.when(off.abs() > limit).then(True).when(off.abs() < limit / 2).then(False).forward_fill()
        episodes = (
            instants.with_columns(off.alias("off"), wide.fill_null(self._open is not None).alias("wide"))
            .with_columns(pl.col("wide").rle_id().alias("run"))
            .group_by("run", maintain_order=True)
            .agg(
                pl.col("wide", "ts").first(),
                pl.col("ts").last().alias("until"),
                pl.len().cast(pl.Int64).alias("ticks"),
                pl.col("price", "expected", "off").get(pl.col("off").abs().arg_max()),
            )
        )
        for row in episodes.drop("run").iter_rows(named=True):
            if self._open is None:
                self._open = row if row["wide"] else None
            elif row["wide"]:
                worst = row if abs(row["off"]) > abs(self._open["off"]) else self._open
                self._open = {
                    **worst,
                    "ts": self._open["ts"],
                    "until": row["until"],
                    "ticks": self._open["ticks"] + row["ticks"],
                }
            else:
                # They agree again at the first instant after.
                self._close({**self._open, "until": row["ts"]})

    def _close(self, episode: dict[str, Any]) -> None:
        self.count += 1
        self._open = None
        if self.count <= LISTED:
            kept = {key: episode[key] for key in ("ts", "until", "ticks", "price", "expected")}
            note = f"{episode['off']:+.1%} against {self.b} at the widest"
            self._found.append({"kind": "crossed", "market": self.a, **kept, "note": note})

    def finish(self) -> list[dict[str, Any]]:
        """What was found."""
        if self._pending is not None:
            self._look(self._pending)
            self._pending = None
        if self._open is not None:
            self._close(self._open)
        return self._found


class Path:
    """Lowest and highest price of stretches of time, wide enough that there are few."""

    def __init__(self) -> None:
        self._width = _SECOND
        self._frame: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """More ticks of the market."""
        fresh = rows.select("ts", low="value", high="value", ticks=pl.lit(1, pl.Int64))
        frame = self._in_stretches(fresh)
        self._frame = frame if self._frame is None else self._in_stretches(pl.concat([self._frame, frame]))
        while len(self._frame) > _STRETCHES:
            self._width *= 2
            self._frame = self._in_stretches(self._frame)

    def _in_stretches(self, frame: pl.DataFrame) -> pl.DataFrame:
        return (
            frame.group_by(pl.col("ts") // self._width * self._width, maintain_order=True)
            .agg(pl.col("low").min(), pl.col("high").max(), pl.col("ticks").sum())
            .sort("ts")
        )

    def frame(self, market: str) -> pl.DataFrame:
        """Columns `market`, `ts`, `low`, `high`, `ticks`."""
        empty = pl.DataFrame(schema={"ts": pl.Int64, "low": pl.Float64, "high": pl.Float64, "ticks": pl.Int64})
        frame = empty if self._frame is None else self._frame
        return frame.select(
            pl.lit(market).alias("market"),
            pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC"),
            "low",
            "high",
            "ticks",
        )


def _told_by(frame: pl.DataFrame) -> list[str]:
    """The columns that make a tick what it is."""
    return [name for name in ("ts", "price", "size", "side") if name in frame.columns]
