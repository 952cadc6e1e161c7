"""From the rows of the book to margin accounts, and their opening (section 2)."""

from __future__ import annotations

import math
from fractions import Fraction

from judge import limits, rows
from judge.ledger import Account, Position
from judge.world import View, World, larger_side


def units(amount, decimals: int) -> int:
    exact = Fraction(str(amount)) * 10**decimals
    assert exact.denominator == 1, f"{amount} does not fit {decimals} decimals"
    return exact.numerator


def load(
    w: World, positions: list[dict], accounts: list[dict], events: list[dict]
) -> list[list[tuple[Position, int, int]]]:
    """Numbers the margin accounts; returns, by account, its legs with the signed size and the cost of each."""
    found: dict[tuple, Account] = {}
    legs: dict[int, list[tuple[Position, int, int]]] = {}

    def margin_account(key: tuple, name: str, market: str | None, owner) -> Account:
        if key not in found:
            position = key[3] if key[0] == "isolated" else None
            found[key] = Account(len(found), name, market, owner, position)
            legs[found[key].number] = []
            w.accounts.append(found[key])
        return found[key]

    def give(account: Account, asset: str, amount) -> None:
        account.add_asset(asset)
        n = units(amount, w.tape.asset(asset).decimals)
        account.collateral[asset] = account.collateral.get(asset, 0) + n

    for row in positions:
        name, market = str(row["account"]), w.tape.markets[row["market"]]
        if (row.get("margin_mode") or "isolated") == "isolated":
            key = ("isolated", name, market.name, row.get("position"))
            account = margin_account(key, name, market.name, row.get("owner"))
            give(account, row.get("collateral_asset") or market.settlement, row.get("collateral") or 0)
        else:
            account = margin_account(("cross", name), name, None, row.get("owner"))
        account.add_asset(market.settlement)
        size = units(row["size"], market.size_decimals)
        entry = Fraction(str(row["entry_price"])) * 10**market.price_decimals
        leg = w.ledger.new_leg(account.number, market)
        leg.key = row.get("position")
        legs[account.number].append((leg, size, math.ceil(market.exact_value(size, entry))))
    for row in accounts:
        account = margin_account(("cross", str(row["account"])), str(row["account"]), None, row.get("owner"))
        give(account, row["asset"], row["collateral"])
    for event in events:
        if event["kind"] != "trade":
            addressed(w, event).add_asset(event["asset"])
    for account in w.accounts:  # by market, then by row: sorted() is stable
        legs[account.number].sort(key=lambda leg: leg[0].market.name)
        account.legs = [leg for leg, _, _ in legs[account.number]]
    return [legs[account.number] for account in w.accounts]


def addressed(w: World, event: dict) -> Account:
    """Without a market the cross account, else the isolated position."""
    address = str(event["account"]), event.get("market"), event.get("position")
    return next(a for a in w.accounts if (a.name, a.market, a.position) == address)


def open_book(w: World, positions: list[dict], accounts: list[dict], events: list[dict]) -> None:
    t, ledger = w.tape.start, w.ledger
    for name, balance in w.proto.balances.items():
        ledger.post("opening", "external", name, w.home.name, units(balance, w.home.decimals))
    below: list[Account] = []
    loaded = load(w, positions, accounts, events)
    w.opening_interest = {
        name: larger_side([size for legs in loaded for leg, size, _ in legs if leg.market.name == name])
        for name in w.tape.markets
    }
    for account, legs in zip(w.accounts, loaded, strict=True):
        snapshot = ledger.snapshot()
        for asset, amount in account.collateral.items():
            ledger.post("opening", "external", account.number, asset, amount)
        for leg, size, cost in legs:
            ledger.fill("opening", ledger.entity(w.proto.counterparty, leg.market), leg, size, cost)
            leg.opening_size = size
        if below_at_open(w, account):
            if w.opening_rule == "reject" or (
                w.opening_rule == "rescale" and View(w, t, opening=True).equity(account, initial=True) <= 0
            ):
                ledger.restore(snapshot)
                account.rejected = True
                for leg in account.legs:
                    leg.opening_size = 0
                rows.rejected(w, t, account, "opening", None, None, "below the requirement at the open")
            else:
                below.append(account)
    for position in ledger.positions:  # the state that the frames call the opening
        position.opening_size = position.size
    w.opening_balances = dict(ledger.cash)
    w.opening_vault_usd = vault_equity_usd(w, t)
    for account in below:
        if w.opening_rule == "keep":
            account.opening = True
        else:
            rescale(w, account)
    w.opening_interest = None
    for account in w.accounts:
        account.opening_equity_usd = w.reference_equity_usd(account, t)
    limits.test(w, t)
    ledger.check()


def below_at_open(w: World, account: Account) -> bool:
    view = View(w, w.tape.start, opening=True)
    initial = view.requirement(account, initial=True)
    return bool(account.open_legs()) and (view.liquidatable(account) or view.equity(account, initial=True) < initial)


def rescale(w: World, account: Account) -> None:
    """Each leg is cut to abs(s) E // IM, all by the E and IM before the first cut."""
    view = View(w, w.tape.start, opening=True)
    equity, initial = view.equity(account, initial=True), view.requirement(account, initial=True)
    for leg in account.open_legs():
        side, size = (1 if leg.size > 0 else -1), abs(leg.size)
        kept = min(size, size * equity // initial) if initial > 0 else size
        cut = side * (size - kept)
        cash = leg.market.value(cut, view.trigger(leg))
        w.ledger.fill("rescale", leg, w.ledger.entity(w.proto.counterparty, leg.market), cut, cash)


def vault_equity_usd(w: World, t: int) -> int:
    assets = sorted({a for _, a in w.ledger.cash} | {m.settlement for m in w.tape.markets.values()})
    return sum(w.usd(asset, w.entity_equity("vault", asset, t), t) for asset in assets)
