"""What the pool pays of the profits of closed positions (section 5e)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.ledger import Account, Position
    from judge.tape import Market
    from judge.world import View, World


@dataclass
class PoolSide:
    share: Fraction
    assets: list[str] | None


@dataclass
class PoolAdl:
    enable: Fraction
    minimum: Fraction
    stop: str
    selector: str
    seed: int
    share: Fraction
    fit: bool
    actions: int | None
    latency: int
    pause: int


@dataclass
class Payout:
    kind: str
    rate: Fraction  # factor or share
    when_short: str
    at_end: bool
    in_margin: bool
    sides: dict[str, PoolSide]  # long, short
    markets: dict[str, dict[str, PoolSide]]
    adl: PoolAdl | None

    def behind(self, market: str, side: int) -> PoolSide:
        return self.markets.get(market, self.sides)["long" if side > 0 else "short"]


def read_sides(s: dict) -> dict[str, PoolSide]:
    return {
        name: PoolSide(Fraction((s.get(name) or {}).get("share", "1/2")), (s.get(name) or {}).get("assets"))
        for name in ("long", "short")
    }


def read_adl(a: dict | None) -> PoolAdl | None:
    if a is None:
        return None
    return PoolAdl(
        enable=Fraction(a["enable"]),
        minimum=Fraction(a["minimum"]),
        stop=a.get("stop", "minimum"),
        selector=a.get("selector", "largest_profit"),
        seed=a.get("seed", 0),
        share=Fraction(a.get("share", "1")),
        fit=a.get("fit", False),
        actions=a.get("actions"),
        latency=a.get("latency", 0),
        pause=a.get("pause", 10**9),
    )


def read_payout(p: dict | None) -> Payout | None:
    if p is None:
        return None
    policy = p.get("policy") or {"kind": "uncapped"}
    return Payout(
        kind=policy["kind"],
        rate=Fraction(policy.get("factor", policy.get("share", "1"))),
        when_short=p.get("when_short", "pay"),
        at_end=p.get("at_end", False),
        in_margin=p.get("in_margin", False),
        sides=read_sides(p.get("sides") or {}),
        markets={name: read_sides(s) for name, s in (p.get("markets") or {}).items()},
        adl=read_adl(p.get("adl")),
    )


def legs_of(w: World) -> list[Position]:
    return [leg for account in w.accounts for leg in account.legs]


def worth(w: World, view: View, assets: list[str] | None) -> int:
    """What the pool has, were all positions closed at what they cost; micro-dollars."""
    total = 0
    for asset in {asset for _, asset in w.ledger.cash} | {m.settlement for m in w.tape.markets.values()}:
        if assets is None or asset in assets:
            cost = sum(leg.entry_value for leg in legs_of(w) if leg.market.settlement == asset)
            total += math.floor((w.ledger.balance("pool", asset) - cost) * view.collateral(asset))
    return total


def standing(w: World, view: View, market: Market, side: int) -> tuple[int, int]:
    """Profit of a side of a market, and what the pool has for it; micro-dollars."""
    legs = [leg for leg in legs_of(w) if leg.market is market and leg.size * side > 0]
    prices = [w.trigger.price(market.name, view.t, s) for s in (1, -1)]
    size, cost = sum(leg.size for leg in legs), sum(leg.entry_value for leg in legs)
    # The better of the two is the one that the other side reads.
    profit = market.value(size, prices[1] if side > 0 else prices[0]) - cost
    behind = w.proto.payout.behind(market.name, side)
    value = math.floor(behind.share * worth(w, view, behind.assets))
    return math.floor(profit * view.collateral(market.settlement)), value


@dataclass
class Unpaid:
    capped: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        return self.capped + self.refused


@dataclass
class Rest:
    """What is left of a leg while an action closes it."""

    size: int
    entry_value: int


@dataclass
class Desk:
    """What the pool pays to one account in one action, as it begins."""

    w: World
    view: View
    account: Account
    scaled: dict[int, Fraction] = field(default_factory=dict)  # by id of the leg
    limits: dict[int, int] = field(default_factory=dict)  # for the whole leg
    rests: dict[int, Rest] = field(default_factory=dict)
    left: int | None = None

    def __post_init__(self) -> None:
        rules = self.w.proto.payout
        if rules is None:
            return
        for leg in self.account.legs:
            self.rests[id(leg)] = Rest(abs(leg.size), leg.entry_value)
            side = 1 if leg.size >= 0 else -1
            if rules.kind == "pool_factor" and leg.size:
                profit, value = standing(self.w, self.view, leg.market, side)
                most = math.floor(rules.rate * max(0, value))
                if profit > most:
                    self.scaled[id(leg)] = Fraction(most, profit)
            if rules.kind == "collateral_share":
                own = [x for x in self.account.legs if x.market.settlement == leg.market.settlement]
                cash = self.w.ledger.balance(self.account.number, leg.market.settlement)
                collateral = cash + sum(x.entry_value - self.w.ledger.owed(x) for x in own)
                self.limits[id(leg)] = math.floor(rules.rate * max(0, collateral))
        if rules.when_short != "pay":
            self.left = worth(self.w, self.view, None)
            for claim in alive(self.w):  # who is owed already comes first
                self.left -= math.ceil(claim.amount * self.view.collateral(claim.asset))

    def fill(self, leg: Position, quantity: int, amount: int) -> Unpaid:
        """What is not paid where `quantity` units more of the leg bring `amount`."""
        if self.w.proto.payout is None:
            return Unpaid()
        rest = self.rests[id(leg)]
        cost = rest.entry_value * quantity // rest.size
        unpaid = self.close(leg, quantity, cost, amount)
        rest.size -= quantity
        rest.entry_value -= cost
        return unpaid

    def close(self, leg: Position, quantity: int, cost: int, amount: int) -> Unpaid:
        rules, price = self.w.proto.payout, self.view.collateral(leg.market.settlement)
        profit = amount - cost
        if profit <= 0:
            if self.left is not None:
                self.left += math.floor(-profit * price)
            return Unpaid()
        payable = profit
        if rules.kind == "pool_factor":
            payable = math.floor(profit * self.scaled.get(id(leg), 1))
        elif rules.kind == "collateral_share":
            payable = min(profit, self.limits[id(leg)] * quantity // abs(leg.size))
        elif rules.kind == "reserved":
            payable = min(profit, math.floor(abs(cost) * rules.rate))
        paid = payable
        if self.left is not None:
            if math.ceil(payable * price) > self.left:
                paid = min(payable, math.floor(max(0, self.left) / price))
            self.left -= math.ceil(paid * price)
        return Unpaid(profit - payable, payable - paid)


@dataclass
class Claim:
    """What the pool owes of a profit that it did not have."""

    account: Account
    asset: str
    amount: int


def alive(w: World) -> list[Claim]:
    return [claim for claim in w.deferred if claim.account.closed != "defaulted" and claim.amount > 0]


def pool_cash(w: World) -> dict[str, int]:
    return {asset: w.ledger.balance("pool", asset) for asset in w.tape.assets}


def pay_claims(w: World, view: View, settle, always: bool = False) -> None:
    """In their order, as far as the pool goes, if its cash has changed in this instant."""
    if w.proto.payout is None or not w.deferred or not (always or pool_cash(w) != w.pool_cash):
        return
    left = worth(w, view, None)
    for claim in alive(w):
        price, pays = view.collateral(claim.asset), claim.amount
        if math.ceil(pays * price) > left:
            pays = min(pays, math.floor(max(0, left) / price))
        left -= math.ceil(pays * price)
        if pays > 0:
            settle(w, claim.account)
            w.ledger.post("deferred_payout", "pool", claim.account.number, claim.asset, pays)
            claim.account.unpaid_profit_usd -= w.usd(claim.asset, pays, view.t)
        claim.amount -= pays
        if claim.amount > 0:
            break
    w.deferred = alive(w)


def keep_back(w: World, account: Account, asset: str, unpaid: Unpaid) -> None:
    refusal = "refused_payout"
    if w.proto.payout is not None and w.proto.payout.when_short == "defer":
        refusal = "deferred_payout"
        if unpaid.refused > 0:
            w.deferred.append(Claim(account, asset, unpaid.refused))
    for kind, amount in (("capped_payout", unpaid.capped), (refusal, unpaid.refused)):
        w.ledger.post(kind, account.number, "pool", asset, amount)
        account.unpaid_profit_usd += w.usd(asset, amount, w.ledger.now)


def list_who_pays(w: World) -> None:
    for kind in ("capped_payout", "refused_payout", "deferred_payout"):
        own = [p for p in w.ledger.postings if p.kind == kind]
        amount = sum(w.usd(p.asset, p.amount, p.ts) * (-1 if p.source == "pool" else 1) for p in own)
        w.result.who_pays.append({"section": "beside", "line": f"{kind}s", "amount_usd": amount})


def close_all(w: World, view: View, settle) -> None:
    """At the end of the tape (9), if the rules say so. `settle` is what an account pays first."""
    at_end = w.proto.payout is not None and w.proto.payout.at_end
    for account in w.accounts if at_end else []:
        for leg in account.open_legs():
            settle(w, account)
            amount = leg.market.value(leg.size, view.execution(leg))
            unpaid = Desk(w, view, account).fill(leg, abs(leg.size), amount)
            w.ledger.fill("trade", leg, w.ledger.entity("pool", leg.market), leg.size, amount)
            keep_back(w, account, leg.market.settlement, unpaid)
    pay_claims(w, view, settle, always=True)


def scales(w: World, view: View) -> dict[tuple[str, int], Fraction]:
    """The proportion in which the profits of each side of a market are paid."""
    rules, found = w.proto.payout, {}
    if rules is not None and rules.in_margin and rules.kind == "pool_factor":
        for name, market in w.tape.markets.items():
            for side in (1, -1):
                profit, value = standing(w, view, market, side)
                most = math.floor(rules.rate * max(0, value))
                found[name, side] = Fraction(most, profit) if profit > most else Fraction(1)
    return found


def counted(w: World, account: Account, leg: Position, profit: int, scales: dict[tuple[str, int], Fraction]) -> int:
    """What counts of a profit in the margin test."""
    rules = w.proto.payout
    if rules.kind == "pool_factor":
        return math.floor(profit * scales[leg.market.name, 1 if leg.size > 0 else -1])
    if rules.kind == "collateral_share":
        own = [x for x in account.legs if x.market.settlement == leg.market.settlement]
        cash = w.ledger.balance(account.number, leg.market.settlement)
        collateral = cash + sum(x.entry_value - w.ledger.owed(x) for x in own)
        return min(profit, math.floor(rules.rate * max(0, collateral)))
    if rules.kind == "reserved":
        return min(profit, math.floor(rules.rate * abs(leg.entry_value)))
    return profit
