"""The scores of ADL (section 7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.adl import Candidate
    from judge.world import View, World

U = 10**9


def score(w: World, view: View, c: Candidate) -> int:
    name = w.proto.adl.score
    if name == "random_start":  # who may have no equity
        return 0
    market = c.leg.market
    value, entry = abs(c.value), abs(c.leg.entry_value)
    notional = c.own(view, value)
    leverage = notional * U // c.equity
    profit = abs(c.pnl) * U // max(1, entry)
    scale = 10 ** (18 - w.tape.asset(market.settlement).decimals)
    if name == "leverage":
        return leverage * U
    if name == "profit":
        return c.pnl * scale
    if name == "position":
        return value * scale
    if name in ("hyperliquid_docs", "hyperliquid_docs_literal"):
        linear = market.kind == "linear"
        rises = linear if name == "hyperliquid_docs_literal" else (c.leg.size > 0) == linear
        ratio = value * U // max(1, entry) if rises else entry * U // max(1, value)
        return ratio * leverage
    if name == "bitmex" and c.pnl <= 0:
        return -profit * (c.equity * U // max(1, notional))
    if c.pnl <= 0:
        return 0
    return binance(w, view, c) if name == "binance" else profit * leverage


def binance(w: World, view: View, c: Candidate) -> int:
    account = c.account
    wallets = {
        a: w.ledger.balance(account.number, a)
        + sum(leg.entry_value - w.ledger.owed(leg) for leg in account.legs if leg.market.settlement == a)
        for a in account.assets
    }
    if account.multi_asset:
        wallet, whole = sum(math.floor(n * view.collateral(a)) for a, n in wallets.items()), 10**6
    else:
        asset = account.assets[0]
        wallet, whole = wallets[asset], 10 ** w.tape.asset(asset).decimals
    ratio = min(U, view.requirement(account) * U // c.equity)
    return c.own(view, c.pnl) * U // max(whole, wallet) * ratio
