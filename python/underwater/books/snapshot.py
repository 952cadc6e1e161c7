"""A venue's snapshot of positions and account values, as a book."""

from collections import defaultdict
from fractions import Fraction
from typing import Any, Literal

import polars as pl

from underwater.book import Book
from underwater.books._exact import exact, floored, read, series
from underwater.errors import BookError, ConfigError

_NEEDED = ["account", "market", "size", "entry_price", "mark_price", "account_value"]
_WHAT = "snapshot"
_PLACES = 12
"""Decimals of sizes and prices in the frames that are made."""


def hyperliquid_positions(data: Any) -> pl.DataFrame:
    """Positions of Hyperliquid's user states in the columns of `from_snapshot`.

    Args:
        data: `acct`, `account_value`, `coin`, `direction` (`Long` or `Short`), `size` (not signed), `entry_px`,
            `position_value`, and optionally `leverage`, `liq_px`.

    Returns:
        `account`, `market`, `size` (signed), `entry_price`, `mark_price` (position value by size), `account_value`, and
        `leverage` (the one chosen for the position) and `liquidation_price` if they are given.

    Raises:
        BookError: a column is missing, or a direction is neither.
    """
    needed = ["acct", "account_value", "coin", "direction", "size", "entry_px", "position_value"]
    rows = read(data, _WHAT, needed)
    wrong = rows.filter(~pl.col("direction").is_in(["Long", "Short"]))
    if len(wrong):
        raise BookError(f"{_WHAT}: direction: expected Long or Short, got {wrong['direction'][0]!r}")
    sign = pl.when(pl.col("direction") == "Long").then(1.0).otherwise(-1.0)
    columns = [
        pl.col("acct").alias("account"),
        pl.col("coin").alias("market"),
        (pl.col("size") * sign).alias("size"),
        pl.col("entry_px").alias("entry_price"),
        # Marks have at most 5 significant digits; 7 take away what the division has added.
        (pl.col("position_value") / pl.col("size")).round_sig_figs(7).alias("mark_price"),
        pl.col("account_value"),
    ]
    optional = {"leverage": "leverage", "liq_px": "liquidation_price"}
    return rows.select(*columns, *(pl.col(old).alias(new) for old, new in optional.items() if old in rows.columns))


def from_snapshot(
    snapshot: Any,
    *,
    asset: str = "USD",
    decimals: int = 6,
    negative_cash: Literal["error", "rebase"] = "error",
) -> Book:
    """The book of a snapshot: every account cross, its cash what its value leaves beside its positions' profit.

    For linear markets that settle in one asset. A position that was filtered out of the snapshot counts as closed at its
    mark. Prices are those of the snapshot: for another day's ticks, give that day's prices, or scale the ticks with
    `uw.scenarios.shift(level=...)`.

    Args:
        snapshot: `account`, `market`, `size` (signed, base units), `entry_price`, `mark_price`, `account_value` (at the
            marks; the same in every row of an account), and optionally `owner`.
        asset: of the cash.
        decimals: of the asset; cash is rounded down to them.
        negative_cash: an account whose unrealised profit exceeds its value has drawn on it: `error`, or `rebase`: its
            entry prices move to the marks, and its cash is its value.

    Raises:
        BookError: a column is missing, a value cannot be used; names row and column.
        ConfigError: an argument is wrong.
    """
    if negative_cash not in ("error", "rebase"):
        raise ConfigError(f"books.from_snapshot: negative_cash: expected 'error' or 'rebase', got {negative_cash!r}")
    rows = read(snapshot, _WHAT, _NEEDED)
    columns = {name: exact(rows, _WHAT, name) for name in _NEEDED[2:]}
    accounts = rows["account"].cast(pl.String).to_list()
    profit: defaultdict[str, Fraction] = defaultdict(Fraction)
    value: dict[str, Fraction] = {}
    for row, account in enumerate(accounts):
        size, entry, mark, worth = (columns[name][row] for name in _NEEDED[2:])
        profit[account] += size * (mark - entry)
        if value.setdefault(account, worth) != worth:
            raise BookError(f"{_WHAT}, row {row}: account_value: differs from that of another row of {account!r}")
        if worth < 0:
            raise BookError(f"{_WHAT}, row {row}: account_value: expected no negative number, got {float(worth)}")
    cash = {account: value[account] - profit[account] for account in value}
    overdrawn = {account for account, amount in cash.items() if amount < 0}
    if overdrawn and negative_cash == "error":
        first = min(overdrawn)
        hint = "its unrealised profit exceeds its value; negative_cash='rebase' moves its entries to the marks"
        raise BookError(f"{_WHAT}: account {first!r} ({len(overdrawn)} in all): {hint}")
    entries = [
        columns["mark_price"][row] if account in overdrawn else columns["entry_price"][row]
        for row, account in enumerate(accounts)
    ]
    positions = pl.DataFrame(
        {
            "account": accounts,
            "market": rows["market"].cast(pl.String),
            "size": series("size", [floored(size, _PLACES) for size in columns["size"]], _PLACES),
            "entry_price": series("entry_price", [floored(entry, _PLACES) for entry in entries], _PLACES),
            "margin_mode": "cross",
        }
    )
    amounts = [floored(value[account] if account in overdrawn else cash[account], decimals) for account in value]
    held = pl.DataFrame(
        {"account": list(value), "asset": asset, "collateral": series("collateral", list(amounts), decimals)}
    )
    if "owner" in rows.columns:
        positions = positions.with_columns(rows["owner"])
    return Book.from_frames(positions, held)
