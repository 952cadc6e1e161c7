"""ADL policies and venues side by side on one day and one book: the tables of docs/adl.md.

    python benches/who_pays.py FOLDER

FOLDER is that of benches/lateness.py, whose ticks and book these are, with fewer accounts.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lateness import COINS, real

import underwater as uw

ACCOUNTS = 2_000

BASE: dict[str, Any] = {
    "margin": {"maintenance": {"kind": "flat", "rate": "0.01"}},
    "keeper": {"latency": "1s"},
    "penalty": {"rate": "0.002"},
    "insurance_fund": {"balance": 10_000},
    "adl": {},
}
"""Tested, closed and valued at the last price, where it fell far below the spot price; a fund that covers little."""

SCORES = ("profit_leverage", "hyperliquid_docs", "binance", "leverage", "profit", "position", "random_start")
SHARING = ("pro_rata", "contracts_pro_rata", "min_max", "mirror_descent")


def policies() -> Iterable[tuple[str, dict[str, Any]]]:
    """The rows of the first table."""
    for score in SCORES:
        yield f"queue by {score}", {"score": score}
    for policy in SHARING:
        yield policy, {"policy": policy}
    yield "capped_pro_rata, half of each profit", {"policy": {"kind": "capped_pro_rata", "cap": "0.5"}}
    yield "risk_aware", {"policy": "risk_aware"}
    yield "queue, capacity by profit", {"capacity": "profit"}
    yield "queue, at the mark", {"price": "mark"}
    yield "queue, at the previous mark", {"price": "previous_mark"}
    yield "queue, overlap of bankruptcy prices", {"eligibility": "overlap"}


def deleveraging(ticks: uw.Ticks, book: uw.Book) -> Iterable[str]:
    """One row per policy."""
    yield "policy | fills | accounts | seized | needed | overshoot | largest haircut | Gini | uncovered"
    for name, fields in policies():
        result = uw.replay(ticks, book, uw.Protocol.from_dict({**BASE, "adl": fields}))
        figures = uw.metrics.adl(result)
        lines = dict(result.who_pays().select("line", "amount_usd").iter_rows())
        money = [figures[key] for key in ("taken_usd", "needed_usd", "overshoot_usd")]
        haircut, gini = figures["max_haircut"], figures["gini"]
        shares = ["" if share is None else f"{share:.3f}" for share in (haircut, gini)]
        counts = [f"{figures['fills']:,}", f"{figures['accounts']:,}"]
        uncovered = f"{float(lines['uncovered']):,.0f}"
        yield " | ".join([name, *counts, *(f"{float(m):,.0f}" for m in money), *shares, uncovered])


def venues(ticks: uw.Ticks, book: uw.Book) -> Iterable[str]:
    """One row per venue."""
    beside = ("takeover_pnl", "open")
    payers = ("insurance_fund", "pool", "adl", "uncovered")
    losses = ("bad_debt", "opening")
    yield " | ".join(["venue", "closed", "defaulted", "bad debt", "opening", *payers, *beside])
    chain = uw.protocols.dydx_v4()
    without = {"keeper.capacity": None, "close.policy.cap": None, "adl.attempts": None}
    unlimited = chain.with_(name="dydx v4, no limits by block", **without)
    for protocol in (chain, unlimited, uw.protocols.hyperliquid(), uw.protocols.gmx_v1()):
        result = uw.replay(ticks, book, protocol)
        lines = dict(result.who_pays().select("line", "amount_usd").iter_rows())
        summary = result.summary()
        counts = [f"{summary['liquidated'] + summary['defaulted']:,}", f"{summary['defaulted']:,}"]
        figures = [f"{float(lines.get(line) or 0):,.0f}" for line in (*losses, *payers, *beside)]
        yield " | ".join([protocol.name, *counts, *figures])


def table(rows: Iterable[str]) -> None:
    """Prints a table as its rows come."""
    for k, line in enumerate(rows):
        sys.stdout.write(f"| {line} |\n")
        if k == 0:
            sys.stdout.write(f"|{'---|' * (line.count('|') + 1)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    day = real(Path(sys.argv[1]))
    odds = {f"{coin}USD_PERP": 1 for coin in COINS}
    table(deleveraging(day, uw.Book.synthetic(day, accounts=ACCOUNTS, seed=7, weights=odds)))
    sys.stdout.write("\n")
    table(venues(day, uw.Book.synthetic(day, accounts=20_000, seed=7, weights=odds)))
    for name in ("2020-03-12", "2025-10-10"):
        bundled = uw.crash_days.load(name).load()
        sys.stdout.write(f"\n{name}, bundled\n\n")
        table(venues(bundled, uw.Book.synthetic(bundled, accounts=20_000, seed=7)))
