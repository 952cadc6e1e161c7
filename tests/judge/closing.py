"""Closing one account, from the hypothetical close to the last layer (sections 5, 7 and 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from judge import (
    adl,
    assessments,
    attributing,
    execution,
    funds,
    house,
    late,
    layers,
    limits,
    payout,
    penalty,
    policies,
    refusal,
    rows,
    takeover,
)  # fmt: skip
from judge.execution import Venue
from judge.ledger import Account, Position
from judge.world import View, World


@dataclass
class Fill:
    leg: Position
    quantity: int
    price: int
    amount: int
    taker: str
    fee: int = 0
    unpaid: payout.Unpaid = field(default_factory=payout.Unpaid)

    @property
    def net(self) -> int:
        return self.amount - self.fee - self.unpaid.total


@dataclass
class Conversion:
    taken_asset: str
    taken: int
    obtained_asset: str
    obtained: int


@dataclass
class Hypothesis:
    """Everything closed at market (5.1 to 5.3)."""

    feeds: dict[int, int]  # price of the execution feed, or of the print that fills it, by id of the leg
    limits: dict[int, int | None]  # the worst price in the market, by id of the leg
    prices: dict[int, int]  # x0 by id of the leg
    fills: list[Fill]
    balances: dict[str, int]  # bal, after conversions
    equity: dict[str, int]  # E0
    settle_asset: str
    shortfall: dict[str, int]  # D0
    fee: penalty.Fee  # what is unpaid of it is K

    def debt(self, asset: str) -> int:
        return self.shortfall[asset] + (self.fee.unpaid if asset == self.settle_asset else 0)

    def fee_in(self, asset: str) -> int:
        return self.fee.paid + self.fee.unpaid if asset == self.settle_asset else 0

    @property
    def solvent(self) -> bool:
        return all(self.debt(asset) == 0 for asset in self.shortfall)


def walk(
    venue: Venue, view: View, leg: Position, quantity: int, feed: int, worst: int | None, desk: payout.Desk
) -> list[Fill]:
    """Market fills of `quantity` units of the leg."""
    side = adl.sign(leg.size)
    found = execution.fills(venue, view, leg, quantity, feed, worst)
    fills = [Fill(leg, q, price, leg.market.value(side * q, price), taker) for q, price, taker in found]
    for fill in fills:
        fill.fee = execution.fee(venue.execution, leg, fill.quantity, fill.amount)
        fill.unpaid = desk.fill(leg, fill.quantity, fill.amount)
    return fills


def convert(w: World, view: View, account: Account, balances: dict[str, int]) -> list[Conversion]:
    """Positive balances make good negative ones; `balances` is changed."""
    done = []
    for b in account.assets:
        for a in account.assets:
            if balances[b] >= 0 or balances[a] <= 0:
                continue
            wanted = -balances[b]
            price_a, price_b = view.collateral(a), view.collateral(b)
            price_a *= w.proto.sold_at(a)
            taken, obtained = math.ceil(wanted * price_b / price_a), wanted
            if taken > balances[a]:
                taken = balances[a]
                obtained = math.floor(taken * price_a / price_b)
            balances[a] -= taken
            balances[b] += obtained
            done.append(Conversion(a, taken, b, obtained))
    return done


def suppose(w: World, view: View, account: Account, next_prices: dict[int, int] | None) -> Hypothesis:
    legs = account.open_legs()
    feeds = next_prices or execution.at_once(view, account)
    prices = {id(leg): w.venue.displaced(leg.market, feeds[id(leg)], view.t) for leg in legs}
    limits = {id(leg): execution.limit(w.proto.execution, view, account, leg) for leg in legs}
    venue, desk = w.venue.copy(), payout.Desk(w, view, account)
    fills = [
        fill for leg in legs for fill in walk(venue, view, leg, abs(leg.size), feeds[id(leg)], limits[id(leg)], desk)
    ]

    def settled(asset: str) -> int:
        return sum(f.net for f in fills if f.leg.market.settlement == asset)

    def owed(asset: str) -> int:
        return sum(w.ledger.owed(leg) for leg in legs if leg.market.settlement == asset)

    balances = {b: w.ledger.balance(account.number, b) - owed(b) + settled(b) for b in account.assets}
    convert(w, view, account, balances)
    equity = {
        b: balances[b]
        - settled(b)
        + sum(leg.market.value(leg.size, prices[id(leg)]) for leg in legs if leg.market.settlement == b)
        for b in account.assets
    }
    shortfall = {b: max(0, -balances[b]) for b in account.assets}
    settle_asset = legs[0].market.settlement
    short = any(shortfall.values())
    notional = sum(policies.notional(view, leg, prices[id(leg)]) for leg in legs)
    fee = penalty.keeper_fee(w, view, settle_asset, len(fills), notional, short, balances[settle_asset])
    return Hypothesis(feeds, limits, prices, fills, balances, equity, settle_asset, shortfall, fee)


@dataclass
class Part:
    """What a partial action closes (5a)."""

    fills: list[Fill]
    fee: penalty.Fee
    venue: Venue  # as the fills leave it


def fill_part(w: World, view: View, account: Account, h: Hypothesis, q: dict[int, int]) -> Part:
    """So many units of each leg, filled in the market."""
    venue, fills, desk = w.venue.copy(), [], payout.Desk(w, view, account)
    for leg in account.open_legs():
        fills += walk(venue, view, leg, q[id(leg)], h.feeds[id(leg)], h.limits[id(leg)], desk)
    legs = policies.choices(view, account, h.prices)
    notional = sum(math.ceil(Fraction(c.notional * q[id(c.leg)], c.size)) for c in legs)
    short, balance = any(h.shortfall.values()), h.balances[h.settle_asset]
    fee = penalty.keeper_fee(w, view, h.settle_asset, len(fills), notional, short, balance)
    return Part(fills, fee, venue)


def chosen_by_policy(
    w: World, view: View, account: Account, h: Hypothesis, rate: Fraction, elapsed: int
) -> dict[int, int]:
    """Units of each leg by id."""
    legs = policies.choices(view, account, h.prices)

    def heals(q: dict[int, int]) -> bool:
        tried = fill_part(w, view, account, h, q)
        snapshot = w.ledger.snapshot()
        for f in tried.fills:
            w.ledger.fill(
                "try", f.leg, w.ledger.entity("outside", f.leg.market), adl.sign(f.leg.size) * f.quantity, f.amount
            )
            w.ledger.post("try", account.number, "fees", f.leg.market.settlement, f.fee + f.unpaid.total)
        w.ledger.post("try", account.number, "keepers", h.settle_asset, tried.fee.paid + tried.fee.unpaid)
        for b in account.assets if h.solvent else []:
            gross = sum(abs(f.amount) for f in tried.fills if f.leg.market.settlement == b)
            limit = h.balances[b] - (tried.fee.paid if b == h.settle_asset else 0)
            w.ledger.post("try", account.number, "fees", b, penalty.limited(w, view, rate, b, gross, limit))
        result = policies.healthy(view, account)
        w.ledger.restore(snapshot)
        return result

    if h.solvent or w.proto.close.when_insolvent == "policy":
        return policies.quantities(w, view, account, legs, elapsed, heals)
    return {id(c.leg): c.size for c in legs}


def part_of(w: World, view: View, account: Account, h: Hypothesis, rate: Fraction, elapsed: int) -> Part | None:
    """What the policy closes, as far as it is within the bound; None: the whole."""
    q = chosen_by_policy(w, view, account, h, rate, elapsed)
    sizes = {id(leg): abs(leg.size) for leg in account.open_legs()}
    whole = q == sizes
    if w.proto.execution.remainder == "retry" or (w.proto.execution.remainder == "adl" and not whole):
        q = within_limits(w, view, account, h, q)
        whole = q == sizes
    return None if whole else fill_part(w, view, account, h, q)


def within_limits(w: World, view: View, account: Account, h: Hypothesis, q: dict[int, int]) -> dict[int, int]:
    """What the market takes of so many units of each leg within the limits, leg after leg."""
    venue, found = w.venue.copy(), {}
    for leg in account.open_legs():
        taken = execution.within(venue, view, leg, q[id(leg)], h.feeds[id(leg)], h.limits[id(leg)])
        found[id(leg)] = sum(quantity for quantity, _, _ in taken)
    return found


def closed_of(account: Account, h: Hypothesis) -> assessments.Closed:
    legs = [(leg.market, attributing.settled_notional(leg, h.prices[id(leg)])) for leg in account.open_legs()]
    return assessments.Closed(account, legs)


def wanted_of_adl(w: World, view: View, account: Account, h: Hypothesis) -> list[tuple[Position, int]]:
    """5.5 and 5c: what the layers before ADL do not cover, and what the market does not take within its limits."""
    legs = account.open_legs()
    sold = {id(leg): abs(leg.size) for leg in legs}
    if w.proto.execution.remainder == "adl":
        sold = within_limits(w, view, account, h, sold)
    before = w.proto.waterfall[: w.proto.waterfall.index("adl")] if "adl" in w.proto.waterfall else []
    exhausts = w.proto.coverage == "exhaust" and "insurance_fund" in before
    asked = "adl" in w.proto.waterfall and not exhausts
    for b in account.assets if asked else []:
        closed = closed_of(account, h)
        lacks = attributing.lacking(legs, attributing.bankruptcy_amounts(w, view, account, h), h.fills, [])
        losses = funds.portions(w, closed, b, h.shortfall[b], lacks)
        fees = funds.portions(w, closed, b, h.debt(b) - h.shortfall[b], lacks)
        for (part, loss), (_, unpaid_fee) in zip(losses, fees, strict=True):
            if loss == 0 or not limits.is_on(w, "adl", part.fund, view.t):
                continue
            covered = house.prepaid(w, b, loss + unpaid_fee)
            covered += layers.covered_before_adl(w, part, b, loss + unpaid_fee - covered, view.t)
            if covered >= loss + unpaid_fee:
                continue
            for leg in legs:
                if leg.market.settlement == b and funds.of_market(w, leg.market.name) == part.fund:
                    at_market = abs(leg.size) * max(0, covered - unpaid_fee) // loss
                    sold[id(leg)] = min(sold[id(leg)], at_market)
    found = [(leg, abs(leg.size) - sold[id(leg)]) for b in account.assets for leg in legs if leg.market.settlement == b]
    return [(leg, quantity) for leg, quantity in found if quantity > 0]


def plan_adl(
    w: World, view: View, account: Account, wanted: list[tuple[Position, int]], bankruptcy: dict[int, int]
) -> list[adl.Match]:
    """5.5: which quantities ADL takes. Leg after leg is matched and booked for trial, then all is taken back."""
    if wanted:
        w.adl_attempts[view.t] = w.adl_attempts.get(view.t, 0) + 1
        if w.proto.adl.attempts is not None and w.adl_attempts[view.t] > w.proto.adl.attempts:
            return []
    matches: list[adl.Match] = []
    snapshot = w.ledger.snapshot()
    for leg, quantity in wanted:
        found = adl.match(w, view, account, leg, quantity, adl.amount(w, view, leg, bankruptcy[id(leg)]))
        for m in found:
            adl.book(w, m)
        matches += found
    w.ledger.restore(snapshot)
    return [m for leg in account.open_legs() for m in matches if m.leg is leg]


@dataclass
class Group:
    """What is judged together when losses are covered by position or by fill (5.7)."""

    leg: Position
    fills: list[Fill]
    start: int  # Q before the group


def groups_of(w: World, fills: list[Fill], legs: list[Position]) -> list[Group]:
    groups = []
    for leg in legs:
        q = 0
        own = [f for f in fills if f.leg is leg]
        for batch in [own] if w.proto.loss_unit == "position" else [[f] for f in own]:
            if batch:
                groups.append(Group(leg, batch, q))
                q += sum(f.quantity for f in batch)
    return groups


def left_open(w: World, account: Account, asset: str, t: int) -> int:
    """What the account has in an asset once a part was closed, at the reference; what it owed was settled before."""
    legs = [leg for leg in account.legs if leg.market.settlement == asset]
    values = sum(leg.market.value(leg.size, w.reference.price(leg.market.name, t)) for leg in legs)
    return w.ledger.balance(account.number, asset) + values


def leave_uncovered(w: World, account: Account, o: rows.Outcome, t: int) -> None:
    """What is still missing of an asset is nobody's."""
    o.uncovered = max(0, -w.ledger.balance(account.number, o.asset))
    w.uncovered_ts = t if o.uncovered else w.uncovered_ts
    w.ledger.post("uncovered", "uncovered", account.number, o.asset, o.uncovered)


