"""How cost grows: exponents fitted by least squares over the logarithms."""

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from report import CRITERION, criterion, environment, seconds
from workloads import EXPONENTS


def exponent(x: Sequence[float], times: Sequence[float]) -> float:
    """Slope of log(time) against log(x)."""
    return float(np.polyfit(np.log(x), np.log(times), 1)[0])


def text(x: Sequence[int], times: Sequence[float]) -> str:
    """The points that were fitted, and the slope of the last decade."""
    points = ", ".join(f"{n:,}: {seconds(s)}" for n, s in zip(x, times, strict=True))
    return f"{points}; last decade {exponent(x[-2:], times[-2:]):.2f}"


def fit() -> dict[str, tuple[float, str, dt.datetime]]:
    """Exponents of the search alone, from what `make bench-rust` measured: by axis, with the points and when."""
    found = {}
    for axis, points in EXPONENTS.items():
        measured = criterion(f"search by {axis}")
        x = [n for n, _ in points if str(n) in measured]
        if len(x) == len(points):
            times = [measured[str(n)][0] for n in x]
            found[axis] = (exponent(x, times), text(x, times), max(measured[str(n)][1] for n in x))
    return found


def markdown() -> str:
    """Everything that criterion measured last, as a table; all but the search by size, whose exponents follow it."""
    lines = [environment(), "", "| stage | case | median | measured |", "|---|---|---|---|"]
    for group in sorted(path.name for path in CRITERION.iterdir() if path.name != "report"):
        if not group.startswith("search by "):
            for case, (median, when) in criterion(group).items():
                lines.append(f"| {group} | {case} | {seconds(median)} | {when:%Y-%m-%d %H:%M} |")
    lines += ["", "| search by | exponent | points | measured |", "|---|---|---|---|"]
    for axis, (slope, shown, when) in fit().items():
        lines.append(f"| {axis} | {slope:.2f} | {shown} | {when:%Y-%m-%d %H:%M} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown())  # noqa: T201
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
