"""Layers that pay later: a treasury after a vote, tokens that are put up (section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge import funds, layers, limits, token
from judge.assessments import Closed
from judge.world import World


@dataclass
class Loss:
    event: int
    closed: Closed
    asset: str
    amount: int  # what was uncovered, in units and in micro-dollars
    usd: int
    owed: dict[str, int]  # who would be paid back by a late deposit
    row: dict
    later: int = 0  # units that were paid later

    def worth(self, part: int) -> int:
        return self.usd * part // self.amount


@dataclass
class Claim:
    layer: str
    due: int
    loss: Loss


def terms(w: World, layer: str) -> dict | None:
    """How a layer pays later, if it does."""
    if layer == "treasury" and w.proto.treasury.get("delay") is not None:
        return {"delay": w.proto.treasury["delay"]}
    return w.proto.token.get("auction") if layer == "token" else None


def payers(w: World) -> list[str]:
    return [layer for layer in w.proto.waterfall if terms(w, layer) is not None]


def claim(w: World, closed: Closed, asset: str, amount: int, t: int) -> None:
    """What nobody has covered, by the last row of bad debt."""
    if amount == 0:
        return
    own = Closed(closed.account, closed.legs, funds.of_market(w, limits.market_of(closed, asset)))
    owed, row = w.paid[closed.account.number, asset][-1][1], w.result.bad_debt[-1]
    loss = Loss(w.ledger.event, own, asset, amount, row["uncovered_usd"], owed, row)
    w.claims += [Claim(layer, t + terms(w, layer)["delay"], loss) for layer in payers(w)]


def instants(w: World) -> set[int]:
    """When a layer pays next."""
    return {max(c.due, w.not_before.get(c.layer, c.due)) for c in w.claims}


def pay(w: World, t: int) -> None:
    """Step 1 of an instant."""
    for layer in payers(w):
        due = [c for c in w.claims if c.layer == layer and c.due <= t]
        if not due or w.not_before.get(layer, t) > t:
            continue
        lot, interval = terms(w, layer).get("lot"), terms(w, layer).get("interval")
        room = None if lot is None else math.floor(Fraction(lot) * 10**6)
        for c in due:
            cost = pay_one(w, layer, c.loss, room, t)
            room = None if room is None else max(0, room - cost)
            if interval is None or c.loss.owed["uncovered"] == 0:
                w.claims.remove(c)
        if interval is not None:
            w.not_before[layer] = t + interval
        w.ledger.check()


def pay_one(w: World, layer: str, loss: Loss, room: int | None, t: int) -> int:
    """Says what it cost in micro-dollars."""
    asset, amount = loss.asset, loss.owed["uncovered"]
    w.ledger.event = loss.event
    if layer == "token":
        amount = limits.allowed(w, layer, loss.closed, asset, amount, t)
    if room is not None:
        amount = min(amount, math.floor(room / w.unit_price(asset, w.reference, t)))
    has = layers.capacity(w, layer, asset, t) if layer == "treasury" else token.offer(w, asset, amount, t)
    amount, cost = min(amount, has), 0
    if amount > 0:
        cost = layers.pay(w, layer, layer, "uncovered", asset, amount, t, "late_payment")
        if layer == "token":
            limits.count(w, layer, loss.closed, asset, cost, t)
        worth = loss.worth(loss.later + amount) - loss.worth(loss.later)
        loss.later += amount
        loss.owed["uncovered"] -= amount
        loss.owed[layer] = loss.owed.get(layer, 0) + amount
        loss.row[f"{layer}_later_usd"] += worth
        loss.row[f"{layer}_usd"] += worth
        loss.row["uncovered_usd"] -= worth
        limits.note(w, t)
    w.ledger.event = None
    return cost


def list_who_pays(w: World) -> None:
    losses = {id(c.loss): c.loss for c in w.claims}.values()
    pending = sum(loss.worth(loss.owed["uncovered"]) for loss in losses)
    w.result.who_pays.append({"section": "beside", "line": "pending", "amount_usd": pending})
    for layer in ("treasury", "token"):
        later = sum(row[f"{layer}_later_usd"] for row in w.result.bad_debt)
        w.result.who_pays.append({"section": "beside", "line": f"{layer}_later", "amount_usd": later})
