"""Keepers: when accounts are tested, how late and how often one acts, whether it pays (section 3, Keepers)."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from judge import closing
from judge.ledger import Account
from judge.world import View, World

WORD = 2**64
LATENCY, FAILURE = 1, 2


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB % WORD
    return x ^ x >> 31


def draw(seed: int, purpose: int, account: int, attempt: int) -> int:
    """64 bits."""
    state = seed
    for n in (purpose, account + 1, attempt + 1):
        state = mix((state + 0x9E3779B97F4A7C15 * n) % WORD)
    return state


def quantile(u: int) -> int:
    """The normal quantile of a draw, in units of 2^-32."""
    tail = 2 * (u % 2**63) + 1
    zeros = 64 - tail.bit_length()

    def table(i: int) -> int:
        return round(-statistics.NormalDist().inv_cdf((16 + i % 16) * 2.0 ** -(37 - i // 16)) * 2**32)

    if zeros > 31:
        size = table(0)
    else:
        bits = f"{tail:b}".ljust(64, "0")
        i, f = 16 * (31 - zeros) + int(bits[1:5], 2), int(bits[5:37], 2)
        size = table(i) + ((table(i + 1) - table(i)) * f >> 32)
    return size if u >= 2**63 else -size


def times_exp(n: int, x: int) -> int:
    """n e^(x / 2^32)."""
    with localcontext() as context:
        context.prec = 60
        log2_e = int((2**32 / Decimal(2).ln()).to_integral_value())
        roots = [int((2**62 * Decimal(2) ** (Decimal(2) ** -j)).to_integral_value()) for j in range(1, 33)]
    w = x * log2_e >> 32
    acc = 2**62
    for bit, root in zip(f"{w % 2**32:032b}", roots, strict=True):
        if bit == "1":
            acc = acc * root >> 62
    return min(2**63 - 1, math.floor(n * acc * Fraction(2) ** (w >> 32) / 2**62))


def drawn_latency(spec: int | dict, u: int) -> int:
    if isinstance(spec, int):
        return spec
    if spec["kind"] == "uniform":
        return spec["low"] + (u * (spec["high"] - spec["low"] + 1) >> 64)
    if spec["kind"] == "empirical":
        total, cumulated = sum(v["weight"] for v in spec["values"]), 0
        for value in spec["values"]:
            cumulated += value["weight"]
            if u * total < cumulated * WORD:
                return value["latency"]
    latency = times_exp(spec["median"], math.floor(Fraction(spec["sigma"]) * quantile(u)))
    return latency if spec.get("maximum") is None else min(latency, spec["maximum"])


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
    total = math.floor((h.fee_paid + h.fee_unpaid) * view.collateral(h.settle_asset))
    share = w.proto.penalty_split.get("keepers")
    if not h.solvent or share is None:
        return total
    for b in account.assets:
        fills = [f for f in h.fills if f.leg.market.settlement == b]
        if not fills:
            continue
        left = h.balances[b] - (h.fee_paid if b == h.settle_asset else 0)
        penalty = min(math.floor(w.proto.penalty_rate * sum(abs(f.amount) for f in fills)), left)
        total += math.floor(math.floor(share * max(0, penalty)) * view.collateral(b))
    return total
