"""Limits of the layers of the waterfall, and the withdrawal gate, checked by hand."""

import pytest
from cases import ETH, LONG, SHORT, dollars, flat, fund, isolated, only, run, textbook

import underwater as uw

SECOND = isolated("second", 5, 2000, 1000)
"""The same loser once more: 500 each at 1,700."""


def two(path=(2000, 1700), **protocol):
    return run([LONG, SECOND], path, **protocol)


@pytest.mark.parametrize(
    ("limits", "paid"),
    [
        ({}, 1000),
        ({"per_event": 300}, 600),
        ({"per_market": 700}, 700),
        ({"periods": [{"every": "1s", "amount": 400}]}, 400),
        ({"periods": [{"every": "1m", "amount": 900}], "per_event": 350}, 700),
        ({"delay": "2s"}, 0),
        ({"delay": "1s"}, 1000),
    ],
)
def test_caps_and_delay(limits, paid):
    r = two(insurance_fund=fund(5000), limits={"insurance_fund": limits})
    expected = {"insurance_fund": paid, "uncovered": 1000 - paid}
    assert {line: dollars(r).get(line, 0) for line in expected} == expected


def test_a_window_of_time_ends():
    """The second loss falls into the next window: 400 of 500, then 250."""
    later = isolated("later", 5, 1750, 500)  # 250 left at 1,700, short of 250 at 1,600
    cap = {"insurance_fund": {"periods": [{"every": "2s", "amount": 400}]}}
    r = run([LONG, later], (2000, 1700, 1600), insurance_fund=fund(5000), limits=cap, margin=flat("0.01"))
    assert dollars(r)["insurance_fund"] == 650


@pytest.mark.parametrize(("share", "paid"), [("0.3", 500), ("0.6", 1000)])
def test_a_drawdown_stops_the_fund(share, paid):
    """The first loss takes 500 of 1,000."""
    stop = {"kind": "drawdown", "of": "insurance_fund", "share": share}
    r = two(insurance_fund=fund(1000), limits={"insurance_fund": {"stop": stop}})
    assert dollars(r)["insurance_fund"] == paid


def test_a_drawdown_of_the_fund_starts_adl():
    """With ADL off the whole position is sold and the fund pays; once the fund has lost half, ADL takes it."""
    start = {"kind": "drawdown", "of": "insurance_fund", "share": "0.5"}
    protocol = {"insurance_fund": fund(1000), "adl": {"capacity": "position"}, "waterfall": ["adl", "insurance_fund"]}
    r = run(
        [LONG, SECOND, isolated("short", -10, 2000, 9000)], (2000, 1700), limits={"adl": {"start": start}}, **protocol
    )
    assert (dollars(r)["insurance_fund"], dollars(r)["adl"]) == (500, 500)


def test_a_treasury_that_waits_until_the_fund_is_gone():
    start = {"kind": "below", "of": "insurance_fund"}
    more = {"treasury": {"balance": 2000}, "waterfall": ["treasury", "insurance_fund"]}
    r = two(insurance_fund=fund(500), limits={"treasury": {"start": start}}, **more)
    assert (dollars(r)["insurance_fund"], dollars(r)["treasury"]) == (500, 500)


@pytest.mark.parametrize(("gate", "refused"), [(None, 0), ("2s", 1), ("1s", 0)])
def test_the_withdrawal_gate(gate, refused):
    """500 are uncovered at second 1; the withdrawal is at second 2."""
    saver = isolated("saver", -1, 2000, 5000)
    r = run(
        [LONG, saver],
        (2000, 1700, 1700),
        events=[(2, "saver", ETH, "withdrawal", 100)],
        margin=flat("0.01"),
        **({} if gate is None else {"withdrawal_gate": gate}),
    )
    assert len(r.rejected_events) == refused
    if refused:
        assert "uncovered" in only(r.rejected_events)["reason"]


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"treasury": {"per_event": 1}}, "limits.treasury"),
        ({"adl": {"per_event": 1}}, "limits.adl"),
        ({"insurance_fund": {"start": {"kind": "below", "of": "pool"}}}, "limits.insurance_fund.start.of"),
    ],
)
def test_limits_that_mean_nothing(limits, named):
    with pytest.raises(uw.ConfigError, match=named):
        textbook((LONG, SHORT), insurance_fund=fund(1), adl={}, limits=limits)
