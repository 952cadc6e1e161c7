"""2025-10-10 in its vendors' layouts: sizes, and rates of reading before and after the import. The table of docs/data.md.

    python benches/vendor_files.py

The trades are their vendors' and not part of this repository; they are where the tests look for them, and are written in the
vendors' layouts as `tests/test_data_real_day.py` does it. Seconds are of the processor, all threads together, least of three.
"""

import gzip
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_data_real_day import COINS, as_binance, as_derivative_ticker, as_tardis  # as above

import underwater as uw


def text(path: Path) -> bytes:
    """The CSV in a vendor's file."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    return gzip.decompress(path.read_bytes())


def spent(work: Callable[[], object]) -> float:
    """Processor seconds, the least of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def row(name: str, files: dict[str, Path], folder: Path, price: str | None = None) -> str:
    """A line of the table."""
    done: list[uw.data.Imported] = []

    def imported() -> None:
        done[:] = [
            uw.data.import_ticks(path, folder / f"{market}.parquet", market=price and market, price=price)
            for market, path in files.items()
        ]

    importing = spent(imported)
    texts = [text(path) for path in files.values()]
    parsing = spent(lambda: [pl.read_csv(one) for one in texts])
    decoding = spent(lambda: [report.ticks.load() for report in done])
    ticks = sum(report.written for report in done)
    before, after = (sum(getattr(report, size) for report in done) / 1e6 for size in ("bytes_in", "bytes_out"))
    rates = " | ".join(f"{ticks / seconds / 1e6:.1f} M/s" for seconds in (parsing, decoding, importing))
    whole = sum(map(len, texts)) / 1e6
    return f"| {name} | {ticks:,} | {whole:.1f} MB | {before:.2f} MB | {after:.2f} MB | {rates} |"


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        perps = {f"{coin}USD_PERP": as_binance(coin, folder) for coin in COINS}
        spots = {f"{coin}-USD": as_tardis(coin, folder) for coin in COINS}
        index = {"BTC-USD": as_derivative_ticker(folder)}
        for line in (
            row("4 COIN-M perps, Binance trades, zip", perps, folder),
            row("4 Coinbase spot markets, Tardis trades, gz", spots, folder),
            row("OKX BTC-USD index, Tardis derivative_ticker, gz", index, folder, "index_price"),
        ):
            print(line)  # noqa: T201


if __name__ == "__main__":
    main()
