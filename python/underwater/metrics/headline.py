"""The figures that a summary shows, in one pass over each frame, piece by piece where records do not fit in memory."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import polars as pl

from underwater.metrics import fairness
from underwater.metrics._frames import Source, absorbing, figures, pieces, ratio
from underwater.metrics.capital import levels
from underwater.metrics.execution import _slips
from underwater.metrics.payers import coverage


def headline(source: Source) -> dict[str, Any]:
    """Figures for a summary, as JSON has them: money is text, durations are nanoseconds, ratios are floats or None.

    `coverage`, `paid_share`, `severity`, `residual_usd` of `metrics.coverage`; `solvency_usd` at the end; `at_once_share` (of the
    liquidated notional: filled in the instant of its detection), `first_adl_delay_ns` (first liquidation to first ADL);
    `slippage` (mean against the trigger price, by notional), `beyond_usd` and `beyond_share` (fills beyond bankruptcy);
    `fund_drawdown_usd`, `fund_depleted_ns` (from the
    open; None: never, or there never was anything); `adl_accounts`, `adl_gini`, `adl_hhi`,
    `adl_top_1_share`, `adl_top_10_share`.
    """
    cover = {key: str(v) if isinstance(v, Decimal) else v for key, v in asdict(coverage(source)).items()}
    known = figures(source).get("closing_equity_usd")
    solvent = None if known is None else str(Decimal(known["positive"]) - Decimal(known["negative"]))
    fills, adl = _fills(source), _adl(source)
    first, first_adl = fills.pop("first_ns"), adl.pop("first_ns")
    return {
        **{key: cover[key] for key in ("coverage", "paid_share", "severity", "residual_usd")},
        "solvency_usd": solvent,
        **fills,
        "first_adl_delay_ns": None if first is None or first_adl is None else first_adl - first,
        **_fund(source),
        **adl,
    }


def _dollars(micro: int) -> str:
    return str(Decimal(micro).scaleb(-6).quantize(Decimal("0.000001")))


def _fund(source: Source) -> dict[str, Any]:
    peak = fall = 0
    start = depleted = None
    for piece in levels(source, "insurance_fund"):
        level = (pl.col("level_usd") * 1_000_000).cast(pl.Int128)
        ts = pl.col("ts").dt.timestamp("ns")
        highest = pl.max_horizontal(level.cum_max(), pl.lit(peak, pl.Int128))
        seen = piece.select(
            ts.first().alias("start"),
            highest.max().alias("peak"),
            (highest - level).max().alias("fall"),
            ts.filter(level <= 0, highest > 0).min().alias("depleted"),
        ).row(0, named=True)
        if seen["start"] is None:
            continue
        start = seen["start"] if start is None else start
        peak, fall = max(peak, seen["peak"]), max(fall, seen["fall"])
        depleted = seen["depleted"] if depleted is None else depleted
    return {
        "fund_drawdown_usd": _dollars(fall),
        "fund_depleted_ns": None if depleted is None else depleted - start,
    }


def _fills(source: Source) -> dict[str, Any]:
    # Every row is rounded to micro-dollars before it is added, so that the pieces do not show.
    def micro(dollars: pl.Expr) -> pl.Expr:
        return (dollars * 1e6).round().cast(pl.Int128).sum()

    notional = pl.col("notional_usd").cast(pl.Float64)
    at_once = pl.col("ts") == pl.col("trigger_ts")
    sums = {
        "fills": pl.len().cast(pl.Int128),
        "beyond_fills": (pl.col("beyond") > 0).sum().cast(pl.Int128),
        "notional": micro(pl.col("notional")),
        "at_once": micro(pl.col("notional").filter(at_once)),
        "slipped": micro(pl.col("notional") * pl.col("slippage")),
        "beyond": micro(pl.col("beyond_usd")),
    }
    first, total = None, dict.fromkeys(sums, 0)
    for piece in pieces(source, "liquidations"):
        if piece.is_empty():
            continue
        rows = piece.select("ts", "trigger_ts", *_slips(), notional=notional)
        for name, value in rows.select(**sums).row(0, named=True).items():
            total[name] += value
        ts = rows.select(pl.col("ts").cast(pl.Int64).min()).item()
        first = ts if first is None else min(first, ts)
    return {
        "first_ns": first,
        "at_once_share": ratio(total["at_once"], total["notional"]),
        "slippage": ratio(total["slipped"], total["notional"]),
        "beyond_usd": _dollars(total["beyond"]),
        "beyond_share": ratio(total["beyond_fills"], total["fills"]),
    }


def _adl(source: Source) -> dict[str, Any]:
    first = None
    held: list[pl.DataFrame] = []
    for piece in map(absorbing, pieces(source, "adl")):
        if piece.is_empty():
            continue
        ts = piece.select(pl.col("ts").cast(pl.Int64).min()).item()
        first = ts if first is None else min(first, ts)
        held.append(piece.group_by("account", maintain_order=True).agg(pl.col("notional_usd").sum()))
    if not held:
        notional: list[float] = []
    else:
        by_account = pl.concat(held).group_by("account").agg(pl.col("notional_usd").sum()).sort("account")
        notional = by_account["notional_usd"].cast(pl.Float64).sort().to_list()
    return {
        "first_ns": first,
        "adl_accounts": len(notional),
        "adl_gini": fairness.gini(notional),
        "adl_hhi": fairness.hhi(notional),
        "adl_top_1_share": fairness.top_share(notional, 1),
        "adl_top_10_share": fairness.top_share(notional, 10),
    }
