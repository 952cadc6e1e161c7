"""Delistings: a market, or the venue, is settled at one price (section 5f)."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from judge import adl, assessments, attributing, closing, funds, house, layers, limits, payout, rows
from judge.assessments import Closed
from judge.feeds import Feed, when
from judge.ledger import ENTITIES, Account, Position
from judge.tape import Market
from judge.world import View, World


@dataclass
class Delisting:
    spec: dict
    markets: list[str]
    due: int | None
    over: bool = False


@dataclass
class Delistings:
    w: World
    all: list[Delisting] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = self.w.tape.start
        for spec in self.w.proto.delistings:
            market, trigger = spec.get("market"), spec["trigger"]
            due = None
            if trigger["kind"] == "time":
                due = max(start, when(trigger["at"], start))
            if trigger["kind"] == "halt":
                stops = [h for h in self.w.guard.halts if h[2] is None or (market is not None and market in h[2])]
                due = min((end for _, end, _ in stops), default=None)
            self.all.append(Delisting(spec, [market] if market else list(self.w.tape.markets), due))

    @property
    def instants(self) -> set[int]:
        return {d.due for d in self.all if d.due is not None and not d.over}

    def run(self, t: int) -> list[Account]:
        """At the begin of an instant; says whose positions it closed or reduced."""
        changed: list[Account] = []
        for d in self.all:
            if d.due is None or d.due > t or d.over:
                continue
            d.over = True
            for name in d.markets:
                if name not in self.w.settled:
                    market = self.w.tape.markets[name]
                    price = price_of(self.w, d.spec.get("price") or {"kind": "mark"}, market, t)
                    changed += settle_market(self.w, market, price, d.spec.get("negative", "waterfall"), t)
        return changed

    def watch(self, t: int) -> None:
        """At the end of an instant."""
        rows_of = [row for row in self.w.result.bad_debt if row["status"] == "realised"]
        as_lost = ("uncovered_usd", "treasury_later_usd", "token_later_usd")
        uncovered = sum(row[column] for row in rows_of for column in as_lost)
        for d in self.all:
            trigger = d.spec["trigger"]
            if trigger["kind"] == "halt":
                ends = [halt["end_ts"] for halt in self.w.result.layer_halts]
                d.due = min((end for end in [d.due, *ends] if end is not None), default=None)
            waits = trigger["kind"] == "uncovered" and d.due is None
            if waits and uncovered >= Fraction(trigger["amount"]) * 10**6:
                d.due = t + max(1, trigger.get("delay", 0))


def price_of(w: World, spec: dict, market: Market, t: int) -> int:
    if spec["kind"] == "fixed":
        return int(Fraction(spec["price"]) * 10**market.price_decimals)
    if spec["kind"] == "feed":
        return Feed(w.tape, spec["feed"], w.proto.feeds, [market.name]).price(market.name, t)
    return View(w, t).mark(Position("nobody", market), 1)


def settle_market(w: World, market: Market, price: int, negative: str, t: int) -> list[Account]:
    w.settled[market.name] = price
    by = w.ledger.entity("outside" if w.proto.payout is None else "pool", market)
    for name in ENTITIES:
        held = w.ledger.entity(name, market)
        if held is not by and held.size != 0:
            size, amount = held.size, market.value(held.size, price)
            w.ledger.fill("settlement", held, by, size, amount)
            gain(w, name, by.holder, market, size, amount, t)
    changed: list[Account] = []
    if negative == "adl":
        for account in w.accounts:
            if holds(account, market) and View(w, t).equity_at_mark(account) < 0:
                changed += settle_account(w, account, market, price, by, True, t)
    for account in w.accounts:
        if holds(account, market):
            changed += settle_account(w, account, market, price, by, False, t)
    return changed


def holds(account: Account, market: Market) -> bool:
    return any(leg.market is market for leg in account.open_legs())


def gain(w: World, who: str, by: str, market: Market, size: int, amount: int, t: int) -> None:
    """Against the reference."""
    worth = market.value(size, w.reference.price(market.name, t))
    gained = w.usd(market.settlement, amount - worth, t)
    w.settlement_gains[who] = w.settlement_gains.get(who, 0) + gained
    w.settlement_gains[by] = w.settlement_gains.get(by, 0) - gained


def bankruptcy(w: World, view: View, account: Account, leg: Position) -> int:
    mark = view.mark(leg, leg.size)
    candidate = adl.Candidate(leg, account, mark, 0, view.equity_at_mark(account))
    return adl.own_bankruptcy(w, view, candidate)


def settle_account(
    w: World, account: Account, market: Market, price: int, by: Position, deleverages: bool, t: int
) -> list[Account]:
    ledger, view = w.ledger, View(w, t)
    limits.test(w, t)
    ledger.event, w.events = w.events, w.events + 1
    charged = assessments.settle(w, account)
    legs = [leg for leg in account.open_legs() if leg.market is market]
    owed = {id(leg): bankruptcy(w, view, account, leg) for leg in legs} if deleverages else {}
    equity_before = w.reference_equity_usd(account, t)
    closed = Closed(account, [(market, attributing.settled_notional(leg, price)) for leg in legs])
    closed.fund = funds.of_market(w, market.name)
    seen = account.enqueued_ts, account.detected_at, account.detected_equity_usd, account.detected_notional_usd
    account.enqueued_ts = t
    account.detected_equity_usd, account.detected_notional_usd = view.seen_usd(account)
    outcomes = {b: rows.Outcome(b) for b in account.assets}
    desk, changed = payout.Desk(w, view, account), [account]
    for leg in legs:
        matches = adl.match(w, view, account, leg, abs(leg.size), owed[id(leg)]) if deleverages else []
        for m in matches:
            rows.adl_fill(w, view, account, m, outcomes[market.settlement], equity_before)
            adl.book(w, m)
            changed += [m.account] if m.account is not None else []
        if leg.size != 0:
            size, amount = leg.size, market.value(leg.size, price)
            unpaid = desk.fill(leg, abs(size), amount)
            ledger.fill("settlement", leg, by, size, amount)
            payout.keep_back(w, account, market.settlement, unpaid)
            gain(w, "accounts", by.holder, market, size, amount, t)
    account.enqueued_ts, account.detected_at, account.detected_equity_usd, account.detected_notional_usd = seen
    if account.open_legs():
        part_of_a_loss(w, view, account, outcomes, charged)
    else:
        make_good(w, view, account, outcomes, closed, charged)
    ledger.event = None
    ledger.check()
    limits.note(w, t)
    w.sources.set_off(t)
    return changed


def part_of_a_loss(w: World, view: View, account: Account, outcomes: dict[str, rows.Outcome], charged: dict) -> None:
    """Other positions are left, and the rest of the loss with them."""
    for b, o in outcomes.items():
        o.partial, o.left_open = True, closing.left_open(w, account, b, view.t) if o.give_up else None
        o.assessed, o.accrued = charged["socialised"][b], charged["funding"][b] + charged["borrow"][b]
        rows.bad_debt(w, view, account, o)


def make_good(
    w: World, view: View, account: Account, outcomes: dict[str, rows.Outcome], closed: Closed, charged: dict
) -> None:
    ledger, t = w.ledger, view.t
    balances = {b: ledger.balance(account.number, b) for b in account.assets}
    for c in closing.convert(w, view, account, balances):
        ledger.post("conversion", account.number, "outside", c.taken_asset, c.taken)
        ledger.post("conversion", "outside", account.number, c.obtained_asset, c.obtained)
    defaulted = False
    for b, o in outcomes.items():
        o.final = ledger.balance(account.number, b)
        o.assessed = charged["socialised"][b]
        o.accrued = charged["funding"][b] + charged["borrow"][b]
        o.prepaid = house.realise(w, account, b, max(0, -o.final))
        paid = layers.run(w, account.number, b, max(0, -o.final) - o.prepaid, t, w.proto.waterfall, closed)
        for layer, (amount, cost_usd) in paid.items():
            o.pay(layer, funds.payer(layer, closed), amount, cost_usd)
        closing.leave_uncovered(w, account, o, t)
        defaulted = closing.book_outcome(w, view, closed, o) or defaulted
    if defaulted:
        account.queued, account.underway = False, False
        account.closed, account.closed_ts = "defaulted", t


def list_who_pays(w: World) -> None:
    for who, gained in w.settlement_gains.items():
        w.result.who_pays.append({"section": "beside", "line": f"settlement:{who}", "amount_usd": gained})
