"""What follows where a layer of the waterfall fails, checked by hand."""

import pytest
from cases import ETH, LONG, SHORT, dollars, flat, fund, isolated, only, run, status

import underwater as uw
from underwater.config import HaltFailure, Limits, SkipFailure

LATER = isolated("later", 5, 1750, 500)
"""Bankrupt at 1,650: short of 250 at 1,600."""
SECOND = 1_000_000_000


def halting(balance=300, **failure):
    """A fund that halts the venue where it is not enough."""
    return {
        "insurance_fund": fund(balance),
        "limits": {"insurance_fund": {"failure": {"kind": "halt", **failure}}},
        "margin": flat("0.01"),
    }


def closes(result):
    return [(ts.timestamp(), account) for ts, account in result.liquidations.select("ts", "account").rows()]


def halts(result):
    found = result.summary()["layer_halts"]
    return [(h["layer"], h["start_ts"], h["end_ts"]) for h in found]


def test_a_fund_that_is_not_enough_halts_the_venue_for_good():
    """500 are lost at second 1, of which the fund has 300; nobody is closed any more, and the second loss stays open."""
    r = run([LONG, LATER, SHORT], (2000, 1700, 1600, 1600), **halting())
    assert closes(r) == [(1, "long")]
    assert halts(r) == [("insurance_fund", SECOND + 1, None)]
    assert dollars(r) == {"bad_debt": 500, "insurance_fund": 300, "uncovered": 200, "open": 250, "gross": 750}
    assert status(r)["later"] == "open"


@pytest.mark.parametrize(("balance", "closed"), [(500, [(1, "long"), (2, "later")]), (499, [(1, "long")])])
def test_a_fund_that_covers_all_has_not_failed(balance, closed):
    """Emptied to the last dollar by the first loss, it fails at the second."""
    r = run([LONG, LATER, SHORT], (2000, 1700, 1600, 1600), **halting(balance))
    assert closes(r) == closed
    assert halts(r) == [("insurance_fund", len(closed) * SECOND + 1, None)]


@pytest.mark.parametrize(("lasts", "at"), [("2s", 3 + 1e-9), ("500ms", 2)])
def test_when_the_halt_is_over_everyone_is_tested(lasts, at):
    """At the end of the halt, whether or not anything is printed then; with the shorter one, at the next print."""
    r = run([LONG, LATER, SHORT], (2000, 1700, 1600, 1600, 1600), **halting(halt_for=lasts))
    assert [account for _, account in closes(r)] == ["long", "later"]
    assert closes(r)[1][0] == pytest.approx(at, abs=1e-6)
    first, second = halts(r)
    assert first[2] - first[1] == uw.Protocol(**halting(halt_for=lasts)).limits["insurance_fund"].failure.halt_for
    assert second[1] == round(closes(r)[1][0] * SECOND) + (2 if lasts == "2s" else 1)


def test_who_recovers_in_the_halt_is_not_liquidated():
    r = run([LONG, LATER, SHORT], (2000, 1700, 1600, 1700, 1700, 1700), **halting(halt_for="2s"))
    assert closes(r) == [(1, "long")]
    assert "open" not in dollars(r)


def test_the_rest_goes_on_to_the_next_layer():
    r = run([LONG, SHORT], (2000, 1700, 1700), treasury={"balance": 1000}, **halting())
    assert dollars(r) == {"bad_debt": 500, "insurance_fund": 300, "treasury": 200, "gross": 500}
    assert halts(r) == [("insurance_fund", SECOND + 1, None)]


def test_whoever_else_fails_in_the_instant_is_closed():
    """The halt begins after the instant."""
    twin = isolated("twin", 5, 2000, 1000)
    r = run([LONG, twin, SHORT], (2000, 1700, 1700), **halting())
    assert closes(r) == [(1, "long"), (1, "twin")]
    assert halts(r) == [("insurance_fund", SECOND + 1, None)]


