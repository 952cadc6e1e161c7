"""A treasury that decides, checked by hand."""

import polars as pl
import pytest
from cases import ETH, LONG, audit, closing, dollars, fund, isolated, only, run

import underwater as uw

SECOND = isolated("second", 5, 1700, 500)
"""Short of 500 at 1,500."""


def decided(path=(2000, 1700, 1700, 1700), positions=(LONG,), **treasury):
    return run(list(positions), path, treasury={"balance": 1000} | treasury)


def test_a_loss_is_uncovered_until_it_is_decided():
    r = decided(real_time=0, delay="2s")
    assert dollars(r) == {"bad_debt": 500, "treasury": 500, "treasury_later": 500, "gross": 500}
    row = only(r.bad_debt)
    assert (row["treasury_usd"], row["treasury_later_usd"], row["uncovered_usd"]) == (500, 500, 0)
    late = only(r.postings.filter(kind="late_payment"))
    assert (late["ts"].second, late["from"], late["to"], late["event"]) == (3, "treasury", "uncovered", row["event"])
    assert r.timeline["uncovered_usd"].to_list() == [500, 500]  # as it was lost
    assert r.timeline["treasury_usd"].to_list() == [1000, 500]
    assert (closing(r, "uncovered"), closing(r, "treasury")) == (0, 500)


def test_what_is_not_decided_by_the_end_is_pending():
    r = decided(real_time=0, delay="3s")
    assert dollars(r) == {"bad_debt": 500, "uncovered": 500, "pending": 500, "gross": 500}


def test_some_is_paid_at_once():
    """Of 500 and 500 the first 600 at once, 400 a second later."""
    r = decided((2000, 1700, 1500, 1500), (LONG, SECOND), real_time=600, delay="1s")
    assert (dollars(r)["treasury"], dollars(r)["treasury_later"], dollars(r).get("uncovered", 0)) == (1000, 400, 0)
    assert r.bad_debt["treasury_usd"].to_list() == [500, 500]


def test_without_a_delay_the_rest_stays_uncovered():
    r = decided(real_time=200)
    assert (dollars(r)["treasury"], dollars(r)["uncovered"]) == (200, 300)
    assert "pending" not in dollars(r)


def test_a_treasury_pays_a_claim_as_far_as_it_goes_and_once():
    r = decided(real_time=0, delay="1s", balance=300)
    assert (dollars(r)["treasury"], dollars(r)["uncovered"]) == (300, 200)
    assert len(r.postings.filter(kind="late_payment")) == 1


def late_deposit(second, amount):
    return run(
        [LONG, isolated("other", 1, 2000, 2000)],
        (2000, 1700, 1700, 1700, 1700),
        events=[(second, "long", ETH, "deposit", amount)],
        treasury={"balance": 1000, "real_time": 0, "delay": "2s"},
        late_deposits="recover",
    )


def test_what_a_late_deposit_has_made_good_is_not_claimed():
    r = late_deposit(2, 200)
    assert (dollars(r)["treasury"], dollars(r)["recovered"]) == (300, -200)
    assert closing(r, "treasury") == 700


def test_a_later_deposit_pays_the_treasury_back():
    r = late_deposit(4, 200)
    assert (dollars(r)["treasury"], dollars(r)["treasury_later"], dollars(r)["recovered"]) == (300, 500, -200)
    assert (closing(r, "treasury"), closing(r, "uncovered")) == (700, 0)


def test_metrics_foot_with_later_coverage():
    r = run(
        [LONG], (2000, 1700, 1700), insurance_fund=fund(100), treasury={"balance": 1000, "real_time": 50, "delay": "1s"}
    )
    by_layer = dict(uw.metrics.attribution(r).group_by("layer").agg(pl.col("amount_usd").sum()).rows())
    assert by_layer == {"insurance_fund": 100, "treasury": 400}
    lines = dict(uw.metrics.layer_result(r, "treasury").rows())
    assert (lines["absorption"], lines["trading"], lines["closing"]) == (-400, 0, 600)
    audit(r)


def test_a_delay_of_nothing():
    with pytest.raises(uw.ConfigError, match=r"treasury\.delay"):
        decided(delay=0)
