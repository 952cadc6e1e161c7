"""Tables of trades and transfers, folded into the book at the open of a day."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import polars as pl

from underwater.book import Book
from underwater.books._exact import exact, floored, read, series
from underwater.errors import BookError, ConfigError

_PLACES = 12


@dataclass
class _Held:
    size: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)

    def trade(self, size: Fraction, price: Fraction) -> Fraction:
        """Trades, and gives the profit that it realises. Entries average on the same side; closing releases cost pro rata."""
        if self.size * size >= 0:
            self.size, self.cost = self.size + size, self.cost + size * price
            return Fraction(0)
        closed = min(abs(size), abs(self.size)) * (1 if size > 0 else -1)
        released = self.cost * -closed / self.size
        profit = -closed * price - released
        self.size, self.cost = self.size + closed, self.cost - released
        self.trade(size - closed, price)
        return profit


def from_trades(
    trades: Any,
    transfers: Any,
    *,
    at: datetime,
    decimals: int = 6,
    later_trades: Literal["events", "ignore"] = "events",
) -> Book:
    """The book of cross accounts at an instant: all trades and transfers before it folded, later ones as events.

    For linear markets of one settlement asset, contracts of one unit. Entries average; a close realises its profit into the
    account's cash. Funding and fees count if they are among the transfers.

    Trades at or after `at` happen in the replay at their price, against the rest of the market, unless the account is under
    liquidation by then or would not meet the initial requirement (`rejected_events`).

    Args:
        trades: `ts`, `account`, `market`, `size` (signed: an open or close of so much), `price`, in the order of time.
        transfers: `ts`, `account`, `asset`, `amount` (positive in, negative out), in the order of time.
        at: the instant; the first of the ticks.
        decimals: of the asset; cash is rounded down to them.
        later_trades: what becomes of trades from `at` on: `events`, or `ignore` for a passive book.

    Raises:
        BookError: a column is missing, a value cannot be used, the cash of an account is negative, or there are later trades.
        ConfigError: an argument is wrong.

    >>> import polars as pl, underwater as uw
    >>> from datetime import datetime, UTC
    >>> when = pl.from_epoch([1, 2, 3])
    >>> trades = pl.DataFrame({"ts": when, "account": "ann", "market": "ETH", "size": [3, 1, -2], "price": [100, 140, 150]})
    >>> paid = pl.DataFrame({"ts": pl.from_epoch([0, 9]), "account": "ann", "asset": "USD", "amount": [90, -10]})
    >>> book = uw.books.from_trades(trades, paid, at=datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))
    >>> float(book.positions["size"].item()), float(book.positions["entry_price"].item())
    (2.0, 110.0)
    >>> float(book.accounts["collateral"].item()), book.events["kind"].to_list()
    (170.0, ['withdrawal'])
    """
    if later_trades not in ("events", "ignore"):
        raise ConfigError(f"books.from_trades: later_trades: expected 'events' or 'ignore', got {later_trades!r}")
    if at.tzinfo is None:
        raise ConfigError(f"books.from_trades: at: expected a time with a zone, got {at}")
    done = _timed(read(trades, "trades", ["ts", "account", "market", "size", "price"]), "trades")
    paid = _timed(read(transfers, "transfers", ["ts", "account", "asset", "amount"]), "transfers")
    before, moved = done.filter(pl.col("ts") < at), paid.filter(pl.col("ts") < at)
    held: defaultdict[tuple[str, str], _Held] = defaultdict(_Held)
    cash: defaultdict[str, Fraction] = defaultdict(Fraction)
    assets = paid["asset"].unique(maintain_order=True).to_list()
    if len(assets) > 1:
        raise BookError(f"transfers: expected one asset, got {', '.join(map(str, assets))}")
    figures = zip(exact(before, "trades", "size"), exact(before, "trades", "price"), strict=True)
    for (account, market), (size, price) in zip(before.select("account", "market").iter_rows(), figures, strict=True):
        cash[account] += held[account, market].trade(size, price)
    for account, amount in zip(moved["account"], exact(moved, "transfers", "amount"), strict=True):
        cash[account] += amount
    later = paid.filter(pl.col("ts") >= at)
    late = done.filter(pl.col("ts") >= at) if later_trades == "events" else done.clear()
    for account in (*later["account"], *late["account"]):
        cash[account] += 0  # also whoever comes later
    if wrong := next((account for account in cash if cash[account] < 0), None):
        raise BookError(f"account {wrong!r}: cash of {float(cash[wrong])} at {at}; are deposits missing?")
    open_now = {key: position for key, position in held.items() if position.size}
    entries: list[Decimal | None] = [floored(p.cost / p.size, _PLACES) for p in open_now.values()]
    sizes: list[Decimal | None] = [floored(p.size, _PLACES) for p in open_now.values()]
    positions = pl.DataFrame(
        {
            "account": [account for account, _ in open_now],
            "market": [market for _, market in open_now],
            "size": series("size", sizes, _PLACES),
            "entry_price": series("entry_price", entries, _PLACES),
            "margin_mode": "cross",
        }
    )
    amounts: list[Decimal | None] = [floored(amount, decimals) for amount in cash.values()]
    accounts = pl.DataFrame(
        {
            "account": list(cash),
            "asset": assets[0] if assets else "USD",
            "collateral": series("collateral", amounts, decimals),
        }
    )
    moves: list[Decimal | None] = [floored(abs(a), decimals) for a in exact(later, "transfers", "amount")]
    events = later.select(
        "ts",
        "account",
        pl.when(pl.col("amount") > 0).then(pl.lit("deposit")).otherwise(pl.lit("withdrawal")).alias("kind"),
        "asset",
    )
    events = events.with_columns(series("amount", moves, decimals))
    asked = late.select("ts", "account", "market", kind=pl.lit("trade")).with_columns(
        series(name, [floored(value, _PLACES) for value in exact(late, "trades", name)], _PLACES)
        for name in ("size", "price")
    )
    # At one instant money comes first.
    together = pl.concat([events, asked], how="diagonal").sort("ts", maintain_order=True)
    return Book.from_frames(positions, accounts, together if len(together) else None)


def _timed(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """The rows with times in UTC, checked to be in order."""
    if not isinstance(rows["ts"].dtype, pl.Datetime):
        raise BookError(f"{what}: ts: expected a timestamp, got {rows['ts'].dtype}")
    if not rows["ts"].is_sorted():
        raise BookError(f"{what}: ts: expected the order of time")
    zone = rows["ts"].dtype.time_zone
    ts = pl.col("ts") if zone else pl.col("ts").dt.replace_time_zone("UTC")
    return rows.with_columns(ts.dt.convert_time_zone("UTC"))
