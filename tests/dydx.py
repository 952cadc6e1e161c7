"""The preset of dYdX v4 as the chain's own tests configure it, and accounts as they write them."""

from decimal import Decimal

from cases import cross, run

import underwater as uw

BTC, ETH = "BTC-USD", "ETH-USD"
ORACLE = {BTC: 50_000, ETH: 3_000}


def chain(fund=0, *, fee="0.005", **changes):
    """The preset with the configuration of the chain's tests."""
    tests = {
        "trigger_feed": "last",
        "margin.assets": {},
        "margin.maintenance": uw.FlatMargin(rate="0.1"),
        "margin.initial": uw.FlatMargin(rate="0.2"),
        "keeper.poll": None,
        "keeper.capacity": None,
        "close.policy": uw.FullClose(),
        "penalty.rate": fee,
        "outside": "hedges",
    }
    return uw.protocols.dydx_v4(fund=fund).with_(**{**tests, **changes}).model_dump()


def account(name, q, entry=None, **sizes):
    """An account with these sizes and that quote balance; unless an entry is given, it has lost a fifth of its notional."""
    sizes = {{"btc": BTC, "eth": ETH}[key]: Decimal(str(size)) for key, size in sizes.items()}
    entries = {
        market: Decimal(entry or ORACLE[market] * (Decimal("1.2") if size > 0 else Decimal("0.8")))
        for market, size in sizes.items()
    }
    rows = [cross(name, size, entries[market], market=market) for market, size in sizes.items()]
    return rows, (name, "USD", Decimal(str(q)) + sum(size * entries[market] for market, size in sizes.items()))


def replay(*accounts, path=None, markets=(), **protocol):
    """A day on which the oracle stands still, unless a path is given."""
    rows = [row for rows, _ in accounts for row in rows]
    path = path or {market: [ORACLE[market]] * 2 for market in {row["market"] for row in rows}}
    return run(rows, path, cash=[cash for _, cash in accounts], markets=markets, **chain(**protocol))
