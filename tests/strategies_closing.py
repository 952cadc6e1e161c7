"""Random ways to close a position: payouts, close policies, penalties, execution, keepers."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies_days import Day, rarely
from strategies_feeds import latencies


@st.composite
def payouts(draw: st.DrawFn, day: Day, p: dict) -> None:
    """What the pool pays, where it is the other side of everything."""
    bound = p["execution"].get("bound") or {}
    pool = p.get("counterparty") == p["execution"]["counterparty"] == "pool"
    if not pool or "takeover" in p["execution"] or bound.get("remainder", "pool") not in ("pool", "retry"):
        return
    p["payout"] = draw(rarely(payout_rules(day), one_in=2))
    if p["payout"] is None:
        del p["payout"]


def pool_adls() -> st.SearchStrategy:
    return st.fixed_dictionaries(
        {
            "enable": st.sampled_from(["0.1", "0.02", "0.5", "0.05"]),
            "minimum": st.sampled_from(["0", "0.02", "0.01"]),
            "selector": st.sampled_from(["largest_profit", "largest_position", "highest_return", "random"]),
            "fit": st.booleans(),
            "latency": st.sampled_from([0, 0, 1, 4]),
            "pause": st.sampled_from([1, 3, 10, 1000]),
        },
        optional={
            "stop": st.sampled_from(["minimum", "enable"]),
            "share": st.sampled_from(["0.5", "0.1", "1/3"]),
            "actions": st.sampled_from([1, 2]),
            "seed": st.sampled_from([1, 2**64 - 1]),
        },
    )


def payout_rules(day: Day) -> st.SearchStrategy:
    policy = st.one_of(
        st.just({"kind": "uncapped"}),
        st.fixed_dictionaries(
            {"kind": st.just("pool_factor"), "factor": st.sampled_from(["0.07", "3", "0", "1/3", "3"])}
        ),
        st.fixed_dictionaries({"kind": st.just("collateral_share"), "share": st.sampled_from(["0.5", "9", "1/7"])}),
        st.fixed_dictionaries({"kind": st.just("reserved")}, optional={"share": st.sampled_from(["0.1", "1/30"])}),
    )
    side = some(
        share=st.sampled_from(["1", "0.1", "1/3"]),
        assets=st.lists(st.sampled_from(sorted(day.assets)), min_size=1, max_size=2, unique=True),
    )
    sides = some(long=side, short=side)
    return st.fixed_dictionaries(
        {
            "policy": policy,
            "when_short": st.sampled_from(["pay", "refuse", "refuse", "defer", "defer"]),
            "at_end": st.booleans(),
        },
        optional={
            "sides": sides,
            "markets": st.dictionaries(st.sampled_from(day.traded), sides, max_size=1),
            "adl": pool_adls(),
            "in_margin": st.just(True),
        },
    )


def shares() -> st.SearchStrategy:
    return st.sampled_from(["0.5", "0.1", "1/3", "0.9", "1"])


def some(**fields: st.SearchStrategy) -> st.SearchStrategy:
    """A table with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def close_policies() -> st.SearchStrategy:
    dollars = st.sampled_from(["0", "50", "300", "2000", "10"])

    def policy(kind: str, needed: dict, **optional: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({"kind": st.just(kind)} | needed, optional=optional)

    ramp = {"initial": st.sampled_from(["0.1", "0", "0.5", "1"]), "duration": st.sampled_from([10, 1, 3, 100])}
    return st.one_of(
        policy("fraction", {"share": shares()}, minimum=dollars, cap=dollars),
        policy("split", {"threshold": dollars, "share": shares()}),
        policy("target", {}),
        policy("ramp", ramp, of=st.sampled_from(["position", "target"])),
        policy("tier", {}, steps=st.sampled_from([1, 2])),
        policy("full", {}),
    )


def closes() -> st.SearchStrategy:
    """How much is closed, of what, and when it is enough."""
    stop = some(
        requirement=st.sampled_from(["maintenance", "initial"]), factor=st.sampled_from(["1.1", "1", "2", "0.5", "4/3"])
    )
    return st.fixed_dictionaries(
        {"policy": close_policies(), "pause": st.sampled_from([1, 1, 2, 5, 20])},
        optional={
            "positions": st.sampled_from(["all", "market", "largest_notional", "largest_loss", "random"]),
            "stop": stop,
            "when_insolvent": st.sampled_from(["full", "policy"]),
        },
    )


def charges(penalty: dict) -> st.SearchStrategy:
    """What a penalty may have besides its rate."""
    rates = st.sampled_from(["0.01", "0.05", "0", "1/7"])
    fund = {} if penalty["paid_if_insolvent"] else {"fund_pays_keeper": st.booleans()}
    escalation = some(
        after=st.sampled_from([0, 3]),
        every=st.sampled_from([1, 2]),
        step=rates,
        shortfall=rates,
        maximum=st.sampled_from(["0.1", "0.5"]),
    )
    return some(
        escalation=escalation,
        cap=st.sampled_from(["1", "20", "0"]),
        equity_share=st.sampled_from(["0.5", "1/3", "0"]),
        fee_per=st.sampled_from(["account", "fill"]),
        fee_if=st.sampled_from(["always", "short"]),
        keeper_rate=rates,
        **fund,
    )


@st.composite
def executions(draw: st.DrawFn, day: Day, takers: list[str], deleverages: bool, receivers: list[str]) -> dict:
    kinds = ["feed", "feed", "feed", "feed", "next_tick", "next_tick", "participation", "level"]
    e: dict = {"kind": draw(st.sampled_from(kinds)), "counterparty": draw(st.sampled_from([*takers, "keepers"]))}
    e["ladder"] = None
    if e["kind"] == "participation":
        e["rate"] = draw(st.sampled_from(["1", "0.1", "1/3", "0.5"]))
        scaled = True
    else:
        price = draw(st.sampled_from(["ladder", "ladder", "impact", "impact", "impact", "discount", "plain"]))
        scaled = price == "impact"
        if price == "ladder":
            e["ladder"] = draw(ladders())
        elif price == "impact":
            e["impact"] = draw(impacts(day))
        elif price == "discount":
            e["discount"] = draw(st.sampled_from(["0.01", "0.2", "1/30"]))
    if draw(rarely(st.just(True), False)):
        receiver = draw(st.sampled_from([*[t for t in takers if t != "outside"], "keepers", "fees", *receivers]))
        rate = draw(st.sampled_from(["0.001", "0.05", "1/7"]))
        e["fee"] = {"rate": rate, "of": draw(st.sampled_from(["fill", "entry"])), "receiver": receiver}
    if "vault" in takers and e["kind"] != "level" and draw(rarely(st.just(True), False)):
        e["takeover"] = {"below": draw(st.sampled_from(["2/3", "0.5", "1", "0.1"]))}
        e["takeover"]["floor"] = draw(st.sampled_from([None, None, "0", "50", "1e5"]))
    if draw(rarely(st.just(True), False)):
        e["bound"] = {
            "kind": draw(st.sampled_from(["bankruptcy", "fillable"])),
            "adjustment": draw(st.sampled_from(["1", "2"])),
            "spread": draw(st.sampled_from(["1.5", "0.1", "1/3"])),
            "remainder": draw(
                st.sampled_from([*takers, "keepers", "retry", "retry", *["adl", "adl", "deleverage"] * deleverages])
            ),
        }
    if scaled and draw(st.booleans()):
        e["book_scale"] = {draw(st.sampled_from(sorted(day.markets))): draw(st.sampled_from(["0.5", "3", "1/7"]))}
    return e


@st.composite
def impacts(draw: st.DrawFn, day: Day) -> dict:
    impact: dict = {
        "kind": draw(st.sampled_from(["linear", "linear", "square_root", "ladder", "constant_product"])),
        "depth": draw(st.sampled_from(["1e4", "300", "1e5", "2e6", "1234.5"])),
        "half_life": draw(st.sampled_from([None, 3, 10, 100, 0, 1])),
        "permanent": draw(st.sampled_from(["0", "0", "0.5", "1/3", "1"])),
        "limit": draw(st.sampled_from(["1", "1", "0.3", "0.05"])),
        "feedback": draw(st.booleans()),
    }
    if impact["kind"] == "ladder":
        rungs = draw(st.sampled_from([["0", "-0.05"], ["-0.01", "-0.1", "-0.4"], ["-0.2"]]))
        impact["rungs"] = [{"share": draw(st.sampled_from(["0.2", "0.5", "1/3"])), "offset": x} for x in rungs]
    if impact["kind"] == "square_root":
        impact["coefficient"] = draw(st.sampled_from(["1", "0.5", "1/3"]))
    if draw(rarely(st.just(True), False)):
        impact["markets"] = {draw(st.sampled_from(sorted(day.markets))): draw(st.sampled_from(["50", "1e6"]))}
    return impact


@st.composite
def keepers(draw: st.DrawFn) -> dict:
    """Polls, latencies that are drawn, capacity, failures, profit, and regimes: at least one of them."""
    capacity = st.fixed_dictionaries({"limit": st.sampled_from([1, 1, 2, 0]), "window": st.sampled_from([1, 2, 5, 20])})
    failure = st.fixed_dictionaries(
        {"probability": st.sampled_from(["0.5", "1/3", "0.9", "1", "0"]), "retry": st.sampled_from([1, 2, 5])}
    )
    times = st.integers(0, 40).map(lambda t: ["offset", t])
    factors = st.sampled_from(["1", "6", "0.1", "1/3", "0"])
    wanted = draw(st.sets(st.sampled_from(["poll", "latency", "capacity", "failure", "profit", "regimes"]), min_size=1))
    keeper: dict = {"seed": draw(st.sampled_from([0, 1, 2**64 - 1]))}
    if "poll" in wanted:
        keeper["poll"] = draw(st.sampled_from([1, 2, 3, 5, 11]))
    if "latency" in wanted:
        keeper["latency"] = draw(latencies())
    if "capacity" in wanted:
        keeper["capacity"] = draw(capacity)
    if "failure" in wanted:
        keeper["failure"] = draw(failure)
    if "profit" in wanted:
        keeper["minimum_profit"] = draw(st.sampled_from(["0", "0.5", "3", "0.01"]))
        steps = draw(st.lists(st.integers(0, 40), unique=True, max_size=4).map(sorted))
        series = [{"at": ["offset", t], "factor": draw(factors)} for t in steps]
        keeper["gas"] = {"base": draw(st.sampled_from(["1", "0.5", "4", "20"])), "series": series}
    if "regimes" in wanted:
        keeper["regimes"] = []
        for _ in range(draw(st.integers(1, 3))):
            start = draw(times)
            later = st.integers(1, 30).map(lambda d, t=start[1]: ["offset", t + d])
            regime = {"start": start, "end": draw(st.one_of(st.none(), later, later))}
            regime["latency"] = draw(rarely(latencies(), one_in=2))
            regime["capacity"] = draw(rarely(capacity, one_in=3))
            regime["failure"] = draw(rarely(failure, one_in=3))
            regime["gas_factor"] = draw(rarely(factors, one_in=2)) if "gas" in keeper else None
            keeper["regimes"].append(regime)
    return keeper


def ladders() -> st.SearchStrategy:
    shares = st.sampled_from(["0.5", "0.2", "1/3", "0.1", "1"])
    offsets = st.lists(st.sampled_from(["0.02", "0", "-0.02", "-0.05", "-0.15", "-0.6"]), min_size=2, max_size=3)
    rungs = offsets.flatmap(lambda offsets: st.tuples(*[st.tuples(shares, st.just(offset)) for offset in offsets]))
    return rungs.map(lambda rungs: [{"share": share, "offset": offset} for share, offset in rungs])


@st.composite
def splits(draw: st.DrawFn, entities: list[str]) -> dict[str, str]:
    shares = draw(st.sampled_from([["1"], ["1/3", "2/3"], ["1/2", "1/2"], ["1/3"] * 3][: len(entities) + 1]))
    return dict(zip(draw(st.permutations(entities)), shares, strict=False))
