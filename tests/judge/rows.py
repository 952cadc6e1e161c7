"""The lines of an event, valued at the reference of the event (section 10)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge.ledger import Account

if TYPE_CHECKING:
    from judge.adl import Match
    from judge.closing import Fill
    from judge.world import View, World

COVERING = ["insurance_fund", "pool", "socialised", "treasury"]  # the layers that pay in money
ROUTES = {"outside": "market", "pool": "pool", "vault": "vault"}


def liquidation(w: World, view: View, account: Account, fill: Fill, side: int, equity_before: int) -> None:
    market, t = fill.leg.market, view.t
    at_reference = market.value(side * fill.quantity, view.reference(market))
    w.result.liquidations.append(
        {
            "ts": t,
            "account": account.name,
            "market": market.name,
            "event": w.ledger.event,
            "trigger_ts": account.enqueued_ts,
            "route": ROUTES[w.proto.execution_counterparty],
            "side": "long" if side > 0 else "short",
            "size": fill.quantity,
            "price": fill.price,
            "reference_price": view.reference(market),
            "asset": market.settlement,
            "amount": fill.amount,
            "notional_usd": math.trunc(market.notional(fill.quantity, fill.price) * 10**6),
            "equity_usd": equity_before,
            "price_subsidy_usd": w.usd(market.settlement, fill.amount - at_reference, t),
            "opening": account.opening,
        }
    )


def adl_fill(w: World, view: View, account: Account, m: Match) -> int:
    """Lists a match that is about to be booked; returns its give-up."""
    market, t = m.leg.market, view.t
    side = 1 if m.leg.size > 0 else -1
    reference = view.reference(market)
    asset = market.settlement
    give_up = m.amount - market.value(side * m.quantity, reference)
    profit = market.value(-side * m.quantity, reference) - m.released
    forgone = max(0, min(give_up, profit))
    give_up_usd, forgone_usd = w.usd(asset, give_up, t), w.usd(asset, forgone, t)
    if m.account is not None:
        m.account.adl_give_up_usd += give_up_usd
    w.result.adl.append(
        {
            "ts": t,
            "account": "outside" if m.account is None else m.account.name,
            "market": market.name,
            "event": w.ledger.event,
            "loser": account.name,
            "side": "short" if side > 0 else "long",
            "size": m.quantity,
            "asset": asset,
            "amount": m.amount,
            "mark_price": view.trigger(market),
            "reference_price": reference,
            "give_up_usd": give_up_usd,
            "forgone_profit_usd": forgone_usd,
            "principal_usd": give_up_usd - forgone_usd,
            "rank": m.rank,
            "score": m.score,
        }
    )
    return give_up


def bad_debt(
    w: World,
    view: View,
    account: Account,
    asset: str,
    final: int,
    give_up: int,
    unpaid_fee: int,
    waived: int,
    paid: dict[str, int],
    uncovered: int,
) -> int:
    """One line per account and asset; returns the bad debt in units of the asset."""
    debt = max(0, give_up - final)
    third_party = min(unpaid_fee, debt)
    total = sum(paid.values()) + uncovered
    subsidy = total - max(0, -final)
    overshoot = total + give_up - debt - subsidy
    if not (debt or give_up or paid or uncovered):
        return debt

    def usd(amount: int) -> int:
        return w.usd(asset, amount, view.t)

    by_layer = {layer: usd(paid.get(layer, 0)) for layer in COVERING}
    debt_usd = sum(by_layer.values()) + usd(give_up) + usd(uncovered) - usd(overshoot) - usd(subsidy)
    w.result.bad_debt.append(
        {
            "ts": view.t,
            "account": account.name,
            "market": account.market,
            "event": w.ledger.event,
            "asset": asset,
            "amount": debt,
            "bad_debt_usd": debt_usd,
            "principal_usd": debt_usd - usd(third_party),
            "funding_borrow_usd": 0,
            "third_party_fees_usd": usd(third_party),
            "assessments_usd": 0,
            "waived_usd": usd(waived),
            **{f"{layer}_usd": amount for layer, amount in by_layer.items()},
            "adl_give_up_usd": usd(give_up),
            "uncovered_usd": usd(uncovered),
            "adl_overshoot_usd": usd(overshoot),
            "subsidy_usd": usd(subsidy),
            "recovered_usd": 0,
            "opening": account.opening,
            "status": "realised",
        }
    )
    return debt


def open_shortfall(w: World, account: Account, equity_usd: int) -> None:
    row = {
        "ts": w.tape.end,
        "account": account.name,
        "market": account.market,
        "event": None,
        "asset": None,
        "amount": None,
        "bad_debt_usd": -equity_usd,
        "principal_usd": -equity_usd,
        "opening": account.opening,
        "status": "open",
    }
    others = ["funding_borrow", "third_party_fees", "assessments", "waived", *COVERING, "adl_give_up", "uncovered"]
    others += ["adl_overshoot", "subsidy", "recovered"]
    w.result.bad_debt.append(row | {f"{name}_usd": 0 for name in others})


def rejected(w: World, ts: int, account: Account, kind: str, asset: str, amount: int, reason: str) -> None:
    w.result.rejected_events.append(
        {
            "ts": ts,
            "account": account.name,
            "market": account.market,
            "kind": kind,
            "asset": asset,
            "amount": amount,
            "reason": reason,
        }
    )
