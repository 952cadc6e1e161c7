"""Markets, assets, the tape and the feeds (sections 1 and 3)."""

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


class Feed:
    """A step series per market: the prints that become visible at each timestamp, in order."""

    def __init__(self, tape: Tape, spec: dict | str, feeds: dict[str, dict]):
        self.tape = tape
        if isinstance(spec, str):
            spec = named_feed(spec, feeds)
        self.steps: dict[str, list[tuple[int, list[int]]]] = {}
        for market in tape.markets:
            if spec["kind"] == "push":
                source = named_feed(spec.get("source", "last"), feeds)
                states = [(ts, prints[-1]) for ts, prints in published(tape, market, source)]
                self.steps[market] = group(push(states, spec), last_only=True)
            else:
                self.steps[market] = published(tape, market, spec)

    def price(self, market: str, t: int) -> int:
        """The last print visible at t; before the first timestamp of the feed, what it shows at that timestamp."""
        seen = self.steps[market][0][1][-1]
        for ts, prints in self.steps[market]:
            if ts <= t:
                seen = prints[-1]
        return seen

    def prints_at(self, market: str, t: int) -> list[int]:
        """The prints that became visible at exactly t; empty if the feed was not updated."""
        return next((prints for ts, prints in self.steps[market] if ts == t), [])


def named_feed(name: str, feeds: dict[str, dict]) -> dict:
    predefined = {"last": {"kind": "last", "source": "own"}, "index": {"kind": "last", "source": "index"}}
    return feeds.get(name) or predefined[name]


def published(tape: Tape, market: str, spec: dict) -> list[tuple[int, list[int]]]:
    states = tape.source(market, spec.get("source", "own"))
    return group(states, last_only=spec.get("prints", "last_of_instant") == "last_of_instant")


def group(states: list[tuple[int, int]], last_only: bool) -> list[tuple[int, list[int]]]:
    steps: list[tuple[int, list[int]]] = []
    for ts, price in states:
        if steps and steps[-1][0] == ts:
            steps[-1][1].append(price)
        else:
            steps.append((ts, [price]))
    return [(ts, prints[-1:]) for ts, prints in steps] if last_only else steps


def push(states: list[tuple[int, int]], spec: dict) -> list[tuple[int, int]]:
    """The writes of an oracle, at the time they become visible."""
    deviation, heartbeat, latency = Fraction(spec["deviation"]), spec["heartbeat"], spec.get("latency", 0)
    writes = [states[0]]
    for ts, price in states[1:]:
        last_ts, last = writes[-1]
        if abs(price - last) >= deviation * last or ts - last_ts >= heartbeat:
            writes.append((ts, price))
    return [(ts + latency, price) for ts, price in writes]
