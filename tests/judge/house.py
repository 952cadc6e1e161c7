"""The clearing house: out of what withdrawals are paid, and what was paid ahead of losses (section 6)."""

from __future__ import annotations

from judge import layers, limits, rows
from judge.ledger import Account
from judge.world import World

OTHERS = ("external", "insurance_fund", "vault", "treasury", "keepers", "fees")


def has(w: World, asset: str) -> int:
    return sum(n for (holder, a), n in w.ledger.cash.items() if a == asset and str(holder).split(":")[0] not in OTHERS)


def provide(w: World, account: Account, asset: str, amount: int, t: int) -> bool:
    """Makes sure that it can be paid; says whether it can."""
    if w.proto.clearing_house is None:
        return True
    short = amount - max(0, has(w, asset))
    if short <= 0:
        return True
    if w.proto.clearing_house.get("when_short", "prepay") == "refuse":
        return False
    limits.test(w, t)
    w.ledger.event = w.events
    paid = layers.would_pay(w, "insurance_fund", asset, short, t, None)
    if paid == short:
        w.events += 1
        cost = layers.pay(w, "insurance_fund", "insurance_fund", "prepaid", asset, short, t, "prepaid")
        limits.count(w, "insurance_fund", None, asset, cost, t)
        rows.prepaid(w, account, asset, cost)
        limits.note(w, t)
    w.ledger.event = None
    if paid == short:
        w.sources.set_off(t)
    return paid == short


def prepaid(w: World, asset: str, need: int) -> int:
    return min(need, w.ledger.balance("prepaid", asset))


def realise(w: World, account: Account, asset: str, need: int) -> int:
    """What was paid ahead covers a loss first; says how much of it."""
    amount = prepaid(w, asset, need)
    w.ledger.post("payment", "prepaid", account.number, asset, amount)
    return amount
