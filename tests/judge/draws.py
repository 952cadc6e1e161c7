"""Draws, and the latencies that are made from them (section 3, Draws)."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal, localcontext
from fractions import Fraction

WORD = 2**64

with localcontext() as context:
    context.prec = 60
    LOG2_E = int((2**32 / Decimal(2).ln()).to_integral_value())
    ROOTS = [int((2**62 * Decimal(2) ** (Decimal(2) ** -j)).to_integral_value()) for j in range(1, 33)]


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
    w = x * LOG2_E >> 32
    acc = 2**62
    for bit, root in zip(f"{w % 2**32:032b}", ROOTS, strict=True):
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
