"""Mistakes that other simulators make: a surplus that vanishes, a deficit that is cut off at the size of the fund, and ADL
that takes more than is needed or from the wrong side."""

from decimal import Decimal

import polars as pl
import pytest
from cases import ETH, LONG, closing, cross, dollars, flat, fund, isolated, only, run, size_at_end, status, textbook

SINKS = ("insurance_fund", "pool", "treasury", "keepers", "fees", "vault")
CAPITAL = ("insurance_fund", "pool", "treasury", "vault")


# Surplus equity at a liquidation goes somewhere, by name.

# Sold at 1,900 with an equity of 100; the penalty of half a percent is 47.5.
SURPLUS = {"positions": [isolated("long", 5, 2000, 600)], "path": [2000, 1900], "margin": flat("0.02")}
# All of them, without any money.
EMPTY = {sink: {"balance": 0} for sink in CAPITAL}
RESIDUALS = ("account", *SINKS)


@pytest.mark.parametrize("residual", RESIDUALS)
def test_what_is_left_of_a_closed_account_goes_where_the_protocol_says(residual):
    result = run(**SURPLUS, **EMPTY, residual=residual)
    assert status(result) == {"long": "liquidated"}
    # The vault's result is shown beside the losses, of which there are none.
    assert dollars(result) == ({"takeover_pnl": 100} if residual == "vault" else {})
    assert closing(result, "long") == (100 if residual == "account" else 0)
    for sink in SINKS:
        assert closing(result, sink) == (100 if residual == sink else 0)
    rows = result.postings.filter(kind="residual").select("from", "to", "amount").rows()
    assert rows == ([] if residual == "account" else [("long", residual, 100)])


@pytest.mark.parametrize("residual", RESIDUALS)
def test_penalty_and_residual_together_are_the_surplus(residual):
    split = {"treasury": "0.6", "keepers": "0.4"}
    result = run(**SURPLUS, **EMPTY, residual=residual, penalty={"rate": "0.005", "split": split})
    received = {sink: closing(result, sink) for sink in SINKS} | {"account": closing(result, "long")}
    expected = dict.fromkeys([*SINKS, "account"], Decimal(0)) | {"treasury": Decimal("28.5"), "keepers": Decimal(19)}
    expected[residual] += Decimal("52.5")
    assert received == expected
    assert sum(received.values()) == 100
    assert closing(result, "rounding") == 0


def test_the_residue_of_a_split_penalty_is_kept_by_name():
    shares = {"fees": "1/3", "treasury": "1/3", "keepers": "1/3"}
    result = run(**SURPLUS, **EMPTY, penalty={"rate": "0.001", "split": shares})  # 9.5 in three parts
    assert [closing(result, sink) for sink in shares] == [Decimal("3.166666")] * 3
    assert closing(result, "rounding") == Decimal("0.000002")
    assert closing(result, "long") == Decimal("90.5")


@pytest.mark.parametrize("sink", CAPITAL)
def test_a_surplus_in_a_layer_is_capital_for_the_next_loss(sink):
    path = [2000, 1900, 1700]
    positions = [*SURPLUS["positions"], isolated("later", 5, 2000, 1000)]
    result = run(positions, path, margin=flat("0.02"), residual=sink, **{sink: {"balance": 0}})
    assert status(result) == {"long": "liquidated", "later": "defaulted"}
    if sink == "vault":  # it takes positions over, it is no payer
        assert dollars(result) == {"bad_debt": 500, "gross": 500, "uncovered": 500, "takeover_pnl": 100}
    else:
        assert dollars(result) == {"bad_debt": 500, "gross": 500, sink: 100, "uncovered": 400}
        assert closing(result, sink) == 0


# A deficit larger than the fund stays visible.


@pytest.mark.parametrize(("coverage", "paid"), [("slices", 300), ("exhaust", 300), ("all_or_none", 0)])
@pytest.mark.parametrize("rest", ["uncovered", "treasury", "socialised"])
def test_what_the_fund_cannot_pay_is_borne_by_name(coverage, paid, rest):
    layer = {"treasury": {"treasury": {"balance": 1000}}, "socialised": {"socialised": {}}}.get(rest, {})
    result = textbook(insurance_fund=fund(300, coverage), **layer)
    expected = {"bad_debt": 500, "gross": 500, "insurance_fund": paid, rest: 500 - paid}
    assert dollars(result) == {line: amount for line, amount in expected.items() if amount}
    assert closing(result, "insurance_fund") == 300 - paid  # never below zero
    assert closing(result, "uncovered") == (paid - 500 if rest == "uncovered" else 0)
    assert closing(result, "long") == 0
    assert result.timeline["uncovered_usd"].to_list() == [500 - paid if rest == "uncovered" else 0]


def test_an_empty_fund_does_not_hide_the_second_loss():
    second = isolated("second", 5, 2000, 1100)  # bankrupt at 1,780, short of 400
    result = textbook([LONG, second], insurance_fund=fund(600))
    rows = result.bad_debt.select("account", "bad_debt_usd", "insurance_fund_usd", "uncovered_usd").rows()
    assert rows == [("long", 500, 500, 0), ("second", 400, 100, 300)]
    assert dollars(result) == {"bad_debt": 900, "gross": 900, "insurance_fund": 600, "uncovered": 300}
    assert (closing(result, "insurance_fund"), closing(result, "uncovered")) == (0, -300)


def test_without_any_layer_the_whole_deficit_is_uncovered():
    result = textbook([LONG])
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "uncovered": 500}
    assert result.summary()["uncovered_usd"] == "500.000000"


