"""Fixtures of the benchmarks, and the table at the end of a run."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from report import ROWS, Figure, Report, criterion, seconds, share

T = TypeVar("T")

_REPORT = Report()


class Measure(Protocol):
    """Measures a job and adds it to the table."""

    def __call__(
        self,
        row: str,
        case: str,
        job: Callable[[], Any],
        *,
        rounds: int = 3,
        against: tuple[str, Callable[[], Any]] | None = None,
        ticks: str = "resident",
    ) -> Any:
        """The result of the job; a result of `uw.replay` also says how many accounts were liquidated."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the table goes besides the terminal."""
    parser.addoption("--figures", type=Path, default=None, help="write the table as Markdown to this file")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the table."""
    if not _REPORT.figures:
        return
    add_rust_figures(_REPORT)
    chosen = bool(config.option.keyword) or any("::" in argument for argument in config.args)
    if not chosen:
        _REPORT.complete([key for key, row in ROWS.items() if row.slow], "SLOW=1")
        _REPORT.complete(["resident", "resident_300", "exponent_search"], "make bench-rust first")
    terminalreporter.flush()
    _REPORT.print()
    if config.option.figures is not None:
        _REPORT.write(config.option.figures)


def add_rust_figures(report: Report) -> None:
    """What `make bench-rust` left behind."""
    from exponents import fit

    for row, group in (("resident", "resident"), ("resident_300", "resident 300 markets")):
        found = criterion(group)
        for case, (median, when) in found.items():
            parts = [part for part in ("index alone", "feeds alone") if f"{case}, {part}" in found]
            if parts:
                beside = ", ".join(f"{part} {seconds(found[f'{case}, {part}'][0])}" for part in parts)
                report.add(Figure(row, case, median, seconds(median), beside, ticks=f"Rust, {when:%Y-%m-%d %H:%M}"))
    for axis, (exponent, text, when) in fit().items():
        report.add(Figure("exponent_search", axis, exponent, text, ticks=f"Rust, {when:%Y-%m-%d %H:%M}"))


def stopwatch(job: Callable[[], T], times: list[float]) -> Callable[[], T]:
    """The job, noting its seconds."""

    def run() -> T:
        start = time.perf_counter()
        result = job()
        times.append(time.perf_counter() - start)
        return result

    return run


def median_time(job: Callable[[], Any], rounds: int) -> float:
    """Median seconds of a job."""
    times: list[float] = []
    for _ in range(rounds):
        stopwatch(job, times)()
    return statistics.median(times)


@pytest.fixture
def report() -> Report:
    """The figures of this run."""
    return _REPORT


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Measures a job, and its peer just before and just after."""

    def run(
        row: str,
        case: str,
        job: Callable[[], Any],
        *,
        rounds: int = 3,
        against: tuple[str, Callable[[], Any]] | None = None,
        ticks: str = "resident",
    ) -> Any:
        peers = [median_time(against[1], rounds)] if against else []
        times: list[float] = []
        result = benchmark.pedantic(stopwatch(job, times), rounds=rounds, iterations=1)  # type: ignore[no-untyped-call]
        median = statistics.median(times)
        peers += [median_time(against[1], rounds)] if against else []
        summary = result.summary() if hasattr(result, "summary") else None
        unit = ROWS[row].unit
        peer = statistics.mean(peers) if peers else None
        _REPORT.add(
            Figure(
                row,
                case,
                value=median / peer if peer else median * (1e3 if unit == "ms" else 1),
                time=seconds(median),
                against=f"{against[0]}: {seconds(peer)}" if against and peer else "",
                accounts=share(summary) if summary else "",
                adl_fills=f"{summary['adl_fills']:,}" if summary else "",
                ticks=ticks,
            )
        )
        return result

    return run
