"""The token backstop: new tokens are sold for what is missing (section 6)."""

from __future__ import annotations

import math
from fractions import Fraction

from judge.execution import decay
from judge.world import World

ONE = 10**12


def weighs(w: World, t: int) -> int:
    """Micro-dollars of earlier sales that still weigh on the price."""
    impact = w.proto.token.get("impact") or {}
    return decay(w.token_weight, t - w.token_since, impact.get("half_life"))


def displacement(impact: dict, weight: int) -> int:
    share = Fraction(weight) / (Fraction(impact["depth"]) * 10**6)
    if impact["kind"] == "linear":
        return math.floor(ONE * share)
    return math.isqrt(math.floor(ONE**2 * share))


def proceeds(w: World, before: int, nominal: int) -> int:
    impact = w.proto.token.get("impact")
    mean = Fraction(0)
    if impact is not None:
        a, b = displacement(impact, before), displacement(impact, before + nominal)
        if impact["kind"] == "linear":
            mean = Fraction(a + b, 2 * ONE)
        else:
            mean = (Fraction(a) if a == b else Fraction(2 * (b**3 - a**3), 3 * (b**2 - a**2))) / ONE
    left = math.floor(nominal * max(0, 1 - mean))
    return math.floor(left * (1 - Fraction(w.proto.token.get("discount", "0"))))


def sale(w: World, need: int, t: int) -> tuple[int, int]:
    """What must be sold for so much of the home asset, and what that brings."""
    if need <= 0:
        return 0, 0
    before, impact = weighs(w, t), w.proto.token.get("impact")
    if impact is None:
        most = math.ceil(need / (1 - Fraction(w.proto.token.get("discount", "0"))))
    else:
        most = max(0, math.floor(Fraction(impact["depth"]) * 10**6) - before)
    brought = proceeds(w, before, most)
    if brought < need:
        return most, brought
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if proceeds(w, before, middle) < need else (low, middle)
    return high, need


def offer(w: World, asset: str, wanted: int, t: int) -> int:
    price, home_price = w.unit_price(asset, w.reference, t), w.unit_price(w.home.name, w.reference, t)
    cost = math.ceil(wanted * price / home_price)
    return min(wanted, math.floor(sale(w, cost, t)[1] * home_price / price))


def sell(w: World, asset: str, amount: int, t: int) -> None:
    """Sells for what has been paid."""
    price, home_price = w.unit_price(asset, w.reference, t), w.unit_price(w.home.name, w.reference, t)
    nominal, brought = sale(w, math.ceil(amount * price / home_price), t)
    w.token_weight, w.token_since = weighs(w, t) + nominal, t
    w.token_cost += nominal - brought
    market = w.proto.token.get("market")
    if market is None:
        dollars = Fraction(w.proto.token["price"])
    else:
        dollars = Fraction(w.reference.price(market, t), 10 ** w.tape.markets[market].price_decimals)
    w.token_minted += math.ceil(nominal / dollars)


def list_who_pays(w: World) -> None:
    w.result.who_pays.append({"section": "beside", "line": "token_sale_cost", "amount_usd": w.token_cost})