def book_outcome(w: World, view: View, closed: assessments.Closed, o: rows.Outcome) -> bool:
    """The row of what was lost in an asset, and what follows from it; whether others have lost anything."""
    account, event = closed.account, (w.ledger.event, o.by_payer | {"uncovered": o.uncovered})
    w.paid.setdefault((account.number, o.asset), []).append(event)
    debt = rows.bad_debt(w, view, account, o)
    late.claim(w, closed, o.asset, o.uncovered, view.t)
    return debt > 0 or bool(o.paid) or o.uncovered > 0 or o.prepaid > 0


def charge_penalty(w: World, account: Account, asset: str, charged: int, fills: list[Fill]) -> None:
    left = charged
    for sink, share in w.proto.penalty.split.items():
        part = math.floor(share * charged)
        of_markets = [(f.leg.market.name, abs(f.amount)) for f in fills] if sink == "insurance_fund" else []
        by_holder = funds.divided(w, part, of_markets) if of_markets else {sink: part}
        for holder, amount in by_holder.items():
            w.ledger.post("penalty", account.number, holder, asset, amount)
        left -= part
    w.ledger.post("penalty", account.number, "rounding", asset, left)


def needs_nobody(w: World, view: View, account: Account, next_prices: dict[int, int] | None) -> bool:
    """Whether the account could be closed with nothing missing and nothing asked of ADL (section 8)."""
    if next_prices is None and takeover.is_due(w, view, account):
        return True
    h = suppose(w, view, account, next_prices)
    if not h.solvent or w.proto.execution.remainder not in ("adl", "deleverage"):
        return h.solvent
    snapshot = w.ledger.snapshot()
    assessments.settle(w, account)  # as it will be when it is closed
    elapsed = view.t - account.enqueued_ts
    rate = penalty.rate(w, view, account, elapsed)
    if w.proto.execution.remainder == "deleverage":
        found = not refusal.plan(w, view, account, h, rate, elapsed)[1]
    else:
        part = part_of(w, view, account, h, rate, elapsed)
        found = part is not None or not wanted_of_adl(w, view, account, h)
    w.ledger.restore(snapshot)
    return found