# ADL closes no more of a winner than the deficit needs.

FIRST = isolated("first", -1, 2000, 200)  # the same profit, more leverage
SECOND = isolated("second", -3, 2000, 3000)
THIRD = isolated("third", -3, 2000, 9000)


def adl(result):
    return result.adl.select("account", "size", "amount", "give_up_usd", "rank").rows()


def test_the_last_winner_is_closed_in_part():
    result = textbook([THIRD, SECOND, LONG, FIRST], insurance_fund=fund(300), adl={})
    # The fund covers three of five; two are matched at 1,800.
    assert adl(result) == [("first", 1, 1800, 100, 1), ("second", 1, 1800, 100, 2)]
    assert [size_at_end(result, name) for name in ("first", "second", "third")] == [0, -2, -3]
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 300, "adl": 200}
    assert status(result) == {"third": "open", "second": "open", "long": "defaulted", "first": "open"}
    # What is left of the second keeps its entry: 2 of 3 from 2,000.
    entry = result.positions.filter(holder="second").select("opening_size", "closing_size", "closing_entry_value")
    assert entry.rows() == [(-3, -2, -4000)]


def test_without_a_fund_all_five_are_matched_and_no_more():
    result = textbook([FIRST, SECOND, THIRD, LONG], adl={})
    assert adl(result) == [("first", 1, 1800, 100, 1), ("second", 3, 5400, 300, 2), ("third", 1, 1800, 100, 3)]
    assert [size_at_end(result, name) for name in ("first", "second", "third", "long")] == [0, 0, -2, 0]
    assert len(result.liquidations) == 0


def test_a_deficit_that_does_not_divide_is_matched_to_the_last_unit():
    result = textbook([FIRST, SECOND, LONG], insurance_fund=fund("333.333333"), adl={})
    sold = only(result.liquidations)
    assert (sold["size"], sold["amount"]) == (Decimal("3.33333333"), Decimal("5666.666661"))
    assert adl(result) == [
        ("first", 1, 1800, 100, 1),
        ("second", Decimal("0.66666667"), Decimal("1200.000006"), Decimal("66.666667"), 2),
    ]
    assert size_at_end(result, "second") == Decimal("-2.33333333")
    paid = {"insurance_fund": Decimal("333.333333"), "adl": Decimal("166.666667")}
    assert dollars(result) == {"bad_debt": 500, "gross": 500, **paid}


def test_a_loss_that_the_fund_covers_touches_no_winner():
    result = textbook([LONG, FIRST, SECOND], insurance_fund=fund(500), adl={})
    assert len(result.adl) == 0
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 500}


def test_a_winner_is_not_asked_for_more_than_its_equity():
    # Its other position has lost 320, so at 1,700 it has 80: enough for .8 of a unit at 100 each.
    poor = [cross("poor", -1, 2000), cross("poor", 1, 400, "OTHER")]
    path = {ETH: [2000, 1700], "OTHER": [400, 80]}
    result = run([LONG, *poor, THIRD], path, cash=[("poor", "USD", 100)], adl={}, margin=flat(0), outside="hedges")
    assert adl(result) == [("poor", Decimal("0.8"), 1440, 80, 1), ("third", 3, 5400, 300, 2)]
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "adl": 380, "uncovered": 120}
    assert only(result.liquidations)["size"] == Decimal("1.2")
    row = only(result.accounts.filter(account="poor"))
    assert (row["status"], row["closing_equity_usd"], row["adl_give_up_usd"]) == ("open", 0, 80)


# ADL never touches the loser's own side.


@pytest.mark.parametrize("shorts", [[], [FIRST]], ids=["no short", "one short"])
def test_a_profitable_account_of_the_same_side_is_untouched(shorts):
    # At 1,700 the early long has the best score of all: a profit of 70 % at a leverage near 2.4.
    early = isolated("early", 5, 1000, 50)
    result = textbook([early, LONG, *shorts], adl={}, outside="hedges")
    matched = len(shorts)
    assert result.adl["account"].to_list() == ["first"] * matched
    assert set(result.adl["side"]) <= {"short"}
    assert dollars(result)["uncovered"] == 500 - 100 * matched
    assert result.positions.filter(holder="early").select("opening_size", "closing_size").rows() == [(5, 5)]
    assert result.balances.filter(holder="early").select("opening", "closing").rows() == [(-4950, -4950)]
    assert result.postings.filter((pl.col("from") == "early") | (pl.col("to") == "early")).is_empty()
    row = only(result.accounts.filter(account="early"))
    assert (row["status"], row["adl_give_up_usd"], row["closing_equity_usd"]) == ("open", 0, 3550)


def test_a_short_loser_takes_from_longs_only():
    loser = isolated("short", -5, 2000, 1000)  # bankrupt at 2,200
    same = isolated("early", -5, 3000, 500)
    winner = isolated("winner", 5, 2000, 1000)
    result = run([same, loser, winner], [2000, 2300], adl={}, outside="hedges")
    assert result.adl.select("account", "side", "size", "amount", "give_up_usd").rows() == [
        ("winner", "long", 5, -11_000, 500)
    ]
    assert size_at_end(result, "early") == -5
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "adl": 500}


def test_a_loser_of_the_other_side_is_no_winner():
    # Short from 1,600: opposite, but not in profit at 1,700.
    result = textbook([LONG, isolated("late", -5, 1600, 3000)], adl={}, outside="hedges")
    assert len(result.adl) == 0
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "uncovered": 500}
    assert size_at_end(result, "late") == -5
