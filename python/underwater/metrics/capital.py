"""The path of a layer's equity: level, drawdown, depletion, replenishment (metrics 8 and 9)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl

from underwater.metrics._frames import USD, Source, figures, frame, pieces
from underwater.metrics.payers import flows_of

_TIME = pl.Datetime("ns", "UTC")


def path(source: Source, layer: str = "insurance_fund") -> pl.DataFrame:
    """Equity of a layer at the reference by time: `ts`, `level_usd`: at the open, after each instant at which something happened,
    and at the end of the tape. (Bare frames have no open and no end: the timeline alone.)

    Args:
        source: needs `timeline`.
        layer: `insurance_fund` (all of them together), `pool`, `treasury`, `vault` or `token` (minus what its sales have raised).
    """
    return pl.concat(levels(source, layer))


def balance_path(source: Source, holder: str = "insurance_fund") -> pl.DataFrame:
    """Cash of a holder by time, in the assets themselves: `ts`, `asset`, `balance`: at the open, and after each instant at which
    it changed, the end of the tape among them. (Bare frames have no time of the open: the changes alone.)

    Of a fund of some markets (`insurance_fund:NAME`), which holds no positions, that is all it has.

    Args:
        source: needs `balances`, `postings`.
        holder: an entity or a fund; of `insurance_fund` the general one alone.
    """
    own = pl.col("holder") == holder
    opening = frame(source, "balances").filter(own, pl.col("market").is_null()).select("asset", amount="opening")
    start = figures(source).get("start_ts")
    opening = opening.select(pl.lit(start, pl.Int64).cast(_TIME).alias("ts"), "asset", "amount")
    flows = [
        piece.filter(pl.col(end) == holder, pl.col(f"{end}_market").is_null()).select(
            "ts", "asset", amount=pl.col("amount") if end == "to" else -pl.col("amount")
        )
        for piece in pieces(source, "postings")
        for end in ("from", "to")
    ]
    rows = pl.concat([opening, *(flow.cast(opening.schema) for flow in flows)])
    rows = rows.group_by("ts", "asset").agg(pl.col("amount").sum()).sort("ts", "asset", nulls_last=False)
    changed = (pl.col("amount") != 0) | (pl.int_range(pl.len()) == 0).over("asset")
    path = rows.filter(changed).select("ts", "asset", balance=pl.col("amount").cum_sum().over("asset"))
    return path.filter(pl.col("ts").is_not_null())


def levels(source: Source, layer: str) -> Iterator[pl.DataFrame]:
    """`path`, piece by piece."""
    known = figures(source)
    ends = known.get("layer_equity_usd", {}).get(layer)

    def at(ts: int, level: str) -> pl.DataFrame:
        row = pl.DataFrame({"ts": [ts], "level_usd": [Decimal(level)]}, schema={"ts": pl.Int64, "level_usd": USD})
        return row.with_columns(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC").cast(_TIME))

    if ends is not None:
        yield at(known["start_ts"], ends["opening"])
    for piece in pieces(source, "timeline"):
        yield piece.select("ts", level_usd=pl.col(f"{layer}_usd").cast(USD))
    if ends is not None:
        yield at(known["end_ts"], ends["closing"])


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of a path below its peak so far."""

    drawdown: float
    """Peak less trough."""
    relative: float | None
    """Over the peak; None where the peak is not positive."""
    peak_ts: datetime | None
    """The last time at the peak before the trough."""
    trough_ts: datetime | None
    """The first time at the trough."""
    recovered_ts: datetime | None
    """First time after it at the peak again; None: not by the end."""
    duration: timedelta | None
    """From the peak until it was reached again, or the path ends."""


def max_drawdown(path: pl.DataFrame, level: str = "level_usd") -> Drawdown:
    """Maximum drawdown of a path, and how long it lasted.

    Args:
        path: `ts` and a level, by time.
        level: name of the level's column.
    """
    rows = path.select("ts", level=pl.col(level).cast(pl.Float64)).with_columns(peak=pl.col("level").cum_max())
    rows = rows.with_columns(fall=pl.col("peak") - pl.col("level"))
    place = rows["fall"].arg_max()
    if place is None or not rows["fall"][place]:
        return Drawdown(0.0, 0.0, None, None, None, None)
    trough = rows.row(place, named=True)
    before, after = rows[:place], rows[place:]
    peak_ts = before.filter(pl.col("level") == trough["peak"])["ts"][-1]
    recovered = next(iter(after.filter(pl.col("level") >= trough["peak"])["ts"]), None)
    return Drawdown(
        drawdown=trough["fall"],
        relative=trough["fall"] / trough["peak"] if trough["peak"] > 0 else None,
        peak_ts=peak_ts,
        trough_ts=trough["ts"],
        recovered_ts=recovered,
        duration=(recovered or rows["ts"][-1]) - peak_ts,
    )


def time_to_depletion(path: pl.DataFrame, below: float = 0.0, level: str = "level_usd") -> timedelta | None:
    """From the start of a path until its level is at or below a threshold for the first time; None: it never is."""
    first = path.filter(pl.col(level).cast(pl.Float64) <= below)["ts"].min()
    return None if first is None else first - path["ts"][0]


def replenishment(source: Source, layer: str = "insurance_fund") -> pl.DataFrame:
    """Money that came into a layer apart from trading, by `kind`: `inflows`, `amount_usd`, `first_ts`. Penalties, fees,
    residuals, recoveries, funding, deposits. Needs `postings`."""
    flows = flows_of(source, layer).filter(
        pl.col("amount_usd") > 0, ~pl.col("kind").is_in(["fill", "adl", "conversion"])
    )
    return (
        flows.group_by("kind")
        .agg(inflows=pl.len(), amount_usd=pl.col("amount_usd").sum(), first_ts=pl.col("ts").min())
        .sort("kind")
    )


def loss_to_equity(source: Source, layer: str = "pool") -> float | None:
    """What a layer absorbed over its equity at the open; None where that is not positive."""
    opening = float(figures(source).get("layer_equity_usd", {}).get(layer, {}).get("opening", 0))
    absorbed = frame(source, "who_pays").filter(section="payer", line=layer)["amount_usd"].sum()
    return float(absorbed) / opening if opening > 0 else None


@dataclass(frozen=True)
class ShareFigures:
    """A pool or vault as its liquidity providers see it."""

    opening_price: Decimal | None
    """Dollars of a share at the start; None without shares."""
    closing_price: Decimal | None
    """At the end."""
    change: float | None
    """Closing over opening price, less one."""
    drawdown: Drawdown
    """Of the price of a share."""
    loss_to_tvl: float | None
    """What the entity absorbed over its net asset value at the start; None where that is not positive."""


def share_figures(path: pl.DataFrame, absorbed_usd: Decimal | int = 0) -> ShareFigures:
    """Price of a share from start to end, its maximum drawdown, and losses over what was there at the start.

    Args:
        path: `ts`, `nav_usd`, `price`: that of `Result.shares`.
        absorbed_usd: losses that the entity paid, such as its line of `who_pays`.
    """
    prices = path.filter(pl.col("price").is_not_null())
    opening, closing = (prices["price"][0], prices["price"][-1]) if len(prices) else (None, None)
    tvl = path["nav_usd"][0]
    return ShareFigures(
        opening_price=opening,
        closing_price=closing,
        change=float(closing / opening) - 1 if opening else None,
        drawdown=max_drawdown(prices, "price"),
        loss_to_tvl=float(absorbed_usd) / float(tvl) if tvl > 0 else None,
    )
