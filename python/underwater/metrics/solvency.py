"""Solvency at one mark: deficits, wealth, what profits can bear, leverage, liquidation prices (metrics 2 and 4).

Symbols are those of Chitra, *Autodeleveraging: Impossibilities and Optimization* (arXiv 2512.01112): e equity, D the
sum of negative equity, W that of positive equity, U the sum of positive PnL, theta the part of D that is put on
winners.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from underwater.metrics._frames import USD, Source, figures, frame, money


@dataclass(frozen=True)
class Feasibility:
    """Whether winners' profits can bear a loss, at one mark."""

    deficit: float
    """D: sum of max(0, -e)."""
    wealth: float
    """W: sum of max(0, e)."""
    capacity: float
    """U: sum of max(0, PnL), what haircuts on profit can take."""
    needed: float
    """theta D."""
    solvency: float
    """W - D: sum of equities."""
    uncovered: float
    """max(0, theta D - U): what haircuts on profit cannot take."""
    residual: float
    """(1 - theta) D: what is not put on winners, whoever pays."""

    @property
    def solvent(self) -> bool:
        """W >= D."""
        return self.solvency >= 0

    @property
    def feasible(self) -> bool:
        """theta D <= U: ADL can clear the loss without touching principal."""
        return self.needed <= self.capacity

    @property
    def solvent_but_infeasible(self) -> bool:
        """There is wealth enough, but not profit enough."""
        return self.solvent and not self.feasible


def feasibility(equity: Iterable[float], pnl: Iterable[float], severity: float = 1.0) -> Feasibility:
    """Deficit, wealth and haircut capacity of accounts at one mark.

    >>> state = feasibility([10, 5, 1, -3, -12], [8, 4, 0.5, -3, -12])
    >>> state.deficit, state.capacity, state.solvency, state.solvent_but_infeasible, state.uncovered
    (15.0, 12.5, 1.0, True, 2.5)

    Args:
        equity: of each account.
        pnl: unrealised profit of each account.
        severity: theta, the part of the deficit that is put on winners.
    """
    equities = [float(e) for e in equity]
    deficit = sum((-e for e in equities if e < 0), 0.0)
    wealth = sum((e for e in equities if e > 0), 0.0)
    capacity = sum((float(w) for w in pnl if w > 0), 0.0)
    needed = severity * deficit
    return Feasibility(
        deficit, wealth, capacity, needed, wealth - deficit, max(0.0, needed - capacity), (1 - severity) * deficit
    )


def leverage(notional: float, equity: float) -> float:
    """notional / |equity|; infinite where there is no equity. The sign of the equity tells on which side of zero it is."""
    return abs(notional) / abs(equity) if equity else float("inf")


def liquidation_price(size: float, entry: float, collateral: float, maintenance: float, funding: float = 0.0) -> float:
    """Price at which equity is `maintenance` times the notional: long (p0 - (c + F) / q) / (1 - mu), at least 0; short
    (p0 + (c + F) / q) / (1 + mu). Linear contracts; with `maintenance` 0 it is the bankruptcy price.

    >>> round(liquidation_price(-4, 1, 8 / 3, 0.1), 6)
    1.515152

    Args:
        size: signed.
        entry: entry price.
        collateral: margin.
        maintenance: rate mu of the notional.
        funding: received so far (negative: paid).
    """
    sign = 1 if size > 0 else -1
    return max(0.0, (entry - sign * (collateral + funding) / abs(size)) / (1 - sign * maintenance))


def shares(weights: Sequence[float]) -> list[float]:
    """Each weight's share of their sum: who bears how much of a pro-rata haircut (weights: positive equities or profits)."""
    total = sum(weights)
    return [weight / total for weight in weights]


def risk_aware_shares(
    weights: Sequence[float], leverages: Sequence[float], g: Callable[[float], float] = lambda leverage: leverage
) -> list[float]:
    """Shares under haircuts h = tau * leverage * g(leverage), before caps (risk-aware policy of arXiv 2512.01112).

    Args:
        weights: what haircuts are taken of.
        leverages: notional / equity of each.
        g: linear by default; a power, or max(0, leverage - tau) for the tail.
    """
    return shares([w * x * g(x) for w, x in zip(weights, leverages, strict=True)])


def solvency(source: Source) -> pl.DataFrame:
    """Sums of equities at the open and at the end, at the reference: `moment`, `wealth_usd` (W), `deficit_usd` (D),
    `solvency_usd` (W - D), `layers_usd` (equity of fund, pool, treasury and vault; null for bare frames).

    Defaulted accounts stand at zero once payers made them good; a deficit at the end is an open shortfall.
    """
    accounts = frame(source, "accounts")
    layers = figures(source).get("layer_equity_usd", {})
    # What holders of the token have borne is no capital.
    held = [ends for name, ends in layers.items() if name != "token"]
    rows: list[dict[str, Any]] = []
    for moment in ("opening", "closing"):
        equity = pl.col(f"{moment}_equity_usd")
        wealth, deficit = accounts.select(
            equity.filter(equity > 0).sum().alias("w"), (-equity.filter(equity < 0).sum()).cast(USD).alias("d")
        ).row(0)
        rows.append(
            {
                "moment": moment,
                "wealth_usd": wealth,
                "deficit_usd": deficit,
                "solvency_usd": wealth - deficit,
                "layers_usd": sum((Decimal(ends[moment]) for ends in held), Decimal(0)) if held else None,
            }
        )
    columns = ("wealth_usd", "deficit_usd", "solvency_usd", "layers_usd")
    return money(rows, {"moment": pl.String} | dict.fromkeys(columns, USD))


