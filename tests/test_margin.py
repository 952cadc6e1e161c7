"""Margin rules, dynamic margin and collateral, on days whose figures can be checked by hand."""

import polars as pl
import pytest
from cases import ETH, closing, cross, flat, isolated, run, status

import underwater as uw


def closed_at(result):
    """Second and price of each fill."""
    return result.liquidations.select(pl.col("ts").dt.epoch("s"), pl.col("price").cast(pl.Float64)).rows()


def lone(size, entry, collateral, path, margin, **more):
    return run([isolated("a", size, entry, collateral)], path, margin=margin, **more)


def rule(kind, **figures):
    return {"maintenance": {"kind": kind, **figures}}


# --- rules


def test_a_rate_by_size_in_steps():
    steps = [{"lower": 0, "rate": 0.01}, {"lower": 5, "rate": 0.1}]
    # 5 units from 100: at 92 equity is 60, a tenth of 460 is 46; at 88 it is 40, and 44 is needed
    assert closed_at(lone(5, 100, 100, [100, 92, 88], rule("size_steps", steps=steps))) == [(2, 88)]
    # 4 units need a hundredth only
    assert closed_at(lone(4, 100, 100, [100, 92, 88], rule("size_steps", steps=steps))) == []


def test_a_rate_that_rises_linearly_with_the_size():
    margin = rule("linear_size", base=0.01, slope=0.005, above=2, cap=0.03)
    # 4 units: 1 % + 2 * 0.5 % = 2 %; at 76 equity is 4, and 6.08 is needed
    assert closed_at(lone(4, 100, 100, [100, 77, 76], margin)) == [(2, 76)]
    # 40 units: 3 % by the cap; at 98 equity is 120, and 117.6 is needed
    assert closed_at(lone(40, 100, 200, [100, 98, 97.9], margin)) == [(2, 97.9)]


def test_a_rate_that_rises_with_the_root_of_the_size():
    margin = rule("root_size", base=0.02, share=0.5, factor=0.02)
    # 4 units: 1 % + 2 % * 2 = 5 %; at 1,949 equity is 396 of 389.8, at 1,940 it is 360 of 388
    assert closed_at(lone(4, 2000, 600, [2000, 1949, 1940], margin)) == [(2, 1940)]
    # A quarter of a unit: 1 % + 2 % / 2, which is the base of 2 %
    assert closed_at(lone(0.25, 2000, 60, [2000, 1801, 1790], margin)) == [(2, 1790)]


def test_fees_and_a_limit_of_leverage():
    # Notional 1,000, fees 1 + 5, leverage 50: 20 must be left of 50
    margin = rule("leverage", fee=5, fee_rate=0.001, max_leverage=50)
    assert closed_at(lone(10, 100, 50, [100, 97.01, 96.99], margin)) == [(2, 96.99)]
    # With a leverage of 1,000 the fees are more
    margin = rule("leverage", fee=5, fee_rate=0.001, max_leverage=1000)
    assert closed_at(lone(10, 100, 50, [100, 95.61, 95.59], margin)) == [(2, 95.59)]


def test_the_share_of_the_collateral_that_is_lost():
    margin = rule("collateral_share", lost=0.9)
    # 45 of 50: reached, not passed
    assert closed_at(lone(10, 100, 50, [100, 95.51, 95.5], margin)) == [(2, 95.5)]
    # The closing fee of 5 counts as lost
    margin = rule("collateral_share", lost=0.9, fee_rate=0.005)
    assert closed_at(lone(10, 100, 50, [100, 96.01, 96], margin)) == [(2, 96)]


def test_a_minimum_of_the_requirement():
    assert closed_at(lone(1, 100, 20, [100, 85.01, 84.99], flat(0.01) | {"minimum": 5})) == [(2, 84.99)]


def test_an_initial_requirement_by_open_interest():
    ramp = {"kind": "open_interest", "base": 0.05, "lower": 1000, "upper": 3000, "cap": 0.25}
    positions = [isolated("a", 10, 100, 149), isolated("b", 10, 100, 151), isolated("c", -5, 100, 75)]
    # 20 units long at 100 are half the way from 1,000 to 3,000: 15 % of 1,000
    result = run(positions, [100], margin=flat(0.01) | {"initial": ramp}, opening="reject")
    assert status(result) == {"a": "rejected", "b": "open", "c": "open"}


# --- dynamic margin

DYNAMIC = {"sample": "1s", "look_back": "2s", "cadence": "1s", "base": 0.005, "cap": 3}


def test_requirements_follow_the_volatility():
    # A move of 1 % is twice the base: at 1,980 equity is 330, and 2 * 198 are needed
    calm = lone(1, 2000, 350, [2000, 1980], flat(0.1))
    shaken = lone(1, 2000, 350, [2000, 1980], flat(0.1) | {"dynamic": DYNAMIC})
    assert (closed_at(calm), closed_at(shaken)) == ([], [(1, 1980)])
    # With a base of 1 % it is the base itself
    assert closed_at(lone(1, 2000, 350, [2000, 1980], flat(0.1) | {"dynamic": DYNAMIC | {"base": 0.01}})) == []


