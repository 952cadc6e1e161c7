"""Everything a replay holds, and the views of it: prices of the moment, equity, requirement (sections 3 and 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from judge.config import Protocol, read_protocol
from judge.execution import Venue
from judge.ledger import Account, Ledger, Position
from judge.result import Result
from judge.tape import Asset, Feed, Market, Tape, named_feed


class World:
    def __init__(self, tape: Tape, protocol: dict, options: dict):
        self.tape = tape
        self.proto: Protocol = read_protocol(protocol)
        self.opening_rule: str = options.get("opening") or "keep"
        names = (self.proto.trigger_feed, self.proto.execution_feed, self.proto.collateral_feed)
        self.feeds = {name: Feed(tape, name, self.proto.feeds) for name in names}
        self.reference = Feed(tape, options.get("reference") or "last", {})  # knows nothing of the protocol's feeds
        self.ledger = Ledger(tape)
        self.accounts: list[Account] = []
        self.home = tape.asset(tape.home_asset())
        self.result = Result()
        self.paid: dict[tuple[int, str], dict[str, int]] = {}  # what each layer paid for (account, asset)
        self.events = 0  # number of the next event
        self.closing_event: dict[int, int] = {}  # by account
        self.recovered_usd: dict[str, int] = {}  # by payer
        self.opening_balances: dict[tuple[int | str, str], int] = {}
        self.opening_vault_usd = 0
        self.stepped: set[str] = set()  # markets that the actions of this round charged or displaced
        self.venue = Venue(self.proto.execution)

    @property
    def trigger(self) -> Feed:
        return self.feeds[self.proto.trigger_feed]

    @property
    def execution(self) -> Feed:
        return self.feeds[self.proto.execution_feed]

    @property
    def collateral(self) -> Feed:
        return self.feeds[self.proto.collateral_feed]

    def unit_price(self, asset: str, feed: Feed, t: int) -> Fraction:
        """P: micro-dollars per unit of the asset."""
        a: Asset = self.tape.asset(asset)
        dollars = Fraction(1)
        if a.price_market is not None:
            market = self.tape.markets[a.price_market]
            dollars = Fraction(feed.price(market.name, t), 10**market.price_decimals)
        return dollars * 10**6 / 10**a.decimals

    def usd(self, asset: str, amount: int, t: int) -> int:
        """usd(n) at the reference."""
        return math.trunc(amount * self.unit_price(asset, self.reference, t))

    def balances_at(self, account: Account, price_of) -> dict[str, int]:
        """bal_a: cash and the value of the legs settled in a, less what they owe."""
        return {
            a: self.ledger.balance(account.number, a)
            + sum(
                leg.market.value(leg.size, price_of(leg.market)) - self.ledger.owed(leg)
                for leg in account.legs
                if leg.market.settlement == a
            )
            for a in account.assets
        }

    def reference_equity_usd(self, account: Account, t: int) -> int:
        balances = self.balances_at(account, lambda m: self.reference.price(m.name, t))
        return sum(self.usd(asset, amount, t) for asset, amount in balances.items())

    def entity_equity(self, entity: str, asset: str, t: int) -> int:
        """Cash and the value of the sizes held, at the reference."""
        held = [p for p in self.ledger.positions if p.holder == entity and p.market.settlement == asset]
        value = sum(p.market.value(p.size, self.reference.price(p.market.name, t)) for p in held)
        return self.ledger.balance(entity, asset) + value


@dataclass
class View:
    """The protocol's prices at t. `seen` is the single print that an account is tested or acted on at, if it is one."""

    world: World
    t: int
    seen: dict[str, int] = field(default_factory=dict)  # market -> price of the trigger feed

    def trigger(self, market: Market) -> int:
        published = self.published_trigger(market)
        if self.world.proto.execution.feedback:
            return self.world.venue.displaced(market, published, self.t)
        return published

    def published_trigger(self, market: Market) -> int:
        if market.name in self.seen:
            return self.seen[market.name]
        return self.world.trigger.price(market.name, self.t)

    def execution(self, market: Market) -> int:
        feeds, proto = self.world.proto.feeds, self.world.proto
        if named_feed(proto.execution_feed, feeds) == named_feed(proto.trigger_feed, feeds):
            return self.published_trigger(market)
        return self.world.execution.price(market.name, self.t)

    def collateral(self, asset: str) -> Fraction:
        return self.world.unit_price(asset, self.world.collateral, self.t)

    def reference(self, market: Market) -> int:
        return self.world.reference.price(market.name, self.t)

    # --- margin

    def balances(self, account: Account) -> dict[str, int]:
        return self.world.balances_at(account, self.trigger)

    def equity(self, account: Account, weighted: bool = True) -> int:
        """In the account's asset if it has one, else in micro-dollars."""
        balances = self.balances(account)
        if not account.multi_asset:
            return balances[account.assets[0]]
        total = 0
        for asset, amount in balances.items():
            weight = self.world.proto.weight(asset) if weighted and amount > 0 else 1
            total += math.floor(amount * self.collateral(asset) * weight)
        return total

    def leg_requirement(self, leg: Position, price: int, initial: bool = False) -> int:
        if leg.size == 0:
            return 0
        margin = self.world.proto.margin_of(leg.market.name)
        notional = leg.market.notional(leg.size, price)
        if initial and margin.initial_rate is not None:
            return math.ceil(leg.market.settle(margin.initial_rate * notional, price))
        tier = [tier for tier in margin.tiers if tier.lower <= notional][-1]
        return math.ceil(leg.market.settle(tier.rate * notional - tier.deduction, price))

    def requirement(self, account: Account, initial: bool = False) -> int:
        by_asset = dict.fromkeys(account.assets, 0)
        for leg in account.legs:
            by_asset[leg.market.settlement] += self.leg_requirement(leg, self.trigger(leg.market), initial)
        if not account.multi_asset:
            return by_asset[account.assets[0]]
        return sum(math.ceil(amount * self.collateral(asset)) for asset, amount in by_asset.items())

    def liquidatable(self, account: Account) -> bool:
        return bool(account.open_legs()) and self.equity(account) < self.requirement(account)
