"""Days on which the layers of the waterfall matter: funds of some markets with their sources, a treasury that decides, a
token."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies import BALANCES, layer_limits, needs_sizes, scenarios
from strategies_days import Scenario, rarely
from strategies_waterfall import deciding, fund_sources, own_funds, tokens


@st.composite
def funded(draw: st.DrawFn) -> Scenario:
    """Little stands between a trigger and its close, and a fund, a treasury and a token pay for what is lost."""
    s = draw(scenarios())
    p, markets = s.protocol, {m["name"]: m for m in s.definitions["markets"]}
    for name in (
        "guard",
        "halts",
        "delistings",
        "clearing_house",
        "limits",
        "waterfall",
        "payout",
        "pool",
        "socialised",
    ):
        p.pop(name, None)
    p["keeper"] = {"latency": draw(st.sampled_from([0, 0, 1, 4])), "rounds": 1}
    p["execution"] = {"kind": "feed", "counterparty": "outside", "ladder": p.get("execution", {}).get("ladder")}
    p["counterparty"] = "outside"
    if draw(st.booleans()):
        p.pop("adl", None)
    traded = sorted({row["market"] for row in s.positions}) or sorted(markets)
    coverage = draw(st.sampled_from(["slices", "exhaust", "all_or_none"]))
    p["insurance_fund"] = {"balance": draw(st.sampled_from(BALANCES)), "coverage": coverage}
    p["insurance_fund"]["funds"] = draw(own_funds(traded, BALANCES))
    p["treasury"] = {"balance": draw(st.sampled_from(BALANCES))} | draw(deciding())
    p.pop("token", None)
    dollars = [m["name"] for m in markets.values() if m["kind"] == "linear" and m["settlement"] in ("USD", "USDT")]
    if draw(st.sampled_from([True, True, False])):
        p["token"] = draw(tokens(dollars))
    if draw(st.booleans()):
        draw(fund_sources(p, sorted(markets)))
    p["penalty"] = {"rate": draw(st.sampled_from(["0.01", "0.1"])), "split": {"insurance_fund": "1"}}
    p["residual"] = draw(st.sampled_from(["insurance_fund", "insurance_fund", "account"]))
    layers = [name for name in ("insurance_fund", "adl", "treasury", "token") if name in p]
    if draw(rarely(st.just(True), False)):
        p["limits"] = draw(layer_limits(p, layers))
    if needs_sizes(p) and s.sizes is None:
        s.sizes = draw(st.lists(st.sampled_from([10, 0, 1, 3, 40]), min_size=len(s.rows), max_size=len(s.rows)))
    return s
