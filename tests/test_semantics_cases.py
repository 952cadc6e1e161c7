"""Small cases that fix the semantics, through the public API, to the last unit.

The textbook: 5 ETH long from 2,000 with a margin of 1,000 (10x), so bankrupt at 1,800; the price falls by 15 % to 1,700
and the account is short of 500. Every result is audited by `cases.run`: losses and payers foot, in total and in every
row; sizes and balances sum to zero; the postings explain every balance.
"""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from cases import (
    ETH,
    LONG,
    audit,
    closing,
    cross,
    day,
    dollars,
    flat,
    fund,
    isolated,
    only,
    run,
    size_at_end,
    status,
    textbook,
)

import underwater as uw

USDC = {
    "markets": [{"name": ETH, "settlement": "USDC"}],
    "assets": [{"name": "USDC"}],
}


def test_ten_times_long_after_a_fall_of_15_percent_owes_exactly_500():
    result = textbook([LONG], **USDC)
    row = only(result.bad_debt)
    assert (row["account"], row["asset"], row["amount"], row["bad_debt_usd"]) == ("long", "USDC", 500, 500)
    assert (row["principal_usd"], row["opening"], row["status"]) == (500, False, "realised")
    assert dollars(result) == {"bad_debt": 500, "uncovered": 500, "gross": 500}
    assert (closing(result, "long", "USDC"), closing(result, "uncovered", "USDC")) == (0, -500)


@pytest.mark.parametrize(
    ("layers", "payers"),
    [
        ({"insurance_fund": fund(500)}, {"insurance_fund": 500}),
        ({"insurance_fund": fund(300)}, {"insurance_fund": 300, "uncovered": 200}),
        (
            {"insurance_fund": fund(300), "pool": {"balance": 1000}},
            {"insurance_fund": 300, "pool": 200},
        ),
        (
            {"insurance_fund": fund(300), "pool": {"balance": 150}, "treasury": {"balance": 1000}},
            {"insurance_fund": 300, "pool": 150, "treasury": 50},
        ),
        (
            {"insurance_fund": fund(300), "pool": {"balance": 150}, "treasury": {"balance": 30}},
            {"insurance_fund": 300, "pool": 150, "treasury": 30, "uncovered": 20},
        ),
        (
            {"insurance_fund": fund(300), "pool": {"balance": 150}, "socialised": {}},
            {"insurance_fund": 300, "pool": 150, "socialised": 50},
        ),
        (
            {"insurance_fund": fund(300), "pool": {"balance": 150}, "adl": {}},
            {"insurance_fund": 300, "pool": 150, "adl": 50},
        ),
        (
            {
                "insurance_fund": fund(300),
                "pool": {"balance": 150},
                "treasury": {"balance": 100},
                "waterfall": ["treasury", "pool", "insurance_fund"],
            },
            {"treasury": 100, "pool": 150, "insurance_fund": 250},
        ),
    ],
)
def test_waterfall_fund_then_pool_then_the_next_layer_then_nobody(layers, payers):
    result = textbook(**USDC, **layers)
    assert dollars(result) == {"bad_debt": 500, "gross": 500, **payers}
    row = only(result.bad_debt)
    columns = {"adl": "adl_give_up_usd"}
    for line, amount in payers.items():
        assert row[columns.get(line, f"{line}_usd")] == amount
    for layer in ("insurance_fund", "pool", "treasury"):
        if layer in layers:
            assert closing(result, layer, "USDC") == layers[layer]["balance"] - payers.get(layer, 0)
    order = layers.get("waterfall") or ("insurance_fund", "pool", "adl", "socialised", "treasury")
    expected = [layer for layer in order if layer in layers] + ["uncovered"]
    assert result.who_pays().filter(section="payer")["line"].to_list() == expected


def test_1a_sold_whole():
    result = textbook(insurance_fund=fund(300), treasury={"balance": 1000})
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 300, "treasury": 200}
    row = only(result.liquidations)
    assert (row["size"], row["price"], row["amount"]) == (5, 1700, 8500)
    assert (row["side"], row["route"], row["equity_usd"]) == ("long", "market", -500)
    assert status(result) == {"long": "defaulted", "short": "open"}


