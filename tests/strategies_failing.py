"""Days on which layers of the waterfall fail, and something follows from it."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies import scenarios
from strategies_days import Scenario, rarely
from strategies_waterfall import failures


@st.composite
def failing(draw: st.DrawFn) -> Scenario:
    """A small fund comes first, and when it is not enough halts the venue, or reverts the liquidation; some markets are settled
    after a halt."""
    s = draw(scenarios())
    p = s.protocol
    if draw(st.booleans()):
        for name in ("guard", "halts"):
            p.pop(name, None)
        p["keeper"] = {"latency": draw(st.sampled_from([0, 0, 1, 4])), "rounds": draw(st.sampled_from([1, 0, 2]))}
    p["insurance_fund"] = p.get("insurance_fund", {}) | {"balance": draw(st.sampled_from(["0", "5", "30", "100"]))}
    reverts = draw(st.booleans())
    if reverts:
        p["loss_unit"] = "account"
        p.pop("close", None)
        p["insurance_fund"]["balance"] = draw(st.sampled_from(["0", "5", "30"]))
        if p.get("execution", {}).get("bound", {}).get("remainder") in ("adl", "deleverage"):
            p["execution"]["bound"]["remainder"] = "outside"
    others = [name for name in ("pool", "adl", "socialised", "treasury", "token") if name in p]
    others = [name for name in others if name != "adl" or not reverts]
    p["waterfall"] = ["insurance_fund", *[name for name in others if name != "adl"]]
    if "adl" in others:
        p["waterfall"].insert(draw(st.integers(1, len(p["waterfall"]))), "adl")
    limits = {layer: own for layer, own in p.get("limits", {}).items() if layer in p["waterfall"]}
    for layer in p["waterfall"]:
        if layer == "insurance_fund" or (layer != "adl" and draw(rarely(st.just(True), False))):
            limits[layer] = limits.get(layer, {}) | {"failure": draw(failures(reverts))}
    p["limits"] = limits
    if draw(rarely(st.just(True), False)):
        settled = p.get("delistings") or [{"market": None, "price": {"kind": "feed", "feed": "last"}}]
        p["delistings"] = [one | {"trigger": {"kind": "halt"}} for one in settled]
    for one in p.get("delistings", []):
        # A halt of its own may be gone.
        has = any(limit.get("failure", {}).get("kind") == "halt" for limit in limits.values())
        if one["trigger"]["kind"] == "halt" and not has:
            one["trigger"] = {"kind": "time", "at": ("offset", 20)}
    return s
