"""Imports synthetic aggTrades and prints rate and peak memory as JSON. A process of its own: a peak never falls again.

    python benches/imports.py ROWS

The CSV has the archive's seven columns and a header, about 61 bytes a row; it is drawn from a seed, block by block. Besides: how
long `polars.read_csv` takes for the same file, with nothing chosen and with the four columns that make a tick, just after; and
how large the canonical file is and how fast it is decoded.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
from peak import status
from workloads import CACHE

import underwater as uw

_BLOCK = 1_000_000
_START = 1_583_971_200_000


def with_point(name: str, decimals: int) -> pl.Expr:
    """Integers as texts with so many decimals."""
    whole, rest = pl.col(name) // 10**decimals, pl.col(name) % 10**decimals
    return pl.concat_str(whole, pl.lit("."), rest.cast(pl.String).str.zfill(decimals)).alias(name)


def csv(rows: int) -> Path:
    """A day of so many rows."""
    path = CACHE / f"XUSDT-aggTrades-{rows}.csv"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    generator = np.random.Generator(np.random.PCG64(7))
    price = 800_000
    with part.open("wb") as file:
        for start in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - start)
            steps = generator.integers(-20, 21, count)
            path_of_prices = np.abs(price + np.cumsum(steps)) + 1
            price = int(path_of_prices[-1])
            number = np.arange(start, start + count)
            frame = pl.DataFrame(
                {
                    "agg_trade_id": number + 10**9,
                    "price": path_of_prices,
                    "quantity": generator.integers(1, 5000, count),
                    "first_trade_id": 2 * number,
                    "last_trade_id": 2 * number + 1,
                    "transact_time": _START + number * 86_400_000 // rows,
                    "is_buyer_maker": generator.random(count) < 0.5,
                }
            )
            frame = frame.with_columns(with_point("price", 2), with_point("quantity", 3))
            frame.write_csv(file, include_header=start == 0)
    part.rename(path)
    return path


def main(rows: int) -> None:
    """Imports so many rows."""
    source = csv(rows)
    target = source.with_suffix(".parquet")
    anonymous, done = 0, threading.Event()

    def sample() -> None:
        nonlocal anonymous
        while not done.wait(0.01):
            anonymous = max(anonymous, status("RssAnon"))

    thread = threading.Thread(target=sample)
    thread.start()
    start = time.perf_counter()
    report = uw.data.import_ticks(source, target, "binance.aggTrades", market="XUSDT")
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    peak = status("VmHWM")

    def timed(columns: list[str] | None) -> float:
        start = time.perf_counter()
        pl.read_csv(source, columns=columns)
        return time.perf_counter() - start

    def decoded() -> float:
        start = time.perf_counter()
        uw.Ticks.scan(target).load()
        return time.perf_counter() - start

    found = {
        "rows": report.written,
        "seconds": seconds,
        "peak": peak,
        "anonymous": anonymous,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "polars": timed(None),
        "polars_four": timed(["price", "quantity", "transact_time", "is_buyer_maker"]),
        "decode": decoded(),
    }
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
