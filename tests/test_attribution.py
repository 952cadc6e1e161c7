"""Every dollar of bad debt has a debtor, a layer and a bearer, on small days that can be checked by hand and on random ones."""

import os
from collections import defaultdict
from fractions import Fraction

import polars as pl
import pytest
from bridge import run_engine
from cases import LONG, cross, day, fund, isolated, run, textbook
from hypothesis import HealthCheck, given, settings
from strategies import scenarios
from strategies_days import Scenario

import underwater as uw
from underwater import metrics as m

EXAMPLES = int(os.environ.get("UNDERWATER_EXAMPLES", "0"))
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
WINNERS = [isolated("w1", -1, 2000, 1000), isolated("w2", -2, 2000, 1000), isolated("w3", -2, 2000, 1000)]


def traced(result, **how):
    """(debtor, layer, bearer) -> dollars."""
    return {
        tuple(row[:3]): row[3]
        for row in m.attribution(result, **how)["account", "layer", "bearer", "amount_usd"].rows()
    }


def test_adl_names_the_deleveraged():
    assert traced(textbook([LONG, *WINNERS], insurance_fund=fund(100), adl={})) == {
        ("long", "insurance_fund", "insurance_fund"): 100,
        ("long", "adl", "w2"): 200,
        ("long", "adl", "w3"): 200,
    }


def test_a_socialised_loss_is_borne_by_all_who_were_charged():
    """500 of one and 100 of another, charged to winners of 300, 600 and 600."""
    losers = [LONG, isolated("late", 1, 2000, 200)]
    result = textbook([*losers, *WINNERS], socialised={"by": "profit"})
    assert result.accounts["socialised_usd"].to_list()[2:] == [120, 240, 240]
    assert traced(result) == {
        ("long", "socialised", "w1"): 100,
        ("long", "socialised", "w2"): 200,
        ("long", "socialised", "w3"): 200,
        ("late", "socialised", "w1"): 20,
        ("late", "socialised", "w2"): 40,
        ("late", "socialised", "w3"): 40,
    }
    assert traced(result, bearers="layer") == {
        ("long", "socialised", "socialised"): 500,
        ("late", "socialised", "socialised"): 100,
    }


def test_what_winners_cannot_bear_goes_on_to_the_later_payers():
    """A loss of 500 on a winner of 300, then on a treasury of 50."""
    result = textbook([LONG, WINNERS[0]], socialised={}, treasury={"balance": 50}, waterfall=["socialised", "treasury"])
    assert traced(result) == {
        ("long", "socialised", "w1"): 300,
        ("long", "treasury", "treasury"): 50,
        ("long", "uncovered", "uncovered"): 150,
    }


def test_a_late_deposit_comes_off_again():
    events = [(2, "long", "ETH-PERP", "deposit", 350)]
    result = textbook([LONG], (2000, 1700, 1700), insurance_fund=fund(300), events=events, late_deposits="recover")
    rows = m.attribution(result)
    assert rows.select("event", "layer", "amount_usd").rows() == [
        (0, "insurance_fund", 300),
        (0, "uncovered", 200),
        (None, "insurance_fund", -150),
        (None, "uncovered", -200),
    ]
    assert rows["kind"].to_list() == ["fund", "claimants", "fund", "claimants"]


def test_what_a_late_deposit_makes_good_in_another_asset_stays_with_the_layer():
    """A loss of 500 USDT is shared out in USD among nobody, before the 4 USDT of a late deposit are there."""
    markets = [{"name": "A", "settlement": "USD"}, {"name": "B", "settlement": "USDT"}]
    assets = [{"name": name, "decimals": 6} for name in ("USD", "USDT")]
    position = isolated("long", 5, 2000, 1000, market="B", collateral_asset="USDT")
    frame = pl.DataFrame({"ts": pl.from_epoch([2], "s"), "account": "long", "market": "B", "kind": "deposit"})
    book = uw.Book.from_frames(
        pl.DataFrame([position]), events=frame.with_columns(asset=pl.lit("USDT"), amount=pl.lit(4))
    )
    path = {"A": [1, 1, 1], "B": [2000, 1700, 1700]}
    protocol = uw.Protocol.from_dict({"socialised": {}, "late_deposits": "recover"})
    result = uw.replay(day(path, markets, assets), book, protocol)
    rows = m.attribution(result).select("layer", "kind", "amount_usd").rows()
    assert rows == [("uncovered", "claimants", 500), ("socialised", "layer", -4)]
    assert {line: x for line, x in m.payers(result).select("layer", "amount_usd").rows() if x} == {
        "uncovered": 500,
        "socialised": -4,
    }


def test_losses_by_open_interest_are_shared_among_those_charged():
    result = textbook([LONG, *WINNERS], socialised={"by": "open_interest"})
    assert traced(result) == {
        ("long", "socialised", "w1"): 100,
        ("long", "socialised", "w2"): 200,
        ("long", "socialised", "w3"): 200,
    }


def test_too_many_bearers_are_refused():
    winners = [isolated(f"w{k}", -1, 2000, 1000) for k in range(1500)]
    losers = [isolated(f"l{k}", 1, 2000, 250) for k in range(1500)]
    result = textbook([*winners, *losers], socialised={})
    with pytest.raises(ValueError, match=r'1,500 socialised debts on 1,500 bearers .* ask for bearers="layer"'):
        m.attribution(result)
    assert m.attribution(result, bearers="layer")["amount_usd"].sum() == 75_000


