"""The textbook case: a long of 5 ETH from 2,000 with a margin of 1,000; the price falls to 1,700."""

import os
from collections.abc import Iterator

import polars as pl
import pytest
from archive_files import write
from hypothesis import settings

import underwater as uw
from underwater.cli import main

# The same days in every run; UNDERWATER_EXAMPLES=n looks further, at n days that nobody has seen.
settings.register_profile("same", derandomize=True)
settings.register_profile("further", derandomize=False)
settings.load_profile("further" if os.environ.get("UNDERWATER_EXAMPLES") else "same")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Crash days are reconstructed once per session, not into the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERWATER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def ticks() -> uw.Ticks:
    frame = pl.DataFrame({"ts": pl.from_epoch([0, 1]), "market": "ETH-PERP", "price": [2000.0, 1700.0]})
    return uw.Ticks(frame, provenance={"real": "nothing"})


@pytest.fixture
def book() -> uw.Book:
    positions = {
        "account": ["ann", "bob"],
        "market": "ETH-PERP",
        "size": [5, -5],
        "entry_price": [2000, 2000],
        "collateral": [1000, 10_000],
        "owner": [None, "bob & co"],
    }
    return uw.Book.from_frames(pl.DataFrame(positions))


@pytest.fixture
def protocol() -> uw.Protocol:
    return uw.Protocol(name="textbook", insurance_fund=uw.InsuranceFund(balance=300), adl=uw.Adl())


@pytest.fixture
def result(ticks: uw.Ticks, book: uw.Book, protocol: uw.Protocol) -> uw.Result:
    return uw.replay(ticks, book, protocol)


@pytest.fixture
def load(tmp_path):
    """Imports a text as a file of that name; returns the ticks as rows of (ns, price, size, side), and the report."""

    def load(name, text, fmt=None, **how):
        done = uw.data.import_ticks(write(tmp_path / "in" / name, text), tmp_path / "out.parquet", fmt, **how)
        frame = done.ticks.load().to_polars().with_columns(pl.col("ts").dt.epoch("ns"))
        market = done.ticks.markets[0]
        price = pl.col("price").cast(pl.Float64) / 10**market.price_decimals
        return frame.with_columns(price, pl.col("market").cast(pl.String)), done

    return load


@pytest.fixture
def records(tmp_path):
    """Reads a text as a file of that name, all columns."""

    def records(name, text, fmt=None):
        return uw.data.scan(write(tmp_path / "in" / name, text), fmt).collect()

    return records


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the command line in an empty directory; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run
