"""Borrow fees that follow utilisation, as on GMX v1: what open positions reserve, over what the pool has.

A replay takes borrow rates as they are given. Utilisation is known when a run is over; its rates make the next run, and since
few closes move from one run to the next, two or three runs find the rates that follow from themselves (docs/pools.md).
"""

from typing import TYPE_CHECKING, Any

import polars as pl

from underwater.durations import parse_duration
from underwater.errors import ConfigError
from underwater.numbers import Dollars, parse_exact

if TYPE_CHECKING:
    from underwater.book import Book
    from underwater.result import Result
    from underwater.ticks import Ticks

_KEY = ["account", "market", "side"]


def utilisation(result: "Result", ticks: "Ticks", book: "Book", interval: str | int = "1h") -> pl.DataFrame:
    """The share of the pool that open positions reserve, at whole multiples of the interval after the open.

    A position reserves its size at the entry, in dollars, as long as it is open. The pool has what it began with, and what closed
    positions, fees and payments have brought and cost it: profits and losses that are still open are no part of it.

    Args:
        result: a finished run of a protocol whose pool is the other side of the book.
        ticks: those of the run.
        book: that of the run: linear markets settled in dollars, no trades.
        interval: length of the steps.

    Returns:
        `ts`, `reserved_usd`, `pool_usd`, `utilisation` (0 where the pool has nothing).

    Raises:
        ConfigError: the run has no such pool, or the book is of another kind.
    """
    if result.positions.filter(holder="pool").is_empty():
        raise ConfigError("result: expected a run in which the pool is the other side of the book")
    if book.events.width and "trade" in book.events["kind"].to_list():
        raise ConfigError("book: expected no trades")
    definitions = {market.name: market for market in ticks.markets}
    traded = [definitions[name] for name in book.positions["market"].unique().to_list()]
    if any(market.kind != "linear" or market.settlement != "USD" for market in traded):
        raise ConfigError("book: expected linear markets that settle in USD")
    contract = pl.col("market").replace_strict({m.name: float(m.contract_size) for m in traded})
    size = pl.col("size").cast(pl.Float64)
    side = pl.when(size > 0).then(pl.lit("long")).otherwise(pl.lit("short"))
    opened = (
        book.positions.filter(size != 0)
        .select("account", "market", side=side, size=size.abs(), entry=size.abs() * contract * pl.col("entry_price"))
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("size").sum(), pl.col("entry").sum())
    )
    fills = result.liquidations.select("ts", *_KEY, closed=pl.col("size").cast(pl.Float64))
    changes = fills.join(opened, on=_KEY, how="left", maintain_order="left").select(
        "ts", reserved=-pl.col("closed") / pl.col("size") * pl.col("entry"), side="side"
    )
    # What was paid for a position is with the pool until it is closed, and is no part of what it has.
    sign = pl.when(pl.col("side") == "long").then(1.0).otherwise(-1.0)
    changes = changes.with_columns(pool=-pl.col("reserved") * sign)
    to_pool = pl.when(pl.col("to") == "pool").then(1.0).otherwise(-1.0)
    flows = result.postings.filter((pl.col("from") == "pool") != (pl.col("to") == "pool"))
    cash = flows.select("ts", reserved=pl.lit(0.0), pool=to_pool * pl.col("amount").cast(pl.Float64))
    moved = pl.concat([changes.select("ts", "reserved", "pool"), cash]).with_columns(pl.col("ts").cast(pl.Int64))
    reserved = opened["entry"].sum()
    begun = result.balances.filter(holder="pool")["opening"].cast(pl.Float64).sum()
    pool = begun - opened.select((sign * pl.col("entry")).sum()).item()
    rows = []
    for ts in _points(ticks, parse_duration(interval)):
        until = moved.filter(pl.col("ts") <= ts).select(pl.col("reserved").sum(), pl.col("pool").sum()).row(0)
        held = (reserved + until[0], pool + until[1])
        rows.append((ts, *held, held[0] / held[1] if held[1] > 0 else 0.0))
    names = ["ts", "reserved_usd", "pool_usd", "utilisation"]
    frame = pl.DataFrame(rows, schema=dict(zip(names, [pl.Int64, *[pl.Float64] * 3], strict=True)), orient="row")
    return frame.with_columns(pl.col("ts").cast(pl.Datetime("ns", "UTC")))


def borrow_rates(
    result: "Result", ticks: "Ticks", book: "Book", *, factor: Dollars = "0.0001", interval: str | int = "1h"
) -> dict[str, list[dict[str, Any]]]:
    """Rates of `Borrow.rates` that follow from the utilisation of a run: `factor` times it for each interval.

    Args:
        result: a finished run.
        ticks: those of the run.
        book: that of the run.
        factor: rate of an interval at a utilisation of 1 (GMX v1: fundingRateFactor 100, in millionths, an hour).
        interval: length of an interval.

    Returns:
        By market of the book; the rates are rounded to 10^-12.
    """
    steps = utilisation(result, ticks, book, interval)
    whole = float(parse_exact(factor))
    rates = [
        {"ts": ts, "rate": f"{whole * share:.12f}"}
        for ts, share in zip(steps["ts"].cast(pl.Int64), steps["utilisation"], strict=True)
    ]
    return dict.fromkeys(sorted(book.positions["market"].unique().to_list()), rates)


def _points(ticks: "Ticks", step: int) -> range:
    """Whole multiples of a step after the first tick, up to the last."""
    span = ticks.to_polars().lazy().select(first=pl.col("ts").min(), last=pl.col("ts").max()).collect()
    first, last = (span[name].cast(pl.Int64).item() for name in ("first", "last"))
    return range((first // step + 1) * step, last + 1, step)