def test_1b_three_sold_and_two_matched():
    result = textbook(insurance_fund=fund(300), adl={})
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 300, "adl": 200}
    sold, matched = only(result.liquidations), only(result.adl)
    assert (sold["size"], sold["price"], sold["amount"]) == (3, 1700, 5100)
    assert (matched["account"], matched["loser"], matched["side"]) == ("short", "long", "short")
    assert (matched["size"], matched["amount"], matched["price"], matched["mark_price"]) == (2, 3600, 1800, 1700)
    assert (matched["give_up_usd"], matched["forgone_profit_usd"], matched["principal_usd"]) == (200, 200, 0)
    assert size_at_end(result, "short") == -3


def test_1c_a_fund_that_refuses_what_it_cannot_cover_whole():
    result = textbook(insurance_fund=fund(300, "all_or_none"), adl={})
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "adl": 500}
    assert (only(result.adl)["size"], only(result.adl)["amount"]) == (5, 9000)
    assert len(result.liquidations) == 0
    assert closing(result, "insurance_fund") == 300


@pytest.mark.parametrize(
    ("order", "matched"),
    [(["insurance_fund", "adl"], 0), (["adl", "insurance_fund"], 5)],
    ids=["fund first", "adl first"],
)
def test_1d_adl_at_the_mark_gives_up_nothing(order, matched):
    result = textbook(insurance_fund=fund(500), adl={"price": "mark"}, waterfall=order)
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 500}
    assert sum(result.adl["size"]) == matched
    assert sum(result.adl["give_up_usd"]) == 0
    assert closing(result, "insurance_fund") == 0


def test_2_takeover():
    result = run(
        [isolated("short", -2000, 1900, 300_000)],
        [1900, 2000, 7000],  # taken over at 4.0 M with an equity of 100 k; then x3.5
        margin=flat("0.03"),
        execution={"counterparty": "vault"},
        vault={"balance": 0},
        residual="vault",
    )
    assert dollars(result) == {"takeover_pnl": -9_900_000}
    assert len(result.bad_debt) == 0
    row = only(result.liquidations)
    assert (row["route"], row["notional_usd"], row["equity_usd"]) == ("vault", 4_000_000, 100_000)
    assert (size_at_end(result, "vault"), status(result)) == (-2000, {"short": "liquidated"})


FALLS = (2000, 1810, 1700, 1700)  # the true price; a keeper needs a second


def pool_at(oracle):
    """A pool at the price of an oracle."""
    return {
        "feeds": {"oracle": {"kind": "push", "heartbeat": "1h", **oracle}},
        "trigger_feed": "oracle",
        "execution_feed": "oracle",
        "counterparty": "pool",
        "execution": {"counterparty": "pool"},
        "margin": flat("0.006"),
        "keeper": {"latency": "1s"},
        "pool": {"balance": 1_000_000},
    }


def test_3_pool_with_a_fresh_oracle():
    result = run([LONG], FALLS, **pool_at({"deviation": "0.005"}))
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "pool": 500}
    assert closing(result, "pool") == 1_001_000  # the whole margin of 1,000, of a gain of 1,500


def test_3_pool_with_a_stale_oracle_looks_safe_and_pays_550():
    result = run([LONG], FALLS, **pool_at({"deviation": "0.09", "latency": "1s"}))
    row = only(result.liquidations)
    assert (row["price"], row["reference_price"], row["price_subsidy_usd"]) == (1810, 1700, 550)
    assert dollars(result) == {"price_subsidy:pool": 550}
    assert len(result.bad_debt) == 0
    assert (closing(result, "long"), closing(result, "pool")) == (50, 1_000_950)