def close(w: World, view: View, account: Account, next_prices: dict[int, int] | None = None) -> list[Account]:
    """Closes the account, or as much of it as the policy says; returns the accounts that ADL changed."""
    limits.test(w, view.t)
    changed = carry_out(w, view, account, next_prices)
    limits.note(w, view.t)
    w.sources.set_off(view.t)
    return changed


def carry_out(w: World, view: View, account: Account, next_prices: dict[int, int] | None) -> list[Account]:
    if next_prices is None and takeover.is_due(w, view, account):
        return takeover.carry_out(w, view, account)
    t, ledger, proto = view.t, w.ledger, w.proto
    ledger.event, w.events = w.events, w.events + 1
    settled = assessments.settle(w, account)
    h = suppose(w, view, account, next_prices)
    solvent = h.solvent
    elapsed = t - account.enqueued_ts
    rate = penalty.rate(w, view, account, elapsed)
    refuses = proto.execution.remainder == "deleverage"
    if refuses:
        part, wanted = refusal.plan(w, view, account, h, rate, elapsed)
    else:
        part = part_of(w, view, account, h, rate, elapsed)
        wanted = [] if part else wanted_of_adl(w, view, account, h)
    if part is not None:
        h.fee = part.fee
    bankruptcy = attributing.bankruptcy_amounts(w, view, account, h)
    legs = account.open_legs()
    closed = closed_of(account, h)
    sizes = {id(leg): abs(leg.size) for leg in legs}
    matches = plan_adl(w, view, account, wanted, bankruptcy)
    if refuses and sum(m.quantity for m in matches) == sum(sizes.values()):
        part = None  # nothing is left open
    leaves = not refuses and proto.adl.leftover == "open"
    if leaves and sum(n for _, n in wanted) > sum(m.quantity for m in matches):
        asked = {id(leg): n for leg, n in wanted}
        part = fill_part(w, view, account, h, {id(leg): abs(leg.size) - asked.get(id(leg), 0) for leg in legs})
        h.fee = part.fee

    # 6. fills, conversions, keeper fee
    equity_before = w.reference_equity_usd(account, t)
    fills: list[Fill] = part.fills if part else []
    desk = payout.Desk(w, view, account)
    for leg in legs if part is None else []:
        matched = sum(m.quantity for m in matches if m.leg is leg)
        quantity = abs(leg.size) - matched
        fills += walk(w.venue, view, leg, quantity, h.feeds[id(leg)], h.limits[id(leg)], desk)
    if part:
        w.venue = part.venue
    if proto.execution.feedback:
        w.stepped |= {fill.leg.market.name for fill in fills}
    for fill in fills:
        side = adl.sign(fill.leg.size)
        counter = ledger.entity(fill.taker, fill.leg.market)
        ledger.fill("fill", fill.leg, counter, side * fill.quantity, fill.amount)
        rows.liquidation(w, view, account, fill, side, equity_before)
        if proto.execution.trading_fee:
            ledger.post(
                "trading_fee",
                account.number,
                funds.receiver(w, proto.execution.trading_fee.receiver, fill.leg.market.name),
                fill.leg.market.settlement,
                fill.fee,
            )
        payout.keep_back(w, account, fill.leg.market.settlement, fill.unpaid)
    outcomes = {b: rows.Outcome(b) for b in account.assets}
    for m in matches:
        rows.adl_fill(w, view, account, m, outcomes[m.leg.market.settlement], equity_before)
        adl.book(w, m)
    balances = {b: ledger.balance(account.number, b) for b in account.assets}
    for c in [] if part else convert(w, view, account, balances):
        ledger.post("conversion", account.number, "outside", c.taken_asset, c.taken)
        ledger.post("conversion", "outside", account.number, c.obtained_asset, c.obtained)
    ledger.post("keeper_fee", account.number, "keepers", h.settle_asset, h.fee_in(h.settle_asset))

    # 4. and 7. penalties, and what layers pay by group
    def run_layers(asset: str, claims: list[tuple[assessments.Closed, int]]) -> None:
        for part, wanted in claims:
            used = house.realise(w, account, asset, wanted)
            outcomes[asset].prepaid += used
            paid = layers.run(w, account.number, asset, wanted - used, t, proto.waterfall, part)
            for layer, (amount, cost_usd) in paid.items():
                outcomes[asset].pay(layer, funds.payer(layer, part), amount, cost_usd)

    closed_in = {b: sum(abs(f.amount) for f in fills if f.leg.market.settlement == b) for b in account.assets}
    charged = dict.fromkeys(account.assets, 0)

    def charge(asset: str, own: list[Fill], limit: int) -> None:
        amount = penalty.limited(w, view, rate, asset, sum(abs(f.amount) for f in own), limit)
        charged[asset] += amount
        charge_penalty(w, account, asset, amount, own)

    if proto.loss_unit == "account":
        if solvent:
            for b in account.assets:
                own = [f for f in fills if f.leg.market.settlement == b]
                charge(b, own, h.balances[b] - h.fee_in(b) if part else ledger.balance(account.number, b))
    else:
        for g in groups_of(w, fills, legs):
            asset, t_leg, s_leg = g.leg.market.settlement, bankruptcy[id(g.leg)], sizes[id(g.leg)]
            end = g.start + sum(f.quantity for f in g.fills)
            due = -(-t_leg * end // s_leg) + -t_leg * g.start // s_leg
            delta = sum(f.net for f in g.fills) - due
            if delta < 0:
                run_layers(asset, [(funds.of_leg(w, closed, g.leg.market.name), -delta)])
            else:
                charge(asset, g.fills, delta)

    # 8. what is still negative, then the residual
    for b, o in outcomes.items():
        o.final = ledger.balance(account.number, b) - sum(o.paid.values()) - o.prepaid
        o.third_party = h.fee.unpaid if b == h.settle_asset else 0
        o.third_party += sum(f.fee for f in fills if f.leg.market.settlement == b)
        o.assessed = settled["socialised"][b]
        o.accrued = settled["funding"][b] + settled["borrow"][b]
        o.waived = penalty.full(w, view, rate, b, closed_in[b]) if not solvent and proto.loss_unit == "account" else 0
        if part:
            o.partial, o.final, o.waived = True, h.balances[b] - h.fee_in(b) - charged[b], 0
            if o.give_up:
                o.left_open = left_open(w, account, b, t)
    defaulted = False
    for b, o in outcomes.items():
        if not part:
            lacks = attributing.lacking(legs, bankruptcy, fills, matches)
            run_layers(b, funds.portions(w, closed, b, max(0, -ledger.balance(account.number, b)), lacks))
            leave_uncovered(w, account, o, t)
        defaulted = book_outcome(w, view, closed, o) or defaulted
    if proto.residual != "account" and not part:
        for b in account.assets:
            left = max(0, ledger.balance(account.number, b))
            divided = proto.residual == "insurance_fund"
            for own, amount in funds.portions(w, closed, b, left) if divided else [(None, left)]:
                ledger.post("residual", account.number, funds.payer(proto.residual, own), b, amount)

    fund = funds.of_market(w, legs[0].market.name)
    has = max(0, ledger.balance(fund, h.settle_asset))
    ledger.post("keeper_fee", fund, "keepers", h.settle_asset, min(h.fee.by_fund, has))
    if part:
        account.underway, account.not_before = True, t + proto.close.pause
        for leg in account.legs:
            ledger.mark_settled(leg)
        if view.equity(account) < 0:
            w.uncovered_ts = t
        for f in [*fills, *matches]:
            account.closed_units[id(f.leg)] = account.closed_units.get(id(f.leg), 0) + f.quantity
    else:
        account.queued = False
        account.closed = "defaulted" if defaulted else "liquidated"
        account.closed_ts = t
    ledger.event = None
    ledger.check()
    return [m.account for m in matches if m.account is not None]
