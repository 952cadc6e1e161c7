"""How far a replay on ticks rebuilt from bars lies from one on the real ticks: the table of docs/reconstruction.md.

    python benches/reconstruction.py FOLDER [SEEDS]

FOLDER holds the trades of four Binance COIN-M perpetuals on 2025-10-10 (`binance_coinm_AVAXUSD_PERP.parquet` and so on, with
`ts_us`, `side`, `price`, `amount`). They are a vendor's and not part of this repository.
"""

import statistics
import sys
from pathlib import Path
from typing import Any

import polars as pl

import underwater as uw

COINS = ("AVAX", "BCH", "DOT", "UNI")
BOOKS: dict[str, dict[str, Any]] = {
    "default": {},
    "high leverage": {"leverage_median": 8, "leverage_p95": 25},
    "longs only highly levered": {"longs": {"leverage_median": 12, "leverage_p95": 30}},
}
ACCOUNTS = 5_000
BOOK_SEEDS = (7, 8, 9)


def markets() -> list[uw.Market]:
    """The four perpetuals."""
    inverse = {"kind": "inverse", "contract_size": 10, "size_decimals": 0}
    return [uw.Market(name=f"{coin}USD_PERP", settlement=coin, **inverse) for coin in COINS]


def real(folder: Path) -> uw.Ticks:
    """The trades as they were."""
    frames = []
    for coin in COINS:
        frame = pl.read_parquet(folder / f"binance_coinm_{coin}USD_PERP.parquet").sort("ts_us", maintain_order=True)
        ts = pl.from_epoch("ts_us", "us").dt.cast_time_unit("ns").dt.replace_time_zone("UTC")
        name = pl.lit(f"{coin}USD_PERP").alias("market")
        frames.append(frame.select(ts.alias("ts"), name, "price", pl.col("amount").alias("size"), "side"))
    return uw.Ticks(pl.concat(frames), markets()).load()


def protocol(latency: str) -> uw.Protocol:
    """Liquidated at the last price, the loss to an insurance fund that is far too small, then to the treasury."""
    return uw.Protocol.from_dict(
        {
            "margin": {"maintenance": {"kind": "flat", "rate": "0.01"}},
            "keeper": {"latency": latency},
            "penalty": {"rate": "0.002"},
            "insurance_fund": {"balance": 10_000, "coverage": "exhaust"},
            "adl": None,
        }
    )


def figures(ticks: uw.Ticks, book: uw.Book, latency: str) -> tuple[float, float]:
    """Bad debt in USD, and the number of accounts liquidated."""
    result = uw.replay(ticks, book, protocol(latency))
    owed = result.who_pays().filter(section="loss", line="bad_debt")["amount_usd"]
    return float(owed.sum()), float(result.summary()["liquidated"])


def main(folder: Path, seeds: int) -> None:
    """Prints the table."""
    day = real(folder)
    rebuilt = {}
    for interval in ("10s", "1m", "5m"):
        bars = uw.bars.from_ticks(day, interval)
        rebuilt[interval] = [
            uw.bars.to_ticks(bars, interval, markets(), seed=seed).load() for seed in range(1, seeds + 1)
        ]
        sys.stderr.write(f"{interval}: {len(bars)} bars\n")
    out = sys.stdout
    out.write(f"{len(day.markets)} markets, {day.rows:,} ticks, {seeds} seeds of the reconstruction\n\n")
    heads = [
        "book",
        "keeper",
        "bars",
        "real",
        "rebuilt: mean (least to most)",
        "rebuilt / real",
        "liquidated: real, rebuilt",
    ]
    out.write(f"| {' | '.join(heads)} |\n")
    out.write("|---|---|---|---|---|---|---|\n")
    for name, options in BOOKS.items():
        books = [uw.Book.synthetic(day, accounts=ACCOUNTS, seed=seed, **options) for seed in BOOK_SEEDS]
        for latency in ("0s", "1s", "30s"):
            true = [figures(day, book, latency) for book in books]
            owed, closed = (sum(column) for column in zip(*true, strict=True))
            for interval, tapes in rebuilt.items():
                made = [[figures(tape, book, latency) for book in books] for tape in tapes]
                sums = [sum(debt for debt, _ in by_book) for by_book in made]
                counts = statistics.mean(sum(n for _, n in by_book) for by_book in made)
                spread = f"{statistics.mean(sums):,.0f} ({min(sums):,.0f} to {max(sums):,.0f})"
                ratio = f"{statistics.mean(sums) / owed:,.2f}" if owed else ""
                columns = [name, latency, interval, f"{owed:,.0f}", spread, ratio, f"{closed:,.0f}, {counts:,.0f}"]
                out.write(f"| {' | '.join(columns)} |\n")
                out.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