def test_3_closed_at_the_exact_level_where_the_collateral_was_nearly_lost():
    """Nine tenths of 1,000 are lost at 1,820, and there the pool closes: of a loss of 1,500 it collects 900."""
    rules = {"margin": {"maintenance": {"kind": "collateral_share", "lost": "0.9"}}, "pool": {"balance": 1_000_000}}
    result = run(
        [LONG], (2000, 1700), counterparty="pool", execution={"kind": "level", "counterparty": "pool"}, **rules
    )
    row = only(result.liquidations)
    assert (row["price"], row["reference_price"], row["price_subsidy_usd"]) == (1820, 1700, 600)
    assert dollars(result) == {"price_subsidy:pool": 600}
    assert len(result.bad_debt) == 0
    assert (closing(result, "long"), closing(result, "pool")) == (100, 1_000_900)


@pytest.mark.parametrize(("outside", "payer"), [("keeps", "adl"), ("hedges", "uncovered")])
def test_4_outside_inventory(outside, payer):
    result = textbook(path=[2000, 1700, 2300], outside=outside, insurance_fund=fund(500), adl={})
    assert dollars(result) == {"bad_debt": 1000, "gross": 1000, "insurance_fund": 500, payer: 500}
    assert result.bad_debt["account"].to_list() == ["long", "short"]
    if outside == "keeps":
        row = only(result.adl)
        assert (row["account"], row["loser"], row["side"]) == ("outside", "short", "long")
        assert (row["size"], row["price"], row["amount"], row["give_up_usd"]) == (5, 2200, -11_000, 500)
        assert len(result.liquidations) == 1
    else:
        assert (len(result.adl), len(result.liquidations)) == (0, 2)
    assert [size_at_end(result, holder) for holder in ("long", "short", "outside")] == [0, 0, 0]


def test_5_a_fill_below_its_own_bankruptcy_price_is_subsidised():
    """0.004 BTC and 0.1 ETH, quote -490, equity 10: shared by requirement, the ether is bankrupt at 294. It brings 293."""
    result = run(
        [cross("a", 0.004, 60_000, "BTC"), cross("a", 0.1, 3400, "ETH")],
        {"BTC": [60_000, 50_000], "ETH": [3400, 3000]},
        cash=[("a", "USD", 90)],
        margin=flat("0.1"),
        close={"positions": "largest_notional"},
        execution={
            "impact": {
                "kind": "ladder",
                "depth": 1e9,
                "markets": {"ETH": "1e-6"},
                "rungs": [{"share": "0.5", "offset": 0}, {"share": "0.5", "offset": "-7/300"}],
            }
        },
        loss_unit="fill",
        attribution="maintenance",
        insurance_fund=fund(100),
    )
    fill = only(result.liquidations)
    assert (fill["market"], fill["amount"], fill["equity_usd"]) == ("ETH", 293, 10)
    row = only(result.bad_debt)
    assert (row["bad_debt_usd"], row["subsidy_usd"], row["insurance_fund_usd"]) == (0, 1, 1)
    assert dollars(result) == {"subsidy": 1, "insurance_fund": 1, "price_subsidy:outside": -7}
    account = only(result.accounts)
    assert (account["closing_equity_usd"], account["status"]) == (4, "queued")


@pytest.mark.parametrize(
    ("unit", "expected", "left"),
    [("account", {}, 6), ("position", {}, 6), ("fill", {"subsidy": 10, "insurance_fund": 10}, 16)],
)
def test_6_slices(unit, expected, left):
    result = run(
        [isolated("long", 10, 110, 200)],  # bankrupt at 90
        [110, 100],
        margin=flat("0.15"),
        insurance_fund=fund(1000),
        loss_unit=unit,
        execution={"ladder": [{"share": "0.2", "offset": "-0.15"}, {"share": "0.8", "offset": "-0.08"}]},
    )
    assert result.liquidations.select("size", "price").rows() == [(2, 85), (8, 92)]
    assert dollars(result) == {"price_subsidy:outside": -94, **expected}
    assert sum(result.bad_debt["bad_debt_usd"]) == 0
    assert closing(result, "long") == left


