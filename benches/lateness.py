"""What lateness costs, and what the known remedies buy: the tables of docs/lateness.md.

    python benches/lateness.py [FOLDER]

FOLDER holds the trades of 2025-10-10 of four Binance COIN-M perpetuals and of their Coinbase spot pairs
(`binance_coinm_AVAXUSD_PERP.parquet`, `coinbase_AVAX-USD.parquet` and so on, with `ts_us`, `side`, `price`, `amount`). They
are their vendors' and not part of this repository. Without it only the bundled 2020-03-12 is replayed.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import polars as pl

import underwater as uw

COINS = ("AVAX", "BCH", "DOT", "UNI")
ACCOUNTS = 20_000

BASE: dict[str, Any] = {
    "feeds": {"oracle": {"kind": "push", "source": "index", "deviation": "0.0025", "heartbeat": "1h", "latency": "2s"}},
    "trigger_feed": "oracle",
    "execution_feed": "index",
    "margin": {"maintenance": {"kind": "flat", "rate": "0.02"}, "initial_rate": "0.02"},
    "keeper": {"latency": "1s"},
    "penalty": {"rate": "0.005"},
    "insurance_fund": {"balance": 50_000},
    "adl": {},
}
"""An oracle of the spot price, positions closed at the spot price: what is lost is lost by lateness alone."""

DYNAMIC = {
    "feed": "index",
    "look_back": "30m",
    "sample": "1m",
    "cadence": "1m",
    "base": "0.01",
    "cap": "4",
    "initial": False,
}

THIN = {"kind": "linear", "depth": "1e9", "half_life": "10s", "limit": "0.5"}
"""Ten million dollars move the price by 1 %, half of which is forgotten in ten seconds; by no more than 50 %."""

Case = tuple[str, str, dict[str, Any]]
"""What is varied, its value, and the fields that say it."""


def thin_and_fed_back(**changes: str) -> dict[str, Any]:
    """Closes move the price, for themselves and for what triggers others; nobody is deleveraged."""
    return {"adl": None, "execution.impact": {**THIN, "feedback": True, **changes}}


def cases() -> Iterable[Case]:
    """The rows of the table of 2025-10-10."""
    yield "baseline", "", {}
    for latency in ("0s", "2s", "10s", "30s", "60s", "120s", "300s", "600s"):
        yield "oracle latency", latency, {"feeds.oracle.latency": latency}
    for latency in ("0s", "1s", "10s", "30s", "60s", "120s", "300s", "600s"):
        yield "keeper latency", latency, {"keeper.latency": latency}
    for limit in (1, 2, 5, 10, 50):
        yield "keeper capacity", f"{limit} a second", {"keeper.capacity": {"limit": limit, "window": "1s"}}
    for rate in ("0", "0.005", "0.01", "0.02"):
        yield "penalty to the fund", f"{float(rate):.1%}", {"penalty.rate": rate}
    for rate in ("0.005", "0.01", "0.02", "0.03", "0.05"):
        yield "maintenance margin", f"{float(rate):.1%}", {"margin.maintenance.rate": rate}
    yield "dynamic margin", "off", {}
    for cap in ("2", "4", "8"):
        yield "dynamic margin", f"up to {cap}x", {"margin.dynamic": {**DYNAMIC, "cap": cap}}
    policies = {
        "full": {"kind": "full"},
        "20 % at a time": {"kind": "fraction", "share": "0.2"},
        "20 %, then all": {"kind": "split", "threshold": 0, "share": "0.2"},
        "to target": {"kind": "target"},
        "ramp of a minute": {"kind": "ramp", "initial": "0.1", "duration": "60s"},
    }
    for name, policy in policies.items():
        yield "close policy", name, {"close": {"policy": policy, "pause": "5s"}}
    for name, policy in policies.items():
        thin = {"adl": None, "execution.impact": THIN, "close": {"policy": policy, "pause": "5s"}}
        yield "close policy, thin book", name, thin
    for name, policy in policies.items():
        cascade = {**thin_and_fed_back(), "close": {"policy": policy, "pause": "5s"}}
        yield "close policy, thin book, cascade", name, cascade
    for depth in ("1e10", "3e9", "1e9", "3e8", "1e8"):
        depths = thin_and_fed_back(depth=depth)
        yield "depth, cascade", f"{float(depth) / 1e8:g} M per 1 %", depths


def real(folder: Path) -> uw.Ticks:
    """The trades as they were."""
    frames = []
    for coin in COINS:
        for market, file in (
            (f"{coin}USD_PERP", f"binance_coinm_{coin}USD_PERP"),
            (f"{coin}-USD", f"coinbase_{coin}-USD"),
        ):
            frame = pl.read_parquet(folder / f"{file}.parquet").sort("ts_us", maintain_order=True)
            ts = pl.from_epoch("ts_us", "us").dt.cast_time_unit("ns").dt.replace_time_zone("UTC")
            name = pl.lit(market).alias("market")
            frames.append(frame.select(ts.alias("ts"), name, "price", pl.col("amount").alias("size"), "side"))
    inverse = {"kind": "inverse", "contract_size": 10, "size_decimals": 0}
    perps = [uw.Market(name=f"{coin}USD_PERP", settlement=coin, index=f"{coin}-USD", **inverse) for coin in COINS]
    spots = [uw.Market(name=f"{coin}-USD") for coin in COINS]
    assets = [uw.Asset(name=coin, decimals=8, price_market=f"{coin}-USD") for coin in COINS]
    return uw.Ticks(pl.concat(frames), [*perps, *spots], assets).load()


def row(
    ticks: uw.Ticks, book: uw.Book, name: str, value: str, protocol: uw.Protocol, reference: Literal["last", "index"]
) -> str:
    """A row of the table."""
    result = uw.replay(ticks, book, protocol, reference=reference)
    lines = dict(result.who_pays().select("line", "amount_usd").iter_rows())
    summary = result.summary()
    keys = ("bad_debt", "open", "price_subsidy:pool", "insurance_fund", "pool", "adl", "uncovered")
    figures = [lines.get(key, 0) for key in keys]
    counts = [summary["liquidated"] + summary["defaulted"], summary["defaulted"], summary["recovered"]]
    return " | ".join([name, value, *(f"{n:,}" for n in counts), *(f"{float(f or 0):,.0f}" for f in figures)])


def table(rows: Iterable[str]) -> None:
    """Prints a table as its rows come."""
    heads = [
        "varied",
        "value",
        "closed",
        "defaulted",
        "recovered",
        "bad debt",
        "open at the end",
        "price subsidy of the pool",
    ]
    heads += ["fund", "pool", "ADL", "uncovered"]
    sys.stdout.write(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
    for line in rows:
        sys.stdout.write(f"| {line} |\n")
        sys.stdout.flush()


def crash_of_2025(folder: Path) -> None:
    """The table of the real ticks."""
    ticks = real(folder)
    weights = {f"{coin}USD_PERP": 1 for coin in COINS}
    book = uw.Book.synthetic(ticks, accounts=ACCOUNTS, seed=7, weights=weights)
    base = uw.Protocol.from_dict(BASE)
    table(row(ticks, book, name, value, base.with_(**change), "index") for name, value, change in cases())


def black_thursday() -> None:
    """The table of the bundled 2020-03-12."""
    ticks = uw.crash_days.load("2020-03-12").load()
    book = uw.Book.synthetic(ticks, accounts=ACCOUNTS, seed=7)
    pool = uw.protocols.lp_pool()

    def rows() -> Iterable[str]:
        yield row(ticks, book, "baseline", "oracle 2 s, keeper 1 s", pool, "last")
        for latency in ("60s", "300s", "600s"):
            late = pool.with_(**{"feeds.oracle.latency": latency})
            yield row(ticks, book, "oracle latency", latency, late, "last")
        rewards: dict[str, dict[str, Any]] = {
            "5 USD": {"penalty.keeper_fee": 5},
            "50 USD": {"penalty.keeper_fee": 50},
            "50 USD, in any case": {"penalty.keeper_fee": 50, "penalty.paid_if_insolvent": True},
        }
        for latency in ("2s", "600s"):
            for reward, changes in rewards.items():
                keeper = uw.keepers.black_thursday()
                of_the_day = pool.with_(keeper=keeper, **{"feeds.oracle.latency": latency}, **changes)
                yield row(ticks, book, f"keepers of the day for {reward}", f"oracle {latency}", of_the_day, "last")

    table(rows())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        crash_of_2025(Path(sys.argv[1]))
    sys.stdout.write("\n")
    black_thursday()
