"""At what prices a close fills, and what it does to the price (section 5, execution and impact)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from judge.tape import Market

if TYPE_CHECKING:
    from judge.ledger import Account, Position
    from judge.world import View

ONE = 10**12
"""A displacement of the whole price."""

MICRO = 10**6
"""Units of volume to a quote unit."""


@dataclass
class Impact:
    kind: str
    depth: Fraction
    markets: dict[str, Fraction]
    coefficient: Fraction
    rungs: list[tuple[Fraction, Fraction]]
    half_life: int | None
    permanent: Fraction
    limit: Fraction
    feedback: bool


@dataclass
class Bound:
    kind: str
    adjustment: Fraction
    spread: Fraction
    remainder: str


@dataclass
class TradingFee:
    rate: Fraction
    of: str
    receiver: str


@dataclass
class Execution:
    kind: str
    counterparty: str
    ladder: list[tuple[Fraction, Fraction]]
    impact: Impact | None
    rate: Fraction
    book_scale: dict[str, Fraction]
    discount: Fraction
    takeover_below: Fraction | None
    takeover_floor: Fraction | None
    takeover_adl_pause: int | None
    bound: Bound | None
    trading_fee: TradingFee | None

    @property
    def waits(self) -> bool:
        return self.kind in ("next_tick", "participation")

    @property
    def feedback(self) -> bool:
        return self.impact is not None and self.impact.feedback

    @property
    def remainder(self) -> str | None:
        return self.bound and self.bound.remainder

    def scale(self, market: str) -> Fraction:
        return self.book_scale.get(market, Fraction(1))


def read_rungs(rungs: list[dict] | None) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(r["share"]), Fraction(r["offset"])) for r in rungs or []]


def read_bound(b: dict) -> Bound:
    adjustment, spread = Fraction(b.get("adjustment", "1")), Fraction(b.get("spread", "1.5"))
    return Bound(b["kind"], adjustment, spread, b.get("remainder", "vault"))


def read_execution(e: dict) -> Execution:
    impact = None
    if e.get("impact") is not None:
        i = e["impact"]
        impact = Impact(
            kind=i["kind"],
            depth=Fraction(i["depth"]),
            markets={name: Fraction(d) for name, d in (i.get("markets") or {}).items()},
            coefficient=Fraction(i.get("coefficient", "1")),
            rungs=read_rungs(i.get("rungs")),
            half_life=i.get("half_life"),
            permanent=Fraction(i.get("permanent", "0")),
            limit=Fraction(i.get("limit", "1")),
            feedback=i.get("feedback", False),
        )
    return Execution(
        kind=e.get("kind", "feed"),
        counterparty=e.get("counterparty", "outside"),
        ladder=read_rungs(e.get("ladder")),
        impact=impact,
        rate=Fraction(e.get("rate", "1")),
        book_scale={name: Fraction(s) for name, s in (e.get("book_scale") or {}).items()},
        discount=Fraction(e.get("discount", "0")),
        takeover_below=Fraction(e["takeover"]["below"]) if e.get("takeover") else None,
        takeover_floor=Fraction(floor) if (floor := (e.get("takeover") or {}).get("floor")) is not None else None,
        takeover_adl_pause=(e.get("takeover") or {}).get("adl_pause"),
        bound=read_bound(e["bound"]) if e.get("bound") else None,
        trading_fee=read_fee(e["fee"]) if e.get("fee") else None,
    )


def read_fee(f: dict) -> TradingFee:
    return TradingFee(Fraction(f["rate"]), f.get("of", "fill"), f.get("receiver", "fees"))


def fee(e: Execution, leg: Position, quantity: int, amount: int) -> int:
    """What a fill costs, of a leg as the close finds it."""
    if e.trading_fee is None:
        return 0
    entry = Fraction(abs(leg.entry_value) * quantity, abs(leg.size))
    return math.ceil(e.trading_fee.rate * (entry if e.trading_fee.of == "entry" else abs(amount)))


# --- impact


@dataclass
class Volume:
    """What closes have bought (positive) or sold, in millionths of a quote unit."""

    permanent: int = 0
    decaying: int = 0
    since: int = 0


def decay(n: int, d: int, half_life: int | None) -> int:
    if half_life is None or d <= 0 or n == 0:
        return n
    if half_life == 0:
        return 0
    halvings, rest = divmod(d, half_life)
    step = 64 * rest // half_life
    factor, root = 2**62, 2**61
    for i in range(1, 7):
        root = math.isqrt(root * 2**62)  # 2^62 * 2^(-1/2^i)
        if step & 64 >> i:
            factor = factor * root // 2**62
    left = abs(n) * factor // 2**62 // 2**halvings
    return left if n > 0 else -left


def sign(n: int) -> int:
    return (n > 0) - (n < 0)


def towards(exact: Fraction, down: bool) -> int:
    return math.floor(exact) if down else math.ceil(exact)


@dataclass
class Depth:
    """One market's displacement as a function of volume."""

    impact: Impact
    depth: Fraction  # in millionths of a quote unit

    def clamp(self, x: int) -> int:
        limit = math.floor(self.impact.limit * ONE)
        return max(-limit, min(limit, x))

    def rungs(self) -> list[tuple[int | None, int]]:
        """Size of each rung, None for the last, and its distance."""
        sizes = [math.floor(self.depth * share) for share, _ in self.impact.rungs]
        distances = [math.floor(-offset * ONE) for _, offset in self.impact.rungs]
        return list(zip([*sizes[:-1], None], distances, strict=True))

    def reserve(self, u: int) -> int:
        return max(1, ONE - sign(u) * math.floor(abs(u) * ONE / self.depth))

    def displacement(self, u: int) -> int:
        i = self.impact
        if i.kind == "linear":
            x = math.floor(abs(u) * ONE / self.depth)
        elif i.kind == "square_root":
            x = math.isqrt(math.floor(i.coefficient**2 * abs(u) * ONE**2 / self.depth))
        elif i.kind == "constant_product":
            return self.clamp(ONE**3 // self.reserve(u) ** 2 - ONE)
        else:
            x, left = 0, abs(u)
            for size, distance in self.rungs():
                x = distance
                if size is None or left <= size:
                    break
                left -= size
        return self.clamp(sign(u) * x)

    def mean(self, u0: int, u1: int, down: bool) -> int:
        if u0 == u1:
            return self.displacement(u0)
        kind = self.impact.kind
        if kind == "constant_product":
            exact = Fraction(ONE**3, self.reserve(u0) * self.reserve(u1)) - ONE
        elif kind == "ladder":
            exact = Fraction(self.cost(u1) - self.cost(u0), u1 - u0)
        else:
            a, b = self.displacement(u0), self.displacement(u1)
            exact = Fraction(a + b, 2)
            if kind == "square_root":  # the mean of the root between two volumes: a^3 is the integral, a^2 the volume
                cubes, squares = abs(b) ** 3 - abs(a) ** 3, sign(b) * b * b - sign(a) * a * a
                exact = Fraction(2 * cubes, 3 * squares) if squares else Fraction(a)
        return self.clamp(towards(exact, down))

    def cost(self, u: int) -> int:
        total, left = 0, abs(u)
        for size, distance in self.rungs():
            here = left if size is None else min(left, size)
            total, left = total + here * distance, left - here
        return total


@dataclass
class Venue:
    """What closes have done to every market."""

    execution: Execution
    volumes: dict[str, Volume] = field(default_factory=dict)

    def depth(self, market: Market) -> Depth:
        impact = self.execution.impact
        depth = impact.markets.get(market.name, impact.depth) * self.execution.scale(market.name)
        return Depth(impact, depth * MICRO)

    def outstanding(self, market: Market, t: int) -> int:
        v = self.volumes.get(market.name, Volume())
        return v.permanent + decay(v.decaying, t - v.since, self.execution.impact.half_life)

    def displaced(self, market: Market, price: int, t: int) -> int:
        """A price as closes have displaced it."""
        if self.execution.impact is None:
            return price
        x = self.depth(market).displacement(self.outstanding(market, t))
        return max(1, price * (ONE + x) // ONE)

    def trade(self, leg: Position, quantity: int, feed: int, t: int) -> int:
        """Closes units of a leg; says at what price."""
        market, sale = leg.market, leg.size > 0
        volume = math.ceil(market.notional(quantity, feed) * MICRO)
        u0 = self.outstanding(market, t)
        u1 = u0 - volume if sale else u0 + volume
        x = self.depth(market).mean(u0, u1, down=sale)
        kept = math.floor(self.execution.impact.permanent * volume)
        permanent = self.volumes.get(market.name, Volume()).permanent + (-kept if sale else kept)
        self.volumes[market.name] = Volume(permanent, u1 - permanent, t)
        return max(1, towards(Fraction(feed * (ONE + x), ONE), down=sale))

    def copy(self) -> Venue:
        return Venue(self.execution, dict(self.volumes))


def at_once(view: View, account: Account) -> dict[int, int]:
    """The price of each leg by id: that of the execution feed, or of the level where the account became liquidatable."""
    legs = account.open_legs()
    found = {id(leg): view.execution(leg) for leg in legs}
    if view.world.proto.execution.kind == "level" and len(legs) == 1 and not account.multi_asset:
        leg = legs[0]
        now = view.published(view.world.proto.trigger_feed, leg, leg.size)
        back = level(view, account, leg, now)
        found[id(leg)] = view.execution(leg) if back is None else back
    return found


def level(view: View, account: Account, leg: Position, now: int) -> int | None:
    """The last price on the way back from the present one at which the account is liquidatable."""

    def fails(price: int) -> bool:
        then = replace(view, seen={**view.seen, leg.market.name: price})
        then.scales = view.scales
        return then.liquidatable(account)

    far = now * 16 if leg.size > 0 else max(1, now // 16)
    if far == now or not fails(now) or fails(far):
        return None
    while abs(far - now) > 1:
        middle = (now + far) // 2
        now, far = (middle, far) if fails(middle) else (now, middle)
    return now


def rungs_of(execution: Execution) -> list[tuple[Fraction, Fraction]]:
    return execution.ladder or [(Fraction(1), -execution.discount)]


def limit(execution: Execution, view: View, account: Account, leg: Position) -> int | None:
    """The worst price at which the market takes the leg; None if there is none."""
    bound, mark, market = execution.bound, view.trigger(leg), leg.market
    if bound is None:
        return None
    equity, requirement = view.equity(account), view.requirement(account)
    left = Fraction(equity * 10**9 // requirement, 10**9) if requirement > 0 else Fraction(0)
    share = left
    if bound.kind == "fillable":
        share = bound.spread * max(Fraction(0), min(Fraction(1), bound.adjustment * (1 - left)))
    worth = market.exact_value(leg.size, mark) - share * view.leg_requirement(leg, mark)
    unit = market.exact_value(leg.size, 1)  # linear: V = unit * p, inverse: V = unit / p
    if market.kind == "linear":
        price = worth / unit
    elif worth * unit <= 0:
        return None
    else:
        price = unit / worth
    return max(1, towards(price, down=leg.size < 0))


def within(
    venue: Venue, view: View, leg: Position, quantity: int, feed: int, worst: int | None
) -> list[tuple[int, int, str]]:
    """Quantities, prices and takers of what the market takes of `quantity` units of the leg; moves the market."""
    e, sale, t = venue.execution, leg.size > 0, view.t

    def takes(price: int) -> bool:
        return worst is None or (price >= worst if sale else price <= worst)

    left, found = quantity, []
    if e.impact is not None:
        q = quantity
        while q > 0:  # the largest that leaves the price within the limit
            after = venue.copy()
            after.trade(leg, q, feed, t)
            x = after.depth(leg.market).displacement(after.outstanding(leg.market, t))
            if takes(max(1, towards(Fraction(feed * (ONE + x), ONE), down=sale))):
                break
            q -= 1
        if q > 0:
            found.append((q, venue.trade(leg, q, feed, t), e.counterparty))
        return found
    rungs = rungs_of(e)
    for k, (share, offset) in enumerate(rungs):
        q = left if k == len(rungs) - 1 else min(left, math.ceil(abs(leg.size) * share))
        price = max(1, math.floor(feed * (1 + offset)) if sale else math.ceil(feed * (1 - offset)))
        if q == 0:
            continue
        if not takes(price):
            break
        found.append((q, price, e.counterparty))
        left -= q
    return found


def fills(
    venue: Venue, view: View, leg: Position, quantity: int, feed: int, worst: int | None
) -> list[tuple[int, int, str]]:
    """The same with the remainder, which somebody takes at the limit."""
    found = within(venue, view, leg, quantity, feed, worst)
    left = quantity - sum(q for q, _, _ in found)
    if left > 0:
        e = venue.execution
        nobody = e.remainder in ("retry", "adl", "deleverage")
        found.append((left, worst, e.counterparty if nobody else e.remainder))
    return found


# --- participation


@dataclass
class Order:
    """A leg's order for a share of the volume."""

    leg: Position
    size: int
    placed: int
    left: Fraction
    cost: Fraction = Fraction(0)

    @property
    def price(self) -> int:
        return max(1, towards(self.cost / abs(self.size), down=self.size > 0))


class Volumes:
    """Orders by participation: every print is shared among the orders of its market that were placed before it."""

    def __init__(self, view_of_tape, execution: Execution):
        self.tape = view_of_tape
        self.execution = execution
        self.orders: list[Order] = []

    def place(self, leg: Position, t: int) -> Order:
        order = Order(leg, leg.size, t, Fraction(abs(leg.size)))
        self.orders.append(order)
        return order

    def prints_at(self, t: int) -> list[Order]:
        """Lets the prints of an instant fill orders, in file order; returns those that are done."""
        done = []
        for name, market in self.tape.markets.items():
            for (ts, price), (_, _, size) in zip(self.tape.source(name, "own"), self.tape.prints[name], strict=True):
                if ts != t or not self.orders:
                    continue
                room = size * self.execution.rate * self.execution.scale(name)
                for order in self.orders:
                    if order.leg.market is market and order.placed < t and order.left > 0:
                        take = min(room, order.left)
                        order.cost += take * price
                        order.left -= take
                        room -= take
                        if order.left == 0:
                            done.append(order)
        return done
