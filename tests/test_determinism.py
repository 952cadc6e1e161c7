"""The same inputs give the same bytes: run again, cut into other batches and files, on any number of threads."""

import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import audit

import underwater as uw
from underwater.result import FRAMES

MARKETS = [
    uw.Market(name="BTCUSD", kind="inverse", settlement="BTC", contract_size=100, size_decimals=0, index="BTC"),
    uw.Market(name="BTC"),
    uw.Market(name="ETH-PERP"),
    uw.Market(name="SOL-PERP"),
]
ASSETS = [uw.Asset(name="BTC", decimals=8, price_market="BTC")]

PROTOCOL = uw.Protocol.from_dict(
    {
        "name": "crash",
        "margin": {"maintenance": {"kind": "flat", "rate": "0.02"}},
        "keeper": {"latency": "5s"},
        "penalty": {"rate": "0.001"},
        "insurance_fund": {"balance": 20_000},
        "adl": {},
        "treasury": {"balance": 5_000},
    }
)


def crash() -> pl.DataFrame:
    """Four markets, which fall by half within 15 seconds, in 4,000 bursts of one to six prints.

    Bursts of different markets often coincide.
    """
    rng = random.Random(11)  # noqa: S311
    price = {"BTCUSD": 60_000.0, "BTC": 60_000.0, "ETH-PERP": 2500.0, "SOL-PERP": 150.0}
    rows = []
    for burst in range(4000):
        for market in price:
            if rng.random() < 0.5:
                continue
            for _ in range(rng.randint(1, 6)):
                drift = -0.004 if 1000 < burst < 1150 else 0.00005
                price[market] *= 1 + drift + rng.gauss(0, 0.0015)
                rows.append((burst * 100_000_000, market, round(price[market], 2), float(rng.randint(1, 50))))
    frame = pl.DataFrame(rows, schema=["ts", "market", "price", "size"], orient="row")
    return frame.with_columns(pl.col("ts").cast(pl.Datetime("ns", "UTC")))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return crash()


@pytest.fixture(scope="module")
def book(frame) -> uw.Book:
    ticks = uw.Ticks(frame, MARKETS, ASSETS)
    weights = {"BTCUSD": 2, "ETH-PERP": 2, "SOL-PERP": 1}
    options = {"leverage_median": 4, "leverage_p95": 20, "cross_share": 0.5, "cross_assets": "any", "weights": weights}
    return uw.Book.synthetic(ticks, accounts=3000, seed=5, **options)


@pytest.fixture(scope="module")
def expected(frame, book) -> uw.Result:
    return uw.replay(uw.Ticks(frame, MARKETS, ASSETS), book, PROTOCOL, reference="last")


def replay_hash(ticks, book) -> str:
    return uw.replay(ticks, book, PROTOCOL).state_hash


def test_the_day_is_worth_the_name(expected):
    """What the other tests compare is not trivial: liquidations, ADL, all layers, both assets, both kinds of account."""
    summary = expected.summary()
    assert summary["liquidated"] > 500
    assert summary["adl_fills"] > 100
    payers = expected.who_pays().filter(section="payer").head(3)
    assert payers["line"].to_list() == ["insurance_fund", "adl", "treasury"]
    assert payers["amount_usd"].min() > 0
    assert expected.bad_debt["asset"].n_unique() == 2
    assert expected.accounts.filter(status="defaulted")["margin_mode"].n_unique() == 2
    audit(expected)


def test_every_frame_is_the_same_when_run_again(frame, book, expected):
    ticks = uw.Ticks(frame, MARKETS, ASSETS).load()
    for _ in range(3):
        again = uw.replay(ticks, book, PROTOCOL)
        assert again.state_hash == expected.state_hash
        for name in FRAMES:
            assert again._frame(name).equals(expected._frame(name)), name


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_batches_of_any_length(frame, book, expected, rows):
    batches = pa.table(frame).combine_chunks().to_batches(max_chunksize=rows)
    assert len(batches) > len(frame) // rows - 1
    assert replay_hash(uw.Ticks(pa.Table.from_batches(batches), MARKETS, ASSETS), book) == expected.state_hash


