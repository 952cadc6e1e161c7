"""The layers of the waterfall: what they can pay, and how they pay it (section 6)."""

from __future__ import annotations

import itertools
import math

from judge import assessments, funds, limits, token
from judge.assessments import Closed
from judge.world import World


def own_balance(w: World, payer: str, asset: str, t: int) -> int:
    return max(0, w.entity_equity(payer, asset, t))


def capacity(w: World, payer: str, asset: str, t: int) -> int:
    total = own_balance(w, payer, asset, t)
    if asset != w.home.name:
        home = own_balance(w, payer, w.home.name, t)
        price, home_price = w.unit_price(asset, w.reference, t), w.unit_price(w.home.name, w.reference, t)
        total += math.floor(home * home_price / price)
    return total


def would_pay(w: World, layer: str, asset: str, wanted: int, t: int, closed: Closed | None) -> int:
    """`closed` is the account that the layer pays for, if it is one."""
    if wanted <= 0 or not is_asked(w, layer):
        return 0
    allowed = limits.allowed(w, layer, closed, asset, wanted, t)
    if layer == "socialised" and by_open_interest(w):
        return assessments.would_pay(w, closed, asset, allowed)
    if layer == "socialised":
        return allowed
    if layer == "token":
        return token.offer(w, asset, allowed, t)
    available = min(allowed, capacity(w, funds.payer(layer, closed), asset, t))
    if layer == "insurance_fund" and w.proto.coverage == "all_or_none":
        return wanted if available >= wanted else 0
    return min(wanted, available)


def is_asked(w: World, layer: str) -> bool:
    """Whether it pays, and at once."""
    return layer != "adl" and not (layer == "token" and w.proto.token.get("auction"))


def by_open_interest(w: World) -> bool:
    return w.proto.socialised_by == "open_interest"


def at_once(w: World) -> bool:
    return w.proto.socialised_by != "profit"


def covered_before_adl(w: World, closed: Closed, asset: str, wanted: int, t: int) -> int:
    """C_b: what the layers before `adl` would pay."""
    left = wanted
    for layer in itertools.takewhile(lambda layer: layer != "adl", w.proto.waterfall):
        left -= would_pay(w, layer, asset, left, t, closed)
    return wanted - left


def pay(
    w: World, layer: str, payer: str, account: int | str, asset: str, amount: int, t: int, kind: str = "payment"
) -> int:
    """Own units first (but `socialised` pays in the home asset), the rest is bought from outside for the home asset.

    Returns what it cost in USD.
    """
    own = None
    if layer == "socialised":
        own = amount if at_once(w) or asset == w.home.name else 0
    if layer == "token":
        token.sell(w, asset, amount, t)
        own = amount if asset == w.home.name else 0
    return post_payment(w, kind, payer, account, asset, amount, t, own)


def post_payment(
    w: World, kind: str, payer: str, account: int | str, asset: str, amount: int, t: int, own: int | None = None
) -> int:
    if own is None:
        own = amount if asset == w.home.name else min(amount, own_balance(w, payer, asset, t))
    w.ledger.post(kind, payer, account, asset, own)
    if amount > own:
        price, home_price = w.unit_price(asset, w.reference, t), w.unit_price(w.home.name, w.reference, t)
        cost = math.ceil((amount - own) * price / home_price)
        w.ledger.post("conversion", payer, "outside", w.home.name, cost)
        w.ledger.post("payment", "outside", account, asset, amount - own)
        return w.usd(asset, own, t) + w.usd(w.home.name, cost, t)
    return w.usd(asset, own, t)


def run(
    w: World, account: int | str, asset: str, wanted: int, t: int, layers: list[str], closed: Closed | None = None
) -> dict[str, tuple[int, int]]:
    """The layers pay in order; says who paid what, and its cost in USD. What is left is the caller's matter."""
    paid: dict[str, tuple[int, int]] = {}
    for layer in layers:
        left = wanted - sum(n for n, _ in paid.values())
        amount = would_pay(w, layer, asset, left, t, closed)
        if amount > 0 and layer == "socialised" and by_open_interest(w):
            assessments.charge(w, closed, asset, limits.allowed(w, layer, closed, asset, left, t))
        if amount > 0:
            paid[layer] = amount, pay(w, layer, funds.payer(layer, closed), account, asset, amount, t)
            limits.count(w, layer, closed, asset, paid[layer][1], t)
        if left > amount and is_asked(w, layer):
            limits.note_failure(w, layer, closed, t)
    return paid
