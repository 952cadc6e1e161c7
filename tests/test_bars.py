"""Bars to ticks and back: what a bar says is honoured to the last unit."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from cases import DATA
from polars.testing import assert_frame_equal

import underwater as uw
from underwater import ticks as ticks_module

COLUMNS = ["ts", "market", "open", "high", "low", "close", "volume", "count"]
MARKETS = [
    uw.Market(name="A", price_decimals=2, size_decimals=3),
    uw.Market(name="B", kind="inverse", contract_size=10, settlement="COIN", price_decimals=1, size_decimals=0),
]


def some_bars(seed: int, minutes: int = 60) -> pl.DataFrame:
    """Bars that could have been: of trades drawn at random, some minutes without any."""
    draw = random.Random(seed)  # noqa: S311  # a test
    rows = []
    for market in MARKETS:
        price, decimals = 5000, market.size_decimals
        for minute in range(minutes):
            if draw.random() < 0.1:
                continue
            count = draw.choice([1, 1, 2, 3, 4, 5, 30, 400])
            spread = draw.choice([0, 1, 5, 300])
            trades = [max(1, price := price + draw.randint(-spread, spread)) for _ in range(count)]
            volume = count + draw.choice([0, 1, 10**6])
            prices = [
                Decimal(p).scaleb(-market.price_decimals) for p in (trades[0], max(trades), min(trades), trades[-1])
            ]
            stamp = datetime.fromtimestamp(60 * minute, UTC)
            rows.append((stamp, market.name, *prices, Decimal(volume).scaleb(-decimals), count))
    kind = {"ts": pl.Datetime("ns", "UTC"), "volume": pl.Decimal(38, 3)} | dict.fromkeys(
        COLUMNS[2:6], pl.Decimal(38, 2)
    )
    return pl.DataFrame(rows, COLUMNS, orient="row", schema_overrides=kind).sort("ts", "market")


@pytest.mark.parametrize("seed", range(12))
def test_the_ticks_have_the_bars(seed: int) -> None:
    bars = some_bars(seed)
    ticks = uw.bars.to_ticks(bars, "1m", MARKETS, seed=seed)
    assert_frame_equal(uw.bars.from_ticks(ticks, "1m"), bars)
    assert ticks.to_polars()["size"].min() >= 1
    assert (ticks.to_polars()["ts"].dt.epoch("ns") % 1_000_000).max() == 0


def test_the_same_seed_gives_the_same_ticks_and_another_others() -> None:
    bars = some_bars(3)
    one, same, other = (uw.bars.to_ticks(bars, "1m", MARKETS, seed=seed).to_polars() for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_provenance_says_what_is_invented() -> None:
    provenance = uw.bars.to_ticks(some_bars(1), "1m", MARKETS, seed=5).provenance
    assert provenance["kind"] == "reconstructed"
    assert "open, high, low, close, volume, count of each bar" in provenance["real"]
    assert (provenance["interval"], provenance["seed"]) == ("1m", 5)


def minute(**fields) -> pl.DataFrame:
    bar = {
        "ts": [datetime(2025, 10, 10, tzinfo=UTC)],
        "open": 100.0,
        "high": 101.0,
        "low": 60.5,
        "close": 75.0,
    } | fields
    return pl.DataFrame({name: value for name, value in bar.items() if value is not None})


A = [uw.Market(name="A")]


def test_stamps_at_the_close_and_opens_that_did_not_trade() -> None:
    closing = minute(count=9, volume=20, open=150.0)
    ticks = uw.bars.to_ticks(closing, "1m", A, stamp="close", open_is_trade=False)
    assert ticks.to_polars()["price"].first() == 1010  # 150 lies outside; the nearest price inside is the high
    assert ticks.to_polars()["ts"].max() < datetime(2025, 10, 10, tzinfo=UTC)
    bars = uw.bars.from_ticks(ticks, "1m").row(0)
    assert bars == (
        datetime(2025, 10, 9, 23, 59, tzinfo=UTC),
        "A",
        *map(Decimal, ("101", "101", "60.5", "75", "20")),
        9,
    )
    # Two trades: low and close; there was no third at the nearest price.
    two = uw.bars.to_ticks(minute(count=2, open=150.0, high=75.0), "1m", A, open_is_trade=False)
    assert two.to_polars()["price"].to_list() == [605, 750]


def test_records_of_an_import_are_taken_as_they_are(tmp_path: Path) -> None:
    """Binance stamps both, BitMEX the close: the column says it."""
    row = "1583971200000,100,101,60.5,75,20.5,1583971259999,0,9,0,0,0\n"
    (tmp_path / "A-1m-2020-03-12.csv").write_text(row)
    klines = uw.data.scan(tmp_path / "A-1m-2020-03-12.csv").collect()
    (tmp_path / "x.csv").write_text(
        "timestamp,symbol,open,high,low,close,trades,volume\n2020-03-12T00:01:00.000Z,A,100,101,60.5,75,9,20.5\n"
    )
    closing = uw.data.scan(tmp_path / "x.csv", "bitmex.bars").collect()
    named = klines.rename({"open_ts": "ts"}).drop("close_ts")
    expected = uw.bars.to_ticks(named, "1m").to_polars()
    assert expected["ts"].min() >= datetime(2020, 3, 12, tzinfo=UTC)
    for bars in (klines, closing):
        assert uw.bars.to_ticks(bars, "1m").to_polars().equals(expected)
    both = klines.with_columns(close_ts=pl.col("open_ts") + pl.duration(hours=1))
    late = uw.bars.to_ticks(both, "1m", stamp="close").to_polars()
    assert (late["ts"][0] - expected["ts"][0]).total_seconds() > 3500


def test_a_mark_has_samples_but_no_sizes() -> None:
    """Binance's bars of mark and index count 60 samples a minute and have a volume of 0."""
    for volume in (0.0, None):
        marks = minute(count=60).with_columns(volume=pl.lit(volume, pl.Float64))
        ticks = uw.bars.to_ticks(marks, "1m", A)
        assert ticks.to_polars().columns == ["ts", "market", "price"]
        assert ticks.rows == 60
        assert ticks.provenance["real"].endswith("open, high, low, close, count of each bar")
    trades = pl.concat([minute(count=60, volume=volume) for volume in (0.0, 70.0)]).with_columns(
        pl.col("ts") + pl.duration(minutes=pl.int_range(2))
    )
    with pytest.raises(uw.DataError, match="row 0: volume: 0 units of size for 60 trades"):
        uw.bars.to_ticks(trades, "1m", A)


