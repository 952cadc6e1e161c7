"""What the scripts of the peers share. Runs in the peer's own environment: the standard library and numpy only."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def ticks() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Times in nanoseconds and prices, from the directory named by the first argument."""
    directory = Path(sys.argv[1])
    return np.load(directory / "ts.npy", mmap_mode="r"), np.load(directory / "price.npy", mmap_mode="r")


def positions() -> npt.NDArray[np.float64]:
    """Rows of signed size, entry price and collateral."""
    rows: npt.NDArray[np.float64] = np.load(Path(sys.argv[1]) / "positions.npy")
    return rows


def timed(job: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def tell(ways: dict[str, tuple[int, float]], **more: Any) -> None:
    """Prints what was measured: ticks and seconds by the way in which they were replayed."""
    found = {way: {"ticks": n, "seconds": s, "rate": n / s} for way, (n, s) in ways.items()}
    print(json.dumps({"ways": found, **more}))  # noqa: T201
