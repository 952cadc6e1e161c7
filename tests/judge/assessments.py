"""Socialised loss by open interest: who is charged, what a leg owes, and when it pays (section 6)."""

from __future__ import annotations

from dataclasses import dataclass

from judge.ledger import SCALE, Account
from judge.tape import Market
from judge.world import World


@dataclass
class Closed:
    """The account being closed, and its legs as the close found them, each with its notional at the base price."""

    account: Account
    legs: list[tuple[Market, int]]


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
            w.ledger.index[market.name] = w.ledger.index.get(market.name, 0) + step
            w.stepped.add(market.name)


def settle(w: World, account: Account) -> dict[str, int]:
    """Each leg pays what it owes; says how much that was, by asset."""
    paid = dict.fromkeys(account.assets, 0)
    for leg in account.legs:
        owed = w.ledger.owed(leg)
        w.ledger.post("socialised", account.number, "socialised", leg.market.settlement, owed)
        paid[leg.market.settlement] += owed
        leg.settled_at = w.ledger.index.get(leg.market.name, 0)
    return paid


def settle_all(w: World) -> None:
    """At the end of the tape (9.1). What was collected by rounding up goes to `rounding`."""
    for account in w.accounts:
        before = charged_usd(w, account)
        settle(w, account)
        account.assessed_at_end_usd = charged_usd(w, account) - before
    for asset in sorted({asset for _, asset in w.ledger.cash}):
        w.ledger.post("socialised", "socialised", "rounding", asset, w.ledger.balance("socialised", asset))


def charged_usd(w: World, account: Account) -> int:
    """All that the account has paid for socialised losses."""
    paid = [p for p in w.ledger.postings if p.kind == "socialised" and p.source == account.number]
    return sum(w.usd(p.asset, p.amount, p.ts) for p in paid)
