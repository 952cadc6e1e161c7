"""dYdX v4: vectors of the chain's own tests and documentation (named DY-n), replayed.

Unless stated: BTC at 50,000, ETH at 3,000, initial 20 %, maintenance 10 %, a fee of 0.5 % at most, spread of the fillable price
a tenth of maintenance, everything at once. `q` is an account's quote balance: its collateral less what its positions cost.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from cases import closing, cross, dollars, isolated, only, run, size_at_end, status

import underwater as uw

BTC, ETH = "BTC-USD", "ETH-USD"
ORACLE = {BTC: 50_000, ETH: 3_000}


def chain(fund=0, *, fee="0.005", **changes):
    """The preset with the configuration of the chain's tests."""
    tests = {
        "trigger_feed": "last",
        "margin.assets": {},
        "margin.maintenance": uw.FlatMargin(rate="0.1"),
        "margin.initial": uw.FlatMargin(rate="0.2"),
        "keeper.poll": None,
        "keeper.capacity": None,
        "close.policy": uw.FullClose(),
        "penalty.rate": fee,
    }
    return uw.protocols.dydx_v4(fund=fund).with_(**{**tests, **changes}).model_dump()


def account(name, q, entry=None, **sizes):
    """An account with these sizes and that quote balance; unless an entry is given, it has lost a fifth of its notional."""
    sizes = {{"btc": BTC, "eth": ETH}[key]: Decimal(str(size)) for key, size in sizes.items()}
    entries = {
        market: Decimal(entry or ORACLE[market] * (Decimal("1.2") if size > 0 else Decimal("0.8")))
        for market, size in sizes.items()
    }
    rows = [cross(name, size, entries[market], market=market) for market, size in sizes.items()]
    return rows, (name, "USD", Decimal(str(q)) + sum(size * entries[market] for market, size in sizes.items()))


def replay(*accounts, path=None, markets=(), **protocol):
    """A day on which the oracle stands still, unless a path is given."""
    rows = [row for rows, _ in accounts for row in rows]
    path = path or {market: [ORACLE[market]] * 2 for market in {row["market"] for row in rows}}
    return run(rows, path, cash=[cash for _, cash in accounts], markets=markets, **chain(**protocol))


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
    result = run([row], {BTC: [50_000, 30_000]}, **chain(balance, adl=None, waterfall=["insurance_fund"]))
    assert closing(result, "insurance_fund") == balance - (loss if pays else 0)
    assert dollars(result)["insurance_fund" if pays else "uncovered"] == loss


@pytest.mark.parametrize(("q", "entry", "ends"), [(50_000, 40_000, 99_999), (-45_001, 46_000, 4_998)])
def test_dy_6_deleveraged_at_the_bankruptcy_price(q, entry, ends):
    result = replay(account("short", 49_999, btc=-1), account("long", q, btc=1, entry=entry))
    row = only(result.adl)
    assert (row["account"], row["price"], row["size"]) == ("long", 49_999, 1)
    assert closing(result, "long") == ends
    assert (closing(result, "short"), status(result)["short"]) == (0, "defaulted")


def test_dy_9a_filled_whole():
    bound = {"execution.bound": uw.Bound(kind="fillable", spread="0.1", remainder="outside")}
    result = replay(account("short", 50_499, btc=-1), account("long", 50_000, btc=1), **bound)
    row = only(result.liquidations)
    assert (row["size"], row["price"], row["notional_usd"]) == (1, 50_000, 50_000)
    assert closing(result, "insurance_fund") == 250
    assert closing(result, "short") == 249


def test_dy_9c_deleveraged_where_the_fund_refuses_the_first_fill():
    result = replay(
        account("short", 50_499, btc=-1),
        account("long", 50_000, btc=1, entry=49_000),
        path={BTC: [50_000, 50_500]},
        **{"margin.maintenance": uw.FlatMargin(rate="0.001")},
    )
    assert len(result.liquidations) == 0
    row = only(result.adl)
    assert (row["size"], row["price"]) == (1, 50_499)
    assert closing(result, "long") == 100_499
    assert size_at_end(result, "long", BTC) == 0


@pytest.mark.parametrize(
    ("interest", "lower", "upper", "notional", "requirement"),
    [
        (1_500_000, 1_000_000, 2_000_000, 500_000, 300_000),
        ("28123456.789123", 25_000_000, 60_000_000, "0.5", "0.135697"),
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


def test_dy_13_insurance_of_the_documentation():
    row = isolated("a", 500, 1, 100, market="ONE")
    markets = [{"name": "ONE", "index": "ORACLE"}]
    path = {"ONE": [1, Decimal("0.77")], "ORACLE": [1, Decimal("0.801")]}
    protocol = chain(1_000, **{"trigger_feed": "index", "margin.maintenance": uw.FlatMargin(rate="0.03")})
    assert dollars(run([row], path, markets=markets, **protocol))["insurance_fund"] == 15


@pytest.mark.parametrize(("market", "rate"), [("BTC-USD", "0.012"), ("SOLUSDT", "0.03"), ("WIF-USD", "0.1")])
def test_tiers_by_base_asset(market, rate):
    margin = uw.protocols.dydx_v4().margin
    own = margin.own(market)
    assert (own or margin).maintenance.rate == Fraction(rate)


def test_a_tenth_of_a_position_a_block_of_a_second():
    protocol = uw.protocols.dydx_v4().model_dump()
    row = isolated("a", 1, 100_000, 1_150, market="BTC-USD")
    result = run([row], {"BTC-USD": [100_000] * 5}, **protocol)
    sizes = [float(size) for size in result.liquidations["size"]]
    assert sizes[:1] == [0.1]
    assert [ts.second for ts in result.liquidations["ts"]] == list(range(len(sizes)))


def test_dy_6_no_overlap_no_deleveraging():
    # The short is bankrupt at 49,999, the long at 50,000: neither can take the other's price.
    result = replay(account("short", 49_999, btc=-1), account("long", -50_000, btc=1, entry=50_000))
    assert len(result.adl) == 0


def test_dy_7_who_does_not_overlap_is_passed_over():
    others = [account("beyond", -50_001, btc=1, entry=50_001), account("within", -49_000, btc=1, entry=50_000)]
    result = replay(account("short", 49_999, btc=-1), *others, **{"margin.maintenance": uw.FlatMargin(rate="1e-6")})
    assert only(result.adl)["account"] == "within"


def test_dy_7_one_after_the_other_up_to_its_whole_position():
    longs = [account(name, 25_000, btc=0.5, entry=40_000) for name in ("one", "two")]
    result = replay(account("short", 49_999, btc=-1), *longs)
    assert sorted(result.adl.select("account", "size", "amount").rows()) == [
        ("one", Decimal("0.5"), Decimal("-24999.5")),
        ("two", Decimal("0.5"), Decimal("-24999.5")),
    ]


def test_dy_9b_filled_in_part_and_not_deleveraged():
    result = replay(
        account("short", 50_499, btc=-1),
        account("long", 50_000, btc=1, entry=49_000),
        **{
            "execution.bound": uw.Bound(kind="fillable", spread="0.1", remainder="retry"),
            "execution.ladder": [uw.Rung(share="0.25", offset=0), uw.Rung(share=1, offset="-0.9")],
            "close.pause": "10s",
        },
    )
    row = only(result.liquidations)
    assert (row["size"], row["price"], len(result.adl)) == (Decimal("0.25"), 50_000, 0)
    assert closing(result, "insurance_fund") == Decimal("62.5")
    assert size_at_end(result, "short", BTC) == Decimal("-0.75")
