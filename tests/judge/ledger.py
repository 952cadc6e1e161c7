"""Holders, balances, sizes and postings (section 2). Conservation is summed from scratch after every event."""

from __future__ import annotations

from dataclasses import dataclass, field

from judge.tape import Market, Tape

ENTITIES = [
    "outside", "insurance_fund", "pool", "vault", "socialised", "treasury", "keepers", "fees", "uncovered", "rounding",
    "external", "funding", "token", "prepaid",
]  # fmt: skip


SCALE = 10**12
"""Units of an index to one unit of the settlement asset for one unit of size."""

CHARGES = ["socialised", "funding", "borrow"]
"""What legs are charged for, each through an index of its own."""


@dataclass
class Position:
    """A leg of a margin account, or the net position of an entity in a market."""

    holder: int | str
    market: Market
    size: int = 0
    entry_value: int = 0
    opening_size: int = 0
    settled_at: dict[str, int] = field(default_factory=dict)  # index of each charge
    key: str | None = None

    def take(self, size: int, cost: int) -> None:
        """Receives a signed size for `cost`: adds to the position, or reduces it, or turns it over."""
        held = self.size
        if held * size >= 0:
            self.entry_value += cost
        elif abs(size) <= abs(held):
            self.entry_value -= self.entry_value * abs(size) // abs(held)
        else:
            self.entry_value = cost - cost * abs(held) // abs(size)
        self.size += size


@dataclass
class Account:
    """A margin account."""

    number: int
    name: str
    market: str | None  # of an isolated position
    owner: str | None
    position: str | None = None  # key of an isolated position
    legs: list[Position] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)  # sorted; those of its cash, its legs and its events
    collateral: dict[str, int] = field(default_factory=dict)
    opening: bool = False
    rejected: bool = False
    queued: bool = False
    closed: str | None = None  # "liquidated" or "defaulted"
    trigger_ts: int | None = None  # when it was first queued
    enqueued_ts: int | None = None  # when it was last queued
    detected_at: dict[int, int] = field(default_factory=dict)  # trigger prices then, by id of the leg
    detected_equity_usd: int = 0
    detected_notional_usd: int = 0
    closed_ts: int | None = None
    underway: bool = False  # a liquidation is going on
    closed_units: dict[int, int] = field(default_factory=dict)  # that it has closed, by id of the leg
    not_before: int | None = None  # no action is due earlier
    opening_equity_usd: int = 0
    deposits_usd: int = 0
    bad_debt_usd: int = 0  # realised, or open at the end
    adl_give_up_usd: int = 0
    socialised_usd: int = 0
    unpaid_profit_usd: int = 0
    assessed_at_end_usd: int = 0
    accrued_at_end_usd: int = 0

    def add_asset(self, asset: str) -> None:
        self.assets = sorted({*self.assets, asset})

    @property
    def multi_asset(self) -> bool:
        return len(self.assets) > 1

    def open_legs(self) -> list[Position]:
        return [leg for leg in self.legs if leg.size != 0]


@dataclass
class Posting:
    ts: int
    event: int | None
    kind: str
    source: int | str
    target: int | str
    asset: str
    amount: int


class Ledger:
    def __init__(self, tape: Tape):
        self.tape = tape
        self.cash: dict[tuple[int | str, str], int] = {}
        self.positions: list[Position] = []
        self.entity_positions: dict[tuple[str, str], Position] = {}
        self.postings: list[Posting] = []
        self.event: int | None = None
        self.now: int = tape.start
        self.index: dict[tuple[str, str], int] = {}  # by charge and market

    def balance(self, holder: int | str, asset: str) -> int:
        return self.cash.get((holder, asset), 0)

    def owed(self, leg: Position) -> int:
        return sum(self.owed_for(charge, leg) for charge in CHARGES)

    def owed_for(self, charge: str, leg: Position) -> int:
        steps = self.index.get((charge, leg.market.name), 0) - leg.settled_at.get(charge, 0)
        size = leg.size if charge == "funding" else abs(leg.size)
        return -(-size * steps // SCALE)

    def mark_settled(self, leg: Position) -> None:
        leg.settled_at = {charge: self.index.get((charge, leg.market.name), 0) for charge in CHARGES}

    def post(self, kind: str, source: int | str, target: int | str, asset: str, amount: int) -> None:
        if amount == 0:
            return
        self.cash[source, asset] = self.balance(source, asset) - amount
        self.cash[target, asset] = self.balance(target, asset) + amount
        self.postings.append(Posting(self.now, self.event, kind, source, target, asset, amount))

    def new_leg(self, account: int, market: Market) -> Position:
        leg = Position(account, market)
        self.positions.append(leg)
        return leg

    def entity(self, name: str, market: Market) -> Position:
        if (name, market.name) not in self.entity_positions:
            position = Position(name, market)
            self.entity_positions[name, market.name] = position
            self.positions.append(position)
        return self.entity_positions[name, market.name]

    def fill(self, kind: str, seller: Position, buyer: Position, size: int, cash: int) -> None:
        """The seller gives a signed size to the buyer, who pays a signed amount of the settlement asset for it."""
        seller.take(-size, -cash)
        buyer.take(size, cash)
        self.post(kind, buyer.holder, seller.holder, seller.market.settlement, cash)

    def check(self) -> None:
        for asset in {asset for _, asset in self.cash}:
            assert sum(n for (_, a), n in self.cash.items() if a == asset) == 0, f"{asset} does not sum to zero"
        for name in self.tape.markets:
            assert sum(p.size for p in self.positions if p.market.name == name) == 0, f"sizes of {name}"
        assert all(p.size != 0 or p.entry_value == 0 for p in self.positions)

    def snapshot(self) -> tuple:
        held = [(p, p.size, p.entry_value, p.settled_at) for p in self.positions]
        return dict(self.cash), held, len(self.postings)

    def restore(self, snapshot: tuple) -> None:
        self.cash, held, count = dict(snapshot[0]), snapshot[1], snapshot[2]
        for position in self.positions:
            position.size, position.entry_value, position.settled_at = 0, 0, {}
        for position, size, entry_value, settled_at in held:
            position.size, position.entry_value, position.settled_at = size, entry_value, settled_at
        del self.postings[count:]
