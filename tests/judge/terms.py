"""What is scheduled: the scale of dynamic margin, funding and borrow fees (section 4)."""

from __future__ import annotations

import math
from fractions import Fraction

from judge.config import Protocol
from judge.feeds import Feed
from judge.tape import Market, Tape

BILLION = 10**9
HOUR = 3_600 * 10**9


class Terms:
    def __init__(self, tape: Tape, proto: Protocol):
        self.tape, self.proto = tape, proto
        self.feeds: dict[str, Feed] = {}
        self.scales: dict[str, list[tuple[int, Fraction]]] = {}
        self.funding: dict[str, list[tuple[int, int]]] = {}  # steps of the index
        self.borrow: dict[str, list[tuple[int, int]]] = {}
        self.instants: dict[str, set[int]] = {}  # at which the terms of a market are looked at again
        for market in tape.markets.values():
            self.scales[market.name] = self.scale_steps(market)
            self.funding[market.name] = self.steps(market, proto.funding, self.funding_rates(market))
            self.borrow[market.name] = self.steps(market, proto.borrow, self.borrow_rates(market))
            series = self.scales[market.name][1:] + self.funding[market.name] + self.borrow[market.name]
            self.instants[market.name] = {ts for ts, _ in series}

    def price(self, name: str, market: Market, t: int) -> int:
        if name not in self.feeds:
            self.feeds[name] = Feed(self.tape, name, self.proto.feeds)
        return self.feeds[name].price(market.name, t)

    def multiples(self, interval: int) -> list[int]:
        """Those after the opening, up to the end."""
        first = self.tape.start // interval + 1
        return [n * interval for n in range(first, self.tape.end // interval + 1)]

    def scale_steps(self, market: Market) -> list[tuple[int, Fraction]]:
        rules = self.proto.margin_of(market.name).dynamic
        if rules is None:
            return []
        floor, cap = Fraction(rules.get("floor", 1)), Fraction(rules["cap"])
        floor, cap = Fraction(math.floor(floor * 10**6), 10**6), Fraction(math.floor(cap * 10**6), 10**6)
        feed, sample, look_back = rules.get("feed", "last"), rules["sample"], rules["look_back"]
        now, steps = floor, [(self.tape.start - 1, floor)]
        for t in self.multiples(rules["cadence"]):
            variance = 0
            for g in range(t - look_back + sample, t + 1, sample):
                before, after = self.price(feed, market, g - sample), self.price(feed, market, g)
                variance += math.trunc(Fraction((after - before) * BILLION, before)) ** 2
            square = Fraction(variance, 10**18) / Fraction(rules["base"]) ** 2
            wanted = Fraction(math.isqrt(math.floor(square * 10**12)), 10**6)
            wanted = min(max(wanted, floor), cap)
            if rules.get("max_rise") is not None:
                wanted = min(wanted, now + Fraction(math.floor(Fraction(rules["max_rise"]) * 10**6), 10**6))
            if rules.get("max_fall") is not None:
                wanted = max(wanted, now - Fraction(math.floor(Fraction(rules["max_fall"]) * 10**6), 10**6))
            now = wanted
            steps.append((t, now))
        return steps

    def funding_rates(self, market: Market) -> list[tuple[int, Fraction]]:
        rules = self.proto.funding
        if rules is None:
            return []
        if rules["kind"] == "series":
            return self.given(rules["rates"].get(market.name, []))
        interval, sample = rules.get("interval", 8 * HOUR), rules.get("sample", HOUR // 60)

        def billionths(field: str, default: str) -> int:
            return math.floor(Fraction(rules.get(field, default)) * BILLION)

        interest, band = billionths("interest", "0.0001"), billionths("band", "0.0005")
        rates = []
        for t in self.multiples(interval):
            premiums = []
            for g in self.multiples(sample):
                if t - interval < g <= t:
                    of = self.price(rules.get("of", "last"), market, g)
                    over = self.price(rules.get("over", "index"), market, g)
                    premiums.append((of - over) * BILLION // over)
            mean = sum(premiums) // len(premiums)
            rate = mean + min(max(interest - mean, -band), band)
            if rules.get("cap") is not None:
                cap = billionths("cap", "0")
                rate = min(max(rate, -cap), cap)
            rates.append((t, Fraction(rate, BILLION) * Fraction(rules.get("share", 1))))
        return rates

    def borrow_rates(self, market: Market) -> list[tuple[int, Fraction]]:
        rules = self.proto.borrow
        if rules is None:
            return []
        rates = self.given((rules.get("rates") or {}).get(market.name, []))
        interval, hourly = rules.get("interval", HOUR), Fraction(rules.get("rate_per_hour", 0))
        if hourly > 0:
            rates += [(t, hourly * Fraction(interval, HOUR)) for t in self.multiples(interval)]
        return sorted(rates)

    def given(self, points: list[dict]) -> list[tuple[int, Fraction]]:
        return [(p["ts"], Fraction(p["rate"])) for p in points if self.tape.start < p["ts"] <= self.tape.end]

    def steps(self, market: Market, rules: dict | None, rates: list[tuple[int, Fraction]]) -> list[tuple[int, int]]:
        """Each rate times the notional of a unit of size, in units of an index, down."""
        out = []
        for t, rate in rates:
            price = self.price(rules.get("feed") or self.proto.trigger_feed, market, t)
            out.append((t, math.floor(rate * abs(market.exact_value(1, price)) * 10**12)))
        return out

    def scale(self, market: str, t: int) -> Fraction:
        scale = Fraction(1)
        for ts, step in self.scales[market]:
            if ts <= t:
                scale = step
        return scale