@pytest.mark.parametrize(("limits", "failed"), [({"per_event": 100}, True), ({"delay": "5s"}, False)])
def test_a_cap_makes_a_layer_fail_but_one_that_is_off_is_not_asked(limits, failed):
    protocol = halting(10_000)
    protocol["limits"]["insurance_fund"] |= limits
    r = run([LONG, LATER, SHORT], (2000, 1700, 1600), **protocol)
    assert bool(halts(r)) == failed
    assert len(closes(r)) == (1 if failed else 2)


def test_events_are_refused_while_the_venue_is_down():
    events = [(1, "saver", ETH, "deposit", 1), (2, "saver", ETH, "deposit", 2), (5, "saver", ETH, "withdrawal", 4)]
    saver = isolated("saver", -1, 2000, 5000)
    r = run([LONG, saver], [2000, *[1700] * 5], events=events, **halting(halt_for="3s"))
    assert only(r.rejected_events)["reason"] == "the venue is halted"
    assert only(r.rejected_events)["amount"] == 2


def test_an_action_that_is_due_in_the_halt_waits():
    """Seen at second 2, when the venue is still up; due at second 4, when it is down."""
    latency = {"keeper": {"latency": "2s"}}
    r = run(
        [LONG, LATER, SHORT],
        (2000, 1700, 1600, 1600, 1600, 1600, 1600, 1600, 1600),
        **halting(halt_for="2s"),
        **latency,
    )
    (first, _), (second, account) = closes(r)
    assert (first, account) == (3, "later")
    assert second == pytest.approx(5, abs=1e-6)


def test_a_market_is_settled_when_the_halt_is_over():
    settle = {"trigger": {"kind": "halt"}, "price": {"kind": "fixed", "price": 1800}, "market": ETH}
    r = run([LONG, SHORT], (2000, 1700, 1700, 1700, 1700), delistings=[settle], **halting(halt_for="2s"))
    settled = r.postings.filter(kind="settlement")["ts"].dt.epoch("ns")
    assert set(settled) == {3 * SECOND + 1}
    never = run([LONG, SHORT], (2000, 1700, 1700, 1700, 1700), delistings=[settle], **halting())
    assert never.postings.filter(kind="settlement").is_empty()


def test_a_loss_is_a_matter_of_its_own_fund():
    """That of the other market is empty; the general one covers its own."""
    other = isolated("other", 5, 2000, 1000, market="ALT")
    protocol = halting(10_000)
    protocol["insurance_fund"]["funds"] = {"ALT": {"balance": 0}}
    prices = {ETH: [2000, 1700, 1700], "ALT": [2000, 2000, 1700]}
    r = run([LONG, other], prices, **protocol)
    assert closes(r) == [(1, "long"), (2, "other")]
    assert halts(r) == [("insurance_fund", 2 * SECOND + 1, None)]


BOUND = {"execution": {"kind": "feed", "bound": {"kind": "bankruptcy", "remainder": "adl"}}}


def reverting(balance=300, retry="1s", **more):
    """A fund that reverts the liquidation which it cannot make good."""
    limits = {"insurance_fund": {"failure": {"kind": "revert", "retry": retry}}}
    return {"insurance_fund": fund(balance), "limits": limits, "margin": flat("0.01"), **more}


def test_a_liquidation_that_the_fund_cannot_pay_is_not_carried_out():
    """500 are short at every attempt; nothing happens, and at the end the position is open, with its loss."""
    r = run([LONG, SHORT], (2000, 1700, 1700, 1700), **reverting())
    assert closes(r) == []
    assert r.summary()["reverted_actions"] == 3
    assert dollars(r) == {"open": 500, "gross": 500}
    assert only(r.bad_debt)["status"] == "open"
    assert status(r)["long"] == "queued"
    assert r.postings.is_empty()
    assert r.summary()["fund_equity_usd"]["insurance_fund"]["closing"] == "300.000000"


def test_it_is_carried_out_once_the_fund_can_pay():
    """At 1,740 the position is short of 300, which is all that the fund has."""
    r = run([LONG, SHORT], (2000, 1700, 1720, 1740, 1740), **reverting())
    assert closes(r) == [(3, "long")]
    assert r.summary()["reverted_actions"] == 2
    assert dollars(r) == {"bad_debt": 300, "insurance_fund": 300, "gross": 300}
    assert only(r.liquidations)["trigger_ts"].timestamp() == 1


