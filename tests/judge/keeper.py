"""Keepers: when accounts are tested, how late and how often one acts, whether it pays (section 3, Keepers)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from judge import closing, penalty
from judge.draws import WORD, draw, drawn_latency
from judge.ledger import Account
from judge.world import View, World

LATENCY, FAILURE = 1, 2


@dataclass
class Regime:
    start: int
    end: float
    says: dict


class Keeper:
    def __init__(self, spec: dict, start: int, end: int):
        self.spec, self.start = spec, start

        def on_tape(time: tuple[str, int]) -> int:
            return time[1] + (start if time[0] == "offset" else 0)

        self.regimes = [
            Regime(on_tape(r.get("start") or ("offset", 0)), math.inf if r.get("end") is None else on_tape(r["end"]), r)
            for r in spec.get("regimes") or []
        ]
        self.gas = [(on_tape(s["at"]), Fraction(s["factor"])) for s in (spec.get("gas") or {}).get("series") or []]
        times = {t for r in self.regimes for t in (r.start, r.end)} | {t for t, _ in self.gas}
        self.steps = sorted(t for t in times if t < math.inf)
        self.polls = None if spec.get("poll") is None else set(range(start, end + 1, spec["poll"]))
        self.attempts: dict[int, int] = {}  # begun, by account
        self.taken: dict[tuple[int, int], int] = {}  # slots, by window
        widest = {c["window"] for c in [spec.get("capacity"), *(r.says.get("capacity") for r in self.regimes)] if c}
        boundaries = {t for window in widest for t in range(start, end + 1, window)}
        self.instants = boundaries | set(self.steps) | (self.polls or set())

    def says(self, name: str, t: int) -> object:
        """A term in force at t."""
        stated = [r.says[name] for r in self.regimes if r.start <= t < r.end and r.says.get(name) is not None]
        return stated[-1] if stated else self.spec.get(name)

    def tests_at(self, t: int) -> bool:
        return self.polls is None or t in self.polls

    def begin(self, account: Account, t: int) -> int:
        """Begins an attempt; says when it is due."""
        n = self.attempts.get(account.number, 0)
        self.attempts[account.number] = n + 1
        return t + drawn_latency(self.says("latency", t) or 0, draw(self.seed, LATENCY, account.number, n))

    def fails(self, account: Account, t: int) -> int | None:
        """If the present attempt fails at t: when the next one begins."""
        failure = self.says("failure", t)
        u = draw(self.seed, FAILURE, account.number, self.attempts[account.number] - 1)
        if failure and u < math.floor(Fraction(failure["probability"]) * WORD):
            return t + failure["retry"]
        return None

    @property
    def seed(self) -> int:
        return self.spec.get("seed") or 0

    def window(self, t: int) -> tuple[int, int]:
        """The number of the window within its stretch, and the number of the stretch."""
        capacity = self.says("capacity", t)
        return (t - self.start) // capacity["window"], sum(step <= t for step in self.steps)

    def has_slot(self, t: int) -> bool:
        capacity = self.says("capacity", t)
        return capacity is None or self.taken.get(self.window(t), 0) < capacity["limit"]

    def take_slot(self, t: int) -> None:
        if self.says("capacity", t) is not None:
            self.taken[self.window(t)] = self.taken.get(self.window(t), 0) + 1

    def required(self, t: int) -> int:
        """In micro-dollars."""
        gas = self.spec.get("gas")
        minimum = Fraction(self.spec.get("minimum_profit") or 0) * 10**6
        if gas is None:
            return int(minimum)
        factor = [Fraction(1)] + [f for at, f in self.gas if at <= t]
        more = self.says("gas_factor", t)
        return int(minimum) + math.ceil(
            Fraction(gas["base"]) * 10**6 * factor[-1] * (1 if more is None else Fraction(more))
        )

    def enough_after(self, t: int, reward: int) -> int | None:
        return next((step for step in self.steps if step > t and self.required(step) <= reward), None)


def reward(w: World, view: View, account: Account) -> int:
    """What closing the account now would bring the keeper, in micro-dollars at the collateral feed."""
    h = closing.suppose(w, view, account, None)
    total = math.floor((h.fee.paid + h.fee.unpaid) * view.collateral(h.settle_asset))
    share = w.proto.penalty.split.get("keepers")
    rate = penalty.rate(w, view, account, view.t - account.enqueued_ts)
    if not h.solvent or share is None:
        return total
    for b in account.assets:
        fills = [f for f in h.fills if f.leg.market.settlement == b]
        if not fills:
            continue
        left = h.balances[b] - (h.fee.paid if b == h.settle_asset else 0)
        charged = penalty.limited(w, view, rate, b, sum(abs(f.amount) for f in fills), left)
        total += math.floor(math.floor(share * charged) * view.collateral(b))
    return total
