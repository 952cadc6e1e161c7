"""dYdX v4: who is deleveraged against whom, by the vectors of the chain's own tests (named DY-n), replayed.

Where an account is not below zero the chain would not deleverage it, though its function can: there the whole position is asked
of ADL because nothing fills within the bound (remainder `adl`).
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from cases import closing, dollars, isolated, only, run, size_at_end, status
from dydx import BTC, ETH, account, chain, replay

import underwater as uw

EMPTY = {"execution.ladder": [uw.Rung(share=1, offset="-0.9")]}
"""A book with nothing near."""
ASKED = {**EMPTY, "execution.bound": uw.Bound(kind="fillable", spread="0.1", remainder="adl")}
"""What does not fill is asked of ADL, whoever's it is."""
EVERY = {"close.positions": "all"}
UNIT = Decimal("0.000001")


def ends(result, *accounts):
    return [(closing(result, name), size_at_end(result, name, BTC)) for name in accounts]


@pytest.mark.parametrize(
    ("short", "long", "price", "after"),
    [
        (54_999, 50_000, 54_999, 104_999),
        (54_999, -45_001, 54_999, 9_998),
        (50_000, -50_000, 50_000, 0),
        (49_999, 50_000, 49_999, 99_999),
        (49_999, -45_001, 49_999, 4_998),
    ],
)
def test_dy_6_deleveraged_at_the_bankruptcy_price(short, long, price, after):
    how = EMPTY if short < 50_000 else ASKED
    result = replay(account("short", short, btc=-1), account("long", long, btc=1), **how)
    row = only(result.adl)
    assert (row["account"], row["price"], row["size"]) == ("long", price, 1)
    assert ends(result, "short", "long") == [(0, 0), (after, 0)]


@pytest.mark.parametrize(("short", "long"), [(50_000, -50_001), (49_999, -50_000)])
def test_dy_6_no_overlap_no_deleveraging(short, long):
    how = EMPTY if short < 50_000 else ASKED
    result = replay(account("short", short, btc=-1), account("long", long, btc=1), **how)
    assert len(result.adl) == 0
    if short < 50_000:  # nothing is filled either: the position stays open
        assert ends(result, "short") == [(short, -1)]


def test_dy_6_a_tenth_of_it():
    # The loser's side: nobody else has more to give; the winner's: others take the rest.
    short = account("short", Decimal("49999.999999"), btc=-1)
    result = replay(short, account("long", 5_000, btc=0.1), **EMPTY)
    (cash, size), *_ = ends(result, "short")
    assert (size, cash) == (Decimal("-0.9"), 45_000)  # it pays 4,999.999999 of 49,999.999999
    policy = {"adl.policy": {"kind": "contracts_pro_rata"}, **ASKED}
    result = replay(
        account("short", 54_999, btc=-1), account("c", 50_000, btc=1), account("d", 450_000, btc=9), **policy
    )
    assert ends(result, "c") == [(Decimal("55499.9"), Decimal("0.9"))]


def test_dy_6_one_of_two_positions():
    # TNC 800 over requirements of 5,000 and 3,000: 500 of it is the BTC position's.
    result = replay(account("short", 80_800, btc=-1, eth=-10), account("long", 50_000, btc=1), **ASKED, **EVERY)
    row = only(result.adl.filter(market=BTC))
    assert (row["price"], closing(result, "long")) == (50_500, 100_500)


@pytest.mark.parametrize("q", [54_999, 49_999])
def test_dy_6_rounding_does_not_fail(q):
    markets = [{"name": BTC, "size_decimals": 8, "price_decimals": 5}]
    price = Decimal("49999.99937")
    result = replay(
        account("short", q, btc=-1),
        account("long", 50_000, btc="0.49999991", entry=40_000),
        path={BTC: [price, price]},
        markets=markets,
        **(ASKED if q > 50_000 else EMPTY),
    )
    assert only(result.adl)["size"] == Decimal("0.49999991")


HUNDRED = {"margin.maintenance": uw.FlatMargin(rate=1), "margin.initial": uw.FlatMargin(rate=1)}