PAID = ("bad_debt_usd", "adl_overshoot_usd", "subsidy_usd", "change_of_prepaid_usd")
"""What the payers of an event have paid."""


def check(scenario: Scenario) -> None:
    result = run_engine(scenario)
    rows = m.attribution(result)
    by_layer, by_event = defaultdict(Fraction), defaultdict(Fraction)
    for event, account, layer, amount in rows.select("event", "account", "layer", "amount_usd").rows():
        by_layer[layer] += Fraction(amount)
        by_event[event, account] += Fraction(amount)
    lines = {line: Fraction(x) for line, x in m.payers(result).select("layer", "amount_usd").rows() if x}
    assert {layer: x for layer, x in by_layer.items() if x} == lines

    # of each debtor's event: what was lost and paid too much; what late deposits made good has no event
    lost = defaultdict(Fraction)
    for row in result.bad_debt.filter(status="realised").rows(named=True):
        paid = sum(Fraction(row[column]) for column in PAID)
        lost[row["event"], row["account"]] += paid
        lost[None, row["account"]] -= Fraction(row["recovered_usd"])
    assert {key: x for key, x in by_event.items() if x} == {key: x for key, x in lost.items() if x}

    pooled = m.attribution(result, bearers="layer").group_by("layer").agg(pl.col("amount_usd").sum())
    assert {layer: Fraction(x) for layer, x in pooled.rows() if x} == lines
    broken = m.identities(result).filter(~pl.col("holds"))
    assert broken.is_empty(), broken

    # nothing else falls over, whatever happened
    once = m.bad_debt_by_account(result)["bad_debt_usd"].sum()
    gross = dict(result.who_pays().select("line", "amount_usd").rows())["gross"]
    assert Fraction(once) == Fraction(gross)
    fills = result.liquidations
    assert m.slippage(result).height == fills.height
    assert m.gaps(result).height == m.liquidation_times(result).height
    assert m.adl(result)["fills"] == result.adl.filter(kind="bankruptcy").height
    assert m.bearers(result)["amount_usd"].sum() == rows["amount_usd"].sum()
    for name in ("insurance_fund", "pool", "treasury", "vault"):
        m.layer_result(result, name), m.replenishment(result, name), m.max_drawdown(m.path(result, name))
    for at in ("trigger", "close"):
        m.equity_gap(result, at)
    paths_agree(result)
    m.coverage(result), m.solvency(result), m.session_feasibility(result), m.waves(result), m.cover(result)
    m.time_to_liquidation(result), m.slippage_by(result), m.slippage_by(result, ["account", "market"])


def paths_agree(result: uw.Result) -> None:
    """The timeline has every instant at which the money of a layer moved, and tells what the layer then had."""
    nanoseconds = pl.col("ts").dt.epoch("ns")  # a datetime of Python has microseconds
    start, end = (result.summary()[f"{name}_ts"] for name in ("start", "end"))
    inside = pl.col("ts").is_between(start, end, closed="none")
    timeline = result.timeline.with_columns(nanoseconds)
    for name in ("insurance_fund", "pool", "treasury", "token"):
        cash = m.balance_path(result, name).with_columns(nanoseconds, pl.col("balance").cast(pl.Decimal(38, 6)))
        assert set(cash.filter(inside)["ts"]) <= set(timeline["ts"])
        if name in ("treasury", "token") and set(cash["asset"].unique()) <= {"USD", "USDT", "USDC"}:
            by_asset = [part.sort("ts") for part in cash.partition_by("asset")]  # they hold no positions
            for ts, level in timeline.filter(inside).select("ts", f"{name}_usd").rows():
                held = [part.filter(pl.col("ts") <= ts)["balance"] for part in by_asset]
                assert sum(part[-1] for part in held if len(part)) == level


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(scenarios())
def test_attribution_foots_on_random_days(scenario: Scenario):
    check(scenario)


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=EXAMPLES or 2000, deadline=None, suppress_health_check=QUIET)
@given(scenarios())
def test_attribution_foots_at_length(scenario: Scenario):
    check(scenario)


def test_summaries_do_not_depend_on_the_pieces(ticks, book, protocol, monkeypatch, tmp_path):
    monkeypatch.setattr("underwater.run._ROWS_TOGETHER", 1)
    whole, pieces = uw.replay(ticks, book, protocol), uw.replay(ticks, book, protocol, chunk_ticks=1, spill=tmp_path)
    assert pieces.summary() == whole.summary()


def test_an_event_over_several_markets_has_no_market():
    legs = [cross("x", 5, 2000), cross("x", 10, 100, market="SOL-PERP")]
    path = {"ETH-PERP": [2000, 1700], "SOL-PERP": [100, 80]}
    one = run(legs[:1], path, cash=[("x", "USD", 1000)])
    assert m.attribution(one)["market"].to_list() == ["ETH-PERP"]
    both = run(legs, path, cash=[("x", "USD", 1000)])
    assert m.attribution(both)["market"].to_list() == [None]