def session_feasibility(source: Source) -> Feasibility:
    """Whether the session's profits can bear what the layers did not pay, measured at the end of the tape.

    The profit of an account is that by which semantics, section 9, shares a socialised loss, max(0, min(result,
    equity)) of accounts that are neither defaulted nor rejected, before what it gave up in ADL and was charged. Needed
    is what fell on winners or on nobody: ADL give-up, socialised, uncovered and open. `severity` follows as needed /
    deficit, the deficit being all that was lost (bad debt, opening and open).
    """
    lines = dict(frame(source, "who_pays").select("line", "amount_usd").rows())
    needed = sum(float(lines.get(line, 0)) for line in ("adl", "socialised", "uncovered", "open"))
    deficit = sum(float(lines.get(line, 0)) for line in ("bad_debt", "opening", "open"))
    result = pl.col("closing_equity_usd") - pl.col("opening_equity_usd") - pl.col("deposits_usd")
    borne = pl.col("adl_give_up_usd") + pl.col("socialised_usd")
    profit = pl.min_horizontal(result, "closing_equity_usd").cast(USD) + borne
    winners = frame(source, "accounts").filter(~pl.col("status").is_in(["defaulted", "rejected"]))
    capacity = float(winners.select(profit.filter(profit > 0).sum()).item() or 0)
    wealth = float(frame(source, "accounts").select(pl.col("closing_equity_usd").clip(lower_bound=0).sum()).item() or 0)
    open_deficit = float(lines.get("open", 0))
    return Feasibility(
        deficit,
        wealth,
        capacity,
        needed,
        wealth - open_deficit,
        max(0.0, needed - capacity),
        max(0.0, deficit - needed),
    )


def identities(source: Source) -> pl.DataFrame:
    """What must hold of every result: `identity`, `of` (market, asset or null), `difference` (zero), `holds`.

    `payers = losses`; `rows of bad_debt` foot; `sizes` of all holders sum to zero per market; `balances` per asset; and
    `postings` per asset: received less given is closing less opening balance, summed over |holders|.
    """
    lines = frame(source, "who_pays")
    by_section = dict(lines.group_by("section").agg(pl.col("amount_usd").sum()).rows())
    rows: list[tuple[str, str | None, Any]] = [
        ("payers = losses", None, by_section.get("payer", Decimal(0)) - by_section.get("loss", Decimal(0)))
    ]
    payers = [f"{line}_usd" for line in lines.filter(section="payer")["line"]]
    debts = frame(source, "bad_debt")
    columns = [column for column in payers if column in debts.columns] + ["adl_give_up_usd"] * ("adl_usd" in payers)
    paid = sum((pl.col(column) for column in columns), pl.lit(0).cast(USD))
    # An open shortfall is nobody's yet; a payer that is not in the waterfall has paid nothing.
    lost = pl.col("bad_debt_usd") + pl.col("adl_overshoot_usd") + pl.col("subsidy_usd")
    lost += pl.col("change_of_prepaid_usd") if "change_of_prepaid_usd" in debts.columns else 0
    rows.append(("rows of bad_debt", None, debts.select((paid - lost).abs().sum()).item()))
    for moment in ("opening", "closing"):
        sizes = frame(source, "positions").group_by("market").agg(pl.col(f"{moment}_size").sum()).sort("market")
        rows += [(f"{moment} sizes", market, total) for market, total in sizes.rows()]
        balances = frame(source, "balances").group_by("asset").agg(pl.col(moment).sum()).sort("asset")
        rows += [(f"{moment} balances", asset, total) for asset, total in balances.rows()]
    rows += [("postings", asset, total) for asset, total in _unexplained(source).rows()]
    schema = {"identity": pl.String, "of": pl.String, "difference": pl.Float64}
    found = pl.DataFrame([(name, of, float(total)) for name, of, total in rows], schema=schema, orient="row")
    return found.with_columns(holds=pl.Series([total == 0 for *_, total in rows], dtype=pl.Boolean))


def _unexplained(source: Source) -> pl.DataFrame:
    """Per asset, the balances that postings do not explain."""
    postings = frame(source, "postings")
    moved = pl.concat(
        [
            postings.select("asset", "amount", holder="to", market="to_market"),
            postings.select(
                "asset", (-pl.col("amount")).cast(postings.schema["amount"]), holder="from", market="from_market"
            ),
        ]
    )
    kind = postings.schema["amount"]
    held = frame(source, "balances").select(
        "asset", amount=(pl.col("opening") - pl.col("closing")).cast(kind), holder="holder", market="market"
    )
    both = pl.concat(
        [moved.select("asset", "holder", "market", "amount"), held.select("asset", "holder", "market", "amount")]
    )
    left = both.group_by("asset", "holder", "market").agg(pl.col("amount").sum())
    return left.group_by("asset").agg(pl.col("amount").abs().sum()).sort("asset")
