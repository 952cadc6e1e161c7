"""Requirements of legs (section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from judge.ledger import Position


@dataclass
class Margin:
    """The rules of a market."""

    rule: dict
    initial: dict | None  # none: the maintenance requirement stands for the initial one
    minimum: Fraction | None
    dynamic: dict | None


def read_margin(margin: dict, own: dict) -> Margin:
    """Of a market; what it does not override is inherited."""

    def pick(field: str) -> object:
        return own[field] if own.get(field) is not None else margin.get(field)

    source = own if own.get("initial") is not None or own.get("initial_rate") is not None else margin
    initial = source.get("initial")
    if source.get("initial_rate") is not None:
        initial = {"kind": "flat", "rate": source["initial_rate"]}
    minimum = pick("minimum")
    return Margin(
        pick("maintenance") or {"kind": "flat", "rate": "0.005"},
        initial,
        None if minimum is None else Fraction(minimum),
        pick("dynamic"),
    )


def bracket(rule: dict, notional: Fraction) -> Fraction:
    """Rate and deduction of the last bracket that is reached."""
    before, deduction = Fraction(0), Fraction(0)
    charged = Fraction(0)
    for tier in rule["tiers"]:
        lower, rate = Fraction(tier["lower"]), Fraction(tier["rate"])
        deduction += lower * (rate - before)
        if tier.get("deduction") is not None:
            deduction = Fraction(tier["deduction"])
        before = rate
        if lower <= notional:
            charged = rate * notional - deduction
    return charged


def rate_by_size(rule: dict, size: Fraction) -> Fraction:
    if rule["kind"] == "size_steps":
        return [Fraction(step["rate"]) for step in rule["steps"] if Fraction(step["lower"]) <= size][-1]
    base, cap = Fraction(rule["base"]), Fraction(rule.get("cap", 1))
    if rule["kind"] == "linear_size":
        rise = Fraction(rule["slope"]) * max(Fraction(0), size - Fraction(rule.get("above", 0)))
        return min(cap, base + rise)
    root = Fraction(math.isqrt(math.floor(size * 10**12)), 10**6)
    return min(cap, max(base, Fraction(rule.get("share", "0.8")) * base + Fraction(rule["factor"]) * root))


def rate_by_open_interest(rule: dict, notional: Fraction) -> Fraction:
    base, cap = Fraction(rule["base"]), Fraction(rule.get("cap", 1))
    lower, upper = Fraction(rule["lower"]), Fraction(rule["upper"])
    way = min(max(notional - lower, Fraction(0)), upper - lower) / (upper - lower)
    return base + Fraction(math.floor((cap - base) * way * 10**6), 10**6)


def quote(rule: dict, leg: Position, price: int, open_interest: Callable[[], int]) -> Fraction:
    """The requirement in quote units."""
    market = leg.market
    notional = market.notional(leg.size, price)
    entry = notional
    if market.kind == "linear":
        entry = Fraction(abs(leg.entry_value), 10**market.settlement_decimals)
    kind = rule["kind"]
    if kind == "flat":
        return Fraction(rule["rate"]) * notional
    if kind == "brackets":
        return bracket(rule, notional)
    if kind == "leverage":
        fees = Fraction(rule.get("fee", 0)) + Fraction(rule.get("fee_rate", 0)) * entry
        return max(fees, entry / Fraction(rule["max_leverage"]))
    if kind == "collateral_share":
        return Fraction(rule.get("fee_rate", 0)) * entry
    if kind == "open_interest":
        return rate_by_open_interest(rule, market.notional(open_interest(), price)) * notional
    if kind == "initial_share":
        whole = math.ceil(market.settle(Fraction(rule["rate"]) * notional, price))
        return Fraction(rule["share"]) * market.unsettle(whole, price)
    return rate_by_size(rule, abs(Fraction(leg.size, 10**market.size_decimals))) * notional


def requirement(
    margin: Margin, leg: Position, price: int, initial: bool, scale: Fraction, open_interest: Callable[[], int]
) -> int:
    """Of a leg with a size, in units of its settlement asset."""
    rule, scaled = margin.rule, True
    if initial and margin.initial is not None:
        rule = margin.initial
        scaled = margin.dynamic is not None and margin.dynamic.get("initial", True)
    needed = quote(rule, leg, price, open_interest)
    if scaled and needed > 0:
        needed *= scale
    if margin.minimum is not None:
        needed = max(needed, margin.minimum)
    return math.ceil(leg.market.settle(needed, price))


def kept_share(margin: Margin, initial: bool) -> Fraction | None:
    """Share of the collateral that the rule wants kept, if it is of that kind."""
    rule = margin.initial if initial and margin.initial is not None else margin.rule
    return 1 - Fraction(rule.get("lost", "0.9")) if rule["kind"] == "collateral_share" else None