@pytest.mark.parametrize(
    ("prints", "fills", "ends", "expected"),
    [
        ("last_of_instant", [], "open", {}),
        ("each", [Decimal("0.716")], "defaulted", {"bad_debt": 4, "gross": 4, "uncovered": 4}),
    ],
)
def test_7_prints_of_one_instant(prints, fills, ends, expected):
    result = run(
        [isolated("long", 1000, 1, 280)],  # bankrupt at .72
        [(0, 1), (1, 0.736), (2, 0.716), (2, 0.741), (2, 0.766)],
        feeds={"last": {"kind": "last", "prints": prints}},
        margin=flat(0),
    )
    assert result.liquidations["price"].to_list() == fills
    assert status(result) == {"long": ends}
    assert {line: amount for line, amount in dollars(result).items() if "subsidy" not in line} == expected


@pytest.mark.parametrize("prints", ["last_of_instant", "each"])
@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_7_hedged_legs_see_both_prints(prints, order):
    result = run(
        [cross("hedged", 100, 100, "A"), cross("hedged", -100, 100, "B")],
        {market: [100, 90] for market in order},
        cash=[("hedged", "USD", 600)],
        feeds={"last": {"kind": "last", "prints": prints}},
        margin=flat(0),
    )
    assert (status(result), len(result.liquidations)) == ({"hedged": "open"}, 0)
    assert result.accounts["closing_equity_usd"].to_list() == [600]


@pytest.mark.parametrize(("settlement", "payer"), [("per_fill", "treasury"), ("per_instant", "insurance_fund")])
def test_8_order_of_payers(settlement, payer):
    result = run(
        [isolated("y", 10, 100, 250), isolated("x", 10, 100, 450)],  # at 65: short of 100, and a surplus of 100
        [100, 65],
        margin=flat("0.2"),
        settlement=settlement,
        residual="insurance_fund",
        insurance_fund=fund(0),
        treasury={"balance": 1000},
    )
    assert status(result) == {"y": "defaulted", "x": "liquidated"}
    assert dollars(result) == {"bad_debt": 100, "gross": 100, payer: 100}
    assert closing(result, "insurance_fund") == (100 if payer == "treasury" else 0)


def test_9_coin_margined_loss_is_valued_at_its_event():
    result = run(
        [isolated("long", 100_000, 8000, 1.25, "XBTUSD")],
        {"XBTUSD": [8000, 7000, 20_000]},
        markets=[{"name": "XBTUSD", "kind": "inverse", "settlement": "XBT"}],
        insurance_fund=fund(3000),
    )
    row = only(result.bad_debt)
    # 12.5 + 1.25 - 100,000 / 7,000 = -.53571428..., the last satoshi against the account; 3,750.00003 USD.
    assert (row["asset"], row["amount"]) == ("XBT", Decimal("0.53571429"))
    assert row["bad_debt_usd"] == Decimal("3750.00003")
    # The fund buys .42857142 XBT, all that 3,000 USD pay for at 7,000.
    assert (row["insurance_fund_usd"], row["uncovered_usd"]) == (Decimal("2999.99994"), Decimal("750.00009"))
    assert closing(result, "uncovered", "XBT") == Decimal("-0.10714287")


@pytest.mark.parametrize(
    ("feed", "worth", "left", "ends", "expected"),
    [
        ("index", 10_000, 3000, "open", {}),
        ("last", 6500, 0, "defaulted", {"bad_debt": 500, "gross": 500, "uncovered": 500}),
    ],
)
def test_9_collateral_at_the_index_or_at_the_venues_own_book(feed, worth, left, ends, expected):
    result = run(
        [isolated("long", 5, 2000, 10_000, collateral_asset="USDe")],
        {ETH: [2000, 600], "ETH": [2000, 600], "USDE": [0.65, 0.65], "USDE-INDEX": [1, 1]},
        markets=[{"name": ETH, "index": "ETH"}, {"name": "USDE", "index": "USDE-INDEX"}],
        assets=[{"name": "USDe", "price_market": "USDE"}],
        collateral_feed=feed,
        reference=feed,
    )
    assert only(result.accounts.select("opening_equity_usd", "closing_equity_usd", "status")) == {
        "opening_equity_usd": worth,
        "closing_equity_usd": left,
        "status": ends,
    }
    assert dollars(result) == expected


