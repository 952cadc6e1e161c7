"""Price scenarios: small numbers by hand, and the same bytes however the tape is cut."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import underwater as uw
from underwater import _stream
from underwater import ticks as ticks_module

A, B = "A-PERP", "B-PERP"


def at(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def tape(**prices: list[tuple[float, float]]) -> uw.Ticks:
    rows = [(at(second), f"{name}-PERP", price, 1.0) for name, path in prices.items() for second, price in path]
    frame = pl.DataFrame(rows, ["ts", "market", "price", "size"], orient="row").with_columns(
        pl.col("price").cast(float)
    )
    markets = [uw.Market(name=f"{name}-PERP", price_decimals=2) for name in prices]
    return uw.Ticks(frame.sort("ts", maintain_order=True), markets, provenance={"real": "nothing"})


@pytest.fixture
def ticks() -> uw.Ticks:
    return tape(A=[(0, 100), (10, 80), (20, 60), (30, 90)], B=[(0, 10), (15, 12), (30, 11)])


def path(ticks: uw.Ticks, market: str) -> list[tuple[float, float]]:
    rows = ticks.to_polars().filter(pl.col("market") == market).select(pl.col("ts").dt.epoch("ms"), "price").rows()
    return [(ts / 1000, price / 100) for ts, price in rows]


def test_amplified_returns(ticks: uw.Ticks) -> None:
    twice = uw.scenarios.amplify(ticks, 2, markets=A)
    assert path(twice, A) == [(0, 100), (10, 64), (20, 36), (30, 81)]
    assert path(twice, B) == path(ticks, B)
    root = uw.scenarios.amplify(ticks, "0.5", markets=[A])
    assert path(root, A) == [(0, 100), (10, 89.44), (20, 77.46), (30, 94.87)]
    assert path(uw.scenarios.amplify(ticks, 0), A) == [(0, 100), (10, 100), (20, 100), (30, 100)]
    assert path(uw.scenarios.amplify(ticks, -1, markets=A), A)[1] == (10, 125)


def test_returns_amplified_for_a_while(ticks: uw.Ticks) -> None:
    """From 80, the last before the window: 60 is a fall to 3/4, squared 9/16: 45. Then 90 / 60 is its own: 67.50."""
    some = uw.scenarios.amplify(ticks, 2, markets=A, start=at(12), end=at(25))
    assert path(some, A) == [(0, 100), (10, 80), (20, 45), (30, 67.5)]
    nothing = uw.scenarios.amplify(ticks, 2, markets=A, start=at(21), end=at(25))
    assert path(nothing, A) == path(ticks, A)


def test_jump_and_wick(ticks: uw.Ticks) -> None:
    assert path(uw.scenarios.jump(ticks, "-0.25", at=at(10), markets=A), A) == [
        (0, 100),
        (10, 60),
        (20, 45),
        (30, 67.5),
    ]
    wick = uw.scenarios.jump(ticks, -0.25, at="1970-01-01T00:00:10", until=at(30))
    assert path(wick, A) == [(0, 100), (10, 60), (20, 45), (30, 90)]
    assert path(wick, B) == [(0, 10), (15, 9), (30, 11)]


def test_shift_in_time_and_level(ticks: uw.Ticks) -> None:
    late = uw.scenarios.shift(ticks, B, time="12s", level="1/3")
    assert path(late, A) == path(ticks, A)
    assert path(late, B) == [(12, 3.33), (27, 4), (42, 3.67)]
    early = uw.scenarios.shift(ticks, B, time="-1m")
    assert path(early, B) == [(-60, 10), (-45, 12), (-30, 11)]
    assert early.to_polars()["ts"].is_sorted()


def test_speed(ticks: uw.Ticks) -> None:
    assert path(uw.scenarios.speed(ticks, 2), A) == [(0, 100), (5, 80), (10, 60), (15, 90)]
    assert path(uw.scenarios.speed(ticks, "1/3"), B) == [(0, 10), (45, 12), (90, 11)]


def test_outage_and_cut(ticks: uw.Ticks) -> None:
    out = uw.scenarios.outage(ticks, start=at(10), end=at(30), markets=A)
    assert path(out, A) == [(0, 100), (30, 90)]
    assert path(out, B) == path(ticks, B)
    assert path(uw.scenarios.cut(ticks, start=at(10), end=at(30)), A) == [(10, 80), (20, 60)]
    later = uw.scenarios.shift(ticks, time="1h")
    assert path(uw.scenarios.cut(later, start="10s", end="30s"), A) == [(3610, 80), (3620, 60)]
    with pytest.raises(uw.DataError, match="expected an end after the start, got 30s and 1970"):
        uw.scenarios.cut(later, start="30s", end=at(3600)).load()


def test_spliced_days_go_on_from_where_the_last_ended(ticks: uw.Ticks) -> None:
    other = tape(A=[(1000, 50), (1010, 25)], C=[(1005, 7)])
    both = uw.scenarios.splice(ticks, other, ticks, gap="10s")
    assert path(both, A)[3:] == [(30, 90), (40, 90), (50, 45), (60, 45), (70, 36), (80, 27), (90, 40.5)]
    assert path(both, "C-PERP") == [(45, 7)]
    assert path(both, B)[2:] == [(30, 11), (60, 11), (75, 13.2), (90, 12.1)]
    kept = uw.scenarios.splice(ticks, other, level="keep")
    assert path(kept, A)[3:] == [(30, 90), (31, 50), (41, 25)]
    assert [part["real"] for part in both.provenance["parts"]] == ["nothing"] * 3


def test_decimals_and_definitions_of_spliced_days() -> None:
    frame = pl.DataFrame({"ts": pl.from_epoch([0]), "market": A, "price": [1.2345], "size": [2.5]})
    finer = uw.Ticks(frame)
    both = uw.scenarios.splice(tape(A=[(0, 100)]), finer, level="keep")
    assert both.markets[0].price_decimals == 4
    assert both.to_polars()["price"].to_list() == [1_000_000, 12_345]
    assert both.to_polars()["size"].to_list() == [10, 25]
    inverse = uw.Ticks(frame, [uw.Market(name=A, kind="inverse", settlement="A")])
    with pytest.raises(uw.DataError, match="market A-PERP: is defined in different ways"):
        uw.scenarios.splice(finer, inverse).load()


def test_steps_compose_and_are_listed(ticks: uw.Ticks) -> None:
    worse = uw.scenarios.jump(uw.scenarios.speed(ticks, 2), "-0.1", at=at(10), markets=A)
    assert not worse.is_loaded
    assert worse.provenance == {
        "real": "nothing",
        "steps": [
            {"step": "speed", "factor": "2"},
            {"step": "jump", "size": "-0.1", "at": "1970-01-01T00:00:10+00:00", "markets": A},
        ],
    }
    assert path(worse, A) == [(0, 100), (5, 80), (10, 54), (15, 81)]
    assert ticks.provenance == {"real": "nothing"}


def scenario(ticks: uw.Ticks) -> uw.Ticks:
    first, last = ticks.to_polars().select(first=pl.col("ts").min(), last=pl.col("ts").max()).row(0)
    middle = first + (last - first) / 2
    worse = uw.scenarios.amplify(ticks, "1.3", start=first + (middle - first) / 2, end=middle)
    worse = uw.scenarios.shift(worse, "BTC-USD", time="-20s", level="0.99")
    worse = uw.scenarios.outage(worse, start=middle, end=middle.replace(second=59))
    worse = uw.scenarios.speed(worse, "3")
    return uw.scenarios.splice(worse, uw.scenarios.jump(ticks, "-0.2", at=middle))


def test_the_same_however_the_tape_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = uw.crash_days.load("2025-10-10", ticks_per_market=3_000)
    whole = scenario(day.load()).to_polars()
    file = scenario(day.load()).write(tmp_path / "whole.parquet")
    monkeypatch.setattr(ticks_module, "_ROWS_PER_CHUNK", 1_000)
    day = uw.Ticks.scan(day.write(tmp_path / "day.parquet"))
    streamed = scenario(uw.Ticks.scan(tmp_path / "day.parquet"))
    assert streamed.write(tmp_path / "streamed.parquet").read_bytes() != b""
    read = uw.Ticks.scan(tmp_path / "streamed.parquet")
    assert read.to_polars().equals(whole)
    assert uw.Ticks.scan(file).to_polars().equals(whole)
    assert read.provenance["steps"] == streamed.provenance["steps"]


def test_a_run_by_chunks_does_not_load_the_scenario(ticks: uw.Ticks) -> None:
    book = uw.Book.from_frames(
        pl.DataFrame({"account": ["ann"], "market": A, "size": [5], "entry_price": [100], "collateral": [200]})
    )
    worse = uw.scenarios.amplify(ticks, 2)
    chunked = uw.replay(worse, book, uw.Protocol(), chunk_ticks=2)
    assert not worse.is_loaded
    assert chunked.state_hash == uw.replay(worse, book, uw.Protocol()).state_hash
    assert chunked.summary()["liquidated"] == 1


def test_slices_hold_whole_instants() -> None:
    table = pa.table(tape(A=[(second // 3, 100) for second in range(10)]))
    assert [len(piece) for piece in _stream.slices(table, 2)] == [3, 3, 3, 1]
    assert [len(piece) for piece in _stream.slices(table, 4)] == [6, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: uw.scenarios.amplify(t, "much"), "scenarios.amplify: factor: expected a number"),
        (lambda t: uw.scenarios.jump(t, -1, at=at(0)), "scenarios.jump: size: expected a number above -1"),
        (lambda t: uw.scenarios.jump(t, 1, at="noon"), "scenarios.jump: expected a time such as"),
        (lambda t: uw.scenarios.shift(t, level=0), "scenarios.shift: level: expected a positive number"),
        (lambda t: uw.scenarios.shift(t, time="-x"), "scenarios.shift: expected a duration"),
        (lambda t: uw.scenarios.speed(t, 0), "scenarios.speed: factor: expected a positive number"),
        (lambda t: uw.scenarios.outage(t, start=at(2), end=at(1)), "scenarios.outage: expected an end after the start"),
        (lambda _: uw.scenarios.splice(), "scenarios.splice: parts: expected at least one"),
    ],
)
def test_wrong_arguments_are_named(ticks: uw.Ticks, make, message) -> None:
    with pytest.raises(uw.ConfigError, match=message):
        make(ticks)


def test_what_does_not_fit_the_ticks_is_told_when_they_are_made(ticks: uw.Ticks) -> None:
    with pytest.raises(uw.DataError, match="expected one of the markets A-PERP, B-PERP, got 'C'"):
        uw.scenarios.amplify(ticks, 2, markets="C").load()
    with pytest.raises(uw.DataError, match="market A-PERP: price: beyond 64 bits"):
        uw.scenarios.shift(ticks, level="1e16").load()
    with pytest.raises(uw.DataError, match="expected ticks, got a frame without rows"):
        uw.scenarios.cut(ticks, start=at(1000)).load()
