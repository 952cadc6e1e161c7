"""Random small days: tapes, books and protocols over every option, for comparing two implementations.

Everything is small on purpose: a handful of accounts, some dozen prints, nanoseconds counted from 0, so that what
hypothesis shrinks to can be worked through by hand. Prices move by whole per cent, leverage is high, winners stand
beside losers.
"""

from __future__ import annotations

from hypothesis import strategies as st
from strategies_closing import (
    charges,
    closes,
    executions,
    keepers,
    payout_rules,
    payouts,
    pool_adls,
    some,
    splits,
)
from strategies_days import Day, Scenario, books, days, rarely
from strategies_feeds import LATENCIES, TWO_SIDED, derived_feed, derived_feeds, halts, push_feeds
from strategies_margin import maintenance, margin_policies
from strategies_settlement import can_match, clearing_houses, delistings
from strategies_waterfall import deciding, failures, fund_sources, own_funds, tokens

BALANCES = ["100", "0", "5", "2000", "2000", "1e5"]


def adl_policies() -> st.SearchStrategy:
    shares = st.sampled_from(["0.5", "0.1", "1/3", "1"])

    def policy(kind: str, needed: dict | None = None, **optional: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({"kind": st.just(kind)} | (needed or {}), optional=optional)

    risk = {"power": st.sampled_from([1, 2, 3]), "threshold": st.sampled_from(["0", "2", "1/3", "8"]), "cap": shares}
    return st.one_of(
        policy("queue"),
        st.sampled_from(["queue", "queue", "pro_rata", "min_max"]),
        policy("pro_rata"),
        policy("contracts_pro_rata"),
        policy("capped_pro_rata", {"cap": shares}),
        policy("risk_aware", {"weight": st.sampled_from(["linear", "power", "cvar"])}, **risk),
        policy("min_max"),
        policy("mirror_descent", start=shares, step=st.sampled_from(["0.01", "0", "1/7"])),
    )


ADL_SCORES = [
    "profit_leverage", "bitmex", "hyperliquid_docs", "hyperliquid_docs_literal", "binance", "leverage", "profit", "position",
    "random_start",
]  # fmt: skip


@st.composite
def deleveraging(draw: st.DrawFn, p: dict, has_index: bool) -> dict:
    """Fields of `adl` for a protocol that has its feeds and its fund."""
    policy = draw(adl_policies())
    queue = policy in ("queue", {"kind": "queue"})
    adl: dict = {"policy": policy, "score": draw(st.sampled_from(ADL_SCORES))}
    adl["eligibility"] = draw(st.sampled_from(["in_profit", "in_profit", "overlap", "any", "any"]))
    feeds = p.get("feeds", {})
    mark = feeds.get(p.get("adl_feed") or p.get("trigger_feed"), {})
    prices = ["oracle"] if mark.get("kind") in TWO_SIDED else ["oracle", "previous_mark", "previous_mark"]
    prices += ["mark_then_bankruptcy"] * 2 if "insurance_fund" in p else []
    adl |= draw(rarely(st.sampled_from(prices).map(lambda price: {"price": price}), {}, 2))
    if adl.get("price") == "oracle":
        adl["price_feed"] = draw(st.sampled_from(["last", *feeds, *(["index"] if has_index else [])]))
    if adl.get("price") == "mark_then_bankruptcy":
        adl["threshold"] = draw(st.sampled_from(["0.5", "0", "1", "1/3"]))
    if adl["score"] == "random_start":
        adl["seed"] = draw(st.sampled_from([0, 1, 7, 2**64 - 1]))
    adl |= draw(rarely(some(counterparties=st.sampled_from([1, 2, 3]), attempts=st.sampled_from([1, 2, 1, 0])), {}, 2))
    adl |= draw(rarely(st.just({"leftover": "open"}), {}, 2))
    if queue:
        adl["partial_last"] = draw(st.sampled_from([True, True, False]))
    return adl


@st.composite
def protocols(draw: st.DrawFn, day: Day) -> dict:
    p: dict = {}
    sources = st.sampled_from(["own", "index"] if day.has_index else ["own"])
    feeds: dict[str, dict] = {}
    if draw(rarely(st.just(True), False)):
        feeds["last"] = {"kind": "last", "source": "own", "prints": "each"}
    if draw(rarely(st.just(True), False)):
        feeds["each"] = {"kind": "last", "source": draw(sources), "prints": "each"}
    if draw(st.booleans()):
        feeds["oracle"] = draw(push_feeds(st.sampled_from(["last", "index"] if day.has_index else ["last"])))
    p["feeds"] = feeds
    names = ["last", *feeds, *(["index"] if day.has_index else [])]
    p["trigger_feed"] = draw(st.sampled_from(names))
    p["execution_feed"] = draw(st.sampled_from([p["trigger_feed"], *names]))
    p["collateral_feed"] = draw(rarely(st.sampled_from(names)))
    if draw(rarely(st.just(True), False, 2)):
        draw(derived_feeds(p, names))
    if draw(rarely(st.just(True), False)):
        p["halts"] = draw(st.lists(halts(day), min_size=1, max_size=2))

    p["margin"] = {
        "maintenance": draw(maintenance()),
        "initial_rate": draw(rarely(st.sampled_from(["0.1", "0.02", "0.3"]))),
    }
    if draw(rarely(st.just(True), False)):
        own = {"maintenance": draw(rarely(maintenance(), one_in=2)), "initial_rate": draw(rarely(st.just("0.2")))}
        p["margin"]["markets"] = {draw(st.sampled_from(day.traded)): own}
    weighted = draw(rarely(st.lists(st.sampled_from(sorted(day.assets)), unique=True), []))
    if weighted:
        p["collateral"] = {a: {"weight": draw(st.sampled_from(["0.8", "0.5", "0", "1/3"]))} for a in weighted}

    p |= draw(margin_policies(day, p))

    for name in ("pool", "vault", "treasury"):
        if draw(st.sampled_from([False, False, False, True, True])):
            p[name] = {"balance": draw(st.sampled_from(BALANCES))}
            p[name] |= draw(deciding()) if name == "treasury" else {}
    if draw(st.sampled_from([False, True, True])):
        coverage = draw(st.sampled_from(["slices", "slices", "exhaust", "all_or_none"]))
        p["insurance_fund"] = {"balance": draw(st.sampled_from(BALANCES)), "coverage": coverage}
        if draw(rarely(st.just(True), False, 3)):
            p["insurance_fund"]["funds"] = draw(own_funds(day.traded, BALANCES))
    if draw(st.sampled_from([False, True, True])):
        capacity = draw(st.sampled_from(["equity", "position", "position", "profit"]))
        p["adl"] = {"price": draw(st.sampled_from(["bankruptcy", "bankruptcy", "mark"])), "capacity": capacity}
        p["adl"] |= draw(rarely(deleveraging(p, day.has_index), {}, 2))
    if draw(st.sampled_from([False, False, True])):
        p["socialised"] = draw(
            st.sampled_from([{}, {"by": "open_interest"}, {"by": "open_interest"}, {"by": "deposits"}])
        )
    if draw(rarely(st.just(True), False)):
        dollars = [
            m["name"] for m in day.markets.values() if m["kind"] == "linear" and m["settlement"] in ("USD", "USDT")
        ]
        p["token"] = draw(tokens(dollars))
    layers = [n for n in ("insurance_fund", "pool", "adl", "socialised", "treasury", "token") if n in p]
    if draw(rarely(st.just(True), False, 3)):
        layers = draw(st.permutations(layers))
        p["waterfall"] = layers[: draw(st.integers(0, len(layers)))] if draw(st.booleans()) else layers

    if layers and draw(st.booleans()):
        p["limits"] = draw(layer_limits(p, p.get("waterfall", layers)))
    p["withdrawal_gate"] = draw(rarely(st.sampled_from([1, 3, 10, 100]), one_in=3))

    entities = ["keepers", "fees", *[n for n in ("insurance_fund", "pool", "treasury", "vault") if n in p]]
    if "pool" in p:
        p["counterparty"] = draw(st.sampled_from(["outside", "pool"]))
    takers = ["outside", *[n for n in ("pool", "vault") if n in p]]
    p["execution"] = draw(executions(day, takers, "adl" in p, [n for n in ("insurance_fund",) if n in p]))
    if "insurance_fund" in p and draw(rarely(st.just(True), False, 3)):
        draw(fund_sources(p, sorted(day.markets)))
    p["keeper"] = {"latency": draw(st.sampled_from(LATENCIES)), "rounds": draw(st.sampled_from([1, 1, 0, 3]))}
    p["keeper"] |= draw(rarely(keepers(), {}, 3))
    if draw(st.sampled_from([False, True, True])):
        p["penalty"] = {
            "rate": draw(st.sampled_from(["0.01", "0.1", "1/30", "0", "0.004"])),
            "split": draw(splits(entities)),
            "keeper_fee": draw(st.sampled_from(["0", "5", "0.01"])),
            "paid_if_insolvent": draw(st.booleans()),
        }
        p["penalty"] |= draw(rarely(charges(p["penalty"]), {}, 2))
    p |= draw(st.one_of(st.just({}), closes().map(lambda close: {"close": close})))
    draw(payouts(day, p))
    p["residual"] = draw(st.sampled_from(["account", *entities]))
    p["settlement"] = draw(st.sampled_from(["per_fill", "per_fill", "per_instant"]))
    p["loss_unit"] = draw(st.sampled_from(["account", "fill", "position", "fill"]))
    if p["execution"].get("bound", {}).get("remainder") == "deleverage":
        p["loss_unit"] = "fill"
    p["attribution"] = draw(st.sampled_from(["notional", "maintenance", "account"]))
    p["clearing_house"] = draw(rarely(clearing_houses(p), one_in=2))
    takes_over = "takeover" in p["execution"] or p["execution"]["counterparty"] == "vault"
    if draw(rarely(st.just(True), False, 2 if takes_over else 5)):
        p["delistings"] = draw(delistings(day, p))
    p["outside"] = draw(st.sampled_from(["keeps", "hedges"]))
    p["late_deposits"] = draw(st.sampled_from(["ignore", "recover", "recover"]))
    return without_defaults(p)


@st.composite
def layer_limits(draw: st.DrawFn, p: dict, layers: list[str]) -> dict[str, dict]:
    """Caps and triggers of some layers."""
    amounts = st.sampled_from(["1", "30", "400", "0", "5000", "0.5"])
    capital = [name for name in ("insurance_fund", "pool", "treasury", "vault") if name in p]
    triggers = st.nothing()
    for of in capital:
        fallen = st.fixed_dictionaries(
            {"kind": st.just("drawdown"), "of": st.just(of), "share": st.sampled_from(["0.3", "0.01", "1", "1/30"])},
            optional={"window": st.sampled_from([1, 4, 20])},
        )
        low = st.fixed_dictionaries({"kind": st.just("below"), "of": st.just(of)}, optional={"amount": amounts})
        triggers = st.one_of(triggers, fallen, fallen, low)
    period = st.fixed_dictionaries({"every": st.sampled_from([1, 3, 10, 100]), "amount": amounts})
    caps = {"per_event": amounts, "per_market": amounts, "periods": st.lists(period, min_size=1, max_size=2)}
    limits = {}
    for layer in layers:
        optional = {"delay": st.sampled_from([1, 3, 10])} | (caps if layer != "adl" else {})
        if capital:
            optional |= {"start": triggers, "stop": triggers}
        own = draw(rarely(some(**optional), one_in=2))
        if layer != "adl" and draw(rarely(st.just(True), False, 3)):
            own = (own or {}) | {"failure": draw(failures())}
        if own:
            limits[layer] = own
    return limits


DEFAULTS = {
    "feeds": {},
    "trigger_feed": "last",
    "execution_feed": "last",
    "collateral_feed": None,
    "adl_feed": None,
    "counterparty": "outside",
    "execution": {"kind": "feed", "counterparty": "outside", "ladder": None},
    "keeper": {"latency": 0, "rounds": 1},
    "residual": "account",
    "settlement": "per_fill",
    "loss_unit": "account",
    "attribution": "notional",
    "outside": "keeps",
    "late_deposits": "ignore",
    "limits": {},
    "withdrawal_gate": None,
    "clearing_house": None,
}


def without_defaults(p: dict) -> dict:
    return {key: value for key, value in p.items() if key not in DEFAULTS or value != DEFAULTS[key]}


def needs_sizes(protocol: dict) -> bool:
    fund = protocol.get("insurance_fund", {})
    shares = any("fees" in f for f in [fund, *fund.get("funds", {}).values()])
    return shares or protocol.get("execution", {}).get("kind") == "participation"


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    day = draw(days())
    positions, accounts, events = draw(books(day))
    options: dict = {"opening": draw(st.sampled_from(["keep", "keep", "keep", "reject", "rescale"]))}
    own = ["last", "last", "index"] if day.has_index else ["last"]
    derived = derived_feed(own).filter(lambda feed: feed["kind"] not in TWO_SIDED)
    feed = st.one_of(push_feeds(st.sampled_from(own)), derived)
    reference = draw(rarely(feed, draw(st.sampled_from(own)), 2))
    options |= {"reference": reference} if reference != "last" else {}
    definitions = {"markets": list(day.markets.values()), "assets": list(day.assets.values())}
    protocol, sizes = draw(protocols(day)), None
    if needs_sizes(protocol):
        some = st.sampled_from([10, 0, 1, 3, 40])
        sizes = draw(st.lists(some, min_size=len(day.rows), max_size=len(day.rows)))
    return Scenario(definitions, day.rows, positions, accounts, events, protocol, options, sizes)


@st.composite
def pooled(draw: st.DrawFn) -> Scenario:
    """A day on which a pool stands against everyone and pays winners by rules."""
    s = draw(scenarios())
    p, days = s.protocol, Day({m["name"]: m for m in s.definitions["markets"]}, {}, s.rows, [])
    days.assets = {a["name"]: a for a in s.definitions["assets"]}
    days.traded = sorted({row["market"] for row in s.positions}) or list(days.markets)
    p["pool"] = {"balance": draw(st.sampled_from([*BALANCES, "500"]))}
    p["counterparty"] = "pool"
    execution = p.setdefault("execution", {"kind": "feed"})
    execution["counterparty"] = "pool"
    execution.pop("takeover", None)
    if "bound" in execution:
        execution["bound"]["remainder"] = draw(st.sampled_from(["pool", "retry"]))
    p["payout"] = draw(payout_rules(days))
    if p["payout"]["when_short"] == "defer" and draw(st.sampled_from([True, False, False])):
        p["payout"]["policy"] = {"kind": "pool_factor", "factor": draw(st.sampled_from(["3", "9"]))}
    if p["payout"]["when_short"] != "pay" and draw(st.booleans()):
        p["pool"] = {"balance": draw(st.sampled_from(["5", "100", "30", "0"]))}
    if draw(st.sampled_from([True, True, False])):
        p["payout"]["adl"] = draw(pool_adls())
    return s


@st.composite
def deleveraged(draw: st.DrawFn) -> Scenario:
    """A day on which ADL comes first, or soon after a fund; on half of them little stands between a trigger and its close."""
    s = draw(scenarios())
    p = s.protocol
    if draw(st.booleans()):
        p.pop("guard", None)
        p["keeper"] = {name: value for name, value in p.get("keeper", {}).items() if name in ("latency", "rounds")}
    if "insurance_fund" in p:
        p["insurance_fund"] |= {"balance": draw(st.sampled_from(["5", "100", "0"])), "coverage": "slices"}
    p["adl"] = {"capacity": draw(st.sampled_from(["equity", "position", "profit"]))}
    p["adl"] |= draw(deleveraging(p, any(m.get("index") for m in s.definitions["markets"])))
    p["waterfall"] = draw(st.sampled_from([["insurance_fund", "adl"], ["adl", "insurance_fund"]]))
    if "insurance_fund" not in p:
        p["waterfall"] = ["adl"]
    p.pop("limits", None)
    for one in p.get("delistings", []):
        # Much is negative where little else closes it first.
        one["negative"] = draw(st.sampled_from(["adl", "waterfall"])) if can_match(p, one["price"]) else "waterfall"
    if draw(st.booleans()):
        p["limits"] = draw(layer_limits(p, p["waterfall"]))
    p["outside"] = draw(st.sampled_from(["keeps", "hedges", "hedges"]))
    bound = p.get("execution", {}).get("bound")
    # A pool that pays profits is the other side of everything.
    if bound is not None and "payout" not in p and draw(st.booleans()):
        bound["remainder"] = "adl"
    return s
