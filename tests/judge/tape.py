"""Markets, assets and the tape (section 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Print = tuple[int, int, int | None]


@dataclass(frozen=True)
class Market:
    name: str
    kind: str
    contract: Fraction
    own_decimals: int
    price_decimals: int  # the larger of its own and its index market's
    size_decimals: int
    settlement: str
    settlement_decimals: int
    index: str | None

    def exact_value(self, size: int, price: int | Fraction) -> Fraction:
        """V(s, p) in units of the settlement asset."""
        base = Fraction(size, 10**self.size_decimals) * self.contract
        p = Fraction(price) / 10**self.price_decimals
        unit = 10**self.settlement_decimals
        return base * p * unit if self.kind == "linear" else -base / p * unit

    def value(self, size: int, price: int) -> int:
        return math.floor(self.exact_value(size, price))

    def notional(self, size: int, price: int) -> Fraction:
        """NQ, in quote units."""
        base = abs(Fraction(size, 10**self.size_decimals)) * self.contract
        return base * Fraction(price, 10**self.price_decimals) if self.kind == "linear" else base

    def settle(self, quote: Fraction, price: int) -> Fraction:
        """A quote amount of a leg, in units of the settlement asset."""
        unit = 10**self.settlement_decimals
        return quote * unit if self.kind == "linear" else quote / Fraction(price, 10**self.price_decimals) * unit

    def unsettle(self, amount: int, price: int) -> Fraction:
        """Units of the settlement asset as a quote amount."""
        return amount / self.settle(Fraction(1), price)


@dataclass(frozen=True)
class Asset:
    name: str
    decimals: int
    price_market: str | None


class Tape:
    """The definitions and the prints of every market, prices brought to the market's `price_decimals`."""

    def __init__(self, definitions: dict, ticks: dict[str, list[Print]]):
        specs = {m["name"]: m for m in definitions["markets"]}
        self.prints = ticks
        self.assets = {
            a["name"]: Asset(a["name"], a["decimals"], a.get("price_market")) for a in definitions.get("assets", [])
        }
        for name in sorted(specs):
            asset = specs[name].get("settlement") or "USD"
            if asset not in self.assets:
                inverse = specs[name].get("kind") == "inverse"
                self.assets[asset] = Asset(asset, 8, name) if inverse else Asset(asset, 6, None)
        self.markets: dict[str, Market] = {}
        for name in sorted(specs):
            spec = specs[name]
            index = spec.get("index")
            own = spec["price_decimals"]
            settlement = spec.get("settlement") or "USD"
            self.markets[name] = Market(
                name=name,
                kind=spec.get("kind", "linear"),
                contract=Fraction(spec.get("contract_size", "1")),
                own_decimals=own,
                price_decimals=max(own, specs[index]["price_decimals"]) if index else own,
                size_decimals=spec["size_decimals"],
                settlement=settlement,
                settlement_decimals=self.assets[settlement].decimals,
                index=index,
            )
        self.start = min(ts for prints in ticks.values() for ts, _, _ in prints)
        self.end = max(ts for prints in ticks.values() for ts, _, _ in prints)

    def asset(self, name: str) -> Asset:
        return self.assets.setdefault(name, Asset(name, 6, None))

    def home_asset(self) -> str:
        settled = sorted({m.settlement for m in self.markets.values()})
        return next((a for a in settled if self.asset(a).price_market is None), "USD")

    def source(self, market: str, source: str) -> list[tuple[int, int]]:
        """The prints (ts, price) that a feed reads: the market's own, or its index market's (own if it has none)."""
        m = self.markets[market]
        origin = self.markets[m.index] if source == "index" and m.index else m
        scale = 10 ** (m.price_decimals - origin.own_decimals)
        return [(ts, price * scale) for ts, price, _ in self.prints[origin.name]]

    def next_print(self, market: str, after: int) -> tuple[int, int] | None:
        """The first own print, in file order, with ts > after."""
        return next(((ts, price) for ts, price in self.source(market, "own") if ts > after), None)