def test_a_step_of_the_scale_is_an_instant_of_its_own():
    prices = [(0, 2000), (1, 1980), (9, 1980)]
    margin = flat(0.1) | {"dynamic": DYNAMIC | {"cadence": "2s"}}
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, margin)) == [(2, 1980)]


def test_a_step_of_the_scale_waits_for_the_guard():
    # Stale at the step, at second 2; not any more at second 9, when the look-back still holds the move.
    prices = [(0, 2000), (1, 1980), (9, 1980)]
    margin = flat(0.1) | {"dynamic": DYNAMIC | {"cadence": "2s", "look_back": "20s"}}
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, margin)) == [(2, 1980)]
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, margin, guard={"staleness": "0s"})) == [(9, 1980)]
    short = margin | {"dynamic": margin["dynamic"] | {"look_back": "2s"}}
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, short, guard={"staleness": "0s"})) == []


def test_the_scale_rises_and_falls_by_steps():
    # Wanted is 2 from second 1 on; it rises by half a step: 1.5 at 1, 2 at 2. Equity 330 is above 1.5 * 198
    prices = [(0, 2000), (1, 1980), (9, 1980)]
    margin = flat(0.1) | {"dynamic": DYNAMIC | {"max_rise": 0.5}}
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, margin)) == [(2, 1980)]
    margin = flat(0.1) | {"dynamic": DYNAMIC | {"max_rise": 0.5, "look_back": "1s"}}
    # The look-back has forgotten the move when the scale would rise again
    assert closed_at(lone(1, 2000, 350, {ETH: prices}, margin)) == []


# --- collateral


def test_profit_counts_by_its_weight():
    markets = [{"name": name, "price_decimals": 0} for name in "AB"]
    positions = [cross("a", 1, 100, market="A"), cross("a", 1, 100, market="B")]
    path = {"A": [100, 200], "B": [100, 40]}
    more = {"cash": [("a", "USD", 11)], "markets": markets, "margin": flat(0.001)}
    assert status(run(positions, path, **more)) == {"a": "open"}
    # 11 + 100 / 2 - 60 = 1; all of 240 needs 0.24; at a weight of 0.45 it is 11 + 45 - 60 = -4
    for weight, outcome in ((0.5, "open"), (0.45, "liquidated")):
        result = run(positions, path, collateral={"USD": {"profit_weight": weight}}, **more)
        assert status(result) == {"a": outcome}


def usde(sale_cost=None, **collateral):
    markets = [{"name": ETH, "price_decimals": 0}, {"name": "U", "price_decimals": 2}]
    assets = [{"name": "USDE", "decimals": 6, "price_market": "U"}]
    rules = {"USDE": {"weight": 1, "sale_cost": sale_cost, **collateral}}
    return {"markets": markets, "assets": assets, "collateral": rules}


def test_a_sale_costs():
    positions, cash = [cross("a", 5, 2000)], [("a", "USDE", 1000)]
    path = {ETH: [2000, 1900], "U": [1]}
    more = {"cash": cash, "margin": flat(0.1)}
    assert closing(run(positions, path, **more, **usde()), "a", "USDE") == 500
    # 500 dollars at 0.80 a piece
    assert closing(run(positions, path, **more, **usde(0.2)), "a", "USDE") == 375


def test_the_initial_weight_is_for_the_open_only():
    positions, cash = [cross("a", 5, 2000)], [("a", "USDE", 1000)]
    path = {ETH: [2000], "U": [1]}
    more = {"cash": cash, "margin": flat(0.06), "opening": "reject"}
    assert status(run(positions, path, **more, **usde())) == {"a": "open"}
    assert status(run(positions, path, **more, **usde(initial_weight=0.5))) == {"a": "rejected"}


# --- what cannot be

WRONG = [
    ({"collateral": {"DOGE": {"weight": 1}}}, r'collateral.DOGE: there is no asset "DOGE"; expected one of USD'),
    (
        {"margin": flat(0.1) | {"dynamic": DYNAMIC | {"cadence": "1500ms"}}},
        "margin.dynamic: expected cadence and look_back to be multiples of sample",
    ),
    ({"margin": flat(0.1) | {"dynamic": DYNAMIC | {"feed": "mark"}}}, "margin.dynamic.feed: no feed is named 'mark'"),
    ({"margin": flat(0.1) | {"initial_rate": 0.1, "initial": {"kind": "flat", "rate": 0.2}}}, "either initial or"),
    ({"margin": rule("open_interest", base=0, lower=0, upper=1)}, "margin.maintenance: expected kind to be one of"),
    ({"margin": rule("leverage", max_leverage=0)}, "margin.maintenance: market ETH-PERP: expected fees"),
    ({"collateral": {"USD": {"sale_cost": 1}}}, "collateral.USD.sale_cost: expected a share of at least 0, below 1"),
    ({"funding": {"kind": "premium", "interval": "1m", "sample": "7s"}}, "funding: expected a positive interval that"),
    ({"funding": {"kind": "series", "rates": {"X": []}}}, 'funding.rates: there is no market "X"'),
    ({"borrow": {"receiver": "account"}}, "borrow.receiver"),
]


@pytest.mark.parametrize(("protocol", "message"), WRONG)
def test_what_cannot_be_names_the_field(protocol, message):
    with pytest.raises(uw.ConfigError, match=message):
        run([isolated("a", 1, 100, 50)], [100], **protocol)
