"""Measures hftbacktest, nautilus_trader and lrvx on the ticks that underwater replays, in one run.

    python benches/peers/run.py ENVIRONMENTS

ENVIRONMENTS is a directory; each peer gets an environment of its own there, installed from the package index if it is
not there yet. A peer that cannot be installed or run is listed with its error.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from report import Figure, Report, seconds, share  # noqa: E402
from workloads import CACHE, heavy, protocol, single  # noqa: E402

import underwater as uw  # noqa: E402

PEERS = {
    "hftbacktest": ["hftbacktest==2.4.4", "numpy==2.2.6", "numba==0.68.1"],
    "nautilus_trader": ["nautilus_trader==1.221.0", "numpy==2.4.6"],
    "lrvx": ["lrvx==0.11.0", "numpy==2.4.6"],
}
TIMEOUT = 900


class PeerError(Exception):
    """A peer could not be installed or run."""


def called(command: list[str]) -> str:
    """What a command printed."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(str(error)) from error
    if run.returncode != 0:
        last = [line for line in run.stderr.strip().splitlines() if line.strip()][-1:] or ["no message"]
        raise PeerError(f"exit code {run.returncode}: {last[0].strip()}")
    return run.stdout


def environment(directory: Path, peer: str) -> Path:
    """The interpreter of a peer's environment, made if need be."""
    python = directory / peer / "bin" / "python"
    if not python.exists():
        called([sys.executable, "-m", "venv", str(directory / peer)])
    wanted = " ".join(PEERS[peer])
    stamp = directory / peer / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        called([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[peer]])
        stamp.write_text(wanted)
    return python


def inputs() -> tuple[uw.Ticks, uw.Book, Path]:
    """Ticks and book, and the directory where the peers find them as arrays."""
    recipe = heavy(single(), accounts=100_000)
    ticks, book = recipe.tape.scan().load(), recipe.load()
    directory = CACHE / f"peers-{recipe.name}"
    if not (directory / "positions.npy").exists():
        directory.mkdir(parents=True, exist_ok=True)
        frame = pl.read_parquet(recipe.tape.file())
        np.save(directory / "ts.npy", frame["ts"].cast(pl.Int64).to_numpy())
        np.save(directory / "price.npy", frame["price"].to_numpy() / 1e5)
        columns = book.positions.select("size", "entry_price", "collateral")
        np.save(directory / "positions.npy", columns.to_numpy())
    return ticks, book, directory


def replayed(ticks: uw.Ticks, book: uw.Book, rounds: int = 3) -> tuple[float, uw.Result]:
    """Median seconds of a full replay, one-second keeper."""
    from conftest import median_time

    results: list[uw.Result] = []
    took = median_time(lambda: results.append(uw.replay(ticks, book, protocol())), rounds)
    return took, results[-1]


def measured(python: Path, peer: str, directory: Path) -> dict[str, Any]:
    """What the script of a peer printed."""
    printed = called([str(python), str(HERE / f"peer_{peer}.py"), str(directory)])
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measures all and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environments", type=Path)
    parser.add_argument("--figures", type=Path, help="write the table as Markdown to this file")
    arguments = parser.parse_args()
    ticks, book, directory = inputs()
    report = Report()
    for peer in PEERS:
        row = f"peer_{peer}"
        try:
            found = measured(environment(arguments.environments, peer), peer, directory)
        except PeerError as failed:
            report.add(Figure(row, PEERS[peer][0], why_not=str(failed)))
            continue
        # Before and after the peer, so that a machine that is busy is busy for both.
        took, result = replayed(ticks, book)
        way, best = max(found["ways"].items(), key=lambda item: item[1]["rate"])
        rate = ticks.rows / took
        first = uw.Ticks(pa.table(ticks).slice(0, best["ticks"]), markets=ticks.markets)
        on_the_same = best["ticks"] / replayed(first, book)[0]
        others = [f"{name}: {v['rate']:,.0f}/s" for name, v in found["ways"].items() if name != way]
        more = [f"{key} {value:,}" for key, value in found.items() if isinstance(value, int)]
        report.add(
            Figure(
                row,
                PEERS[peer][0].replace("==", " "),
                value=rate / best["rate"],
                time=f"{rate:,.0f} ticks/s ({ticks.rows:,} in {seconds(took)}, 100 k accounts)",
                against=f"{best['rate']:,.0f} ticks/s ({best['ticks']:,} in {seconds(best['seconds'])}; "
                + "; ".join([way, *others, *more])
                + ")",
                accounts=share(result.summary()),
                adl_fills=f"{result.summary()['adl_fills']:,}",
                ticks=f"on the peer's {best['ticks']:,} ticks alone: {on_the_same / best['rate']:,.3g}x",
            )
        )
    report.print()
    if arguments.figures:
        report.write(arguments.figures)


if __name__ == "__main__":
    main()
