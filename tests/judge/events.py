"""Deposits and withdrawals (sections 3 and 10), and trades (3a)."""

from __future__ import annotations

from judge import assessments, house, layers, payout, rows
from judge.book import addressed, units
from judge.ledger import Account, Position
from judge.world import View, World


def apply(w: World, event: dict, t: int) -> bool:
    """Carries out the event, or lists it as refused."""
    if event["kind"] == "trade":
        if w.guard.halted(event["market"], t):
            refuse_trade(w, event, "the venue is halted")
            return False
        if event["market"] in w.settled:
            refuse_trade(w, event, "the market is settled")
            return False
        return trade(w, event, t)
    account = addressed(w, event)
    asset = event["asset"]
    amount = units(event["amount"], w.tape.asset(asset).decimals)
    if any(w.guard.halted(market, t) for market in [None, *(leg.market.name for leg in account.open_legs())]):
        rows.rejected(w, t, account, event["kind"], asset, amount, "the venue is halted")
        return False
    carry_out = deposit if event["kind"] == "deposit" else withdraw
    return carry_out(w, account, asset, amount, t)


def list_if_late(w: World, event: dict) -> None:
    """After the end of the tape nothing happens."""
    if event["ts"] > w.tape.end and event["kind"] == "trade":
        refuse_trade(w, event, "after the end of the tape")
    elif event["ts"] > w.tape.end:
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
        if payer == "socialised" and layers.at_once(w):
            continue  # those whom it charged have made it good
        shares = w.paid.get((account.number, asset), [])
        found = [(event, owed, holder) for event, owed in shares for holder in owed if holder.split(":")[0] == payer]
        for event, owed, holder in found:
            part = min(amount, owed[holder])
            if part == 0:
                continue
            w.ledger.post("recovery", account.number, holder, asset, part)
            owed[holder] -= part
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
    if not house.provide(w, account, asset, amount, t):
        rows.rejected(w, t, account, "withdrawal", asset, amount, "the clearing house does not have it")
        return False
    account.deposits_usd -= w.usd(asset, amount, t)
    assessments.settle(w, account)
    w.ledger.post("withdrawal", account.number, "external", asset, amount)
    w.ledger.check()
    return True


def barred(account: Account) -> str | None:
    if account.rejected:
        return "the account was not opened"
    if account.queued:
        return "the account is queued for liquidation"
    return "the account is closed" if account.closed else None


def below_initial(w: World, account: Account, t: int) -> bool:
    view = View(w, t)
    return view.equity(account, initial=True) < view.requirement(account, initial=True)


def refusal(w: World, account: Account, asset: str, amount: int, t: int) -> str | None:
    if reason := barred(account):
        return reason
    if w.proto.withdrawal_gate and w.uncovered_ts is not None and t - w.uncovered_ts < w.proto.withdrawal_gate:
        return "withdrawals are halted"
    view = View(w, t)
    if asset not in account.assets or view.balances(account)[asset] < amount:
        return "the balance does not cover it"
    snapshot = w.ledger.snapshot()
    w.ledger.post("withdrawal", account.number, "external", asset, amount)
    short = below_initial(w, account, t)
    w.ledger.restore(snapshot)
    return "equity would be below the requirement" if short else None


def traded(w: World, event: dict) -> tuple[Account, Position, int]:
    """The account, its leg, and the signed size."""
    of_name = [a for a in w.accounts if a.name == str(event["account"])]
    found = [
        (account, leg)
        for account in sorted(of_name, key=lambda account: account.market is None)  # isolated positions first
        for leg in account.legs
        if (leg.market.name, leg.key) == (event["market"], event.get("position"))
    ]
    account, leg = found[0]
    return account, leg, units(event["size"], leg.market.size_decimals)


def account_of(w: World, event: dict) -> Account:
    return traded(w, event)[0] if event["kind"] == "trade" else addressed(w, event)


def refuse_trade(w: World, event: dict, reason: str) -> None:
    account, leg, size = traded(w, event)
    rows.rejected(w, event["ts"], account, "trade", None, None, reason, leg.market.name, size)


def trade(w: World, event: dict, t: int) -> bool:
    account, leg, d = traded(w, event)
    reason = barred(account)
    if reason is None:
        if event.get("price") is None:
            price = View(w, t).published(w.proto.execution_feed, leg, -d)
        else:
            price = units(event["price"], leg.market.price_decimals)
        cash = -leg.market.value(-d, price)
        outside = w.ledger.entity("outside" if w.proto.payout is None else "pool", leg.market)
        unpaid = unpaid_of(w, account, leg, d, -cash, t)
        before, after = leg.size, leg.size + d
        reduces = after == 0 or (abs(after) < abs(before) and (after > 0) == (before > 0))
        snapshot = w.ledger.snapshot()
        for own in account.legs:
            w.ledger.post("try", account.number, "fees", own.market.settlement, w.ledger.owed(own))
            w.ledger.mark_settled(own)
        w.ledger.fill("try", outside, leg, d, cash)
        w.ledger.post("try", account.number, "pool", leg.market.settlement, unpaid.total)
        short = below_initial(w, account, t)
        w.ledger.restore(snapshot)
        if reduces or not short:
            assessments.settle(w, account)
            w.ledger.fill("trade", outside, leg, d, cash)
            payout.keep_back(w, account, leg.market.settlement, unpaid)
            w.ledger.check()
            return True
        reason = "equity would be below the requirement"
    refuse_trade(w, event, reason)
    return False


def unpaid_of(w: World, account: Account, leg: Position, d: int, received: int, t: int) -> payout.Unpaid:
    """Of the profit of what a trade closes. Of one that turns the leg over that is the leg's part of the whole."""
    if leg.size * d >= 0 or w.proto.payout is None:
        return payout.Unpaid()
    desk = payout.Desk(w, View(w, t), account)
    held = abs(leg.size)
    if abs(d) <= held:
        return desk.fill(leg, abs(d), received)
    return desk.close(leg, held, leg.entry_value, -(-received * held // abs(d)))
