"""Days on which the layers of the waterfall matter: funds of some markets with their sources, a treasury that decides, a
token."""

from __future__ import annotations

from decimal import Decimal

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


@st.composite
def prepaying(draw: st.DrawFn) -> Scenario:
    """A day on which an account in profit from the open on withdraws more than the clearing house has; a fund pays ahead."""
    s = draw(scenarios())
    p = s.protocol
    for name in ("guard", "halts", "delistings", "withdrawal_gate", "payout"):
        p.pop(name, None)
    p["clearing_house"] = {"when_short": draw(st.sampled_from(["prepay", "prepay", "prepay", "refuse"]))}
    p["insurance_fund"] = p.get("insurance_fund", {}) | {"balance": draw(st.sampled_from(["30", "500", "5000"]))}
    if "insurance_fund" not in p.get("waterfall", ["insurance_fund"]):
        p["waterfall"].insert(0, "insurance_fund")
    winner = draw(st.sampled_from(sorted({row["account"] for row in s.positions}))) if s.positions else None
    s.positions = [row for row in s.positions if row["account"] == winner]
    s.accounts = [row for row in s.accounts if row["account"] == winner]
    s.events = [row for row in s.events if row["account"] == winner]
    settlement = {m["name"]: m["settlement"] for m in s.definitions["markets"]}
    holders = [{"account": row["account"], "asset": row["asset"]} for row in s.accounts]
    for row in s.positions:
        entry, gain = Decimal(row["entry_price"]), draw(st.sampled_from(["0.5", "0.8", "0.25"]))
        better = entry * Decimal(gain) if Decimal(row["size"]) > 0 else entry / Decimal(gain)
        row["entry_price"] = str(max(better.quantize(entry), Decimal(1).scaleb(entry.as_tuple().exponent)))
        if row["margin_mode"] == "isolated":
            asset = row["collateral_asset"] or settlement[row["market"]]
            holders.append({name: row[name] for name in ("account", "market", "position")} | {"asset": asset})
    for _ in range(draw(st.integers(1, 4)) if holders else 0):
        holder = draw(st.sampled_from(holders))
        amounts = ["0.01", "0.1", "0.5", "2"] if holder["asset"] == "BTC" else ["10", "60", "300", "100"]
        event = {
            "ts": draw(st.integers(s.rows[0][0], s.rows[-1][0])),
            "market": None,
            "position": None,
            "kind": "withdrawal",
        }
        s.events.append(event | holder | {"amount": draw(st.sampled_from(amounts))})
    s.events.sort(key=lambda event: event["ts"])
    return s
