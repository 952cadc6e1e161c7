"""Random requirements, and what is scheduled: dynamic margin, funding, borrow fees."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies_days import Day, rarely
from strategies_feeds import TWO_SIDED


def maintenance() -> st.SearchStrategy:
    rates = st.sampled_from(["0.05", "0.1", "0.2", "0.01", "1/30", "0"])
    flat = st.fixed_dictionaries({"kind": st.just("flat"), "rate": rates})
    tiers = st.lists(st.sampled_from([50, 200, 1000, 5000]), unique=True, max_size=3).flatmap(
        lambda bounds: st.tuples(
            *[
                st.fixed_dictionaries(
                    {
                        "lower": st.just(str(lower)),
                        "rate": st.just(f"0.{2 * k + 1:02}5"),
                        "deduction": st.just(None) if k == 0 else rarely(st.sampled_from(["0", "1", "0.7"])),
                    }
                )
                for k, lower in enumerate([0, *sorted(bounds)])
            ]
        ).map(lambda tiers: {"kind": "brackets", "tiers": list(tiers)})
    )
    return st.one_of(flat, flat, tiers)


# --- margin beyond rates and brackets, and what is scheduled


def size_rules() -> st.SearchStrategy:
    rates = st.sampled_from(["0.05", "0.1", "0.02", "1/30"])
    steps = st.tuples(rates, st.sampled_from(["3", "0.5", "10"]), st.sampled_from(["0.15", "0.3", "0.01"])).map(
        lambda s: {"kind": "size_steps", "steps": [{"lower": "0", "rate": s[0]}, {"lower": s[1], "rate": s[2]}]}
    )
    linear = st.fixed_dictionaries(
        {"kind": st.just("linear_size"), "base": rates, "slope": st.sampled_from(["0.01", "1/300", "0.1"])},
        optional={"above": st.sampled_from(["2", "0.5"]), "cap": st.sampled_from(["0.3", "1"])},
    )
    root = st.fixed_dictionaries(
        {"kind": st.just("root_size"), "base": rates, "factor": st.sampled_from(["0.01", "1/30", "0.1"])},
        optional={"share": st.sampled_from(["0", "1"]), "cap": st.sampled_from(["0.2", "1"])},
    )
    leverage = st.fixed_dictionaries(
        {"kind": st.just("leverage"), "max_leverage": st.sampled_from(["50", "10", "7/2"])},
        optional={"fee": st.sampled_from(["5", "0.5"]), "fee_rate": st.sampled_from(["0.001", "0.03"])},
    )
    share = st.fixed_dictionaries(
        {"kind": st.just("collateral_share")},
        optional={"lost": st.sampled_from(["0.75", "1", "1/3"]), "fee_rate": st.sampled_from(["0.001", "0.02"])},
    )
    nested = st.fixed_dictionaries(
        {"kind": st.just("initial_share"), "rate": rates, "share": st.sampled_from(["0.6", "1/3", "1"])}
    )
    return st.one_of(steps, linear, root, leverage, share, nested)


def ramps() -> st.SearchStrategy:
    figures = {"kind": st.just("open_interest"), "base": st.sampled_from(["0.05", "0.1"])}
    figures |= {"lower": st.sampled_from(["0", "500"]), "upper": st.sampled_from(["2000", "50000"])}
    return st.fixed_dictionaries(figures, optional={"cap": st.sampled_from(["0.5"])})


def dynamics(names: list[str]) -> st.SearchStrategy:
    sample = st.sampled_from([1, 2, 3])
    return sample.flatmap(
        lambda sample: st.fixed_dictionaries(
            {
                "feed": st.sampled_from(names),
                "sample": st.just(sample),
                "look_back": st.sampled_from([sample, 2 * sample, 5 * sample]),
                "cadence": st.sampled_from([sample, 3 * sample]),
                "base": st.sampled_from(["0.02", "0.1", "1/7"]),
                "cap": st.sampled_from(["3", "8", "1.5"]),
            },
            optional={
                "floor": st.sampled_from(["0.5", "0", "1.2"]),
                "max_rise": st.sampled_from(["0.5", "1/3"]),
                "max_fall": st.sampled_from(["0.1", "1"]),
                "initial": st.booleans(),
            },
        )
    )


def rate_series(day: Day, rates: list[str]) -> st.SearchStrategy:
    points = st.lists(st.tuples(st.integers(0, day.rows[-1][0] + 1), st.sampled_from(rates)), max_size=5)
    series = points.map(lambda points: [{"ts": ts, "rate": rate} for ts, rate in sorted(dict(points).items())])
    return st.dictionaries(st.sampled_from(day.traded), series, min_size=1)


def fundings(day: Day, names: list[str]) -> st.SearchStrategy:
    given = {"kind": st.just("series"), "rates": rate_series(day, ["0.01", "-0.01", "0.1", "-0.2", "1/300", "0"])}
    interval = st.sampled_from([(1, 1), (4, 2), (6, 1)])
    premium = interval.flatmap(
        lambda i: st.fixed_dictionaries(
            {
                "kind": st.just("premium"),
                "of": st.sampled_from(names),
                "over": st.sampled_from(names),
                "interval": st.just(i[0]),
                "sample": st.just(i[1]),
            },
            optional={
                "interest": st.sampled_from(["0.02", "-0.01"]),
                "band": st.sampled_from(["0", "0.05"]),
                "cap": st.sampled_from(["0.02", "0.1"]),
                "share": st.sampled_from(["1/8", "0.5"]),
                "feed": st.sampled_from(names),
            },
        )
    )
    feed = {"feed": st.sampled_from(names)}
    return st.one_of(st.fixed_dictionaries(given, optional=feed), premium)


def borrows(day: Day, names: list[str], receivers: list[str]) -> st.SearchStrategy:
    # An hour is long: such rates tell within nanoseconds.
    return st.fixed_dictionaries(
        {
            "rate_per_hour": st.sampled_from(["0", "3600000000", "30000000000"]),
            "interval": st.sampled_from([1, 4]),
            "receiver": st.sampled_from(receivers),
        },
        optional={"rates": rate_series(day, ["0.01", "0.1", "0"]), "feed": st.sampled_from(names)},
    )


@st.composite
def margin_policies(draw: st.DrawFn, day: Day, p: dict) -> dict:
    """What changes of a protocol that has feeds, margin and collateral weights: rules by size, leverage and collateral,
    scales, funding, borrow fees."""
    often = draw(st.sampled_from([2, 2, 3, 6]))
    one_sided = [name for name, feed in p["feeds"].items() if feed["kind"] not in TWO_SIDED]
    names = ["last", *one_sided, *(["index"] if day.has_index else [])]
    margin = dict(p["margin"])
    if draw(rarely(st.just(True), False, often)):
        margin["maintenance"] = draw(size_rules())
    if margin["initial_rate"] is None:
        margin["initial"] = draw(rarely(st.one_of(size_rules(), ramps(), ramps())))
    margin["minimum"] = draw(rarely(st.sampled_from(["1", "20", "0.003"])))
    margin["dynamic"] = draw(rarely(dynamics(names), one_in=often))
    if draw(rarely(st.just(True), False)):
        own = {"maintenance": draw(size_rules()), "dynamic": draw(rarely(dynamics(names), one_in=2))}
        own |= {"minimum": draw(rarely(st.just("10"), one_in=2)), "initial": draw(rarely(ramps(), one_in=2))}
        margin["markets"] = {draw(st.sampled_from(day.traded)): own}
    changed: dict = {"margin": margin}
    if draw(rarely(st.just(True), False)):
        shares = st.sampled_from(["0.5", "0.9", "0", "1/3"])
        optional = {"initial_weight": shares, "profit_weight": shares, "sale_cost": shares}
        one = st.fixed_dictionaries({"weight": st.sampled_from(["1", "0.8"])}, optional=optional)
        changed["collateral"] = draw(st.dictionaries(st.sampled_from(sorted(day.assets)), one, min_size=1))
    changed["funding"] = draw(rarely(fundings(day, names), one_in=often))
    changed["borrow"] = draw(rarely(borrows(day, names, ["fees", "keepers", "insurance_fund"]), one_in=often))
    for accrual in (changed["funding"], changed["borrow"]):
        if accrual is not None and p["trigger_feed"] not in names:
            accrual.setdefault("feed", draw(st.sampled_from(names)))
    return {key: value for key, value in changed.items() if value is not None}
