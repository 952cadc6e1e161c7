"""Random delistings, for random days."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from strategies_days import Day

TWO_SIDED = ("worst_of", "spread")


def clearing_houses(p: dict) -> st.SearchStrategy:
    prepays = ["prepay", "prepay", "refuse"] if "insurance_fund" in p else ["refuse"]
    return st.builds(lambda when_short: {"when_short": when_short}, st.sampled_from(prepays))


@st.composite
def delistings(draw: st.DrawFn, day: Day, p: dict) -> list[dict]:
    """One or two, of markets or of the venue, for a protocol that has its feeds, its halts and its ADL."""
    return [draw(delisting(day, p)) for _ in range(draw(st.sampled_from([1, 1, 2])))]


@st.composite
def delisting(draw: st.DrawFn, day: Day, p: dict) -> dict:
    market = draw(st.sampled_from([*day.traded, *day.traded, None]))
    return {
        "market": market,
        "trigger": draw(triggers(day, p, market)),
        "price": (price := draw(prices(day, p, market))),
        "negative": draw(st.sampled_from(["waterfall", "adl", "adl"])) if can_match(p, price) else "waterfall",
    }


def can_match(p: dict, price: dict) -> bool:
    return p.get("adl") is not None and price["kind"] == "mark"


@st.composite
def triggers(draw: st.DrawFn, day: Day, p: dict, market: str | None) -> dict:
    last = day.rows[-1][0]
    time = {"kind": "time", "at": ("offset", draw(st.integers(0, last + 1)))}
    found = [time, time]
    if any(h["markets"] is None or market in h["markets"] for h in p.get("halts", [])):
        found += [{"kind": "halt"}] * 2
    uncovered = {"kind": "uncovered", "amount": draw(st.sampled_from(["1", "0.5", "100"]))}
    found.append(uncovered | {"delay": draw(st.sampled_from([0, 1, 4]))})
    return draw(st.sampled_from(found))


@st.composite
def prices(draw: st.DrawFn, day: Day, p: dict, market: str | None) -> dict:
    feeds = p.get("feeds", {})
    one_sided = ["last", *[name for name, feed in feeds.items() if feed["kind"] not in TWO_SIDED]]
    one_sided += ["index"] if day.has_index else []
    found = [{"kind": "feed", "feed": draw(st.sampled_from(one_sided))}]
    mark = p.get("adl_feed") or p.get("trigger_feed", "last")
    if mark in one_sided:
        found += [{"kind": "mark"}] * 3
    if market is not None:
        own = [
            Fraction(price, 10 ** day.markets[market]["price_decimals"])
            for _, name, price in day.rows
            if name == market
        ]
        near = draw(st.sampled_from(own))
        whole = max(Fraction(1), near * draw(st.sampled_from([1, Fraction(1, 2), 2])) // 1)
        found.append({"kind": "fixed", "price": str(draw(st.sampled_from([near, whole])))})
    return draw(st.sampled_from(found))
