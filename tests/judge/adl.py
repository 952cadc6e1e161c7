"""Auto-deleveraging: who is matched against a loser's leg, how much, at what amount (section 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from judge import adl_policies, adl_scores, assessments, draws
from judge.ledger import Account, Position
from judge.world import View, World

DELEVERAGING = 3  # purpose of a draw


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
    price: int  # the mark
    pnl: int  # in the settlement asset
    equity: int  # micro-dollars in a multi-asset account
    score: int = 0
    rank: int = 0
    capacity: int = 0

    @property
    def size(self) -> int:
        return abs(self.leg.size)

    @property
    def value(self) -> int:
        return self.leg.market.value(self.leg.size, self.price)

    def own(self, view: View, amount: int) -> int:
        """An amount of the settlement asset in the unit of the equity."""
        return in_account_units(view, self.account, self.leg.market.settlement, amount)

    def settled_equity(self, view: View) -> int:
        """E_b: the equity in units of the settlement asset."""
        if not self.account.multi_asset:
            return self.equity
        return math.floor(self.equity / view.collateral(self.leg.market.settlement))

    def leverage(self, view: View) -> int:
        return self.own(view, abs(self.value)) * 10**9 // self.equity


@dataclass
class Demand:
    """q units of a leg whose S units are worth X."""

    leg: Position
    wanted: int
    amount: int
    give_up: int  # G


def sign(n: int) -> int:
    return (n > 0) - (n < 0)


def in_account_units(view: View, account: Account, asset: str, amount: int) -> int:
    return math.trunc(amount * view.collateral(asset)) if account.multi_asset else amount


def amount(w: World, view: View, leg: Position, bankruptcy: int) -> int:
    """X: the ADL amount of the whole leg."""
    rules = w.proto.adl
    if rules.price == "previous_mark":
        return leg.market.value(leg.size, view.previous_mark(leg))
    if rules.price == "oracle":
        return leg.market.value(leg.size, view.named(rules.price_feed, leg, leg.size))
    if rules.price == "mark_then_bankruptcy":
        fund = w.proto.fund_of.get(leg.market.name, "insurance_fund")
        level = sum(w.usd(a, w.entity_equity(fund, a, view.t), view.t) for a in w.tape.assets)
        if level < rules.threshold * w.proto.balances[fund] * 10**6:
            return bankruptcy
    return bankruptcy if rules.price == "bankruptcy" else leg.market.value(leg.size, view.mark(leg, leg.size))


def candidates(w: World, view: View, loser: Account, leg: Position) -> list[Candidate]:
    """In order, with their ranks."""
    price = view.mark(leg, -leg.size)
    rules, found = w.proto.adl, []
    unranked = rules.eligibility == "overlap" and rules.score == "random_start" and rules.policy["kind"] == "queue"
    for account in w.accounts:
        if account is loser or account.rejected:
            continue
        equity = view.equity_at_mark(account)
        for other in account.legs:
            if other.market is not leg.market or other.size * leg.size >= 0:
                continue
            if equity <= 0 and not unranked:
                continue
            pnl = leg.market.value(other.size, price) - other.entry_value
            if pnl > 0 or w.proto.adl.eligibility != "in_profit":
                candidate = Candidate(other, account, price, pnl, equity)
                candidate.score = adl_scores.score(w, view, candidate)
                found.append(candidate)
    if w.proto.adl.score == "random_start":
        n = place_of(w, loser, leg)
        start = draws.draw(w.proto.adl.seed, DELEVERAGING, loser.number, n) * len(w.accounts) >> 64
        found.sort(key=lambda c: c.account.number < start)
    else:  # stable: equal scores stay in the order of accounts and legs
        found.sort(key=lambda c: -c.score)
    for rank, candidate in enumerate(found, start=1):
        candidate.rank = rank
    return found


def place_of(w: World, loser: Account, leg: Position) -> int:
    """Number of the leg in its account; of the vault's, that of the market."""
    if leg.holder == "vault":
        return sorted(w.tape.markets).index(leg.market.name)
    return next(i for i, own in enumerate(loser.legs) if own is leg)


def own_bankruptcy(w: World, view: View, candidate: Candidate) -> int:
    """T': what closing the candidate's leg must bring for its account to keep what is attributed to its other legs."""
    from judge.attributing import shares, weights_of

    asset = candidate.leg.market.settlement
    legs = [leg for leg in candidate.account.open_legs() if leg.market.settlement == asset]
    weights = weights_of(w, view, legs, [view.mark(leg, leg.size) for leg in legs])
    parts = shares(candidate.settled_equity(view), weights)
    own = next(part for leg, part in zip(legs, parts, strict=True) if leg is candidate.leg)
    return candidate.value - own


def capacity(w: World, view: View, candidate: Candidate, demand: Demand) -> int:
    rules, size = w.proto.adl, candidate.size
    if rules.eligibility == "overlap":
        own = own_bankruptcy(w, view, candidate)
        if own * abs(demand.leg.size) + demand.amount * size > 0:
            return 0
    gives_up = candidate.own(view, demand.give_up)
    if rules.capacity == "position" or demand.give_up <= 0 or gives_up <= 0:
        return size
    limit = max(0, candidate.own(view, candidate.pnl)) if rules.capacity == "profit" else candidate.equity
    return min(size, max(0, limit) * demand.wanted // gives_up)


def match(w: World, view: View, loser: Account, leg: Position, wanted: int, given: int) -> list[Match]:
    """Matches up to `wanted` units of the leg, of which the whole is worth `given`; books nothing."""
    total = abs(leg.size)
    mark = leg.market.value(sign(leg.size) * wanted, view.mark(leg, -leg.size))
    demand = Demand(leg, wanted, given, given * wanted // total - mark)
    able = []
    for candidate in candidates(w, view, loser, leg):
        candidate.capacity = capacity(w, view, candidate, demand)
        if candidate.capacity > 0:
            able.append(candidate)
    matches: list[Match] = []
    done = 0

    def add(counter: Position, account: Account | None, quantity: int, rank: int, score: int | None) -> None:
        nonlocal done
        if quantity > 0:
            amount = -(-given * (done + quantity) // total) + -given * done // total
            released = counter.entry_value * quantity // abs(counter.size)
            matches.append(Match(leg, counter, account, quantity, amount, released, rank, score))
            done += quantity

    quantities = adl_policies.quantities(w, view, demand, able)
    for candidate, quantity in zip(able, quantities, strict=True):
        add(candidate.leg, candidate.account, quantity, candidate.rank, candidate.score)
    if w.proto.outside == "keeps":
        outside = w.ledger.entity("outside", leg.market)
        pnl = leg.market.value(outside.size, view.mark(leg, outside.size)) - outside.entry_value
        if outside.size * leg.size < 0 and pnl > 0:
            last = matches[-1].rank if matches else 0
            add(outside, None, min(abs(outside.size), wanted - done), last + 1, None)
    return matches


def book(w: World, m: Match) -> None:
    """The counterparty takes the loser's units and pays the amount."""
    if m.account is not None:
        assessments.settle(w, m.account)
    w.ledger.fill("adl", m.leg, m.counter, sign(m.leg.size) * m.quantity, m.amount)