def test_without_volume_an_index() -> None:
    ticks = uw.bars.to_ticks(minute(), "1m", A, ticks_per_bar=50)
    assert ticks.to_polars().columns == ["ts", "market", "price"]
    assert ticks.rows == 50


def test_without_counts_by_volume() -> None:
    bars = pl.concat([minute(volume=volume) for volume in (10.0, 30.0, 0.0)])
    bars = bars.with_columns(pl.col("ts") + pl.duration(minutes=pl.int_range(3)))
    ticks = uw.bars.to_ticks(bars, "1m", [uw.Market(name="A", size_decimals=2)], ticks_per_bar=40)
    assert uw.bars.from_ticks(ticks, "1m")["count"].to_list() == [30, 90]


def test_bars_of_any_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = some_bars(7)
    ticks = uw.bars.to_ticks(bars, "1m", MARKETS)
    monkeypatch.setattr(ticks_module, "_ROWS_PER_CHUNK", 37)
    scanned = uw.Ticks.scan(ticks.write(tmp_path / "ticks.parquet"))
    assert_frame_equal(uw.bars.from_ticks(scanned, "1m"), bars)
    assert not scanned.is_loaded


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"high": 99.0}, "market A, row 0: expected 0 < low <= open, close <= high, got open 100, high 99"),
        ({"count": 3}, "market A, row 0: count: 3 trades cannot have printed open 100"),
        ({"count": -1}, "market A, row 0: count: expected a number of trades, got -1"),
        ({"count": pl.Series([None], dtype=pl.Int64)}, "market A, row 0: count: expected a number of trades, got None"),
        ({"count": "x"}, "market A, row 0: count: expected a number of trades, got x"),
        ({"open": 150.0}, "got open 150, .*; with open_is_trade=False the open may lie outside"),
        ({"count": 9, "volume": 8}, "market A, row 0: volume: 8 units of size for 9 trades"),
        ({"volume": -8.0}, "market A, row 0: volume: expected no negative number"),
        ({"close": None}, "expected a column 'close'"),
        ({"open": "x"}, "market A, row 0: open: expected a number"),
        ({"ts": 7}, "column 'ts': expected a timestamp"),
        ({"count": 0}, "market A: expected a bar with trades"),
    ],
)
def test_bars_that_cannot_be_are_named(fields, message) -> None:
    with pytest.raises(uw.DataError, match=message):
        uw.bars.to_ticks(minute(**fields), "1m", A)


