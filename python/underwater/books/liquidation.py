"""Where each position would be liquidated, all else standing still."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import polars as pl

from underwater.book import Book
from underwater.books._exact import exact
from underwater.config import BracketMargin, FlatMargin, Protocol
from underwater.errors import BookError, ConfigError
from underwater.market import Market
from underwater.numbers import parse_exact
from underwater.ticks import Ticks


def opening_prices(ticks: Ticks) -> dict[str, Fraction]:
    """The first price of each market. Of ticks that are not loaded only as many are read as it takes to see each market."""
    stream = ticks._stream()
    found: dict[str, Fraction] = {}
    for frame in stream.frames:
        first = frame.group_by("market", maintain_order=True).agg(pl.col("price").first())
        for market, price in first.iter_rows():
            found.setdefault(market, Fraction(price, 10**stream.price_decimals))
        if len(found) == len(stream.definitions.markets):
            break
    return found


def liquidation_prices(
    book: Book, protocol: Protocol, prices: Mapping[str, Any], markets: Iterable[Market] = ()
) -> pl.DataFrame:
    """The price of each position's market at which its account's equity meets its maintenance requirement, while all other
    prices stay as given: solved bracket by bracket, as Binance and Hyperliquid define theirs.

    It is a figure for people: exact rationals, no rounding of the engine, nothing but margin (no feeds, no fees). An account
    must hold one asset; margin rules are flat or brackets.

    Args:
        book: the accounts.
        protocol: its margin rules.
        prices: of all markets of the book.
        markets: definitions of markets; those not defined are linear with contracts of one unit.

    Returns:
        The positions with `price`, `liquidation_price` (Float64; null if no positive price does it) and `distance` (relative,
        from price to liquidation price), in the order of the book.

    Raises:
        BookError: a price is missing, or an account holds several assets.
        ConfigError: a margin rule is of another kind.
    """
    defined = {market.name: market for market in markets}
    rows = book.positions
    sizes, entries = (exact(rows, "positions", name) for name in ("size", "entry_price"))
    known = {name: parse_exact(price) for name, price in prices.items()}
    groups: defaultdict[tuple[str, int], list[_Leg]] = defaultdict(list)
    equity: defaultdict[tuple[str, int], Fraction] = defaultdict(Fraction)
    assets: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    collateral = rows["collateral"].to_list() if "collateral" in rows.columns else [None] * len(rows)
    modes = rows["margin_mode"].to_list() if "margin_mode" in rows.columns else ["isolated"] * len(rows)
    for row, (account, name, mode) in enumerate(zip(rows["account"], rows["market"], modes, strict=True)):
        if name not in known:
            raise BookError(f"positions, row {row}: market: no price of {name!r}")
        market = defined.get(name, Market(name=name))
        key = (account, -1 if mode == "cross" else row)
        leg = _Leg(row, market, sizes[row], entries[row], known[name], _brackets(protocol, name))
        groups[key].append(leg)
        equity[key] += leg.profit(leg.price) + (0 if mode == "cross" else parse_exact(collateral[row]))
        assets[key].add(market.settlement or "USD")
    for account, asset, amount in (
        book.accounts.select("account", "asset", "collateral").rows() if len(book.accounts) else ()
    ):
        if (account, -1) in groups:
            equity[account, -1] += parse_exact(amount)
            assets[account, -1].add(asset)
    solved: list[float | None] = [None] * len(rows)
    for key, legs in groups.items():
        if len(assets[key]) > 1:
            raise BookError(f"account {key[0]!r}: holds several assets: {', '.join(sorted(assets[key]))}")
        required = sum((leg.requirement(leg.price) for leg in legs), Fraction(0))
        for leg in legs:
            free = equity[key] - leg.profit(leg.price) - (required - leg.requirement(leg.price))
            price = leg.solve(free)
            solved[leg.row] = None if price is None else float(price)
    at = pl.Series("price", [float(known[name]) for name in rows["market"]])
    return rows.with_columns(at, pl.Series("liquidation_price", solved, pl.Float64)).with_columns(
        distance=pl.col("liquidation_price") / pl.col("price") - 1
    )


@dataclass(frozen=True)
class _Bracket:
    lower: Fraction
    upper: Fraction | None
    rate: Fraction
    deduction: Fraction


@dataclass(frozen=True)
class _Leg:
    row: int
    market: Market
    size: Fraction
    entry: Fraction
    price: Fraction
    brackets: Sequence[_Bracket]

    @property
    def _units(self) -> Fraction:
        return self.size * self.market.contract_size

    def _notional(self, price: Fraction) -> Fraction:
        return abs(self._units) * (price if self.market.kind == "linear" else 1)

    def profit(self, price: Fraction) -> Fraction:
        """Unrealised, in the settlement asset."""
        if self.market.kind == "linear":
            return self._units * (price - self.entry)
        return self._units * (1 / self.entry - 1 / price)

    def requirement(self, price: Fraction) -> Fraction:
        """In the settlement asset."""
        notional = self._notional(price)
        bracket = [b for b in self.brackets if b.lower <= notional][-1]
        quote = bracket.rate * notional - bracket.deduction
        return quote if self.market.kind == "linear" else quote / price

    def solve(self, free: Fraction) -> Fraction | None:
        """The price at which `free` and the profit meet the requirement."""
        for bracket in self.brackets:
            price = self._within(bracket, free)
            if price is None or price <= 0:
                continue
            notional = self._notional(price)
            if bracket.lower <= notional and (bracket.upper is None or notional < bracket.upper):
                return price
        return None

    def _within(self, bracket: _Bracket, free: Fraction) -> Fraction | None:
        units = self._units
        if self.market.kind == "linear":
            slope = units - bracket.rate * abs(units)
            return (units * self.entry - bracket.deduction - free) / slope if slope else None
        fixed = free + units / self.entry
        return (units + bracket.rate * abs(units) - bracket.deduction) / fixed if fixed else None


def _brackets(protocol: Protocol, market: str) -> list[_Bracket]:
    margin = protocol.margin
    own = margin.own(market)
    rule = own.maintenance if own is not None and own.maintenance is not None else margin.maintenance
    match rule:
        case FlatMargin(rate=rate):
            return [_Bracket(Fraction(0), None, rate, Fraction(0))]
        case BracketMargin(tiers=tiers):
            made: list[_Bracket] = []
            bounds = [tier.lower for tier in tiers]
            uppers = [upper for _, upper in pairwise(bounds)] + [None]
            for tier, upper in zip(tiers, uppers, strict=True):
                follows = made[-1].deduction + tier.lower * (tier.rate - made[-1].rate) if made else Fraction(0)
                made.append(
                    _Bracket(tier.lower, upper, tier.rate, follows if tier.deduction is None else tier.deduction)
                )
            return made
        case _:
            raise ConfigError(
                f"margin of {market}: liquidation prices are solved for flat margin and brackets, got {rule.kind!r}"
            )
