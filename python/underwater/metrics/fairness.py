"""How a loss is spread over winners: haircuts, survivors, concentration (metric 10, for vectors).

Symbols: w a winner's profit, x what is seized of it, h = x / w, theta D = sum x, e equity before the seizure.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal

import polars as pl

Vector = Sequence[float]


def largest_survivor(profits: Vector, seized: Vector) -> float:
    """max_i (w_i - x_i)^+: the largest profit that is left."""
    return max((max(0.0, w - x) for w, x in zip(profits, seized, strict=True)), default=0.0)


def ptsr(
    profits: Vector, seized: Vector, deficit: float, *, definition: Literal["paper", "published_code"] = "paper"
) -> float:
    """Profit-to-solvency ratio: the largest surviving profit over the loss.

    >>> round(ptsr([8, 4, 0.5], [3.5, 4, 0], 15), 6), round(ptsr([8, 4, 0.5], [4.8, 2.4, 0.3], 15), 6)
    (0.6, 0.426667)

    Args:
        profits: w.
        seized: x.
        deficit: D.
        definition: the denominator. `paper` (arXiv 2512.01112): theta D, what was seized. `published_code`: D - H, what
            was not.
    """
    taken = sum(seized)
    base = taken if definition == "paper" else deficit - taken
    return _over(largest_survivor(profits, seized), base)


def pmr(
    profits: Vector,
    seized: Vector,
    shortfalls: Vector,
    *,
    definition: Literal["paper", "published_code"] = "paper",
) -> float:
    """Profitability-to-market-risk ratio: the largest surviving profit over the largest shortfall, scaled by theta.

    >>> round(pmr([8, 4, 0.5], [3.5, 4, 0], [3, 12]), 6)
    0.75

    Args:
        profits: w.
        seized: x.
        shortfalls: of the losers, positive.
        definition: the scale of the largest shortfall. `paper` (arXiv 2512.01112): theta = H / D. `published_code`: (D - H) / D,
            at least 0.
    """
    deficit = sum(shortfalls)
    theta = _over(sum(seized), deficit)
    scale = theta if definition == "paper" else max(0.0, 1 - theta)
    return _over(largest_survivor(profits, seized), scale * max(shortfalls, default=0.0))


def overshoot(seized: Iterable[float], budget: float) -> float:
    """O = H - B: what was taken beyond what was needed."""
    return sum(seized) - budget


def overshoot_regret(rounds: Iterable[tuple[float, float]]) -> float:
    """Sum over rounds of |H - B|, for (taken, needed) of each (arXiv 2602.15182)."""
    return sum(abs(taken - needed) for taken, needed in rounds)


def fairness_regret(rounds: Iterable[tuple[float, float, float]]) -> float:
    """Sum over rounds of |max_i h_i / e_i - best| B, for (the policy's maximum, the min-max policy's, B) of each
    (arXiv 2602.15182)."""
    return sum(abs(worst - best) * budget for worst, best, budget in rounds)


def gini(values: Iterable[float]) -> float | None:
    """Gini coefficient, 0 (equal) to (n - 1) / n: sum over i of (2 i - n - 1) v_i / (n sum v), v ascending. None where
    the sum is not positive.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 1]), round(gini([1, 2, 3]), 6)
    (0.0, 0.75, 0.222222)

    Raises:
        ValueError: a value is negative.
    """
    ordered = _sizes(values)
    total, n = math.fsum(ordered), len(ordered)
    if total <= 0:
        return None
    return math.fsum((2 * i - n - 1) * v for i, v in enumerate(ordered, start=1)) / (n * total)


def lorenz(values: Iterable[float]) -> pl.DataFrame:
    """Lorenz curve: `population` (share of the smallest so many) and `share` (of the total that they hold), from (0, 0)
    to (1, 1).

    Raises:
        ValueError: a value is negative, or all are zero.
    """
    ordered = _sizes(values)
    total, n = math.fsum(ordered), len(ordered)
    if total <= 0:
        raise ValueError("lorenz: expected values of which one is positive")
    points = [(0.0, 0.0), *((i / n, held / total) for i, held in enumerate(accumulate(ordered), start=1))]
    return pl.DataFrame(points, schema={"population": pl.Float64, "share": pl.Float64}, orient="row")


def hhi(values: Iterable[float]) -> float | None:
    """Herfindahl-Hirschman index: the sum of squared shares, 1/n (equal) to 1. None where the sum is not positive.

    >>> hhi([1, 1, 1, 1]), hhi([0, 0, 0, 1])
    (0.25, 1.0)

    Raises:
        ValueError: a value is negative.
    """
    ordered = _sizes(values)
    total = math.fsum(ordered)
    return math.fsum((v / total) ** 2 for v in ordered) if total > 0 else None


def top_share(values: Iterable[float], k: int = 1) -> float | None:
    """Share of the total that the k largest hold. None where the sum is not positive.

    Raises:
        ValueError: a value is negative.
    """
    ordered = _sizes(values)
    total = math.fsum(ordered)
    return math.fsum(ordered[-k:] if k else []) / total if total > 0 else None


def markout(size: float, price: float, mark: float, later: float) -> tuple[float, float, float]:
    """Markouts of an ADL fill for the deleveraged: (immediate Q (M0 - P), opportunity Q (M_D - M0), total Q (M_D - P)).
    Negative: the user is worse off than without the fill, at that mark.

    >>> [round(c, 9) for c in markout(-10.0, 5, 5.2, 6)]
    [-2.0, -8.0, -10.0]

    Args:
        size: Q, signed by the user's own trade: closing a short is a purchase, positive.
        price: P of the fill.
        mark: M0 at the fill.
        later: M_D, the mark after the horizon.
    """
    return size * (mark - price), size * (later - mark), size * (later - price)


def _sizes(values: Iterable[float]) -> list[float]:
    ordered = sorted(float(v) for v in values)
    if ordered and ordered[0] < 0:
        raise ValueError(f"concentration: expected values of at least 0, got {ordered[0]}")
    return ordered


def _over(part: float, whole: float) -> float:
    if whole:
        return part / whole
    return float("inf") if part else 0.0
