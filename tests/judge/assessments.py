"""What legs are charged for: socialised loss by open interest (section 6), funding and borrow fees (section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from judge.ledger import CHARGES, SCALE, Account
from judge.tape import Market
from judge.world import World


@dataclass
class Closed:
    """The account being closed, and its legs as the close found them, each with its notional at the base price."""

    account: Account
    legs: list[tuple[Market, int]]
    fund: str = "insurance_fund"  # whose matter it is


def open_interest(w: World, market: Market, without: Account) -> int:
    legs = [leg for account in w.accounts if account is not without for leg in account.legs if leg.market is market]
    return sum(abs(leg.size) for leg in legs)


def parts(w: World, closed: Closed, asset: str, wanted: int) -> list[tuple[Market, int]]:
    """What each leg's market is charged; those where nobody else has a position are left out."""
    legs = [(market, weight) for market, weight in closed.legs if market.settlement == asset]
    total, so_far, found = sum(weight for _, weight in legs), 0, []
    for market, weight in legs:
        part = wanted * (so_far + weight) // total - wanted * so_far // total
        so_far += weight
        if open_interest(w, market, closed.account) > 0:
            found.append((market, part))
    return found


def would_pay(w: World, closed: Closed, asset: str, wanted: int) -> int:
    return sum(part for _, part in parts(w, closed, asset, wanted))


def charge(w: World, closed: Closed, asset: str, wanted: int) -> None:
    """Raises the indices for a payment."""
    for market, part in parts(w, closed, asset, wanted):
        if part > 0:
            step = -(-part * SCALE // open_interest(w, market, closed.account))
            w.ledger.index["socialised", market.name] = w.ledger.index.get(("socialised", market.name), 0) + step
            w.stepped.add(market.name)


def settle(w: World, account: Account) -> dict[str, dict[str, int]]:
    """Each leg pays what it owes; says how much that was, by charge and asset."""
    paid = {charge: dict.fromkeys(account.assets, 0) for charge in CHARGES}
    payees = {
        "socialised": "socialised",
        "funding": "funding",
        "borrow": (w.proto.borrow or {}).get("receiver", "fees"),
    }
    for leg in account.legs:
        for charge in CHARGES:
            owed = w.ledger.owed_for(charge, leg)
            payee = payees[charge]
            if payee == "insurance_fund":
                payee = w.proto.fund_of.get(leg.market.name, payee)
            w.ledger.post(charge, account.number, payee, leg.market.settlement, owed)
            paid[charge][leg.market.settlement] += owed
        w.ledger.mark_settled(leg)
    return paid


def accrue(w: World, t: int) -> None:
    """The indices of funding and borrow fees move; entities pay or receive funding at once."""
    for name, market in w.tape.markets.items():
        for charge, series in (("funding", w.terms.funding[name]), ("borrow", w.terms.borrow[name])):
            step = sum(step for ts, step in series if ts == t)
            w.ledger.index[charge, name] = w.ledger.index.get((charge, name), 0) + step
            for position in [p for p in w.ledger.positions if charge == "funding" and p.market is market]:
                if isinstance(position.holder, str):
                    w.ledger.post(
                        "funding", position.holder, "funding", market.settlement, -(-position.size * step // SCALE)
                    )


def settle_all(w: World) -> None:
    """At the end of the tape (9.1). What was collected by rounding up goes to `rounding`."""
    for account in w.accounts:
        done = len(w.ledger.postings)
        settle(w, account)
        usd = dict.fromkeys(CHARGES, 0)
        for p in w.ledger.postings[done:]:
            usd[p.kind] += w.usd(p.asset, p.amount, p.ts)
        account.assessed_at_end_usd = usd["socialised"]
        account.accrued_at_end_usd = max(0, usd["funding"] + usd["borrow"])
    for holder in ["funding", *(["socialised"] if w.proto.socialised_by == "open_interest" else [])]:
        for asset in sorted({asset for _, asset in w.ledger.cash}):
            w.ledger.post(holder, holder, "rounding", asset, w.ledger.balance(holder, asset))


def charged_usd(w: World, account: Account) -> int:
    """All that the account has paid for socialised losses."""
    paid = [p for p in w.ledger.postings if p.kind == "socialised" and p.source == account.number]
    return sum(w.usd(p.asset, p.amount, p.ts) for p in paid)
