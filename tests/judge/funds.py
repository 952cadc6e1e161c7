"""Insurance funds of some markets, and how amounts are divided among funds (section 6)."""

from __future__ import annotations

import itertools

from judge.assessments import Closed
from judge.world import World

GENERAL = "insurance_fund"


def of_market(w: World, market: str) -> str:
    return w.proto.fund_of.get(market, GENERAL)


def every(w: World) -> list[str]:
    return [GENERAL, *sorted(set(w.proto.fund_of.values()))]


def payer(layer: str, closed: Closed | None) -> str:
    """The holder that pays of a layer."""
    return closed.fund if layer == GENERAL and closed is not None else layer


def receiver(w: World, sink: str, market: str) -> str:
    """The holder that gets what is due to a sink in a market."""
    return of_market(w, market) if sink == GENERAL else sink


def parts(total: int, weights: list[int]) -> list[int]:
    if sum(weights) == 0:
        weights = [1, *weights[1:]]
    cumulated = [sum(weights[:k]) for k in range(len(weights) + 1)]
    whole = cumulated[-1]
    return [total * b // whole - total * a // whole for a, b in itertools.pairwise(cumulated)]


def portions(
    w: World, closed: Closed, asset: str, amount: int, weights: list[int] | None = None
) -> list[tuple[Closed, int]]:
    """By fund: its legs, and its part of the amount, by weights of the legs or else by their notionals."""
    if not w.proto.fund_of:
        return [(closed, amount)]
    pairs = list(zip(closed.legs, weights or [notional for _, notional in closed.legs], strict=True))
    own = [(leg, weight) for leg, weight in pairs if leg[0].settlement == asset] or pairs[:1]
    found: dict[str, tuple[Closed, int]] = {}
    for (leg, _), part in zip(own, parts(amount, [weight for _, weight in own]), strict=True):
        fund = of_market(w, leg[0].name)
        own, so_far = found.get(fund, (Closed(closed.account, [], fund), 0))
        found[fund] = Closed(closed.account, [*own.legs, leg], fund), so_far + part
    return list(found.values())


def of_leg(w: World, closed: Closed, market: str) -> Closed:
    """What is a matter of the fund of a market."""
    fund = of_market(w, market)
    return Closed(closed.account, [leg for leg in closed.legs if of_market(w, leg[0].name) == fund], fund)


def divided(w: World, amount: int, by_market: list[tuple[str, int]]) -> dict[str, int]:
    """An amount by fund, by weights of markets."""
    found: dict[str, int] = {}
    for (market, _), part in zip(by_market, parts(amount, [weight for _, weight in by_market]), strict=True):
        found[of_market(w, market)] = found.get(of_market(w, market), 0) + part
    return found
