"""Where insurance funds get money from (section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge import funds, limits
from judge.feeds import when
from judge.world import World


@dataclass
class Injection:
    fund: str
    spec: dict
    due: int | None = None
    given: int = 0

    @property
    def scheduled(self) -> bool:
        return self.spec.get("kind", "scheduled") == "scheduled"


def micro(dollars: str) -> int:
    return int(Fraction(dollars) * 10**6)


class Sources:
    def __init__(self, w: World):
        self.w = w
        tape, specs = w.tape, w.proto.funds
        traded = sorted({leg.market.name for account in w.accounts for leg in account.legs})
        self.fees = {
            market: specs[funds.of_market(w, market)]["fees"]
            for market in traded
            if specs.get(funds.of_market(w, market), {}).get("fees")
        }
        self.points = {
            market: [t for t in range(tape.start + 1, tape.end + 1) if t % fees["every"] == 0]
            for market, fees in self.fees.items()
        }
        self.injections = [
            Injection(fund, spec) for fund in funds.every(w) for spec in specs.get(fund, {}).get("injections") or []
        ]
        for injection in self.injections:
            if injection.scheduled and when(injection.spec["at"], tape.start) > tape.start:
                injection.due = when(injection.spec["at"], tape.start)
        self.set_off(tape.start)

    @property
    def instants(self) -> set[int]:
        return {t for points in self.points.values() for t in points} | {
            injection.due for injection in self.injections if injection.due is not None
        }

    def pay(self, t: int) -> None:
        """Step 1 of an instant."""
        w = self.w
        if t not in self.instants:
            return
        for market, fees in self.fees.items():
            if t not in self.points[market]:
                continue
            before = max((p for p in self.points[market] if p < t), default=w.tape.start - 1)
            m = w.tape.markets[market]
            prices, sizes = w.tape.source(market, "own"), [size for _, _, size in w.tape.prints[market]]
            prints = [(p, v) for (ts, p), v in zip(prices, sizes, strict=True) if before < ts <= t]
            traded = sum(abs(m.value(v, p)) for p, v in prints)
            scale = w.proto.execution.book_scale[market]
            amount = math.floor(Fraction(fees["rate"]) * Fraction(fees["share"]) * scale * traded)
            w.ledger.post("fee_share", "outside", funds.of_market(w, market), m.settlement, amount)
        for injection in self.injections:
            if injection.due == t:
                self.inject(injection)
        self.set_off(t)
        w.ledger.check()

    def brings(self, injection: Injection) -> int:
        spec, home = injection.spec, self.w.home.name
        amount = micro(spec["amount"])
        if injection.scheduled or spec.get("total") is not None:
            amount = min(amount, micro(spec["amount" if injection.scheduled else "total"]) - injection.given)
        if spec.get("giver") == "treasury":
            amount = min(amount, max(0, self.w.ledger.balance("treasury", home)))
        return amount

    def inject(self, injection: Injection) -> None:
        amount = self.brings(injection)
        injection.due = None
        injection.given += amount
        giver = injection.spec.get("giver", "external")
        self.w.ledger.post("injection", giver, injection.fund, self.w.home.name, amount)

    def set_off(self, t: int) -> None:
        """Also after each action, and at the open."""
        for injection in self.injections:
            if injection.scheduled or injection.due is not None or self.brings(injection) <= 0:
                continue
            if limits.level(self.w, injection.fund, t) < micro(injection.spec["below"]):
                injection.due = t + injection.spec.get("delay", 0)
                if injection.due == t:
                    self.inject(injection)
        limits.note(self.w, t)


def list_who_pays(w: World) -> None:
    for kind, line in (("fee_share", "fee_shares"), ("injection", "injections")):
        amount = sum(w.usd(p.asset, p.amount, p.ts) for p in w.ledger.postings if p.kind == kind)
        w.result.who_pays.append({"section": "beside", "line": line, "amount_usd": amount})