def test_overlapping_bars_and_wrong_arguments() -> None:
    with pytest.raises(uw.DataError, match="row 1: ts: is within the bar before"):
        uw.bars.to_ticks(pl.concat([minute(), minute()]), "1m", A)
    with pytest.raises(uw.DataError, match="expected a column 'market'"):
        uw.bars.to_ticks(minute(), "1m")
    for arguments, message in [
        ({"interval": "soon"}, "bars: interval: expected a duration"),
        ({"interval": "1m", "seed": -1}, "bars.to_ticks: seed"),
        ({"interval": "1m", "stamp": "middle"}, "bars.to_ticks: stamp: expected 'open' or 'close'"),
        ({"interval": "1m", "ticks_per_bar": 3}, "bars.to_ticks: ticks_per_bar: expected an integer from 4"),
    ]:
        with pytest.raises(uw.ConfigError, match=message):
            uw.bars.to_ticks(minute(), markets=A, **arguments)


FOLDER = DATA / "ticks_2025-10-10"


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the ticks of 2025-10-10 are not at {FOLDER}")
def test_rebuilt_minutes_of_the_real_day_liquidate_the_same_accounts() -> None:
    """One row of docs/reconstruction.md, in bounds that are wide on purpose: bars do not fix the amount."""
    columns = [pl.from_epoch("ts_us", "us").dt.cast_time_unit("ns").dt.replace_time_zone("UTC").alias("ts"), "price"]
    frames, markets = [], []
    for coin in ("AVAX", "BCH", "DOT", "UNI"):
        name = f"{coin}USD_PERP"
        frame = pl.read_parquet(FOLDER / f"binance_coinm_{name}.parquet").sort("ts_us", maintain_order=True)
        frames.append(frame.select(*columns, pl.lit(name).alias("market"), pl.col("amount").alias("size")))
        inverse = {"kind": "inverse", "contract_size": 10, "settlement": coin, "size_decimals": 0}
        markets.append(uw.Market(name=name, **inverse))
    real = uw.Ticks(pl.concat(frames), markets).load()
    bars = uw.bars.from_ticks(real, "1m")
    rebuilt = uw.bars.to_ticks(bars, "1m", markets, seed=1)
    assert_frame_equal(uw.bars.from_ticks(rebuilt, "1m"), bars)
    book = uw.Book.synthetic(real, accounts=5_000, seed=7)
    protocol = uw.Protocol.from_dict(
        {"margin": {"maintenance": {"kind": "flat", "rate": "0.01"}}, "keeper": {"latency": "30s"}, "adl": None}
    )
    true, made = (uw.replay(ticks, book, protocol) for ticks in (real, rebuilt))
    closed = [result.summary()["liquidated"] for result in (true, made)]
    assert closed[1] == pytest.approx(closed[0], rel=0.03)
    owed = [float(r.who_pays().filter(section="loss", line="bad_debt")["amount_usd"].item()) for r in (true, made)]
    assert 0.5 < owed[1] / owed[0] < 3
