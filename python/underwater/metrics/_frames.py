"""What the metrics read: the frames of a result, and identities of margin accounts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

if TYPE_CHECKING:
    from underwater.result import Result

Source: TypeAlias = "Result | Mapping[str, pl.DataFrame]"
"""A result, or frames of one by name (`{"who_pays": ..., "bad_debt": ...}`): those that the metric reads."""

USD = pl.Decimal(38, 6)
ZERO = pl.lit(0).cast(USD)


def frame(source: Source, name: str) -> pl.DataFrame:
    """The frame of this name."""
    if not isinstance(source, Mapping):
        return source.who_pays() if name == "who_pays" else getattr(source, name)
    if name not in source:
        raise ValueError(f"frames: expected {name!r} among them, got {', '.join(map(repr, source)) or 'none'}")
    return source[name]


def bankruptcies(rows: pl.DataFrame) -> pl.DataFrame:
    """Of ADL fills those that closed a bankrupt account; the others, by a pool's factor, absorb no loss."""
    return rows.filter(kind="bankruptcy") if "kind" in rows.columns else rows


def absorbing(rows: pl.DataFrame) -> pl.DataFrame:
    """Of ADL fills those that absorb a loss: of bankrupt accounts and of the vault."""
    return rows.filter(pl.col("kind") != "pool_factor") if "kind" in rows.columns else rows


def pieces(source: Source, name: str) -> Iterator[pl.DataFrame]:
    """The frame of this name, piece by piece where it may not fit in memory."""
    return iter([source[name]]) if isinstance(source, Mapping) else source.batches(name)


def figures(source: Source) -> Mapping[str, Any]:
    """The counts and totals that the engine hands back; empty for bare frames."""
    return {} if isinstance(source, Mapping) else source._summary


def money(rows: list[dict[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of these rows and exactly these columns."""
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def ratio(part: Any, whole: Any) -> float | None:
    """A ratio as a float; None where there is nothing to divide by."""
    return float(part) / float(whole) if whole else None


def fills(source: Source) -> pl.DataFrame:
    """Every fill of an account that was closed, in the market or by ADL: `event`, `ts`, `account`, `market`, `trigger_ts`,
    `trigger_equity_usd`, `trigger_notional_usd`, `equity_usd` (before the event)."""
    before = ["event", "ts", "account"]
    detection = ["market", "trigger_ts", "trigger_equity_usd", "trigger_notional_usd"]
    sold = frame(source, "liquidations").select(*before, *detection, "equity_usd")
    matched = bankruptcies(frame(source, "adl")).select(
        "event", "ts", pl.col("loser").alias("account"), *detection, equity_usd="loser_equity_usd"
    )
    return pl.concat([sold, matched]).sort("event", maintain_order=True)


def with_account_market(rows: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Adds `account_market`, the market of an isolated margin account, null for a cross one.

    Who holds a cross account and an isolated position in one market is taken for the isolated one.
    """
    isolated = (
        accounts.filter(pl.col("market").is_not_null())
        .select("account", "market", account_market="market")
        .unique(maintain_order=True)
    )
    return rows.join(isolated, on=["account", "market"], how="left", maintain_order="left")
