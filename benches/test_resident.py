"""Many markets and a resident tape: index and first triggers, and who pays with and without ADL.

Index and search alone are measured in Rust (`make bench-rust`). From Python a replay whose keeper never comes is the nearest
thing; it measures more: binding the book, feeds, the opening, records.
"""

import gc
import time

import pytest
from conftest import Measure
from report import Figure, Report, seconds, share
from workloads import NEVER, BookRecipe, Tape, bursty, heavy, mild, protocol, with_adl

import underwater as uw

BUDGET = 120.0
"""Seconds that a run of a whole book with ADL may be expected to take; SLOW=1 runs it whatever it takes."""


@pytest.fixture(scope="module")
def ticks() -> uw.Ticks:
    """20 markets, decoded."""
    return bursty().scan().load()


def first_triggers(measure: Measure, row: str, case: str, ticks: uw.Ticks, recipe: BookRecipe, rounds: int = 3) -> None:
    """Measures a replay whose keeper never comes."""
    gc.collect()
    book = recipe.load()
    measure(row, case, lambda: uw.replay(ticks, book, protocol(NEVER)), rounds=rounds)


def test_first_triggers_mild(measure: Measure, ticks: uw.Ticks) -> None:
    """A few per cent of the accounts trigger."""
    first_triggers(measure, "resident_replay", "mild book, first triggers", ticks, mild(bursty()))


def test_first_triggers_heavy(measure: Measure, ticks: uw.Ticks) -> None:
    """More than a third of the accounts trigger."""
    first_triggers(measure, "resident_replay", "heavy book, first triggers", ticks, heavy(bursty()))


def test_who_pays_heavy(measure: Measure, ticks: uw.Ticks) -> None:
    """About a third of the accounts are liquidated, one-second keeper."""
    gc.collect()
    book = heavy(bursty()).load()
    measure("resident_replay", "heavy book, who pays", lambda: uw.replay(ticks, book, protocol()), rounds=2)


@pytest.fixture(scope="module")
def pilot(ticks: uw.Ticks) -> tuple[float, uw.Result]:
    """How long a tenth of the accounts take with ADL."""
    recipe = heavy(bursty(), accounts=100_000)
    book = recipe.load()
    start = time.perf_counter()
    result = uw.replay(ticks, book, with_adl(recipe))
    return time.perf_counter() - start, result


def test_adl_pilot(report: Report, pilot: tuple[float, uw.Result]) -> None:
    """A tenth of the accounts, ADL: shows how cost grows with them."""
    took, result = pilot
    summary = result.summary()
    fills = f"{summary['adl_fills']:,}"
    report.add(Figure("adl_pilot", "heavy book, ADL", took, seconds(took), "", share(summary), fills, "resident"))


def test_adl(
    measure: Measure,
    report: Report,
    ticks: uw.Ticks,
    pilot: tuple[float, uw.Result],
    request: pytest.FixtureRequest,
) -> None:
    """About 300 k liquidations and 35 k ADL fills; skipped if a tenth of the accounts foretell that it takes too long."""
    took, _ = pilot
    slow = "slow or not slow" in request.config.option.markexpr
    if 100 * took > BUDGET and not slow:
        why = f"100 k accounts took {seconds(took)}, and cost may grow with their square; SLOW=1 runs it"
        report.add(Figure("adl", "heavy book, ADL", why_not=why))
        pytest.skip(why)
    recipe = heavy(bursty())
    gc.collect()
    book = recipe.load()
    measure("adl", "heavy book, ADL", lambda: uw.replay(ticks, book, with_adl(recipe)), rounds=1)


@pytest.mark.slow
@pytest.mark.parametrize("book", ["mild", "heavy"])
def test_300_markets(measure: Measure, book: str) -> None:
    """300 markets and 150 M ticks: gigabytes of tape."""
    tape: Tape = bursty(markets=300, ticks=150_000_000)
    recipe = mild(tape) if book == "mild" else heavy(tape)
    gc.collect()
    ticks = tape.scan().load()
    first_triggers(measure, "resident_300_replay", f"{book} book, first triggers", ticks, recipe, rounds=2)
