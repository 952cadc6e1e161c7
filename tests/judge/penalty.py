"""What closing costs the account: the keeper's fee and the penalty (section 5b)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge.ledger import Account
from judge.world import View, World


@dataclass
class Fee:
    """The keeper's fee: what the account pays, what is charged to it though it has not got it, what is left to the fund."""

    paid: int
    unpaid: int
    by_fund: int


def keeper_fee(w: World, view: View, asset: str, fills: int, notional: int, short: bool, balance: int) -> Fee:
    p = w.proto.penalty
    times = fills if p.fee_per == "fill" else int(fills > 0)
    dollars = p.keeper_fee * 10**6 * times + math.ceil(p.keeper_rate * notional)
    fee = math.ceil(dollars / view.collateral(asset))
    if p.fee_if == "short" and not short and balance >= fee:
        return Fee(0, 0, 0)
    paid = 0 if short else min(fee, balance)
    rest = fee - paid
    return Fee(paid, rest if p.paid_if_insolvent else 0, rest if p.fund_pays_keeper else 0)


def rate(w: World, view: View, account: Account, elapsed: int) -> Fraction:
    p = w.proto.penalty
    if p.escalation is None:
        return p.rate
    e = p.escalation
    r = p.rate + e.step * (max(0, elapsed - e.after) // e.every)
    equity, required = view.equity(account), view.requirement(account)
    if required > 0:
        missing = max(0, min(required, required - equity))
        r += Fraction(math.floor(10**9 * e.shortfall * missing / required), 10**9)
    return r if e.maximum is None else min(r, e.maximum)


def full(w: World, view: View, r: Fraction, asset: str, gross: int) -> int:
    penalty = math.floor(r * gross)
    cap = w.proto.penalty.cap
    return penalty if cap is None else min(penalty, math.floor(cap * 10**6 / view.collateral(asset)))


def limited(w: World, view: View, r: Fraction, asset: str, gross: int, limit: int) -> int:
    share = math.floor(w.proto.penalty.equity_share * max(0, limit))
    return min(full(w, view, r, asset, gross), share)
