"""Random days for what single venues do: fills that payers refuse, deleveraging of what nobody fills (dYdX v4), and of what the
vault took over (Hyperliquid)."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies import scenarios
from strategies_closing import ladders
from strategies_days import Scenario, rarely
from strategies_feeds import TWO_SIDED
from strategies_settlement import can_match


def follow(p: dict) -> None:
    """What depends on the waterfall and on ADL follows the new ones: a token, a treasury that waits, delistings."""
    p.pop("token", None)
    if "treasury" in p:
        p["treasury"] = {"balance": p["treasury"]["balance"]}
    for one in p.get("delistings", []):
        one["negative"] = "adl" if can_match(p, one["price"]) else "waterfall"


@st.composite
def often_at_once(draw: st.DrawFn, p: dict) -> None:
    """On half of the days nothing stands between a trigger and its close but a short latency."""
    if draw(st.booleans()):
        for name in ("guard", "halts", "delistings"):
            p.pop(name, None)
        p["keeper"] = {"latency": draw(st.sampled_from([0, 0, 1])), "rounds": 1}


@st.composite
def refused(draw: st.DrawFn) -> Scenario:
    """A day with the remainder `deleverage`: little depth within the bound, a fund that is soon empty, ADL after it."""
    s = draw(scenarios())
    p = s.protocol
    draw(often_at_once(p))
    execution = p.setdefault("execution", {"kind": "feed", "counterparty": "outside"})
    p.pop("payout", None)
    execution.pop("takeover", None)
    if execution.get("kind") != "participation" and draw(st.booleans()):
        for price in ("impact", "discount", "book_scale"):
            execution.pop(price, None)
        execution["ladder"] = draw(ladders())
    execution["bound"] = {
        "kind": draw(st.sampled_from(["fillable", "fillable", "bankruptcy"])),
        "spread": draw(st.sampled_from(["1.5", "0.1", "1/3", "3"])),
        "remainder": "deleverage",
    }
    p["loss_unit"] = "fill"
    p["insurance_fund"] = {
        "balance": draw(st.sampled_from(["0", "5", "100", "2000"])),
        "coverage": draw(st.sampled_from(["all_or_none", "all_or_none", "slices", "exhaust"])),
    }
    p["adl"] = {
        "capacity": draw(st.sampled_from(["position", "position", "equity"])),
        "eligibility": draw(st.sampled_from(["overlap", "overlap", "any", "in_profit"])),
        "score": draw(st.sampled_from(["random_start", "random_start", "profit_leverage", "leverage"])),
    }
    p["adl"] |= draw(rarely(st.just({"attempts": 1}), {}))
    p["waterfall"] = draw(
        st.sampled_from([["insurance_fund", "adl"], ["insurance_fund", "adl"], ["adl"], ["insurance_fund"]])
    )
    p.pop("limits", None)
    if draw(rarely(st.just(True), False)) and "insurance_fund" in p["waterfall"]:
        p["limits"] = {"insurance_fund": {"per_event": draw(st.sampled_from(["1", "30", "400"]))}}
    follow(p)
    p["outside"] = draw(st.sampled_from(["hedges", "hedges", "keeps"]))
    if "close" in p and draw(st.booleans()):
        p["close"]["when_insolvent"] = "policy"
    return s


@st.composite
def vaulted(draw: st.DrawFn) -> Scenario:
    """A day on which a vault of little capital takes accounts over, and its own positions are deleveraged."""
    s = draw(scenarios())
    p = s.protocol
    draw(often_at_once(p))
    p.pop("payout", None)
    p.pop("limits", None)
    execution = p.setdefault("execution", {"kind": "feed", "counterparty": "outside"})
    if execution.get("kind") == "level":
        execution["kind"] = "feed"
    p.pop("clearing_house", None)
    p["vault"] = {"balance": draw(st.sampled_from(["0", "5", "30", "100", "2000"]))}
    if draw(st.booleans()):
        execution["counterparty"] = "vault"
    execution["takeover"] = {"below": draw(st.sampled_from(["2/3", "1", "1", "3"]))}
    execution["takeover"]["floor"] = draw(st.sampled_from([None, None, "0", "10", "200"]))
    execution["takeover"]["adl_pause"] = draw(st.sampled_from([1, 1, 1, 3]))
    if "bound" in execution:
        del execution["bound"]
    feeds = p.get("feeds", {})
    two_sided = feeds.get(p.get("adl_feed") or p.get("trigger_feed"), {}).get("kind") in TWO_SIDED
    p["adl"] = {
        "price": draw(st.sampled_from(["mark"] if two_sided else ["mark", "previous_mark"])),
        "capacity": draw(st.sampled_from(["position", "position", "equity"])),
        "eligibility": draw(st.sampled_from(["in_profit", "any", "any"])),
        "score": draw(st.sampled_from(["random_start", "profit_leverage", "hyperliquid_docs", "leverage"])),
    }
    p["waterfall"] = draw(st.sampled_from([["adl"], ["adl"], []]))
    p.pop("socialised", None)
    if draw(rarely(st.just(True), False)) and p["waterfall"]:
        of = draw(
            st.sampled_from(
                [{"kind": "below", "of": "vault", "amount": "5"}, {"kind": "drawdown", "of": "vault", "share": "0.3"}]
            )
        )
        p["limits"] = {"adl": {"start": of}}
    follow(p)
    p["outside"] = draw(st.sampled_from(["hedges", "keeps"]))
    p.pop("penalty", None)
    p["residual"] = "account"
    return s
