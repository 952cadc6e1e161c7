"""A book made balanced, or brought to a target open interest."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from underwater.book import Book
from underwater.books._exact import exact, floored, series
from underwater.books.liquidation import opening_prices
from underwater.errors import BookError, ConfigError
from underwater.market import Market
from underwater.numbers import parse_exact
from underwater.ticks import Ticks

_PLACES = 18


def balanced(book: Book, ticks: Ticks, *, leverage: float | str | Fraction = 1, accounts: int = 1) -> Book:
    """The book with counterparties, so that in each market longs and shorts sum to zero.

    Without them the net open interest lies with the protocol's counterparty (`outside` or the pool), which is neither
    liquidated nor deleveraged. Each market that is not balanced gets isolated accounts `balance-MARKET-1` and so on, which
    entered at the opening price.

    Args:
        book: the book.
        ticks: give the markets and their opening prices.
        leverage: of the counterparties: notional over collateral.
        accounts: number of counterparties in a market.

    Raises:
        BookError: a market is not in the ticks.
        ConfigError: an argument is wrong.
    """
    exact_leverage = parse_exact(leverage)
    if exact_leverage <= 0 or accounts < 1:
        raise ConfigError("books.balanced: expected a positive leverage and at least one account")
    markets, prices = _markets(book, ticks), opening_prices(ticks)
    decimals = {asset.name: asset.decimals for asset in ticks.definitions.assets}
    net: defaultdict[str, Fraction] = defaultdict(Fraction)
    for name, size in zip(book.positions["market"], exact(book.positions, "positions", "size"), strict=True):
        net[name] += size
    rows: list[dict[str, Any]] = []
    for name in sorted(net):
        market, unit = markets[name], 10 ** (markets[name].size_decimals or 0)
        units, given = -net[name] * unit, 0
        if units.denominator != 1:
            raise BookError(f"positions: size: the net size of {name} has more than {market.size_decimals} decimals")
        for number in range(1, accounts + 1):
            share = int(units) * number // accounts - given
            given += share
            if share == 0:
                continue
            size = Fraction(share, unit)
            worth = abs(size) * market.contract_size
            worth = worth * prices[name] if market.kind == "linear" else worth / prices[name]
            places = decimals[market.settlement or "USD"]
            rows.append(
                {
                    "account": f"balance-{name}-{number}",
                    "market": name,
                    "size": floored(size, _PLACES),
                    "entry_price": floored(prices[name], _PLACES),
                    "margin_mode": "isolated",
                    "collateral": -floored(-worth / exact_leverage, places),
                }
            )
    if not rows:
        return book
    numbers = dict.fromkeys(("size", "entry_price", "collateral"), pl.Decimal(38, _PLACES))
    added = pl.DataFrame(rows, schema_overrides=numbers)
    own = _decimals_of(book.positions)
    return _rebuilt(book, pl.concat([own, added], how="diagonal"))


def scaled_to(book: Book, ticks: Ticks, open_interest: Mapping[str, Any]) -> Book:
    """The book brought to a target open interest: in each market all sizes times the same factor, rounded toward zero to the
    market's decimals, at least one unit. Isolated collateral goes with its position; the cash of a cross account, and its
    deposits and withdrawals, with the mean of its markets' factors, weighted by notional at entry: leverage stays.

    It is the same accounts, larger or smaller; their number does not change.

    Args:
        book: the book, a sample.
        ticks: give the markets.
        open_interest: target by market, in the market's unit: the larger of the sums of longs and of shorts. Markets that
            are not named stay.

    Raises:
        BookError: a market is not in the ticks or has no position.
        ConfigError: a target is not positive.
    """
    markets = _markets(book, ticks)
    positions = book.positions
    names, modes = positions["market"].to_list(), _modes(positions)
    sizes = exact(positions, "positions", "size")
    factors = _factors(names, sizes, open_interest)
    scaled: list[Decimal | None] = []
    for name, size in zip(names, sizes, strict=True):
        unit = 10 ** (markets[name].size_decimals or 0)
        units = max(1 if size else 0, int(abs(size) * factors[name] * unit))
        scaled.append(floored(Fraction(units if size > 0 else -units, unit), _PLACES))
    entries = exact(positions, "positions", "entry_price")
    weight: defaultdict[str, Fraction] = defaultdict(Fraction)
    moved: defaultdict[str, Fraction] = defaultdict(Fraction)
    by_position: dict[tuple[str, str], Fraction] = {}
    for name, account, mode, size, entry in zip(names, positions["account"], modes, sizes, entries, strict=True):
        by_position[account, name] = factors[name]
        if mode == "cross":
            market = markets[name]
            worth = abs(size) * market.contract_size * (entry if market.kind == "linear" else 1)
            weight[account] += worth
            moved[account] += worth * factors[name]
    of_account = {account: moved[account] / weight[account] for account in weight}
    decimals = {asset.name: asset.decimals for asset in ticks.definitions.assets}
    changed = positions.with_columns(series("size", scaled, _PLACES))
    if "collateral" in positions.columns:
        kept: list[Decimal | None] = []
        for name, amount in zip(names, positions["collateral"], strict=True):
            places = decimals[markets[name].settlement or "USD"]
            kept.append(None if amount is None else floored(parse_exact(amount) * factors[name], places))
        changed = changed.with_columns(series("collateral", kept, _PLACES))
    accounts, events = book.accounts, book.events
    if len(accounts):
        cash: list[Decimal | None] = [
            floored(amount * of_account.get(account, Fraction(1)), decimals.get(asset, 6))
            for account, asset, amount in zip(
                accounts["account"], accounts["asset"], exact(accounts, "accounts", "collateral"), strict=True
            )
        ]
        accounts = accounts.with_columns(series("collateral", cash, _PLACES))
    if len(events):
        events = _scaled_events(events, of_account, by_position, decimals)
    return Book.from_frames(changed, accounts if len(accounts) else None, events if len(events) else None)


def _scaled_events(
    events: pl.DataFrame,
    of_account: Mapping[str, Fraction],
    by_position: Mapping[tuple[str, str], Fraction],
    decimals: Mapping[str, int],
) -> pl.DataFrame:
    """Amounts go with their account, or their isolated position; sizes of trades with their position."""
    missing = [name for name in ("market", "asset", "amount", "size") if name not in events.columns]
    amounts: list[Decimal | None] = []
    sizes: list[Decimal | None] = []
    for event in events.with_columns(pl.lit(None).alias(name) for name in missing).iter_rows(named=True):
        place = (event["account"], event["market"])
        if event["kind"] == "trade":
            amounts.append(None)
            sizes.append(floored(parse_exact(event["size"]) * by_position.get(place, Fraction(1)), _PLACES))
            continue
        factor = of_account.get(event["account"]) if event["market"] is None else by_position.get(place)
        amount = parse_exact(event["amount"]) * (factor or 1)
        amounts.append(floored(amount, decimals.get(event["asset"], 6)))
        sizes.append(None)
    columns = [series("amount", amounts, _PLACES), series("size", sizes, _PLACES)]
    return events.with_columns(column for column in columns if column.name not in missing)


def _factors(names: list[str], sizes: list[Fraction], targets: Mapping[str, Any]) -> dict[str, Fraction]:
    longs: defaultdict[str, Fraction] = defaultdict(Fraction)
    shorts: defaultdict[str, Fraction] = defaultdict(Fraction)
    for name, size in zip(names, sizes, strict=True):
        (longs if size > 0 else shorts)[name] += abs(size)
    factors = dict.fromkeys(names, Fraction(1))
    for name, target in targets.items():
        if name not in factors:
            raise BookError(f"books.scaled_to: open_interest: no position in {name!r}")
        wanted = parse_exact(target)
        if wanted <= 0:
            raise ConfigError(f"books.scaled_to: open_interest.{name}: expected a positive size, got {target!r}")
        factors[name] = wanted / max(longs[name], shorts[name])
    return factors


def _markets(book: Book, ticks: Ticks) -> dict[str, Market]:
    markets = {market.name: market for market in ticks.definitions.markets}
    for name in book.positions["market"].unique(maintain_order=True):
        if name not in markets:
            raise BookError(f"positions: market {name!r} is not in the ticks")
    return markets


def _modes(positions: pl.DataFrame) -> list[str]:
    if "margin_mode" not in positions.columns:
        return ["isolated"] * len(positions)
    return [mode or "isolated" for mode in positions["margin_mode"]]


def _decimals_of(positions: pl.DataFrame) -> pl.DataFrame:
    """The positions with their numbers as decimals of one kind."""
    modes = pl.Series("margin_mode", _modes(positions))
    columns = [modes]
    for name in ("size", "entry_price", "collateral"):
        if name in positions.columns:
            values = [None if v is None else floored(parse_exact(v), _PLACES) for v in positions[name]]
            columns.append(series(name, values, _PLACES))
    return positions.with_columns(columns)


def _rebuilt(book: Book, positions: pl.DataFrame) -> Book:
    accounts, events = book.accounts, book.events
    return Book.from_frames(positions, accounts if len(accounts) else None, events if len(events) else None)
