"""What a result says: definitions, and functions over the frames of a result.

Each function of a run takes a `Result`, or a mapping of those frames that it reads (`{"adl": frame, ...}`); the others take plain
numbers. Money stays exact (`Decimal`), ratios are floats. docs/metrics.md lists every figure with its definition and
source, and says where sources differ.

>>> import polars as pl, underwater as uw
>>> ticks = uw.Ticks(pl.DataFrame({"ts": pl.from_epoch([0, 1]), "market": "ETH-PERP", "price": [2000.0, 1700.0]}))
>>> positions = {"account": ["ann", "bob"], "market": "ETH-PERP", "size": [5, -5], "entry_price": 2000}
>>> positions["collateral"] = [1000, 9000]
>>> protocol = uw.Protocol(insurance_fund=uw.InsuranceFund(balance=300), adl=uw.Adl())
>>> result = uw.replay(ticks, uw.Book.from_frames(pl.DataFrame(positions)), protocol)
>>> for layer, bearer, amount in uw.metrics.attribution(result).select("layer", "bearer", "amount_usd").rows():
...     print(layer, bearer, amount)
adl bob 200.000000
insurance_fund insurance_fund 300.000000
>>> uw.metrics.coverage(result).coverage
0.6
"""

from underwater.metrics.attribution import attribution, unpaid_profits
from underwater.metrics.capital import (
    Drawdown,
    ShareFigures,
    balance_path,
    loss_to_equity,
    max_drawdown,
    path,
    replenishment,
    share_figures,
    time_to_depletion,
)
from underwater.metrics.deleveraging import adl, adl_by_account, markouts, split_account, sybil
from underwater.metrics.execution import (
    linear_impact,
    liquidation_times,
    slippage,
    slippage_by,
    time_to_liquidation,
    vwap,
)
from underwater.metrics.fairness import (
    fairness_regret,
    gini,
    hhi,
    largest_survivor,
    lorenz,
    markout,
    overshoot,
    overshoot_regret,
    pmr,
    ptsr,
    top_share,
)
from underwater.metrics.funds import funds
from underwater.metrics.headline import headline
from underwater.metrics.losses import bad_debt_by_account, deficits, equity_gap, gaps, waves
from underwater.metrics.payers import Coverage, bearers, clawback_rate, coverage, layer_result, payers
from underwater.metrics.provenance import data_quality
from underwater.metrics.solvency import (
    Feasibility,
    feasibility,
    identities,
    leverage,
    liquidation_price,
    risk_aware_shares,
    session_feasibility,
    shares,
    solvency,
)
from underwater.metrics.tail import (
    cover,
    cover_k,
    expected_shortfall,
    newsvendor_fund,
    sensitivities,
    tail,
    value_at_risk,
)

__all__ = [
    "Coverage",
    "Drawdown",
    "Feasibility",
    "ShareFigures",
    "adl",
    "adl_by_account",
    "attribution",
    "bad_debt_by_account",
    "balance_path",
    "bearers",
    "clawback_rate",
    "cover",
    "cover_k",
    "coverage",
    "data_quality",
    "deficits",
    "equity_gap",
    "expected_shortfall",
    "fairness_regret",
    "feasibility",
    "funds",
    "gaps",
    "gini",
    "headline",
    "hhi",
    "identities",
    "largest_survivor",
    "layer_result",
    "leverage",
    "linear_impact",
    "liquidation_price",
    "liquidation_times",
    "lorenz",
    "loss_to_equity",
    "markout",
    "markouts",
    "max_drawdown",
    "newsvendor_fund",
    "overshoot",
    "overshoot_regret",
    "path",
    "payers",
    "pmr",
    "ptsr",
    "replenishment",
    "risk_aware_shares",
    "sensitivities",
    "session_feasibility",
    "share_figures",
    "shares",
    "slippage",
    "slippage_by",
    "solvency",
    "split_account",
    "sybil",
    "tail",
    "time_to_depletion",
    "time_to_liquidation",
    "top_share",
    "unpaid_profits",
    "value_at_risk",
    "vwap",
    "waves",
]