@pytest.mark.parametrize("rows", [1, 700])
def test_books_in_batches_of_any_length(frame, book, expected, rows):
    frames = (pa.table(part).combine_chunks() for part in (book.positions, book.accounts))
    cut = [pa.Table.from_batches(part.to_batches(max_chunksize=rows)) for part in frames]
    assert replay_hash(uw.Ticks(frame, MARKETS, ASSETS), uw.Book.from_frames(*cut)) == expected.state_hash


@pytest.mark.parametrize("rows", [64, 4096, 1 << 20])
def test_row_groups_of_any_length(frame, book, expected, rows, tmp_path):
    path = tmp_path / "day.parquet"
    pq.write_table(pa.table(frame), path, row_group_size=rows)
    assert replay_hash(uw.Ticks.scan(path, MARKETS, ASSETS), book) == expected.state_hash


def test_one_file_for_each_market(frame, book, expected, tmp_path):
    for market in MARKETS:
        frame.filter(market=market.name).drop("market").write_parquet(tmp_path / f"{market.name}.parquet")
    files = sorted(tmp_path.iterdir())
    for order in (files, files[::-1]):
        assert replay_hash(uw.Ticks.scan(order, MARKETS, ASSETS), book) == expected.state_hash


def test_one_file_for_each_stretch_of_time(frame, book, expected, tmp_path):
    hours = frame.with_columns(pl.col("ts").dt.truncate("40s").rank("dense").alias("hour"))
    for number, (_, part) in enumerate(hours.partition_by("hour", include_key=False, as_dict=True).items()):
        part.write_parquet(tmp_path / f"{number:03}.parquet")
    assert replay_hash(uw.Ticks.scan(tmp_path, MARKETS, ASSETS), book) == expected.state_hash


def test_markets_in_any_order_within_an_instant(frame, book, expected):
    for descending in (False, True):
        ordered = frame.sort("ts", "market", descending=[False, descending], maintain_order=True)
        assert replay_hash(uw.Ticks(ordered, MARKETS, ASSETS), book) == expected.state_hash


def test_written_and_read_back(frame, book, expected, tmp_path):
    path = uw.Ticks(frame, MARKETS, ASSETS).write(tmp_path / "day.parquet")
    assert replay_hash(uw.Ticks.scan(path), book) == expected.state_hash


@pytest.mark.parametrize("chunk", [1, 500, 9_000, 1 << 30])
def test_streaming_in_chunks_of_any_length(frame, book, expected, tmp_path, chunk):
    path = uw.Ticks(frame, MARKETS, ASSETS).write(tmp_path / "day.parquet")
    if chunk == 1:
        # An instant a chunk is slow: the worst of the crash will do.
        frame = frame.filter(pl.col("ts") < timedelta(seconds=112) + frame["ts"].min())
        path = uw.Ticks(frame, MARKETS, ASSETS).write(tmp_path / "day.parquet")
        expected = uw.replay(uw.Ticks(frame, MARKETS, ASSETS), book, PROTOCOL)
    streamed = uw.replay(uw.Ticks.scan(path), book, PROTOCOL, chunk_ticks=chunk)
    assert streamed.state_hash == expected.state_hash
    for name in FRAMES:
        assert streamed._frame(name).equals(expected._frame(name)), name
    assert streamed.summary() == expected.summary()


