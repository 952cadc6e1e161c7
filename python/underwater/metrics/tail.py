"""Many scenarios: the tail of a loss, the size of a fund, what drives the loss (metrics 11 and 12)."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from underwater.metrics._frames import Source, frame


def value_at_risk(losses: Iterable[float], level: float) -> float:
    """The least loss x with at least `level` of the scenarios at or below it (lower empirical quantile).

    >>> value_at_risk(range(1, 101), 0.95)
    95.0

    Raises:
        ValueError: there is no loss, or the level is not in (0, 1).
    """
    ordered = _ordered(losses, level)
    return ordered[_rank(len(ordered), level)]


def expected_shortfall(losses: Iterable[float], level: float) -> float:
    """Mean of the worst 1 - `level` of the scenarios, the one on the boundary counted in part (Acerbi and Tasche; Rockafellar and
    Uryasev): VaR + sum of (x - VaR)^+ / (n (1 - level)).

    >>> expected_shortfall(range(1, 101), 0.95)
    98.0

    Raises:
        ValueError: there is no loss, or the level is not in (0, 1).
    """
    ordered = _ordered(losses, level)
    var = ordered[_rank(len(ordered), level)]
    return var + math.fsum(x - var for x in ordered if x > var) / (len(ordered) * (1 - level))


def _ordered(losses: Iterable[float], level: float) -> list[float]:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    ordered = sorted(float(x) for x in losses)
    if not ordered:
        raise ValueError("losses: expected at least one")
    return ordered


def _rank(n: int, level: float) -> int:
    # 0.95 * 100 is a little more than 95 in binary.
    return min(n - 1, max(0, math.ceil(n * level - 1e-9) - 1))


def tail(
    scenarios: pl.DataFrame,
    columns: Sequence[str],
    levels: Iterable[float] = (0.95, 0.99),
    *,
    confidence: float = 0.9,
    samples: int = 1000,
    seed: int = 7,
) -> pl.DataFrame:
    """VaR and expected shortfall of losses over scenarios, with bootstrap confidence intervals.

    Args:
        scenarios: one row per scenario.
        columns: losses, such as `bad_debt_usd` and the amounts of the layers.
        levels: of VaR and ES.
        confidence: of the intervals (percentile bootstrap, equal tails).
        samples: how many times the scenarios are drawn with replacement; 0: no intervals.
        seed: of the draws; the same scenarios are drawn for every column, on every machine.

    Returns:
        One row per column and level: `column`, `level`, `scenarios`, `mean`, `var`, `var_low`, `var_high`, `es`, `es_low`,
        `es_high`.
    """
    wanted = list(levels)
    generator = random.Random(seed)  # noqa: S311  # not a secret
    n = scenarios.height
    draws = [generator.choices(range(n), k=n) for _ in range(samples)]
    rows = []
    for column in columns:
        values = [float(x) for x in scenarios[column]]
        drawn = [sorted(map(values.__getitem__, draw)) for draw in draws]
        for level in wanted:
            var, es = value_at_risk(values, level), expected_shortfall(values, level)
            vars_, shortfalls = _both(drawn, level)
            row = {"column": column, "level": level, "scenarios": n, "mean": math.fsum(values) / n}
            row |= {"var": var, "es": es}
            for name, found in (("var", vars_), ("es", shortfalls)):
                row[f"{name}_low"] = value_at_risk(found, (1 - confidence) / 2) if found else None
                row[f"{name}_high"] = value_at_risk(found, (1 + confidence) / 2) if found else None
            rows.append(row)
    order = ("var", "var_low", "var_high", "es", "es_low", "es_high")
    schema = {"column": pl.String, "level": pl.Float64, "scenarios": pl.Int64} | dict.fromkeys(
        ("mean", *order), pl.Float64
    )
    return pl.DataFrame(rows, schema=schema)


def _both(drawn: list[list[float]], level: float) -> tuple[list[float], list[float]]:
    return [value_at_risk(d, level) for d in drawn], [expected_shortfall(d, level) for d in drawn]


def newsvendor_fund(losses: Iterable[float], cost: float, penalty: float) -> float:
    """The fund that minimises r K + kappa E[(D - K)^+]: K* = VaR at 1 - r / kappa; 0 where the penalty is not above the cost.

    >>> newsvendor_fund(range(1, 101), cost=0.05, penalty=1)
    95.0

    Args:
        losses: D by scenario.
        cost: r, of a dollar held in the fund.
        penalty: kappa, of a dollar that the fund lacks.
    """
    if penalty <= cost:
        return 0.0
    return value_at_risk(losses, 1 - cost / penalty)


def cover_k(losses: Iterable[float], margins: Iterable[float] | None = None, k: int = 2) -> float:
    """Sum of the k largest (stress loss - margin)^+: what the k worst members would cost.

    >>> cover_k([100, 50, 30], [20, 45, 30], k=2)
    85.0
    """
    stress = [float(x) for x in losses]
    held = [0.0] * len(stress) if margins is None else [float(x) for x in margins]
    beyond = sorted((max(0.0, x - m) for x, m in zip(stress, held, strict=True)), reverse=True)
    return math.fsum(beyond[:k])


def cover(source: Source, fund_usd: float | None = None, ks: Iterable[int] = (1, 2, 5)) -> pl.DataFrame:
    """Cover-K of a run: `k`, `cover_usd` (bad debt of the k worst owners, open shortfalls among it), `fund_to_cover` (the fund at
    the open over it; null without a fund or a loss).

    Args:
        source: needs `accounts`.
        fund_usd: the fund; None: that of the result.
        ks: how many owners.
    """
    from underwater.metrics.payers import coverage

    fund = float(coverage(source).fund_usd) if fund_usd is None else fund_usd
    owners = frame(source, "accounts").group_by(pl.coalesce("owner", "account").alias("owner"))
    losses = owners.agg(pl.col("bad_debt_usd").sum())["bad_debt_usd"].to_list()
    found = [(k, cover_k(losses, k=k)) for k in ks]
    rows = [(k, amount, fund / amount if amount and fund else None) for k, amount in found]
    return pl.DataFrame(
        rows, schema={"k": pl.Int64, "cover_usd": pl.Float64, "fund_to_cover": pl.Float64}, orient="row"
    )


def sensitivities(
    scenarios: pl.DataFrame, parameters: Sequence[str], outcome: str, base: Mapping[str, Any]
) -> pl.DataFrame:
    """Finite differences of an outcome around a base scenario, one parameter at a time, in the order of a tornado.

    Args:
        scenarios: one row per scenario: numeric parameters and the outcome.
        parameters: columns that were varied.
        outcome: column.
        base: the parameters of the base scenario; a row of theirs must be there.

    Returns:
        One row per parameter that was varied alone, the largest swing first: `parameter`, `base`, `low`, `high` (its least and
        largest value with the others at the base), `outcome_low`, `outcome_base`, `outcome_high`, `swing` (largest less
        least outcome), `derivative` (between the nearest values on both sides of the base; of the one side that there is).

    Raises:
        ValueError: the base scenario is not there.
    """

    def at_base(names: Iterable[str]) -> pl.DataFrame:
        return scenarios.filter(pl.all_horizontal(pl.lit(True), *(pl.col(name) == base[name] for name in names)))

    centre = at_base(parameters)
    if centre.is_empty():
        raise ValueError(f"base: expected a scenario with {dict(base)}")
    middle = float(centre[outcome][0])
    rows = []
    for name in parameters:
        alone = at_base(other for other in parameters if other != name).sort(name)
        points = [(float(x), float(y)) for x, y in alone.select(name, outcome).rows()]
        x0 = float(base[name])
        if len(points) < 2:
            continue
        below = max((p for p in points if p[0] < x0), default=(x0, middle))
        above = min((p for p in points if p[0] > x0), default=(x0, middle))
        values = [y for _, y in points]
        rows.append(
            {
                "parameter": name,
                "base": x0,
                "low": points[0][0],
                "high": points[-1][0],
                "outcome_low": points[0][1],
                "outcome_base": middle,
                "outcome_high": points[-1][1],
                "swing": max(values) - min(values),
                "derivative": (above[1] - below[1]) / (above[0] - below[0]),
            }
        )
    kinds = ("base", "low", "high", "outcome_low", "outcome_base", "outcome_high", "swing", "derivative")
    found = pl.DataFrame(rows, schema={"parameter": pl.String} | dict.fromkeys(kinds, pl.Float64))
    return found.sort(["swing", "parameter"], descending=[True, False])
