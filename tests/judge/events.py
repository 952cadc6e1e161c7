"""Deposits and withdrawals (sections 3 and 10)."""

from __future__ import annotations

from judge import assessments, layers, rows
from judge.book import addressed, units
from judge.ledger import Account
from judge.world import View, World


def apply(w: World, event: dict, t: int) -> bool:
    """Carries out the event, or lists it as refused."""
    account = addressed(w, event)
    asset = event["asset"]
    amount = units(event["amount"], w.tape.asset(asset).decimals)
    carry_out = deposit if event["kind"] == "deposit" else withdraw
    return carry_out(w, account, asset, amount, t)


def list_if_late(w: World, event: dict) -> None:
    """After the end of the tape nothing happens."""
    if event["ts"] > w.tape.end:
        amount = units(event["amount"], w.tape.asset(event["asset"]).decimals)
        account = addressed(w, event)
        rows.rejected(w, event["ts"], account, event["kind"], event["asset"], amount, "after the end of the tape")


def deposit(w: World, account: Account, asset: str, amount: int, t: int) -> bool:
    if account.rejected:
        rows.rejected(w, t, account, "deposit", asset, amount, "the account was not opened")
        return False
    if account.closed == "defaulted" and w.proto.late_deposits == "ignore":
        rows.rejected(w, t, account, "deposit", asset, amount, "the account has defaulted")
        return False
    account.deposits_usd += w.usd(asset, amount, t)
    assessments.settle(w, account)
    w.ledger.post("deposit", "external", account.number, asset, amount)
    if account.closed == "defaulted":
        recover(w, account, asset, amount)
    w.ledger.check()
    return True


def recover(w: World, account: Account, asset: str, amount: int) -> None:
    """Pays back `uncovered`, then the layers, the last payer first."""
    for payer in ["uncovered", *reversed(w.proto.waterfall)]:
        if payer == "socialised" and layers.by_open_interest(w):
            continue  # those whom it charged have made it good
        for event, owed in w.paid.get((account.number, asset), []):
            part = min(amount, owed.get(payer, 0))
            if part == 0:
                continue
            w.ledger.post("recovery", account.number, payer, asset, part)
            owed[payer] -= part
            amount -= part
            row = next(
                r
                for r in w.result.bad_debt
                if r["event"] == event and r["asset"] == asset and r["status"] == "realised"
            )
            part_usd = w.usd(asset, part, w.ledger.now)
            row["recovered_usd"] += part_usd
            w.recovered_usd[payer] = w.recovered_usd.get(payer, 0) + part_usd


def withdraw(w: World, account: Account, asset: str, amount: int, t: int) -> bool:
    reason = refusal(w, account, asset, amount, t)
    if reason:
        rows.rejected(w, t, account, "withdrawal", asset, amount, reason)
        return False
    account.deposits_usd -= w.usd(asset, amount, t)
    assessments.settle(w, account)
    w.ledger.post("withdrawal", account.number, "external", asset, amount)
    w.ledger.check()
    return True


def refusal(w: World, account: Account, asset: str, amount: int, t: int) -> str | None:
    if account.rejected:
        return "the account was not opened"
    if account.queued:
        return "the account is queued for liquidation"
    if account.closed:
        return "the account is closed"
    view = View(w, t)
    if asset not in account.assets or view.balances(account)[asset] < amount:
        return "the balance does not cover it"
    snapshot = w.ledger.snapshot()
    w.ledger.post("withdrawal", account.number, "external", asset, amount)
    short = view.equity(account, initial=True) < view.requirement(account, initial=True)
    w.ledger.restore(snapshot)
    return "equity would be below the requirement" if short else None
