"""What the limits of a layer let it pay (section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge import funds
from judge.assessments import Closed
from judge.world import World


@dataclass
class Paid:
    layer: str
    t: int
    event: int | None
    market: str | None
    fund: str
    usd: int


class Reverted(Exception):  # noqa: N818 -- no error, but what becomes of an action
    """A layer has failed that reverts the action."""

    def __init__(self, retry: int):
        super().__init__(retry)
        self.retry = retry


def level(w: World, entity: str, t: int) -> int:
    """Its equity at the reference, in micro-dollars."""
    return sum(w.usd(asset, w.entity_equity(entity, asset, t), t) for asset in w.tape.assets)


def note(w: World, t: int) -> None:
    for limits in w.proto.limits.values():
        for trigger in (limits.get("start"), limits.get("stop")):
            for holder in watched(w, trigger):
                w.levels.setdefault(holder, []).append((t, level(w, holder, t)))


def watched(w: World, trigger: dict | None) -> list[str]:
    """All whose level a trigger may ask for."""
    if trigger is None:
        return []
    return funds.every(w) if trigger["of"] == funds.GENERAL else [trigger["of"]]


def test(w: World, t: int) -> None:
    """Before an action, and at the open: layers start and stop."""
    note(w, t)
    for layer, limits in w.proto.limits.items():
        for fund in funds.every(w):  # as it is for the losses of this fund
            if limits.get("stop") is not None and holds(w, limits["stop"], fund, t):
                w.on_from.pop((layer, fund), None)
            elif (layer, fund) not in w.on_from and (limits.get("start") is None or holds(w, limits["start"], fund, t)):
                w.on_from[layer, fund] = t + limits.get("delay", 0)


def holds(w: World, trigger: dict, fund: str, t: int) -> bool:
    holder = fund if trigger["of"] == funds.GENERAL else trigger["of"]
    now = level(w, holder, t)
    if trigger["kind"] == "below":
        return now <= Fraction(trigger.get("amount", "0")) * 10**6
    history, since = w.levels[holder], t - trigger.get("window", 8 * 3_600_000_000_000)
    ends = [ts for ts, _ in history[1:]] + [math.inf]
    peak = max(value for (_, value), end in zip(history, ends, strict=True) if end > since)
    return peak > 0 and peak - now >= Fraction(trigger["share"]) * peak


def is_on(w: World, layer: str, fund: str, t: int) -> bool:
    return layer not in w.proto.limits or w.on_from.get((layer, fund), math.inf) <= t


def note_failure(w: World, layer: str, closed: Closed | None, t: int) -> None:
    """The layer was asked for what an account lacks, and has left something of it."""
    failure = w.proto.limits.get(layer, {}).get("failure", {"kind": "skip"})
    if closed is None or not is_on(w, layer, closed.fund, t):
        return
    if failure["kind"] == "revert" and w.trial:
        raise Reverted(failure["retry"])
    if failure["kind"] != "halt":
        return
    lasts = failure.get("halt_for")
    row = {"layer": layer, "start_ts": t + 1, "end_ts": None if lasts is None else t + 1 + lasts}
    if row not in w.result.layer_halts:
        w.result.layer_halts.append(row)
        w.guard.halts.append((t + 1, math.inf if lasts is None else t + 1 + lasts, None))


def market_of(closed: Closed | None, asset: str) -> str | None:
    legs = [market for market, _ in closed.legs] if closed else []
    legs = [market for market in legs if market.settlement == asset] or legs
    return legs[0].name if legs else None


def at_once(w: World, asset: str, wanted: int, t: int) -> int:
    """What the treasury pays without a vote."""
    real_time = w.proto.treasury.get("real_time")
    if real_time is None:
        return wanted
    paid = sum(p.usd for p in w.layer_payments if p.layer == "treasury")
    room = max(0, math.floor(Fraction(real_time) * 10**6) - paid)
    return min(wanted, math.floor(room / w.unit_price(asset, w.reference, t)))


def allowed(w: World, layer: str, closed: Closed | None, asset: str, wanted: int, t: int) -> int:
    if layer == "treasury":
        wanted = at_once(w, asset, wanted, t)
    limits = w.proto.limits.get(layer)
    if limits is None:
        return wanted
    fund = closed.fund if closed else funds.GENERAL
    if not is_on(w, layer, fund, t):
        return 0
    own = [p for p in w.layer_payments if p.layer == layer and (layer != funds.GENERAL or p.fund == fund)]
    market = market_of(closed, asset)
    rooms = []

    def cap(amount: str, paid: list[Paid]) -> None:
        rooms.append(max(0, math.floor(Fraction(amount) * 10**6) - sum(p.usd for p in paid)))

    if limits.get("per_event") is not None:
        cap(limits["per_event"], [p for p in own if p.event == w.ledger.event])
    if limits.get("per_market") is not None and market is not None:
        cap(limits["per_market"], [p for p in own if p.market == market])
    for period in limits.get("periods", []):
        window = (t - w.tape.start) // period["every"]
        cap(period["amount"], [p for p in own if (p.t - w.tape.start) // period["every"] == window])
    if not rooms:
        return wanted
    return min(wanted, math.floor(min(rooms) / w.unit_price(asset, w.reference, t)))


def count(w: World, layer: str, closed: Closed | None, asset: str, usd: int, t: int) -> None:
    fund = closed.fund if closed else funds.GENERAL
    w.layer_payments.append(Paid(layer, t, w.ledger.event, market_of(closed, asset), fund, usd))
