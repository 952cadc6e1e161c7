"""The vault takes accounts over before they are empty (section 5)."""

from __future__ import annotations

from judge import adl, assessments, book, closing, rows
from judge.ledger import Account
from judge.world import View, World


def is_due(w: World, view: View, account: Account) -> bool:
    """Whether the vault takes the account over: near bankruptcy, and not short of anything at the execution feed."""
    below = w.proto.execution.takeover_below
    if below is None or view.equity(account) >= below * view.requirement(account):
        return False
    floor = w.proto.execution.takeover_floor
    if floor is not None and book.vault_equity_usd(w, view.t) < floor * 10**6:
        return False
    legs = account.open_legs()
    balances = {
        b: w.ledger.balance(account.number, b)
        + sum(
            leg.market.value(leg.size, view.execution(leg)) - w.ledger.owed(leg)
            for leg in legs
            if leg.market.settlement == b
        )
        for b in account.assets
    }
    closing.convert(w, view, account, balances)
    return all(amount >= 0 for amount in balances.values())


def carry_out(w: World, view: View, account: Account) -> list[Account]:
    """The vault takes the positions at the execution feed, and all that is left."""
    w.ledger.event, w.events = w.events, w.events + 1
    assessments.settle(w, account)
    equity = w.reference_equity_usd(account, view.t)
    for leg in account.open_legs():
        side, price = adl.sign(leg.size), view.execution(leg)
        fill = closing.Fill(leg, abs(leg.size), price, leg.market.value(leg.size, price), "vault")
        w.ledger.fill("fill", leg, w.ledger.entity("vault", leg.market), leg.size, fill.amount)
        rows.liquidation(w, view, account, fill, side, equity)
    balances = {b: w.ledger.balance(account.number, b) for b in account.assets}
    for c in closing.convert(w, view, account, balances):
        w.ledger.post("conversion", account.number, "outside", c.taken_asset, c.taken)
        w.ledger.post("conversion", "outside", account.number, c.obtained_asset, c.obtained)
    for b in account.assets:
        w.ledger.post("residual", account.number, "vault", b, w.ledger.balance(account.number, b))
    account.queued, account.closed, account.closed_ts = False, "liquidated", view.t
    w.ledger.event = None
    w.ledger.check()
    return []
