"""What closing a leg must bring for its account to end at zero: the account's equity, attributed to its legs (section 5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge.ledger import Account, Position
from judge.world import View, World

if TYPE_CHECKING:
    from judge.adl import Match
    from judge.closing import Fill, Hypothesis


def shares(total: int, weights: list[int]) -> list[int]:
    """Parts of a total in proportion to the weights, by cumulated floors; all to the first if nothing weighs."""
    if sum(weights) == 0:
        weights = [1] + [0] * (len(weights) - 1)
    parts, cumulated = [], 0
    for weight in weights:
        before = total * cumulated // sum(weights)
        cumulated += weight
        parts.append(total * cumulated // sum(weights) - before)
    return parts


def weights_of(w: World, view: View, legs: list[Position], prices: list[int]) -> list[int]:
    """By which the equity of an asset is attributed to its legs, at a price for each."""
    if w.proto.attribution == "notional":
        return [
            math.ceil(leg.market.settle(leg.market.notional(leg.size, x), x))
            for leg, x in zip(legs, prices, strict=True)
        ]
    if w.proto.attribution == "maintenance":
        return [view.leg_requirement(leg, x) for leg, x in zip(legs, prices, strict=True)]
    return [1] + [0] * (len(legs) - 1)


def bankruptcy_amounts(w: World, view: View, account: Account, h: Hypothesis) -> dict[int, int]:
    """T by id of the leg: what closing it must bring for the account to end at zero."""
    amounts = {}
    for b in account.assets:
        legs = [leg for leg in account.open_legs() if leg.market.settlement == b]
        if not legs:
            continue
        weights = weights_of(w, view, legs, [h.prices[id(leg)] for leg in legs])
        for leg, share in zip(legs, shares(h.equity[b], weights), strict=True):
            amounts[id(leg)] = leg.market.value(leg.size, h.prices[id(leg)]) - share
    return amounts


def lacking(legs: list[Position], bankruptcy: dict[int, int], fills: list[Fill], matches: list[Match]) -> list[int]:
    """By leg: what these fills bring less than its bankruptcy amount."""
    brought = {id(leg): 0 for leg in legs}
    for f in fills:
        brought[id(f.leg)] += f.net
    for m in matches:
        brought[id(m.leg)] += m.amount
    return [max(0, bankruptcy[id(leg)] - brought[id(leg)]) for leg in legs]


def settled_notional(leg: Position, price: int) -> int:
    return math.ceil(leg.market.settle(leg.market.notional(leg.size, price), price))
