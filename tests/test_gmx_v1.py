"""GMX v1: vectors of its contracts' tests (named V1.n), replayed. Those named `derived` follow from its formulas.

A fee of 10 basis points of the size at the entry, five dollars for the keeper, at most 50x.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from cases import book, closing, day, dollars, isolated, only, run, status
from hypothesis import given, settings
from hypothesis import strategies as st

import underwater as uw

MARKET = "BTC-USD"


def gmx(pool=0, feed="last", **changes):
    """The preset at once, at one feed, without borrow fees."""
    feeds = {
        "trigger_feed": feed,
        "execution_feed": feed,
        "collateral_feed": "last",
        "keeper.latency": 0,
        "borrow": None,
    }
    return uw.protocols.gmx_v1(pool=pool).with_(**feeds, **changes).model_dump()


def one(size, entry, collateral, path, **protocol):
    return run([isolated("trader", size, entry, collateral, market=MARKET)], {MARKET: path}, **gmx(**protocol))


def gains(result):
    """What trader, fees, keepers and pool have got."""
    return [closing(result, holder) for holder in ("trader", "fees", "keepers", "pool")]


def test_v1_4_liquidate_a_short():
    size = Decimal("-0.00225")  # 90 dollars at 40,000
    assert status(one(size, 40_000, Decimal("9.91"), [40_000, 39_000, 41_000])) == {"trader": "open"}
    result = one(size, 40_000, Decimal("9.91"), [40_000, 39_000, 41_000, 42_500], pool="99.96")
    assert only(result.liquidations)["price"] == 42_500
    assert gains(result) == [0, Decimal("0.09"), 5, Decimal("104.78")]
    # Implied bad debt: loss, margin fee and keeper's fee beyond the collateral.
    assert dollars(result) == dict.fromkeys(["bad_debt", "pool", "gross"], Decimal("0.805"))


def test_v1_1_liquidate_a_long_at_the_lower_of_two_prices():
    size = Decimal("0.002195121951219512")  # 90 dollars at 41,000
    markets = [
        {"name": MARKET, "index": "HIGH", "size_decimals": 18, "price_decimals": 0},
        {"name": "HIGH", "price_decimals": 0},
    ]

    def replay(*prices):
        lows, highs = zip((41_000, 41_000), *prices, strict=True)
        protocol = gmx(
            pool=100, feed="min and max", **{"feeds.min and max": {"kind": "worst_of", "sources": ["last", "index"]}}
        )
        row = isolated("trader", size, 41_000, Decimal("9.91"), market=MARKET)
        return run([row], {MARKET: lows, "HIGH": highs}, markets=markets, **protocol)

    assert status(replay((43_500, 43_500))) == {"trader": "open"}
    assert status(replay((39_000, 43_500))) == {"trader": "open"}
    result = replay((38_700, 43_500))
    assert only(result.liquidations)["price"] == 38_700
    # The pool keeps the collateral, less the margin fee and the keeper's five dollars.
    assert gains(result) == [0, Decimal("0.09"), 5, 100 + Decimal("9.91") - Decimal("0.09") - 5]
    assert dollars(result)["pool"] == Decimal("0.228781")  # 9.91 - 5.048780488 - 0.09 - 5


@pytest.mark.parametrize(
    ("loss", "trader", "fees", "keepers", "pool"),
    [
        ("30.1", "18.9", 1, 0, "30.1"),  # more leverage than 50: the rest is returned
        ("44", 5, 1, 0, 44),  # just enough for the keeper is still returned
        ("44.5", 0, 1, 5, 44),
        ("51", 0, 1, 5, 44),  # the margin fee is paid in full, by the pool
    ],
)
def test_v1_8_derived_states(loss, trader, fees, keepers, pool):
    price = 100 - Decimal(loss) / 10
    result = one(10, 100, 50, [100, price])
    assert gains(result) == [Decimal(x) for x in (trader, fees, keepers, pool)]


def test_v1_8_derived_nothing_happens_within_the_limits():
    assert status(one(10, 100, 50, [100, Decimal("97.01")])) == {"trader": "open"}


def test_prices_part_where_the_posted_one_and_chainlink_disagree():
    def closed(path):
        protocol = uw.protocols.gmx_v1(pool=0).with_(
            **{
                "feeds.fast": {"kind": "periodic", "every": "1s"},
                "feeds.chainlink": {"kind": "push", "deviation": "0.5", "heartbeat": "24h"},
                "keeper.latency": 0,
            }
        )
        # A long has nothing left at 1,950, a short at 2,050; the posted price is far from what Chainlink has written.
        rows = [isolated("long", 1, 2000, 50, market=MARKET), isolated("short", -1, 2000, 50, market=MARKET)]
        result = uw.replay(day({MARKET: path}), book(rows), protocol)
        return dict(result.liquidations.select("account", "price").rows())

    assert closed([2000, 1960]) == {"long": 1960}
    # Beyond 2.5 % the short sees the higher of both and keeps its loss, the long the lower.
    assert closed([2000, 2060]) == {"short": 2060}
    assert closed([2000, 1940, 2000]) == {"long": 1940}


# --- the pool in tokens, to the last unit


def tokens(**more):
    btc, dai, bnb = uw.pools.Token(8), uw.pools.Token(18, stable=True), uw.pools.Token(18)
    pool = uw.pools.GmxPool({"BTC": btc, "DAI": dai, "BNB": bnb}, **more)
    for name, price in (("BTC", 1), ("DAI", 1), ("BNB", 1)):
        pool.quote(name, price)
    return pool


def digits(usd):
    """Dollars with the six decimals that the tests print."""
    return Decimal(usd * 10**6 // 10**30).scaleb(-6)


def test_v1_1_the_pool_of_a_long():
    pool = tokens()
    pool.quote("BTC", 40_000, 41_000)
    pool.add_liquidity("BTC", "0.0025")
    position = pool.open("trader", "BTC", "0.00025", 90)
    btc = pool.tokens["BTC"]
    assert (digits(position.collateral), position.average) == (Decimal("9.91"), 41_000 * 10**30)
    assert (btc.reserved, btc.fees, digits(btc.guaranteed), btc.pool) == (225_000, 969, Decimal("80.09"), 274_031)
    pool.quote("BTC", 43_500)
    assert (pool.health("trader").state, round(Decimal(pool.health("trader").profit) / 10**30, 9)) == (
        0,
        Decimal("5.487804878"),
    )
    pool.quote("BTC", 39_000, 43_500)
    assert (pool.health("trader").state, round(Decimal(pool.health("trader").profit) / 10**30, 9)) == (
        0,
        Decimal("-4.390243902"),
    )
    with pytest.raises(uw.EngineError, match="cannot be liquidated, state 0"):
        pool.liquidate("trader")
    pool.quote("BTC", 38_700, 43_500)
    assert (pool.health("trader").state, round(Decimal(pool.health("trader").profit) / 10**30, 9)) == (
        1,
        Decimal("-5.048780488"),
    )
    assert [digits(pool.aum(maximise=side)) for side in (False, True)] == [Decimal("99.064997"), Decimal("101.418485")]
    # As the replay has it (test_v1_1_liquidate_a_long_at_the_lower_of_two_prices), within its six decimals.
    assert round(Decimal(float(pool.bad_debt("trader"))), 6) == Decimal("0.228780")
    assert pool.liquidate("trader") == Decimal("0.00011494")
    assert [digits(pool.aum(maximise=side)) for side in (False, True)] == [Decimal("101.522097"), Decimal("114.113985")]
    assert (btc.reserved, btc.fees, btc.guaranteed, btc.pool) == (0, 1_175, 0, 262_331)
    figures = pool.figures()
    assert (figures["BTC.pool"], figures["BTC.fees"], figures["aum_min_usd"]) == (
        Decimal("0.00262331"),
        Decimal("0.00001175"),
        Decimal("101.522097"),
    )


@pytest.mark.parametrize(("days", "fees", "left"), [(200, 22_634, 83_200), (1000, 23_648, 82_186)])
def test_v1_3_borrow_fees_beyond_the_collateral(days, fees, left):
    pool = tokens(funding_factor=600)
    pool.quote("BTC", 100_000)
    pool.add_liquidity("BTC", "0.001")
    pool.open("trader", "BTC", "0.0001", 90)
    pool.quote("BTC", 120_000)
    assert pool.health("trader").state == 0
    pool.accrue("BTC", days * 3)  # intervals of eight hours
    assert pool.health("trader").state == 1
    pool.liquidate("trader")
    assert (pool.tokens["BTC"].fees, pool.tokens["BTC"].pool) == (fees, left)


def test_v1_4_the_pool_of_a_short():
    pool = tokens(mint_fee="0.0004")
    pool.quote("BTC", 40_000)
    pool.add_liquidity("DAI", 100)
    pool.open("trader", "BTC", 10, 90, short_of="DAI")
    found = pool.figures()
    assert [found[f"DAI.{what}"] for what in ("pool", "reserved", "fees")] == [Decimal("99.96"), 90, Decimal("0.13")]
    assert found["aum_min_usd"] == Decimal("99.96")
    profits = []
    for price in (39_000, 41_000, 42_500):
        pool.quote("BTC", price)
        profits.append((pool.health("trader").state, digits(pool.health("trader").profit)))
    assert profits == [(0, Decimal("2.25")), (0, Decimal("-2.25")), (1, Decimal("-5.625"))]
    # Derived: what the loser owes counts in full, more than it has.
    assert digits(pool.aum(maximise=True)) == Decimal("105.585")
    assert pool.bad_debt("trader") == Fraction("0.805")
    assert pool.liquidate("trader") == 5
    btc, found = pool.tokens["BTC"], pool.figures()
    assert (found["DAI.fees"], found["DAI.pool"], found["aum_min_usd"]) == (
        Decimal("0.22"),
        Decimal("104.78"),
        Decimal("104.78"),
    )
    assert (btc.short_size, btc.short_average) == (0, 40_000 * 10**30)
    pool.quote("BTC", 50_000)
    pool.open("again", "BTC", 20, 100, short_of="DAI")
    assert (btc.short_average, digits(pool.aum(maximise=True))) == (50_000 * 10**30, Decimal("104.78"))


def test_v1_7_add_and_remove_liquidity():
    pool = tokens()
    pool.quote("BNB", 300)
    pool.quote("BTC", 60_000)
    assert pool.add_liquidity("DAI", 100) == Decimal("99.7")
    assert pool.add_liquidity("BNB", 1) == Decimal("299.1")
    pool.quote("BNB", 300, 400)
    assert [digits(pool.aum(maximise=side)) for side in (True, False)] == [Decimal("498.5"), Decimal("398.8")]
    pool.quote("BNB", 500)  # the price that the printed AUM implies
    assert digits(pool.aum(maximise=True)) == Decimal("598.2")
    assert pool.add_liquidity("BTC", "0.01") == Decimal("398.8")
    pool.quote("BNB", 400, 500)
    assert (digits(pool.aum(maximise=False)), pool.figures()["glp"]) == (Decimal("1096.7"), Decimal("797.6"))
    assert pool.remove_liquidity("DAI", 72) == Decimal("98.703")


def test_what_is_reserved_cannot_leave():
    pool = tokens()
    pool.quote("BTC", 40_000)
    pool.add_liquidity("DAI", 100)
    with pytest.raises(uw.EngineError, match="DAI: reserve exceeds pool"):
        pool.open("trader", "BTC", 10, 100, short_of="DAI")
    pool.open("trader", "BTC", 10, 90, short_of="DAI")
    assert pool.utilisation("DAI") == Fraction(900, 997)
    with pytest.raises(uw.EngineError, match="DAI: reserve exceeds pool"):
        pool.remove_liquidity("DAI", 10)


def test_levers_change_the_price_of_glp_derived():
    pool = tokens(mint_fee=0)
    pool.add_liquidity("DAI", 100)
    assert pool.glp_price(maximise=True) == 1
    pool.aum_addition, pool.aum_deduction = 30, 50
    assert pool.glp_price(maximise=False) == Fraction(4, 5)


@settings(deadline=None)
@given(st.integers(1, 60_000), st.integers(100, 900))
def test_liquidation_moves_assets_under_management_by_what_the_formulas_say_derived(price, size):
    """Long: reserved p - (size - collateral) - fees p. Short: collateral - fees - loss (lp_pool: 1d)."""
    for short_of in (None, "DAI"):
        pool = tokens(mint_fee=0, max_leverage=100)
        pool.quote("BTC", 30_000)
        pool.add_liquidity("BTC", 1)
        pool.add_liquidity("DAI", 30_000)
        pool.open("trader", "BTC", "0.001" if short_of is None else 30, size, short_of=short_of)
        pool.quote("BTC", price)
        before, found, it = pool.aum(maximise=True), pool.health("trader"), pool.positions["trader"]
        if found.state != 1:
            continue
        pool.liquidate("trader")
        moved = pool.aum(maximise=True) - before
        fees = found.fees + 5 * 10**30
        expected = it.collateral + found.profit - fees
        if short_of and found.fees >= it.collateral:
            expected = found.profit - 5 * 10**30
        # A unit of BTC is rounded off for what is reserved, for fees and for the reward.
        assert abs(moved - expected) <= 3 * pool.tokens["BTC"].usd(1, max(price, 30_000) * 10**30) + 10**15
