"""Import of aggTrades: time beside `polars.read_csv` of the same file, and peak memory when the file is longer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report import Figure, Report, seconds
from workloads import SCALE

_SMALL, _LARGE = int(1_000_000 * SCALE), int(5_000_000 * SCALE)


def imported(rows: int) -> dict[str, Any]:
    """What a process that imports so many rows says."""
    script = Path(__file__).parent / "imports.py"
    run = subprocess.run([sys.executable, str(script), str(rows)], capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr  # noqa: S101
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def add(report: Report, small: dict[str, Any], large: dict[str, Any]) -> None:
    """Two figures: time, and memory."""
    millions = f"{large['rows'] / 1e6:g} M rows"
    rate = f"{large['rows'] / large['seconds'] / 1e6:.2f} M rows/s"
    sizes = f"CSV {large['bytes_in'] / 2**20:,.0f} MiB, canonical {large['bytes_out'] / 2**20:,.0f} MiB"
    decode = f"{large['rows'] / large['decode'] / 1e6:.0f} M ticks/s"
    report.add(
        Figure(
            "import",
            millions,
            value=large["seconds"] / large["polars"],
            time=f"{seconds(large['seconds'])}, {rate}",
            against=f"polars.read_csv: {seconds(large['polars'])}, of four columns {seconds(large['polars_four'])}",
            ticks=f"{sizes}, decoded at {decode}",
        )
    )
    report.add(
        Figure(
            "import_memory",
            f"{small['rows'] / 1e6:g} M and {millions}",
            value=large["peak"] / small["peak"],
            time=" and ".join(f"{run['peak'] / 2**20:,.0f} MiB" for run in (small, large)),
            against="anonymous alone " + " and ".join(f"{run['anonymous'] / 2**20:,.0f} MiB" for run in (small, large)),
            ticks=sizes,
        )
    )


def test_import(report: Report) -> None:
    """A few million rows."""
    add(report, imported(_SMALL), imported(_LARGE))


@pytest.mark.slow
def test_import_of_a_hundred_million(report: Report) -> None:
    """About 6 GB of CSV, drawn first."""
    add(report, imported(10 * _SMALL), imported(100 * _SMALL))
