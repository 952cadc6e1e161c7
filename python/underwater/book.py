"""The book: who holds what when the day begins, and what they pay in or take out."""

import json
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Self, SupportsIndex

import polars as pl

from underwater import _core
from underwater._arrow import as_arrow, frame
from underwater._describe import by_market, with_prices
from underwater._idle import with_idle
from underwater.errors import BookError
from underwater.market import Market
from underwater.ticks import Ticks


class Book:
    """Accounts, positions and events. Made by `Book.from_frames` or `Book.synthetic`; never changed."""

    def __init__(self, core: _core.Book) -> None:
        self._core = core

    @classmethod
    def from_frames(cls, positions: Any, accounts: Any = None, events: Any = None) -> Self:
        """A book from polars frames, pyarrow tables, or any objects that export Arrow.

        Args:
            positions: `account`, `market`, `size` (signed, base units or contracts), `entry_price`, and optionally
                `margin_mode` (`isolated`, the default, or `cross`), `collateral` (of an isolated position),
                `collateral_asset` (default: the market's settlement asset), `position` (a key, where an account holds
                several in a market), `owner`.
            accounts: cash of cross accounts: `account`, `asset`, `collateral`, and optionally `owner`.
            events: `ts`, `account` and `kind`. A `deposit` or `withdrawal` has `asset` and `amount` (positive), and for an
                isolated position `market`, and `position` if it has a key; both null, or left out, for a cross account.
                A `trade` has `market`, `position` if there is a key, `size` (signed: what is bought or sold), and `price`,
                or null for the protocol's execution feed. It opens, adds, reduces, closes or turns over the isolated
                position so named, or else that of the cross account; a cross account need not have one before. Columns of
                other kinds are null, or left out.

        Raises:
            BookError: a column is missing or of the wrong type, or a value cannot be used; names frame, row and column.

        >>> import polars as pl, underwater as uw
        >>> positions = pl.DataFrame(
        ...     {"account": ["ann"], "market": ["ETH-PERP"], "size": [5], "entry_price": [2000], "collateral": [1000]}
        ... )
        >>> uw.Book.from_frames(positions).n_accounts
        1
        """
        frames = {"positions": positions, "accounts": accounts, "events": events}
        arrow = {name: None if f is None else as_arrow(f, name, BookError) for name, f in frames.items()}
        return cls(_core.Book(with_idle(**arrow), arrow["accounts"], arrow["events"]))

    @classmethod
    def synthetic(cls, ticks: Ticks, accounts: int = 100_000, seed: int = 7, **options: Any) -> Self:
        """A generated book on the first prices of the ticks, open interest balanced by counterparties.

        The same ticks, options and seed give the same book on every machine.

        Args:
            ticks: gives the markets and the prices at the open.
            accounts: number of accounts.
            seed: of the generator.
            options: what is drawn from. Notional of an account in USD, lognormal: `notional_median`, `notional_p95`,
                `notional_max`. Leverage, lognormal: `leverage_median`, `leverage_p95`, `max_leverage`. `long_share` by
                count. Cross accounts: `cross_share`, `max_legs`, `cross_assets` (`one` or `any`).
                `entry_dispersion` of the entry around the opening price. `weights`: odds by market; `longs`, `shorts`:
                tables of what differs for a side.

        Raises:
            ConfigError: an option is unknown or wrong.
        """
        text = json.dumps(_plain({"accounts": accounts, "seed": seed, **options}))
        return cls(_core.Book(*_core.synthetic_book_frames(ticks._core, text)))

    @property
    def positions(self) -> pl.DataFrame:
        """The positions frame."""
        return frame(self._core.positions())

    @property
    def accounts(self) -> pl.DataFrame:
        """The cash of cross accounts: `account`, `asset`, `collateral`, `owner`; without columns if there is none."""
        return frame(self._core.accounts())

    @property
    def events(self) -> pl.DataFrame:
        """Deposits, withdrawals and trades, in the columns in which they were given; without columns if there are none."""
        return frame(self._core.events())

    @property
    def n_accounts(self) -> int:
        """Number of accounts."""
        return self._core.n_accounts

    def describe(self, prices: Mapping[str, Any] | None = None, markets: Iterable[Market] = ()) -> pl.DataFrame:
        """One row per market: `market`, `positions`, `accounts`, `long` and `short` (open interest of each side, in the
        market's unit, Float64), `net`, `median_size`. Sorted by market.

        With prices also `long_usd`, `short_usd`, `net_usd`, `largest_usd` (notionals; the outside counterparty takes the net),
        and `leverage_median`, `leverage_p95`: notional over equity of the margin accounts that have a position there; an
        account without equity has none. All figures are Float64, for people.

        Args:
            prices: of all markets of the book, such as `uw.books.opening_prices(ticks)`.
            markets: definitions of markets, such as `ticks.markets`; those not defined are linear with contracts of one unit.

        Raises:
            BookError: a price is missing.
        """
        if prices is None:
            return by_market(self.positions)
        return with_prices(self.positions, self.accounts, prices, markets)

    def __repr__(self) -> str:
        return f"Book({self.n_accounts:,} accounts)"


def _plain(value: Any) -> Any:
    """The value as JSON has it. What JSON does not have becomes text, so that it is refused by the name of its option."""
    match value:
        case dict():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case bool() | int() | str() | None:
            return value
        case SupportsIndex():
            return operator.index(value)
        case _:
            try:
                number = float(value)
            except (TypeError, ValueError):
                return str(value)
            return number if math.isfinite(number) else str(value)
