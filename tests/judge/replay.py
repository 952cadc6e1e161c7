"""The run: opening, every instant of the tape, the end (sections 2, 3 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from judge import book, closing, ending, events
from judge.execution import Order, Volumes
from judge.ledger import Account
from judge.result import Result
from judge.tape import Tape
from judge.world import View, World


NEVER = 2**80
"""Later than anything."""


@dataclass(eq=False)
class Queued:
    """A place in the queue: a due action, or an order that fills at `at`."""

    account: Account
    enqueued: int
    at: int
    seen: dict[str, int]  # the single print that was seen, if the action is at once
    order: dict[int, int] | None = None  # the price of each leg by id, once its prints have come
    orders: list[Order] = field(default_factory=list)  # participation: one for each leg


def judge(
    definitions: dict,
    ticks: dict,
    positions: list[dict],
    accounts: list[dict] = (),
    account_events: list[dict] = (),
    protocol: dict | None = None,
    options: dict | None = None,
) -> Result:
    w = World(Tape(definitions, ticks), protocol or {}, options or {})
    book.open_book(w, list(positions), list(accounts), list(account_events))
    Run(w, list(account_events)).play()
    for event in account_events:
        events.list_if_late(w, event)
    ending.settle(w)
    return w.result


class Run:
    def __init__(self, w: World, account_events: list[dict]):
        self.w = w
        self.events = account_events
        self.queue: list[Queued] = []
        self.volumes = Volumes(w.tape, w.proto.execution)
        self.instants = {ts for prints in w.tape.prints.values() for ts, _, _ in prints}
        self.instants |= {ts for feed in w.feeds.values() for steps in feed.steps.values() for ts, _ in steps}
        self.instants |= {event["ts"] for event in account_events}

    def play(self) -> None:
        done = self.w.tape.start - 1
        while True:
            pending = self.instants | {q.at for q in self.queue}
            later = [t for t in pending if done < t <= self.w.tape.end]
            if not later:
                return
            self.instant(min(later))
            done = min(later)

    def instant(self, t: int) -> None:
        w = self.w
        w.ledger.now = t
        for order in self.volumes.prints_at(t):
            q = next(q for q in self.queue if order in q.orders)
            if all(o.left == 0 for o in q.orders):
                q.at, q.order = t, {id(o.leg): o.price for o in q.orders}
        touched = []
        for event in self.events:
            if event["ts"] == t and events.apply(w, event, t):
                touched.append(events.addressed(w, event))
        for account in w.accounts:
            self.detect(account, t, account in touched)
        changed = self.act(t)
        for _ in range(w.proto.rounds):
            for account in w.accounts:
                charged = any(leg.market.name in w.stepped for leg in account.open_legs())
                if (account in changed or charged) and self.testable(account) and View(w, t).liquidatable(account):
                    self.enqueue(account, t, {})
            changed = self.act(t)

    @staticmethod
    def testable(account: Account) -> bool:
        return not account.queued and not account.closed and not account.rejected

    def enqueue(self, account: Account, t: int, seen: dict[str, int]) -> None:
        latency = self.w.proto.latency
        account.queued = True
        if account.trigger_ts is None:
            account.trigger_ts = t
        account.enqueued_ts = t
        self.queue.append(Queued(account, t, t + latency, seen if latency == 0 else {}))

    def detect(self, account: Account, t: int, touched: bool) -> None:
        """Step 3 for one account: is t one of its instants, and does it fail the test?"""
        w = self.w
        if not self.testable(account):
            return
        updated = any(w.trigger.prints_at(leg.market.name, t) for leg in account.open_legs())
        if account.multi_asset:
            markets = [w.tape.asset(a).price_market for a in account.assets]
            updated = updated or any(w.collateral.prints_at(m, t) for m in markets if m is not None)
        if not (updated or touched or t == w.tape.start):
            return
        views = [View(w, t)]
        if len(account.open_legs()) == 1 and not account.multi_asset:
            market = account.open_legs()[0].market
            prints = w.trigger.prints_at(market.name, t)
            views = [View(w, t, {market.name: p}) for p in prints] or views
        for view in views:
            if view.liquidatable(account):
                self.enqueue(account, t, view.seen)
                return

    def act(self, t: int) -> list[Account]:
        """Step 4: everything due, in order. Returns the accounts that were changed and are not closed."""
        w = self.w
        due = [q for q in self.queue if q.at <= t]
        due.sort(key=lambda q: (q.at, q.enqueued, q.account.number))
        changed: list[Account] = []
        w.stepped.clear()
        if w.proto.settlement == "per_instant":
            due = [q for q in due if self.validate(q, t)]
            waiting = []
            for q in due:
                view = View(w, t, q.seen)
                over = q.order is None and closing.taken_over(w, view, q.account)
                if over or closing.suppose(w, view, q.account, q.order).solvent:
                    self.close(q, t, changed)
                else:
                    waiting.append(q)
            for q in waiting:
                self.close(q, t, changed)
        else:
            for q in due:
                if self.validate(q, t):
                    self.close(q, t, changed)
        return [account for account in changed if not account.closed]

    def validate(self, q: Queued, t: int) -> bool:
        """Whether the account is to be closed now. If not, it leaves the queue, or its order waits for a print."""
        w, legs = self.w, q.account.open_legs()
        if q.order is not None:
            if not legs:  # ADL took them all while the order waited
                self.leave(q)
            return bool(legs)
        if not View(w, t, q.seen).liquidatable(q.account):
            self.leave(q)
            return False
        if not w.proto.execution.waits or closing.taken_over(w, View(w, t, q.seen), q.account):
            return True
        if w.proto.execution.kind == "participation":
            q.orders, q.seen, q.at = [self.volumes.place(leg, t) for leg in legs], {}, NEVER
            return False
        prints = {id(leg): w.tape.next_print(leg.market.name, t) for leg in legs}
        if any(p is None for p in prints.values()):
            self.queue.remove(q)  # but the account stays queued, for ever
        else:
            q.at = max(ts for ts, _ in prints.values())
            q.order = {leg: price for leg, (_, price) in prints.items()}
            q.seen = {}
        return False

    def close(self, q: Queued, t: int, changed: list[Account]) -> None:
        w, account = self.w, q.account
        self.leave(q)
        if account.open_legs():  # if ADL left it any
            w.closing_event[account.number] = w.events
            changed += closing.close(w, View(w, t, q.seen), account, q.order)

    def leave(self, q: Queued) -> None:
        self.queue.remove(q)
        q.account.queued = False
