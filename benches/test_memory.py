"""Peak memory of a streamed replay when the tape is ten times as long."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from report import Figure, Report, share
from workloads import heavy, long_tape


@pytest.mark.slow
def test_streaming(report: Report) -> None:
    """Two days of 10 M ticks against twenty; the figure is the ratio of the peaks. Of one day, one file, two are never open."""
    long_tape(20).files()
    heavy(long_tape(1), accounts=100_000).files()
    short, long = peak(2), peak(20)
    megabytes = " and ".join(f"{run['peak'] / 2**20:,.0f} MiB" for run in (short, long))
    anonymous = " and ".join(f"{run['anonymous'] / 2**20:,.0f} MiB" for run in (short, long))
    report.add(
        Figure(
            "memory",
            "2 days and 20 days of 10 M ticks, 100 k accounts",
            value=long["peak"] / short["peak"],
            time=f"peaks {megabytes}",
            against=f"anonymous alone {anonymous}",
            accounts=share(long["summary"]),
            adl_fills=f"{long['summary']['adl_fills']:,}",
            ticks="Parquet, streamed",
        )
    )


def peak(days: int) -> dict[str, Any]:
    """Peaks of a process that replays so many days."""
    script = Path(__file__).parent / "peak.py"
    run = subprocess.run([sys.executable, str(script), str(days)], capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr  # noqa: S101
    found: dict[str, Any] = json.loads(run.stdout)
    return found
