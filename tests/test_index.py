"""Indices: against a slow, obvious second implementation, and in small numbers."""

import random
from fractions import Fraction
from math import floor
from pathlib import Path

import polars as pl
import pytest

import underwater as uw
from underwater import ticks as ticks_module


def tape(rows: list[tuple[int, str, int]], decimals: dict[str, int] | None = None) -> uw.Ticks:
    """Ticks of (second, market, price)."""
    frame = pl.DataFrame(rows, ["ts", "market", "price"], orient="row")
    frame = frame.with_columns(pl.from_epoch("ts"), pl.col("price").cast(float))
    markets = [uw.Market(name=m, price_decimals=(decimals or {}).get(m, 0)) for m in sorted({row[1] for row in rows})]
    return uw.Ticks(frame, markets)


def published(ticks: uw.Ticks, name: str = "I") -> list[tuple[int, int]]:
    rows = ticks.to_polars().filter(pl.col("market") == name)
    return rows.select(pl.col("ts").dt.epoch("s"), "price").rows()


def slow(rows, weights, method, stale, least, cadence, scale) -> list[tuple[int, int]]:
    """(time, price) of the index; prices are multiples of 1 / scale."""
    prints = sorted({ts for ts, market, _ in rows if market in weights})
    start, end = rows[0][0], rows[-1][0]
    times = prints if cadence is None else [t for t in range(start, end + 1) if t % cadence == 0]
    found = []
    for time in times:
        last = {market: (ts, price) for ts, market, price in rows if ts <= time and market in weights}
        on = sorted((price, weights[m]) for m, (ts, price) in last.items() if stale is None or time - ts <= stale)
        if len(on) < least:
            continue
        total = sum((w for _, w in on), Fraction(0))
        if method == "mean":
            value = sum((w * p for p, w in on), Fraction(0)) / total
        else:
            below = [sum((w for p, w in on if p < q), Fraction(0)) for q, _ in on]
            above = [sum((w for p, w in on if p > q), Fraction(0)) for q, _ in on]
            middle = [q for (q, _), b, a in zip(on, below, above, strict=True) if 2 * b <= total and 2 * a <= total]
            value = Fraction(min(middle) + max(middle), 2)
        found.append((time, max(1, floor(value * scale + Fraction(1, 2)))))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_any_index_equals_the_slow_one(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)  # noqa: S311  # a test
    markets = "ABCDE"[: draw.randint(2, 5)]
    rows, ts = [], 0
    for _ in range(draw.randint(5, 120)):
        ts += draw.choice([0, 0, 1, 1, 2, 9])
        rows.append((ts, draw.choice(markets), draw.randint(90, 110)))
    there = sorted({row[1] for row in rows})
    weights = {
        m: Fraction(draw.randint(1, 4), draw.randint(1, 3)) for m in draw.sample(there, draw.randint(1, len(there)))
    }
    method = draw.choice(["median", "mean"])
    stale, cadence = draw.choice([None, 0, 3, 10]), draw.choice([None, 1, 5])
    least, decimals = draw.randint(1, len(weights)), draw.choice([0, 2])
    rows.sort(key=lambda row: (row[0], row[1]))  # as ticks come out, so that the last of an instant is the last
    day = tape(rows)
    if draw.random() < 0.5:
        monkeypatch.setattr(ticks_module, "_ROWS_PER_CHUNK", draw.randint(1, 20))
        day = uw.Ticks.scan(day.write(tmp_path / "day.parquet"))
    options = {} if stale is None else {"stale_after": f"{stale}s"}
    options |= {} if cadence is None else {"cadence": f"{cadence}s"}
    made = uw.index(day, "I", weights, method=method, min_sources=least, decimals=decimals, **options)
    expected = slow(rows, weights, method, stale, least, cadence, 10**decimals)
    assert published(made) == expected


def test_a_stale_source_drops_out_and_comes_back() -> None:
    rows = [(0, "A", 100), (0, "B", 200), (0, "C", 210), (20, "A", 101), (25, "B", 190), (26, "C", 195)]
    made = uw.index(tape(rows), "I", ["A", "B", "C"], stale_after="10s")
    assert published(made) == [(0, 200), (20, 101), (25, 146), (26, 190)]


def test_it_is_the_index_of_its_markets_and_a_protocol_reads_it() -> None:
    rows = [(0, "A", 100), (0, "B", 100), (0, "P", 100), (5, "P", 60), (9, "A", 98), (9, "B", 99), (9, "P", 99)]
    made = uw.index(tape(rows), "I", ["A", "B"], decimals=2, of=["P"])
    assert {m.name: m.index for m in made.markets} == {"A": None, "B": None, "I": None, "P": "I"}
    assert published(made) == [(0, 10_000), (9, 9850)]
    assert made.provenance["steps"] == [
        {
            "step": "index",
            "name": "I",
            "sources": {"A": "1", "B": "1"},
            "method": "median",
            "min_sources": 1,
            "decimals": 2,
        }
    ]
    book = uw.Book.from_frames(
        pl.DataFrame({"account": ["ann"], "market": "P", "size": [1], "entry_price": [100], "collateral": [20]})
    )
    by_last = uw.replay(made, book, uw.Protocol())
    by_index = uw.replay(made, book, uw.Protocol(trigger_feed="index", execution_feed="index"))
    assert (by_last.summary()["liquidated"], by_index.summary()["liquidated"]) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": []}, "index: sources: expected markets"),
        ({"sources": {"A": 0}}, "index: sources.A: expected a positive weight"),
        ({"sources": {"A": "x"}}, "index: sources.A: expected a number"),
        ({"sources": ["A"], "min_sources": 2}, "index: min_sources: expected an integer from 1 to 1"),
        ({"sources": ["A"], "method": "mode"}, "index: method: expected one of median, mean"),
        ({"sources": ["A"], "cadence": "0s"}, "index: cadence: expected a positive duration"),
        ({"sources": ["A"], "stale_after": "soon"}, "index: stale_after: expected a duration"),
        ({"sources": ["A"], "decimals": 19}, "index: decimals: expected an integer from 0 to 18"),
    ],
)
def test_wrong_arguments_are_named(arguments, message) -> None:
    with pytest.raises(uw.ConfigError, match=message):
        uw.index(tape([(0, "A", 1)]), "I", **arguments)


def test_what_does_not_fit_the_ticks() -> None:
    day = tape([(0, "A", 1)])
    for sources, options, message in [
        (["B"], {}, "expected one of the markets A, got 'B'"),
        (["A"], {"of": ["C"]}, "expected one of the markets A, got 'C'"),
    ]:
        with pytest.raises(uw.DataError, match=message):
            uw.index(day, "I", sources, **options).load()
    with pytest.raises(uw.DataError, match="there is a market 'A' already"):
        uw.index(day, "A", ["A"]).load()
