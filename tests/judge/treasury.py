"""What the treasury pays at once, and what after a vote (section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge import layers, limits
from judge.world import World


@dataclass
class Claim:
    due: int
    event: int
    account: int
    asset: str
    amount: int  # what was uncovered, in units and in micro-dollars
    usd: int
    owed: dict[str, int]  # who would be paid back by a late deposit
    row: dict

    def worth(self, part: int) -> int:
        return self.usd * part // self.amount


def at_once(w: World, asset: str, wanted: int, t: int) -> int:
    real_time = w.proto.treasury.get("real_time")
    if real_time is None:
        return wanted
    paid = sum(p.usd for p in w.layer_payments if p.layer == "treasury")
    room = max(0, math.floor(Fraction(real_time) * 10**6) - paid)
    return min(wanted, math.floor(room / w.unit_price(asset, w.reference, t)))


def claim(w: World, account: int, asset: str, amount: int, t: int) -> None:
    """What nobody has covered, by the last row of bad debt."""
    delay = w.proto.treasury.get("delay")
    if delay is None or amount == 0 or "treasury" not in w.proto.waterfall:
        return
    owed = w.paid[account, asset][-1][1]
    row = w.result.bad_debt[-1]
    w.claims.append(Claim(t + delay, w.ledger.event, account, asset, amount, row["uncovered_usd"], owed, row))


def pay(w: World, t: int) -> None:
    for c in [c for c in w.claims if c.due == t]:
        w.claims.remove(c)
        amount = min(c.owed["uncovered"], layers.capacity(w, "treasury", c.asset, t))
        w.ledger.event = c.event
        layers.post_payment(w, "late_payment", "treasury", "uncovered", c.asset, amount, t)
        w.ledger.event = None
        c.owed["uncovered"] -= amount
        c.owed["treasury"] = c.owed.get("treasury", 0) + amount
        later = c.worth(amount)
        c.row["treasury_later_usd"] += later
        c.row["treasury_usd"] += later
        c.row["uncovered_usd"] -= later
        if amount > 0:
            limits.note(w, t)
        w.ledger.check()


def list_who_pays(w: World) -> None:
    pending = sum(c.worth(c.owed["uncovered"]) for c in w.claims)
    later = sum(row["treasury_later_usd"] for row in w.result.bad_debt)
    w.result.who_pays.append({"section": "beside", "line": "pending", "amount_usd": pending})
    w.result.who_pays.append({"section": "beside", "line": "treasury_later", "amount_usd": later})
