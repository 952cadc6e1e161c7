"""dYdX v4: vectors of the chain's own tests and documentation (named DY-n), replayed.

Unless stated: BTC at 50,000, ETH at 3,000, initial 20 %, maintenance 10 %, a fee of 0.5 % at most, spread of the fillable price
a tenth of maintenance, everything at once. `q` is an account's quote balance: its collateral less what its positions cost.
"""

from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from cases import closing, cross, dollars, isolated, only, run, status
from dydx import BTC, ETH, account, chain, replay

import underwater as uw


@pytest.mark.parametrize(
    ("q", "sizes", "closed", "expected"),
    [
        (-4_501, {"btc": 0.1}, 1, 4_501),
        (5_499, {"btc": -0.1}, 1, -5_499),
        (-5_000, {"btc": 0.1}, "0.5", 2_500),
        (-490, {"btc": 0.004, "eth": 0.1}, 1, 294),
        (510, {"btc": -0.004, "eth": -0.1}, 1, -306),
        (110, {"btc": 0.004, "eth": -0.1}, 1, -306),
    ],
)
def test_dy_1_bankruptcy_price(q, sizes, closed, expected):
    # With a fee of 100 % the fund is paid all that a fill brings beyond the bankruptcy price.
    result = replay(
        account("a", q, **sizes),
        fee=1,
        **{"close.policy": uw.FractionClose(share=closed), "close.positions": "largest_notional"},
    )
    fill = result.liquidations.row(0, named=True)
    assert fill["market"] == (ETH if "eth" in sizes else BTC)
    penalties = result.postings.filter(kind="penalty", event=0)["amount"]
    assert fill["amount"] - sum(penalties) == expected


@pytest.mark.parametrize(
    ("q", "size", "entry", "share", "expected"),
    [
        (-13, 1, 20, "0.00021347", 2_776),
        (13, -1, 10, "0.00021347", -2_775),
    ],
)
def test_dy_1_rounding_of_a_part(q, size, entry, share, expected):
    # A requirement of twice the notional; 21,347 of 100,000,000 units; amounts in micro-dollars.
    result = replay(
        account("a", q, entry=entry, btc=size),
        markets=[{"name": BTC, "size_decimals": 8}],
        fee=1,
        fund=100,
        **{
            "margin.maintenance": uw.InitialShareMargin(rate=2, share=1),
            "close.policy": uw.FractionClose(share=share),
        },
    )
    fill = result.liquidations.row(0, named=True)
    assert fill["size"] == Decimal(share)
    settled = dict(result.postings.filter(event=0).group_by("kind").agg(pl.col("amount").sum()).rows())
    kept = fill["amount"] - settled.get("penalty", 0) + settled.get("payment", 0)
    assert kept * 10**6 == expected


def test_dy_1_of_a_long_that_owns_quote():
    # By what it is paid in ADL, since a penalty of a whole fill would not show it.
    result = replay(
        account("a", 1, entry=60_000, btc=1),
        account("short", 200_000, btc=-1),
        **{
            "margin.maintenance": uw.InitialShareMargin(rate="1.1", share=1),
            "execution.bound": uw.Bound(kind="fillable", spread="0.1", remainder="adl"),
            "execution.ladder": [uw.Rung(share=1, offset="-0.9")],
        },
    )
    assert only(result.adl)["amount"] == -1


@pytest.mark.parametrize(
    ("q", "size", "adjustment", "spread", "price"),
    [
        (-4_501, 0.1, 1, "0.1", 49_999),
        (-4_501, 0.1, 2, "0.1", 49_998),
        (-4_501, 0.1, 1, "0.2", 49_998),
        (-4_501, 0.1, 1, 1, 49_990),
        (-4_501, 0.1, 1, "1e-6", "49999.99999"),
        (5_499, -0.1, 1, "0.1", 50_001),
        (-5_000, 0.1, 1, "0.1", 49_500),
        (-5_500, 0.1, 1, "0.1", 49_500),
        (5_000, -0.1, 1, "0.1", 50_500),
        (4_500, -0.1, 1, "0.1", 50_500),
    ],
)
def test_dy_2_fillable_price(q, size, adjustment, spread, price):
    assert fillable(account("a", q, btc=size), BTC, adjustment, spread) == Decimal(price)


