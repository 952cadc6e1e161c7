"""The bundled 2025-10-10 with 100,000 accounts through the generic shapes, as `make demo` shows it."""

from pathlib import Path

import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import underwater as uw

DAY = "2025-10-10"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled day as one canonical file."""
    return uw.crash_days.load(DAY).write(tmp_path_factory.mktemp("ticks") / "day.parquet")


@pytest.fixture(scope="module")
def ticks(file: Path) -> uw.Ticks:
    """The day, decoded."""
    return uw.Ticks.scan(file).load()


@pytest.fixture(scope="module")
def book(ticks: uw.Ticks) -> uw.Book:
    """A book of 100,000 accounts."""
    return uw.Book.synthetic(ticks, accounts=100_000, seed=7)


def test_decode_with_polars(benchmark: BenchmarkFixture, file: Path) -> None:
    """The peer of the next one: time and price alone, not checked."""
    benchmark(lambda: pl.read_parquet(file, columns=["ts", "price"]))


def test_decode(benchmark: BenchmarkFixture, file: Path) -> None:
    """Parquet to a checked tape of 8 markets, sizes and sides included."""
    benchmark(lambda: uw.Ticks.scan(file).load())


@pytest.mark.parametrize("shape", list(uw.protocols.SHAPES))
def test_who_pays(benchmark: BenchmarkFixture, ticks: uw.Ticks, book: uw.Book, shape: str) -> None:
    """A resident day to who pays, one-second keeper."""
    benchmark.pedantic(lambda: uw.replay(ticks, book, uw.protocols.get(shape)), rounds=3)  # type: ignore[no-untyped-call]
