"""What a run of the benchmarks found, beside what was aimed at: as a table on the terminal and as Markdown."""

import datetime as dt
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from workloads import SCALE

import underwater as uw

CRITERION = Path(__file__).parent.parent / "target" / "criterion"
"""Where criterion leaves what it measured."""


@dataclass(frozen=True)
class Row:
    """One thing that is measured, and what it should cost."""

    what: str
    unit: str
    """`x` (times the peer's time), `s`, `ms`, `ratio` (of peaks), `rate` (times the peer's rate), or nothing."""
    target: float | None = None
    stretch: float | None = None
    slow: bool = False
    """Only with SLOW=1."""

    def verdict(self, figure: float) -> str:
        """Met or missed."""
        if self.target is None:
            return ""
        if SCALE != 1:
            return f"(scaled by {SCALE:g})"
        if self.unit == "rate":
            return "met" if figure >= self.target else "missed"
        if self.stretch is not None and figure <= self.stretch:
            return "met (stretch)"
        return "met" if figure <= self.target else "missed"

    def shown(self, figure: float | None) -> str:
        """A figure in the unit of the row."""
        if figure is None:
            return ""
        match self.unit:
            case "x" | "ratio":
                return f"{figure:.2f}x"
            case "rate":
                return f"{figure:,.0f}x" if figure >= 100 else f"{figure:.3g}x"
            case "s" | "ms":
                return f"{figure:,.0f} {self.unit}" if figure >= 100 else f"{figure:.3g} {self.unit}"
            case _:
                return f"{figure:.2f}"


ROWS: dict[str, Row] = {
    "first_triggers": Row("Parquet to first triggers, 20 M ticks, 1 M isolated accounts", "x", 2.5, 1.5),
    "who_pays": Row("Parquet to who pays, one-second keeper, the same", "x", 5, 3),
    "resident": Row("resident, 20 markets, 20 M ticks, 1 M cross accounts: index and first triggers", "s", 0.5, 0.3),
    "resident_replay": Row("the same, from Python: binding, feeds, opening and records besides", "s"),
    "resident_300": Row("300 markets, 150 M ticks, 1 M cross accounts: index and first triggers", "s", 2.5, 1.5),
    "resident_300_replay": Row("the same, from Python", "s", slow=True),
    "adl": Row("1 M accounts, 300 k liquidations, 35 k ADL fills", "s", 15, 5),
    "adl_pilot": Row("the same with 100 k accounts", "s"),
    "cascade": Row("cascade, 1 M accounts, 39 k displacement steps", "s", 10, 5),
    "scenario_fund": Row("one further scenario, resident day, 100 k accounts: fund changed", "ms", 5),
    "scenario_latency": Row("one further scenario: latency changed", "ms", 60),
    "scenario_adl": Row("one further scenario: with ADL", "ms", 50),
    "memory": Row("peak memory, tape 10x longer, streaming", "ratio", 1.1, slow=True),
    "import": Row("aggTrades CSV to canonical Parquet, against polars.read_csv of the same file", "x"),
    "import_memory": Row("peak memory of an import, file 5x or 10x longer", "ratio"),
    "exponent_whole": Row("exponent of cost over three decades, whole replay", ""),
    "exponent_search": Row("exponent of cost over three decades, search alone (Rust)", ""),
    "peer_hftbacktest": Row("tick rate against hftbacktest (no margin at all)", "rate", 3),
    "peer_nautilus_trader": Row("tick rate against nautilus_trader (no margin at all)", "rate", 100),
    "peer_lrvx": Row("tick rate against lrvx with 100 k positions", "rate", 10_000),
}
"""By key, in the order of the table."""

COLUMNS = (
    "row",
    "case",
    "target",
    "stretch",
    "figure",
    "verdict",
    "time",
    "against",
    "accounts",
    "ADL fills",
    "ticks, notes",
)


@dataclass(frozen=True)
class Figure:
    """One measurement of a row."""

    row: str
    case: str
    value: float | None = None
    """In the unit of the row; None: not measured."""
    time: str = ""
    against: str = ""
    accounts: str = ""
    """How many liquidated or triggered."""
    adl_fills: str = ""
    ticks: str = ""
    """Encoding of the file, or that they were resident."""
    why_not: str = ""
    """Why it was not measured."""

    def cells(self) -> list[str]:
        """The cells of the table."""
        row = ROWS[self.row]
        limit = "≥ " if row.unit == "rate" else "≤ "
        targets = [limit + row.shown(t) if t is not None else "" for t in (row.target, row.stretch)]
        if self.value is None:
            return [row.what, self.case, *targets, "not run", "", "", "", "", "", self.why_not]
        return [
            row.what,
            self.case,
            *targets,
            row.shown(self.value),
            row.verdict(self.value),
            self.time,
            self.against,
            self.accounts,
            self.adl_fills,
            self.ticks,
        ]


@dataclass
class Report:
    """The figures of one run."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Adds a figure."""
        self.figures.append(figure)

    def complete(self, rows: Sequence[str], why_not: str) -> None:
        """Lists rows without a figure as not run."""
        seen = {figure.row for figure in self.figures}
        self.figures += [Figure(row, "", why_not=why_not) for row in rows if row not in seen]

    def sorted(self) -> list[Figure]:
        """In the order of the rows."""
        order = list(ROWS)
        return sorted(self.figures, key=lambda figure: order.index(figure.row))

    def print(self) -> None:
        """Prints the table."""
        table = Table(*COLUMNS, title="Benchmarks", title_justify="left", show_lines=False)
        for figure in self.sorted():
            table.add_row(*figure.cells())
        # Wide enough not to fold where the terminal is a file.
        console = Console(width=None if os.isatty(1) else 250)
        console.print()
        console.print(table)

    def markdown(self) -> str:
        """The table, and what it was measured on."""
        lines = [environment(), "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(figure.cells()) + " |" for figure in self.sorted()]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Writes the Markdown, to be pasted."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.markdown(), encoding="utf-8")


def share(summary: Mapping[str, Any]) -> str:
    """How many accounts were liquidated, or triggered if no keeper came."""
    if not summary["liquidated"]:
        return f"{summary['detections'] / summary['accounts']:.1%} triggered"
    return f"{summary['liquidated'] / summary['accounts']:.1%} liquidated ({summary['liquidated']:,})"


def seconds(value: float) -> str:
    """A time for people."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def environment() -> str:
    """One line: when, and on what."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{dt.datetime.now():%Y-%m-%d %H:%M}, {os.cpu_count()} cores ({_cpu()}), {memory:.0f} GiB, "
        f"{platform.python_implementation()} {platform.python_version()}, polars {pl.__version__}, "
        f"underwater {uw.__version__} ({uw.build_profile}); medians of one run"
    )


def criterion(group: str) -> dict[str, tuple[float, dt.datetime]]:
    """What criterion measured last in a group: median seconds and when, by the name of the benchmark."""
    found = {}
    for path in sorted((CRITERION / group).glob("*/new/estimates.json")):
        median = json.loads(path.read_text())["median"]["point_estimate"] / 1e9
        found[path.parent.parent.name] = (median, dt.datetime.fromtimestamp(path.stat().st_mtime))
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return ", ".join([platform.machine(), *sorted(names)])