def test_dy_7_one_long():
    result = replay(account("short", 54_999, btc=-1), account("long", 50_000, btc=1), **HUNDRED, **ASKED)
    assert ends(result, "short", "long") == [(0, 0), (104_999, 0)]


def test_dy_7_one_after_the_other_up_to_its_whole_position():
    longs = [account(name, 25_000, btc=0.5) for name in ("one", "two")]
    result = replay(account("short", 54_999, btc=-1), *longs, **HUNDRED, **ASKED)
    assert sorted(result.adl.select("account", "size", "amount").rows()) == [
        ("one", Decimal("0.5"), Decimal("-27499.5")),
        ("two", Decimal("0.5"), Decimal("-27499.5")),
    ]


def test_dy_7_who_does_not_overlap_is_passed_over():
    others = [account("beyond", -50_001, btc=1), account("within", 50_000, btc=1)]
    result = replay(account("short", 50_000, btc=-1), *others, **HUNDRED, **ASKED)
    assert only(result.adl.filter(loser="short"))["account"] == "within"


def test_dy_7_one_position_of_two_leaves_the_other():
    # A micro-dollar below zero, since the venue deleverages nobody who is not.
    result = replay(
        account("short", 47_000 - UNIT, btc=-1, eth=1),
        account("long", 50_000, btc=1),
        **{**EMPTY, "close.positions": "largest_notional"},
    )
    row = only(result.adl)
    assert abs(row["amount"] + 50_000) <= UNIT
    assert abs(closing(result, "short") + 3_000) <= UNIT
    assert (size_at_end(result, "short", BTC), size_at_end(result, "short", ETH)) == (0, 1)
    assert status(result)["short"] == "queued"


def test_dy_9a_filled_whole():
    bound = {"execution.bound": uw.Bound(kind="fillable", spread="0.1", remainder="deleverage")}
    result = replay(account("short", 50_499, btc=-1), account("long", 50_000, btc=1), **bound)
    row = only(result.liquidations)
    assert (row["size"], row["price"], row["notional_usd"]) == (1, 50_000, 50_000)
    assert closing(result, "insurance_fund") == 250
    assert closing(result, "short") == 249


QUARTER = [uw.Rung(share="0.25", offset=0), uw.Rung(share=1, offset="-0.9")]
"""A quarter of the position at the oracle's price."""


def test_dy_9b_filled_in_part_and_not_deleveraged():
    result = replay(
        account("short", 50_499, btc=-1),
        account("long", 50_000, btc=1, entry=49_000),
        **{"execution.ladder": QUARTER, "close.pause": "10s"},
    )
    row = only(result.liquidations)
    assert (row["size"], row["price"], len(result.adl)) == (Decimal("0.25"), 50_000, 0)
    assert closing(result, "insurance_fund") == Decimal("62.5")
    assert size_at_end(result, "short", BTC) == Decimal("-0.75")


def nine_c(fund, **changes):
    """Below zero at 50,500: the quarter that is offered there would cost the fund 0.25."""
    return replay(
        account("short", 50_499, btc=-1),
        account("long", 50_000, btc=1, entry=49_000),
        path={BTC: [50_000, 50_500, 50_500]},
        fund=fund,
        **{
            "margin.maintenance": uw.FlatMargin(rate="0.001"),
            "execution.ladder": QUARTER,
            "close.pause": "10s",
            **changes,
        },
    )


def test_dy_9c_deleveraged_where_the_fund_refuses_the_first_fill():
    result = nine_c(0)
    assert len(result.liquidations) == 0
    row = only(result.adl)
    assert (row["size"], row["price"]) == (1, 50_499)
    assert ends(result, "short", "long") == [(0, 0), (100_499, 0)]


def test_a_fund_that_covers_the_first_fill_keeps_the_rest_from_deleveraging_derived():
    result = nine_c("0.25")
    assert only(result.liquidations)["size"] == Decimal("0.25")
    assert (len(result.adl), closing(result, "insurance_fund")) == (0, 0)
    assert dollars(result)["insurance_fund"] == Decimal("0.25")