VARIANTS = {
    "fund": {"insurance_fund.balance": 50_000},
    "no ADL": {"adl": None},
    "mark": {"adl.price": "mark"},
    "latency": {"keeper.latency": "40s"},
    "drawn latency": {"keeper.latency": {"kind": "uniform", "low": "0s", "high": "9s"}},
    "failure": {"keeper.failure": {"probability": "0.5", "retry": "3s"}},
    "polls": {"keeper.poll": "7s"},
    "polls and latency": {"keeper.poll": "7s", "keeper.latency": "12s"},
    "capacity": {"keeper.capacity": {"limit": 3, "window": "1s"}},
    "margin": {"margin.maintenance.rate": "0.03"},
    "initial margin": {"margin.initial_rate": "0.2"},
    "pool": {"counterparty": "pool", "pool": {"balance": 1_000_000}},
    "charged to open interest": {"socialised": {"by": "open_interest"}, "treasury": None},
    "charged to profit": {"socialised": {"by": "profit"}},
    "funding": {"funding": {"kind": "series", "rates": {"ETH-PERP": [{"ts": 60_000_000_000, "rate": "0.01"}]}}},
    "parts": {"close.policy": {"kind": "fraction", "share": "0.3"}},
    "feed": {"feeds.slow": {"kind": "periodic", "every": "20s"}, "trigger_feed": "slow"},
    "guard": {"guard": {"staleness": "1s"}},
}


@pytest.mark.parametrize("opening", ["keep", "reject", "rescale"])
def test_what_runs_leave_for_the_next_changes_nothing(frame, book, opening):
    ticks = uw.Ticks(frame, MARKETS, ASSETS).load()
    hashes = {}
    for name, change in [*VARIANTS.items(), ("as it was", {}), *reversed(VARIANTS.items())]:
        found = uw.replay(ticks, book, PROTOCOL.with_(**change), opening=opening).state_hash
        assert hashes.setdefault(name, found) == found, name
    for name, change in VARIANTS.items():
        fresh = uw.Ticks(frame, MARKETS, ASSETS)
        alone = uw.Book.from_frames(book.positions, book.accounts)
        assert uw.replay(fresh, alone, PROTOCOL.with_(**change), opening=opening).state_hash == hashes[name], name
    assert len(set(hashes.values())) > len(hashes) // 2


@pytest.mark.parametrize("block", [1, 8, 4096, 1 << 30])
def test_blocks_of_any_length(frame, book, expected, block):
    result = uw.replay(uw.Ticks(frame, MARKETS, ASSETS), book, PROTOCOL, block_ticks=block)
    assert result.state_hash == expected.state_hash


def test_the_hash_tells_runs_apart(frame, book, expected):
    ticks = uw.Ticks(frame, MARKETS, ASSETS)
    hashes = {expected.state_hash}
    for changes in (
        {"keeper.latency": "2s"},
        {"treasury.balance": 5001},
        {"adl.capacity": "profit"},
        {"penalty.rate": 0},
    ):
        hashes.add(uw.replay(ticks, book, PROTOCOL.with_(**changes)).state_hash)
    assert len(hashes) == 5


SCRIPT = """
import sys, polars as pl, underwater as uw
ticks = uw.Ticks.scan(sys.argv[1])
accounts = pl.read_parquet(sys.argv[3])
book = uw.Book.from_frames(pl.read_parquet(sys.argv[2]), accounts)
print(uw.replay(ticks, book, uw.Protocol.from_json(sys.argv[4])).state_hash)
options = dict(accounts=3000, seed=5, cross_share=0.5)
print(uw.replay(ticks, uw.Book.synthetic(ticks, **options), uw.Protocol.from_json(sys.argv[4])).state_hash)
"""


def test_any_number_of_threads(frame, book, expected, tmp_path):
    path = uw.Ticks(frame, MARKETS, ASSETS).write(tmp_path / "day.parquet")
    book.positions.write_parquet(tmp_path / "positions.parquet")
    book.accounts.write_parquet(tmp_path / "accounts.parquet")
    arguments = [path, tmp_path / "positions.parquet", tmp_path / "accounts.parquet", PROTOCOL.to_json()]
    package = str(Path(uw.__file__).parents[1])
    printed = {}
    for threads in (1, 2, 8):
        env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "PYTHONPATH": package, "PYTHONHASHSEED": str(threads)}
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", SCRIPT, *arguments], env=env, capture_output=True, text=True, check=True, timeout=120
        )
        printed[threads] = done.stdout.split()
    assert printed[1] == printed[2] == printed[8]
    assert printed[1][0] == expected.state_hash