def test_money_that_comes_in_ends_it():
    """400 arrive at second 3."""
    protocol = reverting()
    protocol["insurance_fund"]["injections"] = [{"kind": "scheduled", "at": "2500ms", "amount": 400}]
    r = run([LONG, SHORT], (2000, 1700, 1700, 1700, 1700), **protocol)
    assert closes(r) == [(3, "long")]


def test_whoever_recovers_before_the_retry_keeps_the_position():
    r = run([LONG, SHORT], (2000, 1700, 1900, 1900), **reverting(retry="1500ms"))
    assert closes(r) == []
    assert status(r)["long"] == "open"
    assert dollars(r) == {}


def test_each_attempt_waits_for_its_keeper():
    """Detected at 1, due at 3; tried again after 2 seconds, of which the keeper takes another 2."""
    r = run([LONG, SHORT], (2000, 1700, *[1700] * 5, 1740), **reverting(retry="2s"), keeper={"latency": "2s"})
    assert closes(r) == [(7, "long")]
    assert r.summary()["reverted_actions"] == 1


def test_what_earlier_layers_have_paid_is_undone():
    """The treasury comes first and would pay 100; the fund cannot pay the other 400."""
    protocol = reverting(treasury={"balance": 100}, waterfall=["treasury", "insurance_fund"])
    r = run([LONG, SHORT], (2000, 1700, 1700), **protocol)
    assert r.summary()["layer_equity_usd"]["treasury"]["closing"] == "100.000000"
    # A treasury that halts the venue where it is not enough: neither does that happen.
    protocol["limits"]["treasury"] = {"failure": "halt"}
    assert halts(run([LONG, SHORT], (2000, 1700, 1700), **protocol)) == []


def test_a_small_loss_is_closed_while_a_large_one_waits():
    small = isolated("small", 1, 2000, 200)  # short of 100 at 1,700
    r = run([LONG, small, SHORT], (2000, 1700, 1700), **reverting())
    assert closes(r) == [(1, "small")]
    assert dollars(r)["insurance_fund"] == 100


def test_the_displacement_of_a_reverted_close_is_undone():
    """Both are sold at the same price: the first, which is reverted, leaves no trace in the depth."""
    impact = {"execution": {"kind": "feed", "impact": {"kind": "linear", "depth": 1_000_000, "half_life": None}}}
    small = isolated("small", 1, 2000, 200)
    alone = run([small, SHORT], (2000, 1700), **reverting(), **impact)
    both = run([LONG, small, SHORT], (2000, 1700), **reverting(), **impact)
    assert only(both.liquidations)["price"] == only(alone.liquidations)["price"]
    assert both.summary()["reverted_actions"] == 1


@pytest.mark.parametrize(
    ("protocol", "named"),
    [
        ({"adl": {}}, "waterfall without adl"),
        ({"loss_unit": "fill"}, "loss_unit account"),
        ({**BOUND, "adl": {}, "waterfall": ["insurance_fund"]}, "remainder is adl"),
        ({"limits": {"insurance_fund": {"failure": "revert"}}}, "failure: missing"),
        ({"limits": {"insurance_fund": {"failure": {"kind": "revert", "retry": 0}}}}, "retry"),
    ],
)
def test_what_cannot_be_undone_is_refused(protocol, named):
    with pytest.raises(uw.ConfigError, match=named):
        run([LONG, SHORT], (2000, 1700), **{**reverting(), **protocol})


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"adl": {"failure": "halt"}}, "limits.adl.failure"),
        ({"insurance_fund": {"failure": {"kind": "halt", "halt_for": 0}}}, "halt_for"),
        ({"insurance_fund": {"failure": "stop"}}, "limits.insurance_fund.failure"),
    ],
)
def test_failures_that_mean_nothing(limits, named):
    with pytest.raises(uw.ConfigError, match=named):
        run([LONG, SHORT], (2000, 1700), insurance_fund=fund(1), adl={}, limits=limits)


def test_a_name_alone_is_the_failure_with_its_defaults():
    assert Limits(failure="halt").failure == HaltFailure(halt_for=None)
    assert Limits().failure == SkipFailure()
