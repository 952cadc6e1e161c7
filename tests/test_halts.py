"""Halts and stale restarts, through the public API, as on dYdX v4 on 2025-10-10."""

import pytest
from cases import ETH, LONG, SHORT, cross, dollars, isolated, only, run, status

import underwater as uw

HALT = {"start": "1s", "end": "10s"}
# Liquidatable from 1,818 down (10 %), so at 2; back above at 7; again at 12.
PATH = [(0, 2000), (2, 1790), (7, 1950), (12, 1760), (20, 1750)]


def fills(result):
    return [(ts.timestamp(), price) for ts, price in result.liquidations.select("ts", "price").rows()]


def replay(path, **protocol):
    return run([LONG, SHORT], path, **{"margin": {"maintenance": {"kind": "flat", "rate": "0.01"}}, **protocol})


def test_nobody_is_liquidated_in_a_halt():
    assert fills(replay(PATH)) == [(2, 1790)]
    # The fall at 2 is over by the end of the halt.
    assert fills(replay(PATH, halts=[HALT])) == [(12, 1760)]
    # One that lasts is found as soon as the halt is over, whether or not anything is printed then.
    assert fills(replay([(0, 2000), (2, 1700), (20, 1650)], halts=[HALT])) == [(10, 1700)]
    assert dollars(replay([(0, 2000), (2, 1700), (20, 1650)], halts=[HALT]))["bad_debt"] == 500


def test_an_action_that_is_due_in_a_halt_waits_for_its_end():
    path = [(0, 2000), (2, 1700), (20, 1650)]
    late = {"keeper": {"latency": "3s"}, "halts": [{"start": "3s", "end": "10s"}]}
    assert fills(replay(path, **late)) == [(10, 1700)]
    recovers = [(0, 2000), (2, 1700), (9, 2000)]
    assert fills(replay([*recovers, (20, 2000)], **late)) == []


def test_halts_that_touch_are_one_and_times_may_be_absolute():
    halts = [HALT, {"start": "1970-01-01T00:00:10Z", "end": "1970-01-01T00:00:15Z"}]
    assert fills(replay(PATH, halts=halts)) == [(15, 1760)]


def test_a_venue_restarts_with_the_prices_from_before():
    path = [(0, 2000), (2, 1700), (20, 1650), (30, 1650)]
    outage = {"start": "1s", "end": "10s"}

    def stale(**more):
        feed = {"kind": "paused", "outages": [outage], **more}
        return replay(path, halts=[HALT], feeds={"venue": feed}, trigger_feed="venue", execution_feed="venue")

    # Until the source moves at 20; with `catch_up` the stale price is gone with the halt.
    assert fills(stale()) == [(20, 1650)]
    assert dollars(stale())["bad_debt"] == 750
    assert fills(stale(catch_up=True)) == [(10, 1700)]
    # For a stated time: the outage outlasts the halt by five seconds.
    assert fills(stale(catch_up=True, outages=[{"start": "1s", "end": "15s"}])) == [(15, 1700)]


def test_a_stale_price_is_what_closes_are_booked_at():
    """The long is found when the halt is over, and closed nine seconds later; the outside bears the difference."""
    path = [(0, 2000), (2, 1700), (20, 1700)]
    feed = {"kind": "paused", "outages": [{"start": "1s", "end": "15s"}]}
    result = replay(path, keeper={"latency": "9s"}, halts=[HALT], feeds={"venue": feed}, execution_feed="venue")
    assert fills(result) == [(19, 2000)]
    assert dollars(result) == {"price_subsidy:outside": 1500}


def test_events_are_refused_in_a_halt():
    btc = isolated("other", 1, 100, 50, market="BTC-PERP")
    prices = {ETH: [(0, 2000), (20, 2000)], "BTC-PERP": [(0, 100), (20, 100)]}
    events = [
        (0, "long", ETH, "deposit", 1.0),
        (1, "long", ETH, "deposit", 2.0),
        (5, "long", ETH, "withdrawal", 4.0),
        (5, "other", "BTC-PERP", "deposit", 8.0),
        (10, "long", ETH, "withdrawal", 16.0),
    ]

    def refused(**halt):
        result = run([LONG, SHORT, btc], prices, events=events, halts=[{**HALT, **halt}])
        assert {row["reason"] for row in result.rejected_events.rows(named=True)} <= {"the venue is halted"}
        return [float(amount) for amount in result.rejected_events["amount"]]

    assert refused() == [2, 4, 8]
    assert refused(markets=[ETH]) == [2, 4]
    assert refused(markets=["BTC-PERP"]) == [8]


def test_a_halt_of_one_market_blocks_the_accounts_that_hold_it():
    legs = [cross("both", 5, 2000), cross("both", 1, 100, market="BTC-PERP"), LONG, SHORT]
    prices = {ETH: [(0, 2000), (2, 1700), (20, 1700)], "BTC-PERP": [(0, 100), (20, 100)]}
    result = run(legs, prices, cash=[("both", "USD", 1000)], halts=[{**HALT, "markets": ["BTC-PERP"]}])
    at = {row["account"]: row["ts"].timestamp() for row in result.liquidations.rows(named=True)}
    assert at == {"long": 2, "both": 10}


def test_a_halt_that_outlasts_the_tape_leaves_the_loss_open():
    result = replay([(0, 2000), (2, 1700), (20, 1700)], halts=[{"start": "1s", "end": "1h"}])
    assert dollars(result) == {"open": 500, "gross": 500}
    assert only(result.bad_debt)["status"] == "open"
    assert status(result)["long"] == "open"


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"halts": [{"start": "5s", "end": "5s"}]}, "halts.0: expected an end after the start"),
        ({"halts": [{"start": "5s", "end": "1970-01-01T00:00:01Z"}]}, "halts.0.end: expected a time after the start"),
        ({"halts": [{**HALT, "markets": ["XYZ"]}]}, "halts.0.markets: there is no market"),
        ({"feeds": {"f": {"kind": "paused", "outages": []}}}, "feeds.f"),
    ],
)
def test_wrong_halts_are_named(protocol, message):
    with pytest.raises(uw.ConfigError, match=message):
        replay(PATH, **protocol)
