"""The run: opening, every instant of the tape, the end (sections 2, 3 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from judge import (
    assessments,
    book,
    closing,
    delisting,
    deposits,
    ending,
    events,
    keeper,
    late,
    payout,
    policies,
    pool_adl,
    sources,
    takeover,
    trial,
    vault_adl,
)  # fmt: skip
from judge.execution import Order, Volumes
from judge.feeds import named_feed
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
    parked: bool = False
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
        self.pool_adl = pool_adl.PoolAdl(w)
        self.delistings = delisting.Delistings(w)
        self.vault_adl = vault_adl.VaultAdl(w)
        self.sources = w.sources = sources.Sources(w)
        self.volumes = Volumes(w.tape, w.proto.execution)
        self.instants = {ts for prints in w.tape.prints.values() for ts, _, _ in prints}
        self.instants |= {ts for feed in w.feeds.values() for steps in feed.steps.values() for ts, _ in steps}
        self.instants |= {ts for feed in w.guard.feeds for steps in feed.steps.values() for ts, _ in steps}
        self.instants |= {event["ts"] for event in account_events}
        self.keeper = keeper.Keeper(w.proto.keeper, w.tape.start, w.tape.end)
        self.instants |= self.keeper.instants
        self.instants |= {ts for name in w.tape.markets for ts in w.terms.instants[name]}

    def play(self) -> None:
        done = self.w.tape.start - 1
        while True:
            pending = self.instants | self.halt_ends() | {q.at for q in self.queue if q.at is not None}
            pending |= self.pool_adl.instants | self.vault_adl.instants | self.delistings.instants
            pending |= self.sources.instants | late.instants(self.w)
            later = [t for t in pending if done < t <= self.w.tape.end]
            if not later:
                return
            self.instant(min(later))
            done = min(later)

    def halt_ends(self) -> set[int]:
        """Of those that are known so far."""
        return {end for _, end, _ in self.w.guard.halts if end <= self.w.tape.end}

    def instant(self, t: int) -> None:
        w = self.w
        w.ledger.now = t
        for order in self.volumes.prints_at(t):
            q = next(q for q in self.queue if order in q.orders)
            if all(o.left == 0 for o in q.orders):
                q.at, q.order = t, {id(o.leg): o.price for o in q.orders}
        assessments.accrue(w, t)
        self.sources.pay(t)
        late.pay(w, t)
        touched = self.delistings.run(t)
        for event in self.events:
            if event["ts"] == t and events.apply(w, event, t):
                touched.append(events.account_of(w, event))
        for account in w.accounts:
            self.detect(account, t, account in touched)
        changed = self.act(t) + deposits.charge(w, t)
        for _ in range(w.proto.rounds):
            for account in w.accounts:
                charged = any(leg.market.name in w.stepped for leg in account.open_legs())
                testable = self.testable(account) and not w.blocked(account, t) and self.keeper.tests_at(t)
                if (account in changed or charged) and testable and View(w, t).liquidatable(account):
                    self.enqueue(account, t, {})
            changed = self.act(t) + deposits.charge(w, t)
        payout.pay_claims(w, View(w, t), assessments.settle)
        self.pool_adl.run(t)
        self.vault_adl.run(t)
        w.pool_cash = payout.pool_cash(w)
        self.delistings.watch(t)

    @staticmethod
    def testable(account: Account) -> bool:
        return not account.queued and not account.closed and not account.rejected

    def enqueue(self, account: Account, t: int, seen: dict[str, int]) -> None:
        account.queued = True
        if account.trigger_ts is None:
            account.trigger_ts = t
        account.enqueued_ts = t
        view = View(self.w, t, seen)
        account.detected_at = {id(leg): view.trigger(leg) for leg in account.open_legs()}
        account.detected_equity_usd, account.detected_notional_usd = view.seen_usd(account)
        self.line_up(account, t, seen)

    def line_up(self, account: Account, t: int, seen: dict[str, int]) -> None:
        due = self.keeper.begin(account, t)
        if account.not_before is not None:
            due = max(due, account.not_before)
        self.queue.append(Queued(account, t, due, seen))

    def detect(self, account: Account, t: int, touched: bool) -> None:
        """Step 3 for one account: is t one of its instants, and does it fail the test?"""
        w = self.w
        parked = next((q for q in self.queue if q.account is account and q.parked), None)
        if w.blocked(account, t) or (parked is None and not self.testable(account)):
            return
        updated = any(w.trigger.prints_at(leg.market.name, t) for leg in account.open_legs())
        updated = updated or any(t in w.terms.instants[leg.market.name] for leg in account.open_legs())
        if account.multi_asset:
            markets = [w.tape.asset(a).price_market for a in account.assets]
            updated = updated or any(w.collateral.prints_at(m, t) for m in markets if m is not None)
        lifted = any(w.guard.lifts(leg.market.name, t) for leg in account.open_legs())
        if self.keeper.polls is not None:
            updated, lifted, touched = t in self.keeper.polls, False, False
        if not (updated or lifted or touched or t == w.tape.start):
            return
        views = [View(w, t)]
        if parked is not None:
            if not policies.wanted(views[0], account):
                self.leave(parked)
            return
        each = named_feed(w.proto.trigger_feed, w.proto.feeds).get("prints") == "each"
        if each and self.keeper.polls is None and len(account.open_legs()) == 1 and not account.multi_asset:
            leg = account.open_legs()[0]
            market = leg.market
            prints = w.trigger.prints_at(market.name, t, leg.size)
            views = [View(w, t, {market.name: p}) for p in prints] or views
        for view in views:
            if view.liquidatable(account):
                self.enqueue(account, t, view.seen)
                return

    def act(self, t: int) -> list[Account]:
        """Step 4: everything due, in order. Returns the accounts that were changed and are not closed."""
        w = self.w
        due = [q for q in self.queue if q.at is not None and q.at <= t]
        for q in due:
            q.parked = False
        due.sort(key=lambda q: (q.at, q.enqueued, q.account.number))
        changed: list[Account] = []
        w.stepped.clear()
        if w.proto.settlement == "per_instant":
            due = [q for q in due if self.validate(q, t)]
            waiting = []
            for q in due:
                view = View(w, t, q.seen)
                if closing.needs_nobody(w, view, q.account, q.order):
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
        """Whether the account is to be closed now. If not, it leaves the queue, or waits for whatever it needs."""
        w, legs = self.w, q.account.open_legs()
        if q.order is not None:
            if not legs:  # ADL took them all while the order waited
                self.leave(q)
            return bool(legs)
        if not self.keeper.has_slot(t):
            return False
        if w.blocked(q.account, t):
            markets = [leg.market.name for leg in legs]
            instants = self.instants | self.halt_ends()
            free = [s for s in instants if s > t and not any(w.guard.blocks(m, s) for m in markets)]
            q.at, q.seen = min(free, default=w.tape.end + 1), {}
            return False
        if t != q.enqueued:
            q.seen = {}
        if not policies.wanted(View(w, t, q.seen), q.account):
            self.leave(q)
            return False
        required = self.keeper.required(t)
        if required > 0:
            reward = keeper.reward(w, View(w, t, q.seen), q.account)
            q.parked = reward < required
            if q.parked:
                q.at = self.keeper.enough_after(t, reward)
                return False
        self.keeper.take_slot(t)
        again = self.keeper.fails(q.account, t)
        if again is not None:
            q.at = self.keeper.begin(q.account, again)
            return False
        if not w.proto.execution.waits or takeover.is_due(w, View(w, t, q.seen), q.account):
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
        w, account, view = self.w, q.account, View(self.w, t, q.seen)
        if not account.open_legs():  # ADL left it none
            self.leave(q)
            return
        retry = trial.retry_after(view, account, q.order)
        if retry is not None:
            w.result.reverted += 1
            q.at, q.seen, q.order, q.orders = self.keeper.begin(account, t + retry), {}, None, []
            return
        changed += closing.close(w, view, account, q.order)
        if account.closed:
            self.leave(q)
        elif policies.healthy(view, account):
            self.leave(q)
            changed.append(account)
        else:
            self.queue.remove(q)
            self.line_up(account, t, {})

    def leave(self, q: Queued) -> None:
        self.queue.remove(q)
        q.account.queued, q.account.underway, q.account.closed_units = False, False, {}