def test_10_prepaid():
    """Two shorts of 200 with a margin of 20, from 8 and from 5; the first buys back for 105.88 and leaves with all it has."""
    rows = [cross("winner", -25, 8), cross("loser", -40, 5)]
    moves = pl.DataFrame(
        {
            "ts": [datetime.fromtimestamp(0, UTC)] * 2,
            "account": ["winner"] * 2,
            "market": [ETH, None],
            "kind": ["trade", "withdrawal"],
            "size": [25.0, None],
            "price": [4.23529412, None],
            "asset": [None, "USD"],
            "amount": [None, 114.117647],
        },
        schema_overrides={"ts": pl.Datetime("ns", "UTC")},
    )
    cash = pl.DataFrame({"account": ["winner", "loser"], "asset": "USD", "collateral": [20, 20]})
    protocol = uw.Protocol.from_dict(
        {
            "insurance_fund": fund(5000),
            "clearing_house": {},
            "margin": flat("0.05"),
            "penalty": {"keeper_fee": "7.352941", "paid_if_insolvent": True},
        }
    )
    ticks = day({ETH: [5, 7.352941175]}, [{"name": ETH, "price_decimals": 9}])
    result = uw.replay(ticks, uw.Book.from_frames(pl.from_dicts(rows), cash, moves), protocol)
    audit(result)
    ahead, debt = result.bad_debt.rows(named=True)
    prepaid, more = Decimal("74.117647"), Decimal("7.352941")
    assert (ahead["account"], ahead["insurance_fund_usd"], ahead["change_of_prepaid_usd"]) == (
        "winner",
        prepaid,
        prepaid,
    )
    assert (debt["account"], debt["bad_debt_usd"], debt["third_party_fees_usd"]) == ("loser", prepaid + more, more)
    assert (debt["insurance_fund_usd"], debt["change_of_prepaid_usd"]) == (more, -prepaid)
    assert dollars(result) == {"bad_debt": prepaid + more, "gross": prepaid + more, "insurance_fund": prepaid + more}
    assert (closing(result, "prepaid"), closing(result, "keepers")) == (0, more)


def test_11_open_at_the_end():
    result = textbook(keeper={"latency": "1h"}, insurance_fund=fund(300))
    assert dollars(result) == {"open": 500, "gross": 500}
    row = only(result.bad_debt)
    assert (row["status"], row["event"], row["bad_debt_usd"], row["uncovered_usd"]) == ("open", None, 500, 500)
    assert status(result) == {"long": "queued", "short": "open"}
    assert closing(result, "insurance_fund") == 300


@pytest.mark.parametrize(("fee", "debt"), [(0, 500), (5, 505)])
def test_13_fees_of_the_empty(fee, debt):
    penalty = {"rate": "0.01", "keeper_fee": fee, "paid_if_insolvent": True}
    result = textbook(insurance_fund=fund(1000), penalty=penalty)
    row = only(result.bad_debt)
    assert (row["bad_debt_usd"], row["principal_usd"], row["third_party_fees_usd"]) == (debt, 500, fee)
    assert row["waived_usd"] == 85
    assert dollars(result) == {"bad_debt": debt, "gross": debt, "insurance_fund": debt}
    assert (closing(result, "keepers"), closing(result, "insurance_fund")) == (fee, 1000 - debt)


@pytest.mark.parametrize("rule", ["ignore", "recover"])
def test_17_late_deposit(rule):
    result = textbook(
        path=[2000, 1700, 1700],
        events=[(2, "long", ETH, "deposit", 500)],
        late_deposits=rule,
    )
    row = only(result.bad_debt)
    assert (row["bad_debt_usd"], row["recovered_usd"]) == (500, 500 if rule == "recover" else 0)
    if rule == "ignore":
        assert dollars(result) == {"bad_debt": 500, "gross": 500, "uncovered": 500}
        refused = only(result.rejected_events)
        assert (refused["account"], refused["kind"], refused["amount"]) == ("long", "deposit", 500)
        assert "defaulted" in refused["reason"]
    else:
        assert dollars(result) == {"bad_debt": 500, "gross": 500, "recovered": -500}
        assert len(result.rejected_events) == 0
        assert (closing(result, "uncovered"), closing(result, "long")) == (0, 0)


