"""The remainder `deleverage` of a bound: fills that the payers refuse, and whole positions for ADL (section 5c)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge import adl, attributing, closing, execution, funds, house, layers, limits, penalty

if TYPE_CHECKING:
    from fractions import Fraction

    from judge.closing import Hypothesis
    from judge.ledger import Account, Position
    from judge.world import View, World


def part_above(total: int, quantity: int, of: int) -> int:
    """The part of an amount that so many units have, rounded up."""
    return -(-total * quantity // of)


def accepted(
    w: World, view: View, account: Account, h: Hypothesis, rate: Fraction, q: dict[int, int]
) -> dict[int, int]:
    """What the market takes of each leg up to the first fill that is refused, by id of the leg."""
    venue, bankruptcy = w.venue.copy(), attributing.bankruptcy_amounts(w, view, account, h)
    closed = closing.closed_of(account, h)
    asked: dict[tuple[str, str], int] = {}  # by asset and fund
    found = {}
    for leg in account.open_legs():
        b, size, done = leg.market.settlement, abs(leg.size), 0
        total, part = bankruptcy[id(leg)], funds.of_leg(w, closed, leg.market.name)
        key = b, part.fund
        asked.setdefault(key, 0)
        for quantity, price, _ in execution.within(venue, view, leg, q[id(leg)], h.feeds[id(leg)], h.limits[id(leg)]):
            amount = leg.market.value(adl.sign(leg.size) * quantity, price)
            due = part_above(total, done + quantity, size) - part_above(total, done, size)
            delta = amount - execution.fee(w.proto.execution, leg, quantity, amount) - due
            if delta < 0:
                needed = max(0, asked[key] - delta)
                prepaid = house.prepaid(w, b, needed)
                if prepaid + layers.covered_before_adl(w, part, b, needed - prepaid, view.t) < needed:
                    break
                asked[key] -= delta
            else:
                charged = penalty.limited(w, view, rate, b, abs(amount), delta)
                asked[key] -= math.floor(w.proto.penalty.split.get("insurance_fund", 0) * charged)
            done += quantity
        found[id(leg)] = done
    return found


def wanted_of_adl(
    w: World, view: View, account: Account, chosen: dict[int, int], filled: dict[int, int]
) -> list[tuple[Position, int]]:
    """The whole of the chosen legs, where nothing fills and the account is below zero."""
    if "adl" not in w.proto.waterfall or any(filled.values()) or view.equity(account) >= 0:
        return []
    legs = [
        (leg, abs(leg.size))
        for leg in account.open_legs()
        if chosen[id(leg)] > 0 and limits.is_on(w, "adl", funds.of_market(w, leg.market.name), view.t)
    ]
    return [(leg, size) for b in account.assets for leg, size in legs if leg.market.settlement == b]


def plan(
    w: World, view: View, account: Account, h: Hypothesis, rate: Fraction, elapsed: int
) -> tuple[closing.Part | None, list[tuple[Position, int]]]:
    """What an action fills in the market (None: the whole), and what it wants of ADL."""
    chosen = closing.chosen_by_policy(w, view, account, h, rate, elapsed)
    filled = accepted(w, view, account, h, rate, chosen)
    wanted = wanted_of_adl(w, view, account, chosen, filled)
    whole = all(filled[id(leg)] == abs(leg.size) for leg in account.open_legs())
    return None if whole else closing.fill_part(w, view, account, h, filled), wanted
