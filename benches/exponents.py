"""How cost grows: exponents fitted by least squares over the logarithms."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from report import criterion
from workloads import EXPONENTS


def exponent(x: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) against log(x)."""
    return float(np.polyfit(np.log(x), np.log(seconds), 1)[0])


def text(x: Sequence[int], seconds: Sequence[float]) -> str:
    """The points that were fitted, and the slope of the last decade."""
    points = ", ".join(f"{n:,}: {s:.3g} s" for n, s in zip(x, seconds, strict=True))
    return f"{points}; last decade {exponent(x[-2:], seconds[-2:]):.2f}"


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


if __name__ == "__main__":
    for name, (slope, shown, _) in fit().items():
        print(f"search by {name}: exponent {slope:.2f} ({shown})")  # noqa: T201
