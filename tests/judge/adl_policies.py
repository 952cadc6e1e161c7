"""Who gives how much in ADL (section 7): by the text, one unit or one round at a time."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.adl import Candidate, Demand
    from judge.world import View, World

U, H = 10**9, 10**12


def quantities(w: World, view: View, demand: Demand, able: list[Candidate]) -> list[int]:
    """Of those with a capacity, in order."""
    rules, q = w.proto.adl, demand.wanted
    policy = rules.policy
    if policy["kind"] == "queue":
        return queue(w, q, able)
    asked = able if rules.counterparties is None else able[: rules.counterparties]
    given = shared(view, demand, asked, policy)
    assert all(0 <= y <= c.capacity for y, c in zip(given, asked, strict=True))
    assert sum(given) <= q
    return given + [0] * (len(able) - len(asked))


def queue(w: World, q: int, able: list[Candidate]) -> list[int]:
    rules = w.proto.adl
    left, taken, given = q, 0, []
    for c in able:
        units = min(c.capacity, left)
        if not rules.partial_last and (c.capacity < c.size or c.size > left):
            units = 0
        if rules.counterparties is not None and taken == rules.counterparties:
            units = 0
        taken += units > 0
        left -= units
        given.append(units)
    return given


def shared(view: View, demand: Demand, asked: list[Candidate], policy: dict) -> list[int]:
    q, kind = demand.wanted, policy["kind"]
    profits = [max(0, c.pnl) for c in asked]
    capacities = [c.capacity for c in asked]
    if kind == "mirror_descent" and demand.give_up > 0:
        return mirror_descent(view, demand, asked, policy)
    if kind in ("pro_rata", "mirror_descent"):
        return fill(q, profits, capacities)
    if kind == "contracts_pro_rata":
        return fill(q, [c.size for c in asked], capacities)
    if kind == "min_max":
        return min_max(q, [c.settled_equity(view) for c in asked], capacities)
    if policy.get("cap") is not None and demand.give_up > 0:
        limits = [math.floor(Fraction(policy["cap"]) * w * q / demand.give_up) for w in profits]
        capacities = [min(pair) for pair in zip(capacities, limits, strict=True)]
    if kind == "capped_pro_rata":
        return fill(q, profits, capacities)
    assert kind == "risk_aware"
    weights = [w * factor(min(c.leverage(view), 100 * U), policy) for w, c in zip(profits, asked, strict=True)]
    return fill(q, weights, capacities)


def factor(leverage: int, policy: dict) -> int:
    weight = policy.get("weight", "linear")
    g = leverage
    if weight == "power":
        for _ in range(policy.get("power", 1) - 1):
            g = g * leverage // U
    if weight == "cvar":
        g = max(0, leverage - math.floor(Fraction(policy.get("threshold", "0")) * U))
    return leverage * g // U


def fill(q: int, weights: list[int], capacities: list[int]) -> list[int]:
    """Water-filling, residues by the largest remainder."""
    given = [0] * len(weights)
    there = [j for j, w in enumerate(weights) if w > 0]
    left = q
    while there:
        total = sum(weights[j] for j in there)
        full = [j for j in there if left * weights[j] // total >= capacities[j]]
        if not full:
            break
        for j in full:
            given[j] = capacities[j]
        left -= sum(capacities[j] for j in full)
        there = [j for j in there if j not in full]
    if there:
        total = sum(weights[j] for j in there)
        for j in there:
            given[j] = left * weights[j] // total
        rest = left - sum(given[j] for j in there)
        for j in sorted(there, key=lambda j: -(left * weights[j] % total))[:rest]:
            given[j] += 1
    return given


def min_max(q: int, equities: list[int], capacities: list[int]) -> list[int]:
    given = [0] * len(equities)
    for _ in range(q):
        free = [j for j, e in enumerate(equities) if e > 0 and given[j] < capacities[j]]
        if not free:
            break
        given[min(free, key=lambda j: Fraction(given[j] + 1, equities[j]))] += 1
    return given


def mirror_descent(view: View, demand: Demand, asked: list[Candidate], policy: dict) -> list[int]:
    q = demand.wanted
    w = [max(0, c.pnl) for c in asked]
    if not any(w):
        return [0] * len(asked)
    start, step = Fraction(policy.get("start", "0")), Fraction(policy.get("step", "0"))
    wishes = [min(H, math.floor(start * H) + math.floor(step * min(c.leverage(view), 100 * U) * 1000)) for c in asked]

    def y(k: int) -> list[int]:
        shares = [min(H, max(0, wish + k * own // max(w))) for wish, own in zip(wishes, w, strict=True)]
        units = [h * own * q // (demand.give_up * H) for h, own in zip(shares, w, strict=True)]
        return [min(c.capacity, n) for c, n in zip(asked, units, strict=True)]

    low, high = -H * max(w), H * max(w)
    if sum(y(high)) <= q:
        return y(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sum(y(middle)) <= q else (low, middle)
    given, more = y(low), y(low + 1)
    for j in range(len(given)):
        given[j] += min(more[j] - given[j], q - sum(given))
    return given
