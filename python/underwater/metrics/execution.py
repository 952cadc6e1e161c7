"""How fast and at what price accounts were closed (metrics 6 and 7)."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from underwater.metrics._frames import Source, bankruptcies, fills, frame

_NS = pl.Duration("ns")


def vwap(levels: Iterable[tuple[float, float]], size: float) -> float:
    """Average price of a walk down a ladder of (price, size) levels.

    >>> round(vwap([(1.0, 1), (1.1, 3), (1.2, 10)], 5), 12)
    1.1

    Raises:
        ValueError: the levels hold less than the size.
    """
    left, paid = size, 0.0
    for price, offered in levels:
        taken = min(left, offered)
        paid += taken * price
        left -= taken
        if left <= 0:
            return paid / size
    raise ValueError(f"levels: expected a size of {size} in all, got {size - left}")


def linear_impact(price: float, size: float, slope: float) -> float:
    """Average price of a trade of a signed size (positive: bought) whose marginal price moves by `slope` per unit.

    >>> round(linear_impact(1.30, -0.5, 1), 12), round(linear_impact(1.05, 0.4, 1), 12)
    (1.05, 1.25)
    """
    return price + slope * size / 2


def liquidation_times(source: Source) -> pl.DataFrame:
    """One row per liquidation (account and detection): `account`, `trigger_ts`, `first_fill_ts`, `flat_ts` (last fill),
    `actions`, `fills`, `to_first_fill`, `to_flat` (durations), `at_once` (flat in the instant of the detection).

    ADL fills count as fills. A liquidation that the tape ends in, or that a recovery ended, has its last fill as `flat_ts`.
    Needs `liquidations`, `adl`.
    """
    return (
        fills(source)
        .group_by("account", "trigger_ts", maintain_order=True)
        .agg(
            first_fill_ts=pl.col("ts").min(),
            flat_ts=pl.col("ts").max(),
            actions=pl.col("event").n_unique(),
            fills=pl.len(),
        )
        .with_columns(
            to_first_fill=(pl.col("first_fill_ts") - pl.col("trigger_ts")).cast(_NS),
            to_flat=(pl.col("flat_ts") - pl.col("trigger_ts")).cast(_NS),
            at_once=pl.col("flat_ts") == pl.col("trigger_ts"),
        )
        .sort("trigger_ts", "account", maintain_order=True)
    )


def time_to_liquidation(source: Source, quantiles: Iterable[float] = (0.5, 0.9, 0.99, 1.0)) -> dict[str, Any]:
    """Headline times: `liquidations`, `at_once_share`, `one_action_share`, quantiles (nearest rank, as durations) of
    `to_first_fill` and `to_flat` by name (`p50`), and `first_liquidation_to_first_adl` (None without ADL)."""
    rows = liquidation_times(source)
    times = (bankruptcies(frame(source, "adl")), frame(source, "liquidations"))
    adl, first = (rows.select(pl.col("ts").min()).item() for rows in times)

    def at(column: str) -> dict[str, Any]:
        values = rows[column].cast(pl.Int64)
        found = {f"p{100 * q:g}": values.quantile(q, "nearest") for q in quantiles}
        return {name: None if v is None else pl.Series([int(v)]).cast(_NS)[0] for name, v in found.items()}

    return {
        "liquidations": len(rows),
        "at_once_share": rows["at_once"].mean(),
        "one_action_share": (rows["actions"] == 1).mean(),
        "to_first_fill": at("to_first_fill"),
        "to_flat": at("to_flat"),
        "first_liquidation_to_first_adl": None if adl is None or first is None else adl - first,
    }


def slippage(source: Source) -> pl.DataFrame:
    """One row per fill: `ts`, `account`, `market`, `event`, `trigger_price`, `price`, `notional_usd`, `slippage`, `gap`,
    `beyond`, `beyond_usd`.

    `slippage` is what the fill lost against the trigger price, over the value there: (trigger - price) b / trigger for
    a linear contract of side b, b (1 / price - 1 / trigger) trigger for an inverse one. `gap` is equity over notional
    at the detection: the slippage at which the account, its equity attributed by notional, is bankrupt. A fill with
    more is beyond bankruptcy by `beyond` = slippage - gap, in dollars at the trigger `beyond_usd` (else 0). Fees and
    funding since the detection are not in it. Needs `liquidations`.
    """
    return frame(source, "liquidations").select(
        "ts", "account", "market", "event", "trigger_price", "price", "notional_usd", *_slips()
    )


def _slips() -> list[pl.Expr]:
    price, trigger = (pl.col(name).cast(pl.Float64) for name in ("price", "trigger_price"))
    long = pl.col("side") == "long"
    # A long that is sold receives its value, which for an inverse contract is negative.
    inverse = (pl.col("amount") < 0) == long
    side = pl.when(long).then(1.0).otherwise(-1.0)
    slip = pl.when(inverse).then(side * (trigger / price - 1)).otherwise(side * (trigger - price) / trigger)
    notional = pl.col("notional_usd").cast(pl.Float64)
    at_trigger = notional * pl.when(inverse).then(price / trigger).otherwise(trigger / price)
    gap = pl.col("trigger_equity_usd").cast(pl.Float64) / pl.col("trigger_notional_usd").cast(pl.Float64)
    beyond = (slip - gap).clip(lower_bound=0)
    return [
        slip.alias("slippage"),
        gap.alias("gap"),
        beyond.alias("beyond"),
        (beyond * at_trigger).alias("beyond_usd"),
    ]


def slippage_by(source: Source, by: Sequence[str] = ("market",)) -> pl.DataFrame:
    """Slippage of all fills together, by columns of `slippage`: `fills`, `notional_usd`, `slippage` (weighted by notional),
    `beyond_share` (of the fills), `beyond_notional_share`, `beyond_usd`.

    The weighted mean is that of the VWAP where all fills have one trigger price.
    """
    notional = pl.col("notional_usd").cast(pl.Float64)
    beyond = pl.col("beyond") > 0
    figures = {
        "fills": pl.len(),
        "notional_usd": pl.col("notional_usd").sum(),
        "slippage": (pl.col("slippage") * notional).sum() / notional.sum(),
        "beyond_share": beyond.mean(),
        "beyond_notional_share": notional.filter(beyond).sum() / notional.sum(),
        "beyond_usd": pl.col("beyond_usd").sum(),
    }
    rows = slippage(source)
    return rows.group_by(by).agg(**figures).sort(by) if by else rows.select(**figures)
