"""GMX v1: vectors of its contracts' tests (named V1.n), replayed. Those named `derived` follow from its formulas.

A fee of 10 basis points of the size at the entry, five dollars for the keeper, at most 50x.
"""

from decimal import Decimal

import pytest
from cases import book, closing, day, dollars, isolated, only, run, status

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
