"""How the cost of a whole replay grows with accounts, ticks and markets per account, over three decades each.

The search alone is measured in Rust on the same files (`make bench-rust`).
"""

import gc
import statistics
from functools import partial

import pytest
from conftest import stopwatch
from exponents import exponent, text
from pytest_benchmark.fixture import BenchmarkFixture
from report import Figure, Report, share
from workloads import EXPONENTS, protocol

import underwater as uw


@pytest.mark.parametrize("axis", list(EXPONENTS))
def test_whole_replay(benchmark: BenchmarkFixture, report: Report, axis: str) -> None:
    """Resident ticks to who pays, one-second keeper; the largest is measured once, the others three times."""
    x, times, shares = [], [], []

    def run() -> None:
        loaded: tuple[str, uw.Ticks] | None = None
        for n, recipe in EXPONENTS[axis]:
            if loaded is None or loaded[0] != recipe.tape.name:
                loaded = (recipe.tape.name, recipe.tape.scan().load())
            ticks, book = loaded[1], recipe.load()
            rounds = 3 if n != EXPONENTS[axis][-1][0] else 1
            noted: list[float] = []
            for _ in range(rounds):
                result = stopwatch(partial(uw.replay, ticks, book, protocol()), noted)()
            times.append(statistics.median(noted))
            x.append(n)
            shares.append(share(result.summary()))
            gc.collect()

    benchmark.pedantic(run, rounds=1, iterations=1)  # type: ignore[no-untyped-call]
    report.add(
        Figure("exponent_whole", axis, exponent(x, times), time=text(x, times), accounts=shares[-1], ticks="resident")
    )