def test_dy_2_fillable_price_of_one_position_of_several():
    assert fillable(account("a", -490, btc=0.004, eth=0.1), ETH, 1, "0.1") == 2_976


def fillable(who, market, adjustment, spread):
    """The price at which a fill stops: the market has nothing within it, and somebody takes the rest there."""
    bound = uw.Bound(kind="fillable", adjustment=adjustment, spread=spread, remainder="outside")
    result = replay(
        who,
        markets=[{"name": name, "price_decimals": 5} for name in {row["market"] for row in who[0]}],
        **{
            "close.positions": "largest_notional",
            "execution.bound": bound,
            "execution.ladder": [uw.Rung(share=1, offset="-0.9")],
            "insurance_fund.balance": 10_000,
        },
    )
    return result.liquidations.filter(market=market)["price"].item()


@pytest.mark.parametrize(
    ("q", "size", "price", "fee", "delta"),
    [
        (-5_100, 0.1, 56_100, "0.005", "28.05"),
        (-5_100, 0.1, 56_100, "0.025", "140.25"),
        (-5_100, 0.1, 56_100, 1, 510),
        (-5_100, 0.1, 51_051, "0.005", "5.10"),
        (-5_100, 0.1, 51_000, "0.005", 0),
        (-5_100, 0.1, 50_490, "0.005", -51),
        (4_900, -0.1, 44_100, "0.005", "22.05"),
        (4_900, -0.1, 48_951, "0.005", "4.90"),
        (4_900, -0.1, 49_490, "0.005", -49),
    ],
)
def test_dy_3_insurance_fund_delta(q, size, price, fee, delta):
    # The oracle is the index; the book fills elsewhere.
    result = replay(
        account("a", q, btc=size),
        path={BTC: [price] * 2, "ORACLE": [50_000] * 2},
        markets=[{"name": BTC, "index": "ORACLE"}],
        fee=fee,
        trigger_feed="index",
        **{"insurance_fund.balance": 1_000},
    )
    assert only(result.liquidations)["price"] == price
    assert closing(result, "insurance_fund") - 1_000 == Decimal(delta)


@pytest.mark.parametrize(
    ("balance", "loss", "pays"),
    [(9_998, 1, True), (10_000, 10_000, True), (10_000, "10000.000001", False), (0, "0.000001", False)],
)
def test_dy_4_the_fund_pays_whole_or_refuses(balance, loss, pays):
    loss = Decimal(loss)
    row = isolated("a", 1, 50_000, 20_000 - loss, market=BTC)
    result = run([row], {BTC: [50_000, 30_000]}, **chain(balance))
    assert closing(result, "insurance_fund") == balance - (loss if pays else 0)
    assert len(result.liquidations) == pays  # what it cannot pay is not filled: the position stays open
    assert dollars(result)["insurance_fund" if pays else "open"] == loss


@pytest.mark.parametrize(
    ("interest", "lower", "upper", "notional", "requirement"),
    [
        (1_500_000, 1_000_000, 2_000_000, 500_000, 300_000),
        (1_234_567, 1_000_000, 2_000_000, 1_000_000, 387_653),
        ("28123456.789123", 25_000_000, 60_000_000, "0.5", "0.135697"),
        (459_054, 0, 1_000_000, "0.123456", "0.070030"),  # 56.7243 %
    ],
)
def test_dy_12_the_initial_requirement_rises_with_open_interest(interest, lower, upper, notional, requirement):
    interest, notional, requirement = map(Decimal, (interest, notional, requirement))
    rule = uw.OpenInterestMargin(base="0.2", lower=lower, upper=upper)

    def admitted(collateral):
        rows = [
            isolated("a", notional, 1, collateral, market="ONE"),
            isolated("others", interest - notional, 1, interest, market="ONE"),
        ]
        protocol = chain(**{"margin.initial": rule, "margin.maintenance": uw.FlatMargin(rate=0)})
        return status(run(rows, {"ONE": [1, 1]}, opening="reject", **protocol))["a"] == "open"

    assert admitted(requirement)
    assert not admitted(requirement - Decimal("0.000001"))


