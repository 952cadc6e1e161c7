"""Auto-deleveraging by the pool factor (section 7a). Every side is looked at at every instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from judge import assessments, payout, rows
from judge.keeper import draw
from judge.ledger import Account, Position
from judge.tape import Market
from judge.world import View, World

Standing = tuple[int, int]
"""What is claimed, what is held."""


def exceeds(standing: Standing, factor: Fraction) -> bool:
    claimed, held = standing
    return claimed > 0 and claimed > factor * held


def is_below(one: Standing, other: Standing) -> bool:
    if one[1] <= 0 or other[1] <= 0:
        return one[1] > 0
    return Fraction(*one) < Fraction(*other)


@dataclass
class Side:
    market: Market
    sign: int
    due: int | None = None
    seen: int = 0  # when the factor was seen to be too large
    not_before: int | None = None


@dataclass
class PoolAdl:
    w: World
    sides: list[Side] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.w.proto.payout is not None and self.w.proto.payout.adl is not None:
            self.sides = [Side(m, sign) for _, m in sorted(self.w.tape.markets.items()) for sign in (1, -1)]

    @property
    def rules(self) -> payout.PoolAdl:
        return self.w.proto.payout.adl

    @property
    def instants(self) -> set[int]:
        return {side.due for side in self.sides if side.due is not None}

    def standing(self, view: View, side: Side) -> Standing:
        return payout.standing(self.w, view, side.market, side.sign)

    def enabled(self, view: View, side: Side) -> bool:
        blocked = self.w.guard.blocks(side.market.name, view.t)
        return not blocked and exceeds(self.standing(view, side), self.rules.enable)

    def due(self, side: Side, t: int) -> int:
        return max(t + self.rules.latency, t if side.not_before is None else side.not_before)

    def run(self, t: int) -> None:
        """The last step of an instant."""
        view = View(self.w, t)
        for side in self.sides:
            enabled = self.enabled(view, side)
            if side.due is None and enabled:
                side.due, side.seen = self.due(side, t), t
            if side.due is not None and side.due <= t:
                side.due = None
                if enabled:
                    side.not_before = t + self.rules.pause
                    self.round(view, side)
        for side in self.sides:
            if side.due is None and self.enabled(view, side):
                side.due, side.seen = max(t + 1, self.due(side, t)), t

    def round(self, view: View, side: Side) -> None:
        done = 0
        while True:
            before = done
            for account, leg, score in self.ranked(view, side):
                limit = self.rules.minimum if self.rules.stop == "minimum" and done > 0 else self.rules.enable
                if done == self.rules.actions or not exceeds(self.standing(view, side), limit):
                    return
                quantity = self.quantity(view, side, account, leg)
                if quantity > 0:
                    done += 1
                    self.close(view, side, account, leg, quantity, done, score)
            if done == before:
                return

    def ranked(self, view: View, side: Side) -> list[tuple[Account, Position, int]]:
        found = []
        for account in self.w.accounts:
            for leg in account.legs:
                if leg.market is not side.market or leg.size * side.sign <= 0:
                    continue
                value = leg.market.value(leg.size, view.execution(leg))
                profit = value - leg.entry_value
                if profit <= 0 or account.queued or account.closed or account.rejected:
                    continue
                score = {
                    "largest_profit": profit,
                    "largest_position": abs(value),
                    "highest_return": profit * 10**9 // max(1, abs(leg.entry_value)),
                    "random": draw(self.rules.seed, 5, account.number, view.t),
                }[self.rules.selector]
                found.append((account, leg, score))
        return sorted(found, key=lambda c: -c[2])

    def quantity(self, view: View, side: Side, account: Account, leg: Position) -> int:
        most = min(abs(leg.size), math.ceil(self.rules.share * abs(leg.size)))
        if self.allowed(view, side, account, leg, most):
            return most
        low, high = 0, most
        while self.rules.fit and high - low > 1:
            middle = (low + high) // 2
            if self.allowed(view, side, account, leg, middle):
                low = middle
            else:
                high = middle
        return low

    def allowed(self, view: View, side: Side, account: Account, leg: Position, quantity: int) -> bool:
        before, snapshot = self.standing(view, side), self.w.ledger.snapshot()
        self.fill("try", view, account, leg, quantity, None)
        after = self.standing(view, side)
        self.w.ledger.restore(snapshot)
        return is_below(after, before) and after[0] >= self.rules.minimum * after[1]

    def fill(
        self, kind: str, view: View, account: Account, leg: Position, quantity: int, unpaid: payout.Unpaid | None
    ) -> payout.Unpaid:
        """The pool takes so much of the leg; says what it does not pay."""
        sign = 1 if leg.size > 0 else -1
        amount = leg.market.value(sign * quantity, view.execution(leg))
        if unpaid is None:
            unpaid = payout.Desk(self.w, view, account).fill(leg, quantity, amount)
        self.w.ledger.fill(kind, leg, self.w.ledger.entity("pool", leg.market), sign * quantity, amount)
        if kind == "try":
            self.w.ledger.post(kind, account.number, "pool", leg.market.settlement, unpaid.total)
        else:
            payout.keep_back(self.w, account, leg.market.settlement, unpaid)
        return unpaid

    def close(
        self, view: View, side: Side, account: Account, leg: Position, quantity: int, rank: int, score: int
    ) -> None:
        w, market, t = self.w, leg.market, view.t
        w.ledger.event, w.events = w.events, w.events + 1
        snapshot = w.ledger.snapshot()
        unpaid = self.fill("try", view, account, leg, quantity, None)  # caps are those before charges are settled
        w.ledger.restore(snapshot)
        sign = 1 if leg.size > 0 else -1
        amount = market.value(sign * quantity, view.execution(leg))
        mark, reference = view.mark(leg, leg.size), view.reference(market)
        w.result.adl.append(
            {
                "ts": t,
                "account": account.name,
                "market": market.name,
                "event": w.ledger.event,
                "loser": "pool",
                "trigger_ts": side.seen,
                "trigger_equity_usd": 0,
                "trigger_notional_usd": 0,
                "loser_equity_usd": 0,
                "side": "long" if sign > 0 else "short",
                "size": quantity,
                "asset": market.settlement,
                "amount": -amount,
                "mark_price": mark,
                "reference_price": reference,
                "notional_usd": w.usd(market.settlement, abs(market.value(sign * quantity, mark)), t),
                "give_up_usd": 0,
                "forgone_profit_usd": 0,
                "principal_usd": 0,
                "equity_usd": rows.equity_at_mark_usd(w, view, account),
                "pnl_usd": w.usd(market.settlement, market.value(leg.size, mark) - leg.entry_value, t),
                "kind": "pool_factor",
                "rank": rank,
                "score": score,
            }
        )
        above = amount - market.value(sign * quantity, reference)
        w.pool_adl_subsidy_usd += w.usd(market.settlement, above, t)
        assessments.settle(w, account)
        self.fill("adl", view, account, leg, quantity, unpaid)
        w.ledger.event = None
        w.ledger.check()
