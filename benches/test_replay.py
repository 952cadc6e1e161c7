"""How long the main jobs take; `benches/README.md` says what each answers and what was measured."""

import polars as pl
import pytest

import underwater as uw

DAY = "2025-10-10"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bundled day as one canonical file."""
    path = tmp_path_factory.mktemp("ticks") / "day.parquet"
    uw.crash_days.load(DAY).write(path)
    return path


@pytest.fixture(scope="module")
def ticks(files):
    """The day, decoded."""
    return uw.Ticks.scan(files).load()


@pytest.fixture(scope="module")
def book(ticks):
    """A book of 100,000 accounts."""
    return uw.Book.synthetic(ticks, accounts=100_000, seed=7)


def test_decode_with_polars(benchmark, files):
    """The peer of the next one: the same two columns, not checked."""
    benchmark(lambda: pl.read_parquet(files, columns=["ts", "price"]))


def test_decode(benchmark, files):
    """Parquet to a checked tape, sizes and sides included."""
    benchmark(lambda: uw.Ticks.scan(files).load())


def test_first_triggers(benchmark, ticks, book):
    """Feeds, index, opening and every account's first trigger: no keeper ever comes."""
    never = uw.Protocol(keeper=uw.Keeper(latency="1000d"))
    benchmark.pedantic(lambda: uw.replay(ticks, book, never), rounds=3)


@pytest.mark.parametrize("shape", list(uw.protocols.SHAPES))
def test_who_pays(benchmark, ticks, book, shape):
    """A resident day to who pays, one-second keeper."""
    benchmark.pedantic(lambda: uw.replay(ticks, book, uw.protocols.get(shape)), rounds=3)