@pytest.mark.parametrize(("collateral", "safe"), [("0.000003", True), ("0.000002", False)])
def test_the_maintenance_requirement_rounds_twice_derived(collateral, safe):
    # In micro-dollars: 5 % of 62 is 3.1, so 4; three fifths of that are 2.4, so 3, where 1.86 would have been 2.
    rule = uw.InitialShareMargin(rate="0.05", share="0.6")
    row = isolated("a", Decimal("0.000062"), 1, Decimal(collateral), market="ONE")
    result = run([row], {"ONE": [1, 1]}, **chain(**{"margin.maintenance": rule}))
    assert (status(result)["a"] == "open") == safe


@pytest.mark.parametrize(
    ("equity", "size", "other", "price"), [(1_000, -3, 0, "3174.60"), (1_000, "-1.5", 175, "3380.95")]
)
def test_dy_13_liquidation_price(equity, size, other, price):
    size = Fraction(size)

    def liquidated(last):
        # The other position does not move; its requirement is that of 3,500 dollars.
        rows = [cross("a", Decimal(str(float(size))), 3_000, market=ETH)]
        rows += [cross("a", other * 20, 1, market="STILL")] if other else []
        path = {ETH: [3_000, last]} | ({"STILL": [1, 1]} if other else {})
        protocol = chain(**{"margin.maintenance": uw.FlatMargin(rate="0.05")})
        return len(run(rows, path, cash=[("a", "USD", equity)], **protocol).liquidations) > 0

    assert not liquidated(Decimal(price))
    assert liquidated(Decimal(price) + Decimal("0.01"))


def test_dy_13_deleveraging_of_the_documentation():
    rows = [isolated("long", 500, 1, 100, market="ONE"), isolated("short", -500, 1, 100, market="ONE")]
    result = run(rows, {"ONE": [1, 2]}, **chain())
    row = only(result.adl)
    assert (row["account"], row["amount"]) == ("long", -600)
    assert (closing(result, "long"), closing(result, "short")) == (200, 0)  # a profit of 100


def test_dy_13_the_fund_covers_what_the_spread_goes_beyond_the_account():
    # At a spread of 7.5 % (1.5 times 5 %) an account that can afford 2 % needs 5.5 % of the fund.
    bound = uw.Bound(kind="fillable", adjustment=2, spread="1.5", remainder="outside")
    result = run(
        [isolated("a", 1, 100, 2, market="ONE")],
        {"ONE": [100, 100]},
        markets=[{"name": "ONE", "price_decimals": 1}],
        **chain(
            1_000,
            **{
                "margin.maintenance": uw.FlatMargin(rate="0.05"),
                "execution.bound": bound,
                "execution.ladder": [uw.Rung(share=1, offset="-0.9")],
            },
        ),
    )
    assert only(result.liquidations)["price"] == Decimal("92.5")
    assert closing(result, "insurance_fund") == 1_000 - Decimal("5.5")


def test_dy_13_insurance_of_the_documentation():
    row = isolated("a", 500, 1, 100, market="ONE")
    markets = [{"name": "ONE", "index": "ORACLE"}]
    path = {"ONE": [1, Decimal("0.77")], "ORACLE": [1, Decimal("0.801")]}
    protocol = chain(1_000, **{"trigger_feed": "index", "margin.maintenance": uw.FlatMargin(rate="0.03")})
    assert dollars(run([row], path, markets=markets, **protocol))["insurance_fund"] == 15


@pytest.mark.parametrize(("market", "rate"), [("BTC-USD", "0.012"), ("SOLUSDT", "0.03"), ("WIF-USD", "0.1")])
def test_tiers_by_base_asset(market, rate):
    margin = uw.protocols.dydx_v4().margin
    rule = (margin.own(market) or margin).maintenance
    assert rule.rate * rule.share == Fraction(rate)


def test_a_tenth_of_a_position_a_block_of_a_second():
    protocol = uw.protocols.dydx_v4().model_dump()
    row = isolated("a", 1, 100_000, 1_150, market="BTC-USD")
    result = run([row], {"BTC-USD": [100_000] * 5}, **protocol)
    sizes = [float(size) for size in result.liquidations["size"]]
    assert sizes[:1] == [0.1]
    assert [ts.second for ts in result.liquidations["ts"]] == list(range(len(sizes)))
