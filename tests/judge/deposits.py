"""Losses socialised by deposits: everyone's collateral in the asset is cut in proportion (section 6)."""

from __future__ import annotations

from judge import assessments, layers
from judge.attributing import shares
from judge.ledger import Account
from judge.world import World


def charge(w: World, t: int) -> list[Account]:
    """After the actions of a round; says who paid."""
    if w.proto.socialised_by != "deposits":
        return []
    paid: list[Account] = []
    for asset in w.tape.assets:
        deposits = [deposit(w, account, asset) for account in w.accounts]
        claim = min(max(0, -w.ledger.balance("socialised", asset)), sum(deposits))
        if claim == 0:
            continue
        for account, part in zip(w.accounts, shares(claim, deposits), strict=True):
            if part > 0:
                assessments.settle(w, account)
                w.ledger.post("socialised", account.number, "socialised", asset, part)
                account.socialised_usd += w.usd(asset, part, t)
                paid.append(account)
    return [account for account in paid if not account.closed]


def deposit(w: World, account: Account, asset: str) -> int:
    if account.closed == "defaulted" or account.rejected:
        return 0
    legs = [leg for leg in account.legs if leg.market.settlement == asset]
    collateral = w.ledger.balance(account.number, asset) + sum(leg.entry_value - w.ledger.owed(leg) for leg in legs)
    return max(0, collateral)


def pass_on(w: World, t: int) -> dict[str, int]:
    """At the end: what nobody had the collateral for, in micro-dollars by payer."""
    passed: dict[str, int] = {}
    after = w.proto.waterfall[w.proto.waterfall.index("socialised") + 1 :] if "socialised" in w.proto.waterfall else []
    for asset in sorted(w.tape.assets):
        left = max(0, -w.ledger.balance("socialised", asset))
        if left == 0:
            continue
        paid = {layer: n for layer, (n, _) in layers.run(w, "socialised", asset, left, t, after).items()}
        paid["uncovered"] = left - sum(paid.values())
        w.ledger.post("uncovered", "uncovered", "socialised", asset, paid["uncovered"])
        for payer, amount in paid.items():
            passed[payer] = passed.get(payer, 0) + w.usd(asset, amount, t)
    return passed
