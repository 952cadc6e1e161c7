"""Auto-deleveraging: who is matched against a loser's leg, how much, at what amount (section 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from judge import assessments
from judge.ledger import Account, Position
from judge.world import View, World


@dataclass
class Match:
    leg: Position  # of the loser
    counter: Position
    account: Account | None  # None: the outside
    quantity: int
    amount: int  # received by the loser
    released: int  # entry value of the units that the counterparty closes, as it stood when matched
    rank: int
    score: int | None


@dataclass
class Candidate:
    leg: Position
    account: Account
    score: int
    pnl: int  # micro-dollars in a multi-asset account, like the equity
    equity: int


def sign(n: int) -> int:
    return (n > 0) - (n < 0)


def in_account_units(view: View, account: Account, asset: str, amount: int) -> int:
    return math.trunc(amount * view.collateral(asset)) if account.multi_asset else amount


def candidates(w: World, view: View, loser: Account, leg: Position) -> list[Candidate]:
    price = view.mark(leg, -leg.size)
    found = []
    for account in w.accounts:
        if account is loser or account.rejected:
            continue
        equity = view.equity_at_mark(account)
        for other in account.legs:
            if other.market is not leg.market or other.size * leg.size >= 0 or equity <= 0:
                continue
            value = leg.market.value(other.size, price)
            pnl = value - other.entry_value
            if pnl <= 0:
                continue
            notional = in_account_units(view, account, leg.market.settlement, abs(value))
            score = (pnl * 10**9 // max(1, abs(other.entry_value))) * (notional * 10**9 // equity)
            pnl_units = in_account_units(view, account, leg.market.settlement, pnl)
            found.append(Candidate(other, account, score, pnl_units, equity))
    # sorted() is stable: equal scores stay in the order of accounts and legs
    return sorted(found, key=lambda c: -c.score)


def capacity(w: World, view: View, candidate: Candidate, leg: Position, wanted: int, total: int, given: int) -> int:
    """`total` (S) units of the loser's leg are worth the bankruptcy amount `given` (T)."""
    size = abs(candidate.leg.size)
    if w.proto.adl_capacity == "position":
        return size
    mark = leg.market.value(sign(leg.size) * wanted, view.mark(leg, -leg.size))
    gives_up = given * wanted // total - mark
    gives_up = in_account_units(view, candidate.account, leg.market.settlement, gives_up)
    if gives_up <= 0:
        return size
    limit = candidate.pnl if w.proto.adl_capacity == "profit" else candidate.equity
    return min(size, limit * wanted // gives_up)


def match(w: World, view: View, loser: Account, leg: Position, wanted: int, given: int) -> list[Match]:
    """Takes candidates in order until `wanted` units of the leg are matched; books nothing."""
    total = abs(leg.size)
    matches: list[Match] = []
    done = 0

    def add(counter: Position, account: Account | None, room: int, rank: int, score: int | None) -> None:
        nonlocal done
        quantity = min(room, wanted - done)
        if quantity > 0:
            amount = given * (done + quantity) // total - given * done // total
            released = counter.entry_value * quantity // abs(counter.size)
            matches.append(Match(leg, counter, account, quantity, amount, released, rank, score))
            done += quantity

    ranked = candidates(w, view, loser, leg)
    for rank, candidate in enumerate(ranked, start=1):
        room = capacity(w, view, candidate, leg, wanted, total, given)
        add(candidate.leg, candidate.account, room, rank, candidate.score)
    if w.proto.outside == "keeps":
        outside = w.ledger.entity("outside", leg.market)
        pnl = leg.market.value(outside.size, view.mark(leg, outside.size)) - outside.entry_value
        if outside.size * leg.size < 0 and pnl > 0:
            last = matches[-1].rank if matches else 0
            add(outside, None, abs(outside.size), last + 1, None)
    return matches


def book(w: World, m: Match) -> None:
    """The counterparty takes the loser's units and pays the amount."""
    if m.account is not None:
        assessments.settle(w, m.account)
    w.ledger.fill("adl", m.leg, m.counter, sign(m.leg.size) * m.quantity, m.amount)
