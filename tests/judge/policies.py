"""How much of which leg an action closes, and when an account is healthy (section 5a)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from judge.draws import draw
from judge.ledger import Account, Position
from judge.world import View, World

STEPS = 2**20


@dataclass
class Choice:
    """A leg that may be closed."""

    leg: Position
    size: int  # S
    notional: int  # N
    profit: int  # L
    closed: int  # C


def healthy(view: View, account: Account) -> bool:
    """By the account as it stands in the ledger."""
    stop = view.world.proto.close.stop
    if not account.open_legs():
        return True
    if view.liquidatable(account):
        return False
    initial = stop.requirement == "initial"
    return view.equity(account, initial=initial) >= stop.factor * view.requirement(account, initial=initial)


def wanted(view: View, account: Account) -> bool:
    """Whether an action on a queued account is to be carried out."""
    return not healthy(view, account) if account.underway else view.liquidatable(account)


def notional(view: View, leg: Position, x0: int) -> int:
    settled = math.ceil(leg.market.settle(leg.market.notional(leg.size, x0), x0))
    return math.ceil(settled * view.collateral(leg.market.settlement))


def choices(view: View, account: Account, prices: dict[int, int]) -> list[Choice]:
    """The legs in the order in which they are closed."""
    found = []
    for leg in account.open_legs():
        x0 = prices[id(leg)]
        gain = leg.market.value(leg.size, x0) - leg.entry_value
        profit = math.floor(gain * view.collateral(leg.market.settlement))
        found.append(Choice(leg, abs(leg.size), notional(view, leg, x0), profit, account.closed_units.get(id(leg), 0)))
    order = view.world.proto.close.positions
    if order == "largest_notional":
        found.sort(key=lambda c: -c.notional)
    if order == "largest_loss":
        found.sort(key=lambda c: c.profit)
    if order == "random":
        u = draw(view.world.proto.keeper.get("seed", 0), 4, account.number, view.t)
        first = u * len(found) >> 64
        found = found[first:] + found[:first]
    return found


def quantities(
    w: World, view: View, account: Account, legs: list[Choice], elapsed: int, heals: Callable[[dict[int, int]], bool]
) -> dict[int, int]:
    """q by id of the leg."""
    close = w.proto.close
    taken = legs if close.positions == "all" else legs[:1]
    policy = close.policy
    kind = policy["kind"]
    if kind == "full":
        q = {id(c.leg): c.size for c in taken}
    elif kind == "fraction":
        q = fraction(policy, taken)
    elif kind == "split":
        q = split(policy, account, taken)
    elif kind == "target":
        q = target(close.positions == "all", legs, heals)
    elif kind == "ramp":
        goal = {id(c.leg): c.size for c in taken}
        if policy.get("of", "position") == "target":
            goal = target(close.positions == "all", legs, heals)
        q = ramp(policy, legs, goal, elapsed)
    else:
        q = tier(policy, view, taken)
    q = {id(c.leg): q.get(id(c.leg), 0) for c in legs}
    if not any(q.values()):
        q[id(legs[0].leg)] = 1
    return q


def fraction(policy: dict, taken: list[Choice]) -> dict[int, int]:
    q, used = {}, 0
    for c in taken:
        least = Fraction(policy.get("minimum", "0")) * 10**6
        wanted = max(math.ceil(c.size * Fraction(policy["share"])), math.ceil(c.size * least / c.notional))
        if policy.get("cap") is not None:
            room = max(0, Fraction(policy["cap"]) * 10**6 - used)
            wanted = min(wanted, math.floor(c.size * room / c.notional))
        wanted = min(wanted, c.size)
        used += math.ceil(Fraction(c.notional * wanted, c.size))
        q[id(c.leg)] = wanted
    return q


def split(policy: dict, account: Account, taken: list[Choice]) -> dict[int, int]:
    q = {}
    for c in taken:
        first = not account.underway and c.notional > Fraction(policy["threshold"]) * 10**6
        q[id(c.leg)] = math.ceil(c.size * Fraction(policy["share"])) if first else c.size
    return q


def target(together: bool, legs: list[Choice], heals: Callable[[dict[int, int]], bool]) -> dict[int, int]:
    def spread(n: int) -> dict[int, int]:
        if together:
            return {id(c.leg): -(-c.size * n // STEPS) for c in legs}
        q, left = {}, n
        for c in legs:
            q[id(c.leg)] = min(left, c.size)
            left -= q[id(c.leg)]
        return q

    low, high = 0, STEPS if together else sum(c.size for c in legs)
    while high - low > 1:
        middle = (low + high) // 2
        if heals(spread(middle)):
            high = middle
        else:
            low = middle
    return spread(high)


def ramp(policy: dict, legs: list[Choice], goal: dict[int, int], elapsed: int) -> dict[int, int]:
    share = min(Fraction(1), Fraction(policy["initial"]) + Fraction(elapsed, policy["duration"]))
    closed = {id(c.leg): c.closed for c in legs}
    return {leg: max(0, min(n, math.floor((n + closed[leg]) * share) - closed[leg])) for leg, n in goal.items()}


def tier(policy: dict, view: View, taken: list[Choice]) -> dict[int, int]:
    def bracket(leg: Position, size: int) -> int:
        rule = view.world.proto.margin_of(leg.market.name).rule
        if rule["kind"] == "brackets":
            bounds, reached = rule["tiers"], leg.market.notional(size, view.trigger(leg))
        elif rule["kind"] == "size_steps":
            bounds, reached = rule["steps"], Fraction(size, 10**leg.market.size_decimals)
        else:
            return 0
        return max(k for k, bound in enumerate(bounds) if Fraction(bound["lower"]) <= reached)

    q = {}
    for c in taken:
        now = bracket(c.leg, c.size)
        wanted = max(0, now - policy.get("steps", 1))
        fits = (n for n in range(1, c.size + 1) if bracket(c.leg, c.size - n) <= wanted)
        q[id(c.leg)] = c.size if now == 0 else next(fits)
    return q