def test_the_loss_of_a_block_is_limited_by_account_derived():
    # The fund has enough, but not for one account at once.
    result = nine_c(100, limits={"insurance_fund": {"per_event": "0.249999"}})
    assert (len(result.liquidations), len(result.adl), closing(result, "insurance_fund")) == (0, 1, 100)


@pytest.mark.parametrize(("attempts", "adl"), [(10, 2), (1, 1), (0, 0)])
def test_so_many_are_deleveraged_in_a_block_derived(attempts, adl):
    losers = [account(f"short{k}", 49_999, btc=-1) for k in range(2)]
    result = replay(
        *losers, account("long", 100_000, btc=2), **EMPTY, **{"adl.attempts": attempts, "close.pause": "10s"}
    )
    assert len(result.adl) == adl


@pytest.mark.parametrize(("gate", "refused"), [("50s", True), ("1s", False), (None, False)])
def test_withdrawals_are_gated_while_an_account_below_zero_waits_derived(gate, refused):
    rows, cash = account("short", 49_999, btc=-1)
    saver, more = account("saver", 60_000, btc=1)
    # Nobody can take the short over: the saver's price is beyond it.
    result = run(
        [*rows, *saver],
        {BTC: [50_000, 50_000, 50_000]},
        cash=[cash, more],
        events=[(2, "saver", None, "withdrawal", 100)],
        **chain(withdrawal_gate=gate, **EMPTY, **{"adl.counterparties": 1, "adl.attempts": 0, "close.pause": "10s"}),
    )
    assert (len(result.rejected_events) == 1) == refused
    assert len(result.adl) == 0


def test_final_settlement_at_the_oracle_or_at_the_bankruptcy_price_derived():
    # The short is 1 below zero and is closed against the first long at 49,999; the others at the oracle's 50,000.
    accounts = [account("short", 49_999, btc=-1), account("safe", 90_000, btc=-1)]
    accounts += [account(name, 50_000, btc=1) for name in ("long", "other")]
    protocol = uw.protocols.dydx_v4(final_settlement={BTC: "1s"})
    changes = {"delistings": protocol.delistings, "trigger_feed": "last", "keeper.latency": "1h", "keeper.poll": None}
    result = replay(*accounts, path={BTC: [50_000] * 3}, **changes)
    row = only(result.adl)
    assert (row["loser"], row["price"], row["ts"].second) == ("short", 49_999, 1)
    closed = {name: closing(result, name) for name in ("short", "safe", "long", "other")}
    assert sorted(closed.values()) == [0, 40_000, 99_999, 100_000]
    assert {size_at_end(result, name, BTC) for name in closed} == {0}


def test_final_settlement_has_a_time():
    with pytest.raises(uw.ConfigError, match="at"):
        uw.protocols.dydx_v4(final_settlement={BTC: "soon"})


def test_an_isolated_market_has_a_fund_of_its_own_derived():
    # Each lacks 1,000 at 30,000 or 1,800; the common fund would pay both, the isolated market's has 999.
    rows = [isolated("common", 1, 50_000, 19_000, market=BTC), isolated("alone", 10, 3_000, 11_000, market=ETH)]
    path = {BTC: [50_000, 30_000], ETH: [3_000, 1_800]}

    def paid(fund):
        preset = uw.protocols.dydx_v4(isolated={ETH: fund})
        result = run(rows, path, **chain(5_000, **{"insurance_fund.funds": preset.insurance_fund.funds}))
        return dollars(result)

    assert paid(999) == {"insurance_fund": 1_000, "bad_debt": 1_000, "open": 1_000, "gross": 2_000}
    assert paid(1_000)["insurance_fund"] == 2_000


def test_an_isolated_market_is_of_the_tier_of_that_name():
    rule = uw.protocols.dydx_v4(isolated={"NEW-USD": 0}).margin.own("NEW-USD").maintenance
    assert (rule.rate, rule.share) == (Fraction("0.05"), Fraction("0.6"))
