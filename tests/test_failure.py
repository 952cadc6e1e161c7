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
