"""Random feeds, and when they and the venue stand still."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies_days import Day, rarely

LATENCIES = [0, 0, 0, 1, 3, 5, 8, 1000]


def push_feeds(source: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries(
        {
            "kind": st.just("push"),
            "source": source,
            "deviation": st.sampled_from(["0.05", "0", "0.01", "0.3"]),
            "heartbeat": st.sampled_from([10, 2, 1000]),
            "latency": st.one_of(st.sampled_from([0, 0, 1, 3]), latencies()),
        },
        optional={
            "seed": st.sampled_from([1, 2**64 - 1]),
            "outages": st.lists(outages(), min_size=1, max_size=2),
            "observed": st.sampled_from(["at_write", "when_visible"]),
        },
    )


def outages() -> st.SearchStrategy:
    return st.tuples(st.integers(0, 20), st.integers(1, 15)).map(lambda o: {"start": o[0], "end": o[0] + o[1]})


def halts(day: Day) -> st.SearchStrategy:
    names = st.lists(st.sampled_from(day.traded), min_size=1, max_size=2, unique=True)
    ends = outages().map(lambda o: {"start": ("offset", o["start"]), "end": ("offset", o["end"])})
    return st.builds(lambda halt, markets: halt | {"markets": markets}, ends, rarely(names, one_in=2))


TWO_SIDED = ("worst_of", "spread")


@st.composite
def derived_feed(draw: st.DrawFn, sources: list[str]) -> dict:
    """A feed that is made from some of these."""
    kind = draw(
        st.sampled_from(
            ["periodic", "ema", "twap", "basis", "median", "lagged", "worst_of", "spread", "push", "paused"]
        )
    )
    source = draw(st.sampled_from(sources))
    cadence = {"source": source, "every": draw(st.sampled_from([1, 2, 5, 9])), "offset": draw(st.sampled_from([0, 3]))}
    if kind == "push":
        return draw(push_feeds(st.just(source)))
    if kind == "paused":
        stretches = st.lists(outages(), min_size=1, max_size=2)
        return {"kind": kind, "source": source, "outages": draw(stretches), "catch_up": draw(st.booleans())}
    if kind == "periodic":
        return {"kind": kind, **cadence}
    if kind == "ema":
        return {"kind": kind, **cadence, "time_constant": draw(st.sampled_from([1, 4, 10, 1000]))}
    if kind == "basis":
        average = {
            "time_constant": draw(st.sampled_from([1, 4, 10, 1000])),
            "reference": draw(st.sampled_from(sources)),
        }
        return {"kind": kind, **cadence, **average}
    if kind == "twap":
        return {"kind": kind, **cadence, "window": draw(st.sampled_from([1, 3, 10, 50]))}
    if kind in ("median", "worst_of"):
        return {"kind": kind, "sources": draw(st.lists(st.sampled_from(sources), min_size=1, max_size=4))}
    if kind == "spread":
        limit = draw(st.sampled_from(["0", "0.02", "0.1"]))
        return {"kind": kind, "source": source, "reference": draw(st.sampled_from(sources)), "limit": limit}
    return {"kind": kind, "source": source}


@st.composite
def derived_feeds(draw: st.DrawFn, p: dict, names: list[str]) -> None:
    """Adds feeds that are made from others, a mark of ADL and a guard to a protocol, and has them used."""
    feeds = p["feeds"]
    one_sided = list(names)
    for number in range(draw(st.sampled_from([1, 2, 4]))):
        feed = draw(derived_feed(one_sided))
        feeds[f"f{number}"] = feed
        if feed["kind"] not in TWO_SIDED:
            one_sided.append(f"f{number}")
    names = [*names, *[name for name in feeds if name not in names]]
    last = names[-1]
    p["trigger_feed"] = draw(st.sampled_from([last, last, *names]))
    p["execution_feed"] = draw(st.sampled_from([p["trigger_feed"], *names]))
    p["adl_feed"] = draw(rarely(st.sampled_from(names), one_in=2))
    if p["trigger_feed"] not in one_sided:
        p["collateral_feed"] = draw(st.sampled_from(one_sided))
    if draw(st.booleans()):
        feed, reference = draw(st.sampled_from(one_sided)), draw(st.sampled_from(one_sided))
        limit = draw(st.sampled_from(["0", "0.03", "0.2"]))
        divergence = draw(rarely(st.just({"feed": feed, "reference": reference, "limit": limit}), one_in=2))
        staleness = draw(st.sampled_from([0, 1, 4, 10]))
        p["guard"] = {"divergence": divergence, "staleness": draw(rarely(st.just(staleness), one_in=2))}
        if p["guard"] == {"divergence": None, "staleness": None}:
            p["guard"]["staleness"] = staleness


def latencies() -> st.SearchStrategy:
    fixed = st.sampled_from(LATENCIES)
    uniform = st.tuples(st.integers(0, 3), st.integers(0, 9)).map(
        lambda ends: {"kind": "uniform", "low": ends[0], "high": ends[0] + ends[1]}
    )
    values = st.tuples(st.sampled_from([0, 1, 2, 9]), st.integers(1, 3)).map(
        lambda value: {"latency": value[0], "weight": value[1]}
    )
    empirical = st.lists(values, min_size=1, max_size=3).map(lambda values: {"kind": "empirical", "values": values})
    lognormal = st.fixed_dictionaries(
        {
            "kind": st.just("lognormal"),
            "median": st.sampled_from([1, 4, 40, 0]),
            "sigma": st.sampled_from(["0.5", "1/3", "3", "0"]),
            "maximum": st.sampled_from([None, None, 12]),
        }
    )
    return st.one_of(fixed, fixed, uniform, empirical, lognormal)