def test_events_reach_the_position_that_they_address():
    keyed = [LONG | {"position": "a"}, LONG | {"position": "b"}]
    result = textbook(keyed, events=[(0, "long", ETH, "deposit", 9000, "b")])
    assert result.accounts["status"].to_list() == ["defaulted", "open"]
    assert result.accounts["deposits_usd"].to_list() == [0, 9000]


@pytest.mark.parametrize(
    ("capacity", "expected", "parts"),
    [("equity", {"adl": 500}, (250, 250)), ("profit", {"adl": 250, "uncovered": 250}, (125, 125))],
)
def test_12_what_adl_costs(capacity, expected, parts):
    short = isolated("short", -5, 1750, 2000)
    result = textbook([LONG, short], markets=[{"name": ETH, "size_decimals": 1}], adl={"capacity": capacity})
    assert dollars(result) == {"bad_debt": 500, "gross": 500, **expected}
    row = only(result.adl)
    assert (row["forgone_profit_usd"], row["principal_usd"]) == parts


def test_12_a_counterparty_of_adl_can_gain():
    """A short of 1 BTC with a quote of 54,999 at 50,000, solvent by 4,999, which the market does not close within its bound."""
    rows = [isolated("short", -1, 50_000, 4999, market="BTC"), isolated("long", 1, 49_000, 20_000, market="BTC")]
    result = run(
        rows,
        {"BTC": [49_000, 50_000]},
        margin=flat("0.1"),
        execution={"ladder": [{"share": 1, "offset": "-0.9"}], "bound": {"kind": "bankruptcy", "remainder": "adl"}},
        adl={},
    )
    row = only(result.adl)
    assert (row["account"], row["price"], row["give_up_usd"], row["principal_usd"]) == ("long", 54_999, -4999, -4999)
    assert dollars(result) == {"adl": -4999, "adl_overshoot": -4999}
    assert (closing(result, "short"), closing(result, "long")) == (0, 20_000 + 5999)
    assert status(result)["short"] == "liquidated"


def test_14_an_assessment_that_cannot_be_met_is_charged_again():
    """A loss of 100 over +7 and -4: the short of 4 owes 36.36 and has 20, so that 16.36 is charged again."""
    positions = [isolated("loser", 1100, 100, 10), isolated("long", 7, 100, 700), isolated("short", -4, 100, 19.6)]
    result = run(positions, [100, 99.9], socialised={"by": "open_interest"}, margin=flat("0.00001"))
    first, again = result.bad_debt.rows(named=True)
    assert (first["account"], first["bad_debt_usd"], first["assessments_usd"]) == ("loser", 100, 0)
    assert again["account"] == "short"
    assert round(again["assessments_usd"], 2) == Decimal("16.36")
    assert dollars(result)["gross"] == 100


def test_16_both_sides():
    legs = [isolated("a", 10, 2000, 1000, position="long"), isolated("a", -10, 2000, 1000, position="short")]
    result = textbook(legs, counterparty="pool", pool={"balance": 10**6}, execution={"counterparty": "pool"})
    assert dollars(result) == {"bad_debt": 2000, "gross": 2000, "pool": 2000}
    assert sorted(result.accounts["closing_equity_usd"]) == [0, 4000]
    netted = textbook(
        [cross("a", 10, 2000, position="long"), cross("a", -10, 2000, position="short")], cash=[("a", "USD", 2000)]
    )
    assert dollars(netted) == {}


def test_a_clawback_takes_the_same_part_of_every_profit():
    """A loss of 10 of which the fund has 4, profits of 20 and 10: the rate is 20 %, so that they pay 4 and 2."""
    positions = [isolated("loser", 3, 100, 20), isolated("a", -2, 100, 100), isolated("b", -1, 100, 100)]
    result = run(positions, [100, 90], socialised={}, insurance_fund=fund(4), margin=flat("0.01"))
    assert dollars(result) == {"bad_debt": 10, "gross": 10, "insurance_fund": 4, "socialised": 6}
    paid = dict(result.accounts.select("account", "socialised_usd").rows())
    assert paid == {"loser": 0, "a": 4, "b": 2}
    assert uw.metrics.clawback_rate(result) == 0.2
