"""The lines of an event, valued at the reference of the event (section 10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from judge.ledger import Account

if TYPE_CHECKING:
    from judge.adl import Match
    from judge.closing import Fill
    from judge.world import View, World

COVERING = ["insurance_fund", "pool", "socialised", "treasury", "token"]  # the layers that pay in money
ROUTES = {"outside": "market", "pool": "pool", "vault": "vault", "keepers": "keeper"}


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
            "trigger_price": account.detected_at[id(fill.leg)],
            "trigger_equity_usd": account.detected_equity_usd,
            "trigger_notional_usd": account.detected_notional_usd,
            "route": ROUTES[fill.taker],
            "side": "long" if side > 0 else "short",
            "size": fill.quantity,
            "price": fill.price,
            "reference_price": view.reference(market),
            "asset": market.settlement,
            "amount": fill.amount,
            "notional_usd": w.usd(market.settlement, abs(fill.amount), t),
            "equity_usd": equity_before,
            "price_subsidy_usd": w.usd(market.settlement, fill.amount - at_reference, t),
            "opening": account.opening,
        }
    )


@dataclass
class Outcome:
    """What became of one asset of a closed account. USD is taken posting by posting, then summed."""

    asset: str
    final: int = 0  # F
    give_up: int = 0
    give_up_usd: int = 0
    third_party: int = 0  # K, and the trading fees of its fills
    partial: bool = False
    left_open: int | None = None  # what the account has at the reference, where ADL closed a part of it
    assessed: int = 0  # settled just before the close
    accrued: int = 0  # the same of funding and borrow fees
    waived: int = 0
    uncovered: int = 0
    prepaid: int = 0  # what was paid ahead of it
    paid: dict[str, int] = field(default_factory=dict)
    paid_usd: dict[str, int] = field(default_factory=dict)
    by_payer: dict[str, int] = field(default_factory=dict)  # the same as `paid`, the insurance funds apart

    def pay(self, layer: str, payer: str, amount: int, amount_usd: int) -> None:
        self.paid[layer] = self.paid.get(layer, 0) + amount
        self.by_payer[payer] = self.by_payer.get(payer, 0) + amount
        self.paid_usd[layer] = self.paid_usd.get(layer, 0) + amount_usd


def equity_at_mark_usd(w: World, view: View, account: Account) -> int:
    balances = w.balances_at(account, lambda leg: view.mark(leg, leg.size))
    return sum(w.usd(asset, amount, view.t) for asset, amount in balances.items())


def adl_fill(w: World, view: View, account: Account, m: Match, outcome: Outcome, equity_before: int) -> None:
    """Lists a match that is about to be booked, and adds its give-up to the outcome."""
    market, t = m.leg.market, view.t
    side = 1 if m.leg.size > 0 else -1
    reference, mark = view.reference(market), view.mark(m.leg, -m.leg.size)
    asset = market.settlement
    give_up = m.amount - market.value(side * m.quantity, reference)
    profit = market.value(-side * m.quantity, reference) - m.released
    forgone = max(0, min(give_up, profit))
    give_up_usd, forgone_usd = w.usd(asset, give_up, t), w.usd(asset, forgone, t)
    outcome.give_up += give_up
    outcome.give_up_usd += give_up_usd
    if m.account is not None:
        m.account.adl_give_up_usd += give_up_usd
    w.result.adl.append(
        {
            "ts": t,
            "account": "outside" if m.account is None else m.account.name,
            "market": market.name,
            "event": w.ledger.event,
            "loser": account.name,
            "trigger_ts": account.enqueued_ts,
            "trigger_equity_usd": account.detected_equity_usd,
            "trigger_notional_usd": account.detected_notional_usd,
            "loser_equity_usd": equity_before,
            "side": "short" if side > 0 else "long",
            "size": m.quantity,
            "asset": asset,
            "amount": m.amount,
            "mark_price": mark,
            "reference_price": reference,
            "notional_usd": w.usd(asset, abs(market.value(side * m.quantity, mark)), t),
            "give_up_usd": give_up_usd,
            "forgone_profit_usd": forgone_usd,
            "principal_usd": give_up_usd - forgone_usd,
            "equity_usd": None if m.account is None else equity_at_mark_usd(w, view, m.account),
            "pnl_usd": w.usd(
                asset, market.value(m.counter.size, view.mark(m.leg, m.counter.size)) - m.counter.entry_value, t
            ),
            "kind": "bankruptcy",
            "rank": m.rank,
            "score": m.score,
        }
    )


def bad_debt(w: World, view: View, account: Account, o: Outcome) -> int:
    """One line per account and asset; returns the bad debt in units of the asset."""
    total = sum(o.paid.values()) + o.prepaid + o.uncovered
    by_layers = min(total, max(0, -o.final))
    debt = by_layers if o.partial else max(0, o.give_up - o.final)
    if o.left_open is not None:  # by how much the deficit has become smaller
        debt += max(0, max(0, o.give_up - o.left_open) - max(0, -o.left_open))
    third_party = min(o.third_party, debt)
    assessments = min(o.assessed, debt - third_party)
    accrued = min(max(0, o.accrued), debt - third_party - assessments)
    subsidy = total - (by_layers if o.partial else max(0, -o.final))
    overshoot = total + o.give_up - debt - subsidy
    if not (debt or o.give_up or o.paid or o.prepaid or o.uncovered):
        return debt

    def usd(amount: int) -> int:
        return w.usd(o.asset, amount, view.t)

    by_layer = {layer: o.paid_usd.get(layer, 0) for layer in COVERING}
    debt_usd = sum(by_layer.values()) + o.give_up_usd + usd(o.uncovered) - usd(overshoot) - usd(subsidy)
    debt_usd += usd(o.prepaid)
    account.bad_debt_usd += debt_usd
    w.result.bad_debt.append(
        {
            "ts": view.t,
            "account": account.name,
            "market": account.market,
            "event": w.ledger.event,
            "asset": o.asset,
            "amount": debt,
            "bad_debt_usd": debt_usd,
            "principal_usd": debt_usd - usd(third_party) - usd(assessments) - usd(accrued),
            "funding_borrow_usd": usd(accrued),
            "third_party_fees_usd": usd(third_party),
            "assessments_usd": usd(assessments),
            "waived_usd": usd(o.waived),
            **{f"{layer}_usd": amount for layer, amount in by_layer.items()},
            "adl_give_up_usd": o.give_up_usd,
            "treasury_later_usd": 0,
            "token_later_usd": 0,
            "uncovered_usd": usd(o.uncovered),
            "adl_overshoot_usd": usd(overshoot),
            "subsidy_usd": usd(subsidy),
            "change_of_prepaid_usd": -usd(o.prepaid),
            "recovered_usd": 0,
            "opening": account.opening,
            "status": "realised",
        }
    )
    return debt


def prepaid(w: World, account: Account, asset: str, cost_usd: int) -> None:
    """The fund pays ahead, so that an account can be paid."""
    names = ["bad_debt", "principal", "funding_borrow", "third_party_fees", "assessments", "waived", *COVERING]
    names += ["adl_give_up", "treasury_later", "token_later", "uncovered", "adl_overshoot", "subsidy", "recovered"]
    row = {"ts": w.ledger.now, "account": account.name, "market": account.market, "event": w.ledger.event}
    row |= {"asset": asset, "amount": 0, "opening": account.opening, "status": "realised"}
    row |= {f"{name}_usd": 0 for name in names}
    w.result.bad_debt.append(row | {"insurance_fund_usd": cost_usd, "change_of_prepaid_usd": cost_usd})


def open_shortfall(w: World, account: Account, equity_usd: int) -> None:
    account.bad_debt_usd += -equity_usd
    assessments = min(-equity_usd, account.assessed_at_end_usd)
    accrued = min(-equity_usd - assessments, account.accrued_at_end_usd)
    row = {
        "ts": w.tape.end,
        "account": account.name,
        "market": account.market,
        "event": None,
        "asset": None,
        "amount": None,
        "bad_debt_usd": -equity_usd,
        "principal_usd": -equity_usd - assessments - accrued,
        "funding_borrow_usd": accrued,
        "assessments_usd": assessments,
        "uncovered_usd": -equity_usd,
        "opening": account.opening,
        "status": "open",
    }
    others = ["third_party_fees", "waived", *COVERING, "adl_give_up"]
    others += ["treasury_later", "token_later", "adl_overshoot", "subsidy", "change_of_prepaid", "recovered"]
    w.result.bad_debt.append(row | {f"{name}_usd": 0 for name in others})


def rejected(
    w: World, ts: int, account: Account, kind: str, asset: str | None, amount: int | None, reason: str,
    market: str | None = None, size: int | None = None,
) -> None:  # fmt: skip
    w.result.rejected_events.append(
        {
            "ts": ts,
            "account": account.name,
            "market": market or account.market,
            "kind": kind,
            "asset": asset,
            "amount": amount,
            "size": size,
            "reason": reason,
        }
    )
