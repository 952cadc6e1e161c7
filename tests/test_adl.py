"""ADL: scores, prices, eligibility, policies and limits, by numbers that can be checked by hand.

Published examples stand beside small books of our own. Every result is audited by `cases.run`.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from cases import ETH, closing, cross, dollars, flat, fund, isolated, run, size_at_end

import underwater as uw

CENTS = {"markets": [{"name": ETH, "price_decimals": 3}]}


def given(result):
    """What each counterparty gave up, in USD."""
    sums = {}
    for account, usd in result.adl.select("account", "give_up_usd").rows():
        sums[account] = sums.get(account, 0) + usd
    return sums


def taken(result):
    """Counterparties in order, with the size that each gave."""
    return [(account, float(size)) for account, size in result.adl.select("account", "size").rows()]


# --- scores


@pytest.mark.parametrize(
    ("score", "first", "value"), [("hyperliquid_docs", "x", 11.0), ("profit_leverage", "y", 5.0), ("bitmex", "y", 5.0)]
)
def test_the_two_forms_of_the_score_of_hyperliquid_disagree(score, first, value):
    # At a mark of 110 the documented form gives X 11.0 and Y 10.0, the other one X 1.0 and Y 5.0.
    result = run(
        [isolated("loser", -1, 100, 5), isolated("x", 1, 100, 1), isolated("y", 1, 55, 10)],
        (100, 110),
        events=[(1, "y", ETH, "withdrawal", 43)],
        adl={"score": score},
        outside="hedges",
        margin=flat("0.001"),
    )
    assert taken(result) == [(first, 1.0)]
    row = result.adl.row(0, named=True)
    assert row["score"] == pytest.approx(value)
    assert (row["equity_usd"], row["pnl_usd"]) == ((11, 10) if first == "x" else (22, 55))


def test_by_the_letter_the_documented_score_puts_a_short_later_the_more_it_gains():
    book = [isolated("loser", 1, 100, 5), isolated("much", -1, 130, 20), isolated("little", -1, 95, 55)]
    firsts = {}
    for score in ("hyperliquid_docs", "hyperliquid_docs_literal"):
        result = run(book, (100, 90), adl={"score": score}, outside="hedges", margin=flat("0.001"))
        firsts[score] = result.adl["account"][0]
    # Both have an equity of 60: 130 / 90 and 95 / 90, or 90 / 130 and 90 / 95.
    assert firsts == {"hyperliquid_docs": "much", "hyperliquid_docs_literal": "little"}


SIX = {"1": (10, 3), "2": (10, 6), "3": (20, 1), "4": (30, 4), "5": (20, 5), "6": (10, 2)}
"""Six longs from 600, in profit by a tenth at 660: size, and a leverage that is the score times 10."""


def six(path=(600, 660), losers=(("loser", 20),), **adl):
    longs = [isolated(name, size, 600, Fraction(660 * size, rank) - 60 * size) for name, (size, rank) in SIX.items()]
    longs = [row | {"collateral": float(row["collateral"])} for row in longs]
    shorts = [isolated(name, -size, 600, 50 * size) for name, size in losers]
    more = {key: adl.pop(key) for key in ("waterfall", "insurance_fund", "feeds") if key in adl}
    return run(longs + shorts, path, adl=adl, outside="hedges", **more)


def test_the_order_and_the_price_of_the_example_of_bitmex():
    # The short of 20 is bankrupt at 650: account 2 is closed, account 5 gives 10 of its 20.
    result = six(score="bitmex")
    assert taken(result) == [("2", 10.0), ("5", 10.0)]
    assert set(result.adl["price"]) == {650.0}
    everyone = six(score="bitmex", losers=(("loser", 100),))
    assert [account for account, _ in taken(everyone)] == ["2", "5", "4", "1", "6", "3"]
    assert list(everyone.adl["rank"]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("score", "first"),
    [("leverage", "2"), ("profit", "4"), ("position", "4"), ("binance", "2"), ("random_start", None)],
)
def test_other_orders(score, first):
    result = six(score=score, losers=(("loser", 10),))
    assert sum(size for _, size in taken(result)) == 10
    if first is not None:
        assert taken(result) == [(first, 10.0)]


def test_a_drawn_start_goes_around_the_book():
    orders = set()
    for seed in range(12):
        result = six(score="random_start", seed=seed, losers=(("loser", 100),))
        orders.add("".join(account for account, _ in taken(result)))
    around = {"123456"[k:] + "123456"[:k] for k in range(6)}
    assert orders <= around
    assert len(orders) >= 4


# --- who pays for what: e = (10, 5, 1, -3, -12), profits (8, 4, .5)

WINNERS = {"a2": (Decimal("0.4"), 1), "b1": (Decimal("0.8"), 2), "c3": (Decimal("0.05"), Decimal("0.5"))}
"""Shorts from 100: at 90 their profits are 8, 4 and .5, their equities 10, 5 and 1."""


def losses(balance, winners=None, **adl):
    """Longs that are bankrupt at 100 and short of 3 and 12 at 90, of which a fund covers the first part."""
    shorts = [isolated(name, float(-size), 100, float(own)) for name, (size, own) in (winners or WINNERS).items()]
    longs = [isolated("x4", 0.3, 110, 3), isolated("x5", 1.2, 110, 12)]
    layers = {"insurance_fund": fund(balance)} if balance else {}
    adl = {"capacity": "profit"} | adl
    return run(longs + shorts, (101, 90), adl=adl, outside="hedges", margin=flat("0.001"), **layers)


def shares(result):
    gave = given(result)
    return [float(gave.get(name, 0)) for name in ("b1", "a2", "c3")]


@pytest.mark.parametrize(
    ("adl", "expected"),
    [
        ({}, (3.5, 4, 0)),  # a2 and b1 have one score, and come in the order of the book
        ({"policy": "pro_rata"}, (4.8, 2.4, 0.3)),
        ({"score": "profit"}, (7.5, 0, 0)),
        ({"policy": {"kind": "capped_pro_rata", "cap": "0.6"}}, (4.8, 2.4, 0.3)),
        ({"policy": {"kind": "capped_pro_rata", "cap": "0.5"}}, (4, 2, 0.25)),
        ({"policy": "contracts_pro_rata"}, (4.8, 2.4, 0.3)),  # profits are 10 a unit
        ({"policy": "min_max"}, (4.6875, 2.34375, 0.46875)),  # 7.5 / 16 of every equity
        # Leverages 7.2, 7.2 and 4.5: shares of profit as 51.84, 51.84 and 20.25.
        ({"policy": "risk_aware"}, (4.919923, 2.459962, 0.120115)),
        # Nobody is above 7.2, so that nobody gives anything; above 5 are two.
        ({"policy": {"kind": "risk_aware", "weight": "cvar", "threshold": "7.2"}}, (0, 0, 0)),
        ({"policy": {"kind": "risk_aware", "weight": "cvar", "threshold": 5}}, (5, 2.5, 0)),
        # The least squares of shares: as the profits, so that what is given goes as their squares.
        ({"policy": "mirror_descent"}, (5.981308, 1.495327, 0.023364)),
        ({"policy": {"kind": "mirror_descent", "start": "0.6"}}, (4.8, 2.4, 0.3)),
    ],
)
def test_half_of_the_loss_is_shared_by_every_policy(adl, expected):
    result = losses(7.5, **adl)
    assert shares(result) == pytest.approx(expected, abs=2e-6)
    lines = dollars(result)
    assert float(lines["bad_debt"]) == pytest.approx(15, abs=1e-5)  # values of legs are rounded down
    assert float(lines["insurance_fund"]) == pytest.approx(7.5)
    assert float(lines.get("uncovered", 0)) == pytest.approx(7.5 - sum(expected), abs=1e-5)
    after = dict(result.accounts.select("account", "closing_equity_usd").rows())
    for (name, before), gave in zip({"b1": 10, "a2": 5, "c3": 1}.items(), expected, strict=True):
        assert float(after[name]) == pytest.approx(before - gave, abs=2e-6)


@pytest.mark.parametrize(
    "policy", ["queue", "pro_rata", "contracts_pro_rata", "min_max", "risk_aware", "mirror_descent"]
)
def test_a_solvent_venue_may_be_unable_to_meet_a_loss_from_profits(policy):
    # Winners have 16, losers lack 15: solvent. But there are profits of 12.5 only.
    result = losses(0, policy=policy)
    assert shares(result) == pytest.approx((8, 4, 0.5), abs=1e-5)
    assert float(dollars(result)["uncovered"]) == pytest.approx(2.5, abs=1e-5)


def test_what_a_winner_gives_pro_rata_does_not_change_when_it_is_split_in_two():
    half = (WINNERS["b1"][0] / 2, 1)
    split = losses(7.5, {"a2": WINNERS["a2"], "b1": half, "b1 too": half, "c3": WINNERS["c3"]}, policy="pro_rata")
    gave = given(split)
    assert float(gave["b1"] + gave["b1 too"]) == pytest.approx(4.8, abs=1e-6)
    assert float(gave["a2"]) == pytest.approx(2.4, abs=1e-6)


# --- prices


@pytest.mark.parametrize(
    ("adl", "price"),
    [
        ({}, 650),
        ({"price": "mark"}, 660),
        ({"price": "previous_mark"}, 640),
        ({"price": "oracle", "price_feed": "two behind", "feeds": {
            "behind": {"kind": "lagged", "source": "last"}, "two behind": {"kind": "lagged", "source": "behind"}}}, 600),
    ],
)  # fmt: skip
def test_the_price_of_a_match(adl, price):
    result = six(path=(600, 640, 660), **adl)
    assert set(result.adl["price"]) == {float(price)}
    # The loser has 1,000 and is short of 20 from 600.
    left = 1000 - 20 * (price - 600)
    assert closing(result, "loser") == max(0, left)
    assert dollars(result).get("uncovered", 0) == max(0, -left)


def test_the_mark_until_the_fund_is_nearly_empty_then_bankruptcy():
    result = six(
        losers=(("first", 20), ("second", 10)),
        price="mark_then_bankruptcy",
        threshold="0.5",
        insurance_fund=fund(300),
        waterfall=["adl", "insurance_fund"],
    )
    prices = dict(result.adl.select("loser", "price").rows())
    # The first costs the fund 200 of its 300, which leaves less than half.
    assert prices == {"first": 660.0, "second": 650.0}
    assert dollars(result)["insurance_fund"] == 200


# --- who is asked

SHORTS = [isolated("near", -1, 920, 30), isolated("far", -1, 700, 400), isolated("winner", -1, 950, 200)]
"""At 900: bankrupt at 950, at 1,100 (with a loss of 200) and at 1,150."""


@pytest.mark.parametrize(
    ("eligibility", "expected"),
    [("in_profit", ["near", "winner"]), ("overlap", ["far", "winner"]), ("any", ["far", "near", "winner"])],
)
def test_who_is_eligible(eligibility, expected):
    # The loser's price is 1,000, beyond what "near" can bear.
    loser = isolated("loser", 3, 1100, 300)
    adl = {"eligibility": eligibility, "capacity": "position"}
    result = run([loser, *SHORTS], (905, 900), adl=adl, outside="hedges", opening="keep", margin=flat("0.001"))
    assert sorted(result.adl["account"]) == expected
    assert set(result.adl["price"]) == {1000.0}


# --- limits


def test_only_so_many_counterparties():
    assert taken(six(counterparties=1)) == [("2", 10.0)]
    shared = six(counterparties=2, policy="contracts_pro_rata")
    assert [(account, round(size, 6)) for account, size in taken(shared)] == [("2", 6.666667), ("5", 13.333333)]


def test_only_so_many_closes_in_one_instant():
    losers = (("first", 20), ("second", 10))
    result = six(losers=losers, attempts=1)
    assert set(result.adl["loser"]) == {"first"}
    assert dollars(result)["uncovered"] == 100  # of the second, in the market
    assert dollars(six(losers=losers, attempts=0))["uncovered"] == 300


def test_whole_positions_only():
    # 5 and 4 have more than is left after 2: 1 is next.
    assert taken(six(partial_last=False)) == [("2", 10.0), ("1", 10.0)]


# --- published examples


def test_dydx_v3():
    # A has -1,000 and 1 BTC, B has 10,000 and -9 BTC: at 900 B takes all of A, and its margin rises from 23.457 % to 25 %.
    result = run(
        [isolated("A", 1, 2000, 1000), isolated("B", -9, 1000, 1000)], (1080, 900), adl={}, outside="hedges",
        margin=flat("0.01"),
    )  # fmt: skip
    assert (closing(result, "A"), size_at_end(result, "A")) == (0, 0)
    assert (closing(result, "B"), size_at_end(result, "B")) == (9000, -8)
    row = result.adl.row(0, named=True)
    assert float(row["equity_usd"] / 8100) == pytest.approx(0.23457, abs=1e-5)


def test_dydx_v4():
    result = run(
        [isolated("A", 500, 1, 100), isolated("B", -500, 1, 100)],
        (1, 2),
        adl={"score": "random_start", "eligibility": "overlap"},
        outside="hedges",
        **CENTS,
    )
    assert result.adl["price"].to_list() == pytest.approx([1.2])
    assert dollars(result)["adl"] == 400
    assert (closing(result, "A"), closing(result, "B")) == (200, 0)


def test_dydx_v4_fund():
    # Bankrupt at .80 and filled at .77.
    result = run(
        [isolated("A", 500, 1, 100)],
        (1, 0.801),
        execution={"ladder": [{"share": 1, "offset": "-31/801"}]},
        insurance_fund=fund(1000),
        margin=flat("0.03"),
        **CENTS,
    )
    assert dollars(result)["insurance_fund"] == 15


def test_the_primer_of_bitmex():
    # A expects 5,000 at 4,000, but the bitcoin of B is worth 4,000.
    btc = {"name": "BTC", "decimals": 8, "price_market": ETH}
    result = run(
        [cross("A", 10, 3500), cross("B", -10, 3500)],
        (3500, 4000),
        cash=[("A", "BTC", 1), ("B", "BTC", 1)],
        assets=[btc, {"name": "USD"}],
        adl={},
        outside="hedges",
    )
    assert given(result) == {"A": 1000}
    assert set(result.adl["price"]) == {3900.0}
    row = result.adl.row(0, named=True)
    assert (row["equity_usd"], row["pnl_usd"]) == (9000, 5000)


def test_bankruptcy_prices_of_bybit():
    inverse = {"name": ETH, "kind": "inverse", "settlement": "BTC", "price_decimals": 2, "size_decimals": 0}
    btc = {"name": "BTC", "decimals": 8, "price_market": ETH}
    margin = round(5000 / 7890.08 / 50, 8)
    book = [isolated("long", 5000, 7890.08, margin), isolated("short", -5000, 7890.08, 1)]
    result = run(book, (7890.08, 7700), markets=[inverse], assets=[btc], adl={}, outside="hedges", margin=flat("0.001"))
    assert result.adl["price"][0] == pytest.approx(7735.3725, abs=0.005)
    book = [isolated("long", 50, 7890.08, 7890.08), isolated("short", -50, 7890.08, 100_000)]
    result = run(book, (7890.08, 7700), adl={}, outside="hedges", margin=flat("0.001"))
    assert result.adl["price"][0] == pytest.approx(7732.2784, abs=1e-6)


# --- configuration


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adl": {"price": "oracle"}}, "adl: price_feed: is missing"),
        ({"adl": {"price_feed": "last"}}, "adl: price_feed: has no use"),
        ({"adl": {"price": "oracle", "price_feed": "none"}}, "adl.price_feed: no feed is named 'none'"),
        ({"adl": {"price": "mark_then_bankruptcy", "threshold": 1}}, "adl.price: insurance_fund is not configured"),
        ({"adl": {"price": "mark_then_bankruptcy"}}, "adl: threshold: is missing"),
        ({"adl": {"policy": "pro_rata", "partial_last": False}}, "adl: partial_last: only the policy queue"),
        ({"adl": {"policy": "fair"}}, "adl.policy: expected kind to be one of"),
        ({"adl": {"policy": {"kind": "capped_pro_rata"}}}, "adl.policy.cap: missing"),
        ({"adl": {"policy": {"kind": "risk_aware", "power": 4}}}, "adl.policy.power"),
        ({"adl": {"score": "luck"}}, "adl.score"),
        ({"adl": {"counterparties": 0}}, "adl.counterparties"),
        (
            {
                "adl": {"price": "previous_mark"},
                "adl_feed": "both",
                "feeds": {"both": {"kind": "worst_of", "sources": ["last"]}},
            },
            "adl.price: 'both' has a price for longs",
        ),
    ],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(uw.ConfigError) as error:
        uw.Protocol.from_dict(fields)
    assert message in str(error.value)


def test_rules_survive_text():
    adl = uw.Adl(
        policy=uw.RiskAwareAdl(weight="cvar", threshold=3, cap="1/3"), score="binance", counterparties=500, attempts=10
    )
    protocol = uw.Protocol(adl=adl)
    assert uw.Protocol.from_toml(protocol.to_toml()) == protocol
    assert uw.Protocol.from_json(protocol.to_json()) == protocol
