"""Losses by account, counted once, and how far below zero accounts were (metrics 3 and 5)."""

from collections.abc import Iterable
from typing import Literal

import polars as pl

from underwater.metrics._frames import Source, fills, frame, with_account_market

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def bad_debt_by_account(source: Source) -> pl.DataFrame:
    """One row per margin account that cost others something, the largest first: `account`, `market` (null if cross),
    `bad_debt_usd`, `recovered_usd`, `open_usd` (of it, not closed at the end), `events`, `first_ts`, `last_ts`.

    A payment of a layer is credited to the account, so that its rows of `bad_debt` are different losses and may be
    summed, however many waves closed it; assessments that it could not meet, which were charged again, are taken off.
    Needs `bad_debt`.
    """
    once = pl.col("bad_debt_usd") - pl.col("assessments_usd")
    return (
        frame(source, "bad_debt")
        .group_by("account", "market")
        .agg(
            bad_debt_usd=once.sum(),
            recovered_usd=pl.col("recovered_usd").sum(),
            open_usd=once.filter(pl.col("status") == "open").sum(),
            events=pl.col("event").n_unique(),
            first_ts=pl.col("ts").min(),
            last_ts=pl.col("ts").max(),
        )
        .filter(pl.col("bad_debt_usd") != 0)
        .sort(["bad_debt_usd", "account", "market"], descending=[True, False, False], nulls_last=True)
    )


def deficits(observations: pl.DataFrame) -> pl.DataFrame:
    """Negative equity of accounts that were seen many times, each account counted once.

    The sum over accounts of `terminal_usd` (its last) or `worst_usd` is a deficit; the sum over all observations, `summed_usd`,
    counts an account as often as it was seen and is listed to show how wrong it is. (One published deficit of 100 M USD
    counts one vault nine times and is 12.7 M.)

    Args:
        observations: `ts`, `account`, `equity_usd`, and optionally `market`.

    Returns:
        One row per account seen below zero: `account`, (`market`,) `terminal_usd`, `worst_usd`, `summed_usd` (all
        positive), `waves`.
    """
    key = [name for name in ("account", "market") if name in observations.columns]
    equity = pl.col("equity_usd")
    kind = observations.schema["equity_usd"]

    def below(value: pl.Expr) -> pl.Expr:
        return (-value.clip(upper_bound=0)).cast(kind)

    return (
        observations.sort("ts", maintain_order=True)
        .group_by(key, maintain_order=True)
        .agg(
            terminal_usd=below(equity.last()),
            worst_usd=below(equity.min()),
            summed_usd=below(equity).sum(),
            waves=(equity < 0).sum(),
        )
        .filter(pl.col("worst_usd") > 0)
    )


def waves(source: Source) -> pl.DataFrame:
    """`deficits` of the accounts that a run closed, seen before each of its actions, at the reference.

    Needs `liquidations`, `adl` and `accounts`.
    """
    actions = fills(source).unique("event", keep="first", maintain_order=True)
    seen = with_account_market(actions, frame(source, "accounts"))
    return deficits(seen.select("ts", "account", "equity_usd", market="account_market"))


def gaps(source: Source) -> pl.DataFrame:
    """How far each liquidated account was from zero: `account`, `trigger_ts`, `ts` (of its first fill), `trigger_gap`,
    `close_gap`: its equity at the detection (trigger feed), and before its first action (reference), both over its notional at
    the detection.

    One row per liquidation. Needs `liquidations` and `adl`.
    """

    def over_notional(column: str) -> pl.Expr:
        return pl.col(column).cast(pl.Float64) / pl.col("trigger_notional_usd").cast(pl.Float64)

    return (
        fills(source)
        .unique(["account", "trigger_ts"], keep="first", maintain_order=True)
        .select(
            "account",
            "trigger_ts",
            "ts",
            trigger_gap=over_notional("trigger_equity_usd"),
            close_gap=over_notional("equity_usd"),
        )
    )


def equity_gap(
    source: Source, at: Literal["trigger", "close"] = "trigger", quantiles: Iterable[float] = QUANTILES
) -> pl.DataFrame:
    """Distribution of equity over notional of liquidated accounts: `figure`, `value`.

    Figures: `accounts`, quantiles `q0.05` (nearest rank), `p_below_zero`, `loss_given_breach` (mean of -e / notional
    where e < 0).
    """
    values = gaps(source)[f"{at}_gap"].drop_nulls().drop_nans().sort()
    below = values.filter(values < 0)
    rows: list[tuple[str, float | None]] = [("accounts", float(len(values)))]
    rows += [(f"q{q:g}", values.quantile(q, "nearest")) for q in quantiles]
    rows.append(("p_below_zero", len(below) / len(values) if len(values) else None))
    rows.append(("loss_given_breach", -float(below.sum()) / len(below) if len(below) else None))
    return pl.DataFrame(rows, schema={"figure": pl.String, "value": pl.Float64}, orient="row")
