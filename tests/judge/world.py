"""Everything a replay holds, and the views of it: prices of the moment, equity, requirement (sections 3 and 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from judge import margin, payout
from judge.config import Protocol, read_protocol
from judge.execution import Venue
from judge.feeds import Feed, Guard, named_feed
from judge.ledger import Account, Ledger, Position
from judge.result import Result
from judge.tape import Asset, Market, Tape
from judge.terms import Terms

if TYPE_CHECKING:
    from judge.sources import Sources


class World:
    def __init__(self, tape: Tape, protocol: dict, options: dict):
        self.tape = tape
        self.proto: Protocol = read_protocol(protocol)
        self.opening_rule: str = options.get("opening") or "keep"
        proto = self.proto
        names = {proto.trigger_feed, proto.execution_feed, proto.collateral_feed, proto.adl_feed}
        names |= {proto.adl.price_feed} - {None}
        self.feeds = {name: Feed(tape, name, self.proto.feeds) for name in names}
        self.adl_attempts: dict[int, int] = {}  # by timestamp
        self.guard = Guard(tape, proto.guard, self.trigger, proto.feeds, proto.halts)
        self.reference = Feed(tape, options.get("reference") or "last", {})  # knows nothing of the protocol's feeds
        self.terms = Terms(tape, self.proto)
        self.ledger = Ledger(tape)
        self.accounts: list[Account] = []
        self.home = tape.asset(tape.home_asset())
        self.result = Result()
        self.paid: dict[tuple[int, str], list[tuple[int, dict[str, int]]]] = {}  # (event, by layer) of (account, asset)
        self.opening_interest: dict[str, int] | None = None  # while the book is opened
        self.events = 0  # number of the next event
        self.pool_adl_subsidy_usd = 0  # what the pool paid above the reference in ADL by its factor
        self.recovered_usd: dict[str, int] = {}  # by payer
        self.opening_balances: dict[tuple[int | str, str], int] = {}
        self.opening_vault_usd = 0
        self.stepped: set[str] = set()  # markets that the actions of this round charged or displaced
        self.venue = Venue(self.proto.execution)
        self.levels: dict[str, list[tuple[int, int]]] = {}  # of capital that limits watch: (ts, micro-dollars)
        self.on_from: dict[tuple[str, str], int] = {}  # of layers with limits that are on, by fund
        self.layer_payments: list = []
        self.trial = False  # this is a copy, in which an action is tried
        self.sources: Sources
        self.claims: list = []  # on layers that pay later
        self.not_before: dict[str, int] = {}  # such a layer pays again
        self.token_weight, self.token_since = 0, tape.start  # of what was sold, on the price
        self.token_minted, self.token_cost = 0, 0
        self.uncovered_ts: int | None = None
        self.deferred: list[payout.Claim] = []  # on the pool, the oldest first
        self.pool_cash: dict[str, int] = {}  # at the end of the last instant
        self.settled: dict[str, int] = {}  # price of each market that was settled
        self.settlement_gains: dict[str, int] = {}  # against the reference, by entity, and of all accounts

    @property
    def trigger(self) -> Feed:
        return self.feeds[self.proto.trigger_feed]

    @property
    def execution(self) -> Feed:
        return self.feeds[self.proto.execution_feed]

    @property
    def collateral(self) -> Feed:
        return self.feeds[self.proto.collateral_feed]

    def blocked(self, account: Account, t: int) -> bool:
        return any(self.guard.blocks(leg.market.name, t) for leg in account.open_legs())

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
                leg.market.value(leg.size, price_of(leg)) - self.ledger.owed(leg)
                for leg in account.legs
                if leg.market.settlement == a
            )
            for a in account.assets
        }

    def reference_equity_usd(self, account: Account, t: int) -> int:
        balances = self.balances_at(account, lambda leg: self.reference.price(leg.market.name, t))
        return sum(self.usd(asset, amount, t) for asset, amount in balances.items())

    def entity_equity(self, entity: str, asset: str, t: int) -> int:
        """Cash and the value of the sizes held, at the reference."""
        held = [p for p in self.ledger.positions if p.holder == entity and p.market.settlement == asset]
        value = sum(p.market.value(p.size, self.reference.price(p.market.name, t)) for p in held)
        return self.ledger.balance(entity, asset) + value

    def larger_side(self, market: Market) -> int:
        """Open interest of the margin accounts; that of the whole book until it is open."""
        if self.opening_interest is not None:
            return self.opening_interest[market.name]
        return larger_side([leg.size for a in self.accounts for leg in a.legs if leg.market is market])


def larger_side(sizes: list[int]) -> int:
    return max(sum(s for s in sizes if s > 0), -sum(s for s in sizes if s < 0))


@dataclass
class View:
    """The protocol's prices at t. `seen` is the single print that an account is tested or acted on at, if it is one."""

    world: World
    t: int
    seen: dict[str, int] = field(default_factory=dict)  # market -> price of the trigger feed
    opening: bool = False  # of the tests of section 2
    scales: dict[tuple[str, int], Fraction] = field(
        default_factory=dict
    )  # of profits, as they are when the view is made

    def __post_init__(self) -> None:
        if not self.opening:
            self.scales = payout.scales(self.world, self)

    def published(self, name: str, leg: Position, side: int) -> int:
        """The price at the feed of this name that a leg on this side reads in the market of `leg`."""
        market = leg.market.name
        if market in self.seen and self.is_trigger(name):
            return self.seen[market]
        return self.world.feeds[name].price(market, self.t, side)

    def is_trigger(self, name: str) -> bool:
        feeds, trigger = self.world.proto.feeds, self.world.proto.trigger_feed
        return named_feed(name, feeds) == named_feed(trigger, feeds)

    def displaced(self, leg: Position, published: int) -> int:
        """As closes have displaced the trigger feed."""
        if self.world.proto.execution.feedback:
            return self.world.venue.displaced(leg.market, published, self.t)
        return published

    def trigger(self, leg: Position) -> int:
        return self.displaced(leg, self.published(self.world.proto.trigger_feed, leg, leg.size))

    def execution(self, leg: Position) -> int:
        return self.published(self.world.proto.execution_feed, leg, leg.size)

    def mark(self, leg: Position, side: int) -> int:
        """The mark of ADL."""
        return self.named(self.world.proto.adl_feed, leg, side)

    def named(self, name: str, leg: Position, side: int) -> int:
        published = self.published(name, leg, side)
        return self.displaced(leg, published) if self.is_trigger(name) else published

    def previous_mark(self, leg: Position) -> int:
        proto, tape = self.world.proto, self.world.tape
        lagged = Feed(tape, {"kind": "lagged", "source": proto.adl_feed}, proto.feeds, [leg.market.name])
        return lagged.price(leg.market.name, self.t)

    def collateral(self, asset: str) -> Fraction:
        return self.world.unit_price(asset, self.world.collateral, self.t)

    def reference(self, market: Market) -> int:
        return self.world.reference.price(market.name, self.t)

    def seen_usd(self, account: Account) -> tuple[int, int]:
        """Equity and notional in micro-dollars, at the trigger and the collateral feed, without weights."""
        balances = self.balances(account).items()
        equity = sum(math.trunc(amount * self.collateral(asset)) for asset, amount in balances)
        values = [(leg.market, leg.market.value(leg.size, self.trigger(leg))) for leg in account.open_legs()]
        return equity, sum(math.trunc(abs(value) * self.collateral(m.settlement)) for m, value in values)

    # --- margin

    def balances(self, account: Account) -> dict[str, int]:
        return self.world.balances_at(account, self.trigger)

    def ignored_profit(self, asset: str, account: Account, initial: bool) -> int:
        """What caps of payouts, and the weight of profit, take off a balance."""
        weight, total = self.world.proto.weight(asset, "profit_weight"), 0
        for leg in account.open_legs():
            if leg.market.settlement == asset:
                profit = max(0, leg.market.value(leg.size, self.trigger(leg)) - leg.entry_value)
                counts = profit
                if self.world.proto.payout is not None and self.world.proto.payout.in_margin:
                    nothing = initial or self.opening or profit == 0
                    counts = 0 if nothing else payout.counted(self.world, account, leg, profit, self.scales)
                total += profit - counts + math.ceil((1 - weight) * counts)
        return total

    def equity(self, account: Account, weighted: bool = True, initial: bool = False) -> int:
        """In the account's asset if it has one, else in micro-dollars."""
        balances = self.balances(account)
        if weighted:
            balances = {asset: n - self.ignored_profit(asset, account, initial) for asset, n in balances.items()}
        return self.in_one(account, balances, weighted, initial)

    def equity_at_mark(self, account: Account) -> int:
        """Without weights."""
        balances = self.world.balances_at(account, lambda leg: self.mark(leg, leg.size))
        return self.in_one(account, balances, weighted=False)

    def in_one(self, account: Account, balances: dict[str, int], weighted: bool, initial: bool = False) -> int:
        if not account.multi_asset:
            return balances[account.assets[0]]
        total = 0
        for asset, amount in balances.items():
            field = "initial_weight" if initial else "weight"
            weight = self.world.proto.weight(asset, field) if weighted and amount > 0 else 1
            total += math.floor(amount * self.collateral(asset) * weight)
        return total

    def leg_requirement(self, leg: Position, price: int, initial: bool = False) -> int:
        if leg.size == 0:
            return 0
        scale = self.world.terms.scale(leg.market.name, self.t)
        rules = self.world.proto.margin_of(leg.market.name)
        return margin.requirement(rules, leg, price, initial, scale, lambda: self.world.larger_side(leg.market))

    def requirement(self, account: Account, initial: bool = False) -> int:
        by_asset = dict.fromkeys(account.assets, 0)
        for leg in account.legs:
            by_asset[leg.market.settlement] += self.leg_requirement(leg, self.trigger(leg), initial)
        rules = [self.world.proto.margin_of(leg.market.name) for leg in account.open_legs()]
        kept = [share for rule in rules if (share := margin.kept_share(rule, initial)) is not None]
        for asset in account.assets if kept else []:
            legs = [leg for leg in account.legs if leg.market.settlement == asset]
            cash = self.world.ledger.balance(account.number, asset) - sum(self.world.ledger.owed(leg) for leg in legs)
            collateral = cash + sum(leg.entry_value for leg in legs)
            by_asset[asset] += math.floor(max(kept) * max(0, collateral))
        unit = 1 if kept else 0
        if not account.multi_asset:
            return by_asset[account.assets[0]] + unit
        return sum(math.ceil(amount * self.collateral(asset)) for asset, amount in by_asset.items()) + unit

    def liquidatable(self, account: Account) -> bool:
        return bool(account.open_legs()) and self.equity(account) < self.requirement(account)
