"""Tokens that are put up later for what nobody covered, checked by hand."""

from datetime import timedelta
from math import sqrt

import polars as pl
import pytest
from cases import ETH, LONG, audit, closing, dollars, fund, isolated, only, run

import underwater as uw

SECOND = isolated("second", 5, 1700, 500)
"""Short of 500 at 1,500."""


def auctioned(path=(2000, 1700, 1700, 1700), positions=(LONG,), *, token=None, more=None, **auction):
    own = {"supply": 1000, **(token or {"price": 2}), "auction": {"delay": "1s"} | auction}
    return run(list(positions), path, token=own, **(more or {}))


def raised(result):
    """By second and event, in dollars."""
    late = result.postings.filter(kind="late_payment").sort("ts", "event", maintain_order=True)
    return [(ts.second, event, amount) for ts, event, amount in late.select("ts", "event", "amount_usd").rows()]


def test_a_loss_is_uncovered_until_tokens_are_put_up_at_the_price_of_then():
    r = auctioned({ETH: (2000, 1700, 1700, 1700), "GOV": (4, 4, 4, 1)}, token={"market": "GOV"}, delay="2s")
    assert dollars(r) == {"bad_debt": 500, "token": 500, "token_later": 500, "gross": 500}
    row = only(r.bad_debt)
    assert (row["token_usd"], row["token_later_usd"], row["uncovered_usd"]) == (500, 500, 0)
    late = only(r.postings.filter(kind="late_payment"))
    assert (late["ts"].second, late["from"], late["to"], late["event"]) == (3, "token", "uncovered", row["event"])
    assert (closing(r, "uncovered"), closing(r, "token")) == (0, -500)
    assert float(r.summary()["token"]["minted"]) == 500


def test_the_path_of_the_token_tells_when_its_holders_were_charged():
    r = auctioned([2000, *[1700] * 6], more={"insurance_fund": fund(100)}, lot=200, interval="1s")
    assert r.timeline.select(pl.col("ts").dt.second(), "token_usd", "uncovered_usd").rows() == [
        (1, 0, 400),
        (2, -200, 400),
        (3, -400, 400),
    ]
    assert uw.metrics.path(r, "token")["level_usd"].to_list() == [0, 0, -200, -400, -400]
    lines = dict(uw.metrics.layer_result(r, "token").rows())
    assert (lines["opening"], lines["absorption"], lines["trading"], lines["closing"]) == (0, -400, 0, -400)
    assert uw.metrics.solvency(r)["layers_usd"].to_list() == [100, 0]


def test_what_is_not_put_up_by_the_end_is_pending():
    assert dollars(auctioned(delay="3s")) == {"bad_debt": 500, "uncovered": 500, "pending": 500, "gross": 500}


def test_a_lot_at_a_time():
    r = auctioned([2000, *[1700] * 6], lot=200, interval="1s")
    assert raised(r) == [(2, 0, 200), (3, 0, 200), (4, 0, 100)]
    assert dollars(r)["token_later"] == 500


def test_losses_share_a_lot_in_their_order():
    r = auctioned([2000, 1700, *[1500] * 6], [LONG, SECOND], lot=400, interval="2s")
    assert raised(r) == [(2, 0, 400), (4, 0, 100), (4, 1, 300), (6, 1, 200)]


def test_lots_wait_for_the_price_to_recover():
    """500 in one sale, or 250 twice at a price that has forgotten the first."""
    impact = {"kind": "linear", "depth": 2000, "half_life": "0s"}
    path = [2000, *[1700] * 4]
    nominal = [
        float(auctioned(path, token={"price": 2, "impact": impact}, **lots).summary()["token"]["nominal_usd"])
        for lots in ({}, {"lot": 250, "interval": "1s"})
    ]
    assert nominal == pytest.approx([2000 - sqrt(2e6), 2 * (2000 - sqrt(3e6))], abs=1e-5)


def test_what_finds_no_bid_is_put_up_again():
    """All of the price is gone once 600 are sold, which has brought 300; half of it is back a second later, and 300 bring 75."""
    token = {"price": 2, "impact": {"kind": "linear", "depth": 600, "half_life": "1s"}}
    again = [float(amount) for _, _, amount in raised(auctioned(token=token, interval="1s"))]
    assert again == pytest.approx([300, 75], abs=1e-3)
    once = auctioned(token=token)
    assert (raised(once), dollars(once)["uncovered"], dollars(once).get("pending", 0)) == ([(2, 0, 300)], 200, 0)


def test_caps_hold_when_tokens_are_put_up():
    day = {"limits": {"token": {"periods": [{"every": "24h", "amount": 300}]}}}
    r = auctioned(more=day, interval="1s")
    assert (dollars(r)["token"], dollars(r)["pending"]) == (300, 200)
    again = {"limits": {"token": {"periods": [{"every": "3s", "amount": 300}]}}}
    assert raised(auctioned(more=again, interval="1s")) == [(2, 0, 300), (3, 0, 200)]


def test_a_cap_per_event_counts_all_that_was_raised_for_it():
    each = {"limits": {"token": {"per_event": 300}}}
    r = auctioned([2000, 1700, *[1500] * 8], [LONG, SECOND], more=each, lot=200, interval="1s")
    assert raised(r) == [(2, 0, 200), (3, 0, 100), (3, 1, 100), (4, 1, 200)]


def test_a_layer_that_pays_later_covers_nothing_before_adl():
    winner = isolated("winner", -5, 2000, 1000)
    more = {"adl": {}, "waterfall": ["token", "adl"]}
    assert dollars(auctioned(positions=[LONG, winner], more=more))["adl"] == 500
    at_once = run([LONG, winner], (2000, 1700), token={"supply": 1, "price": 1}, **more)
    assert dollars(at_once)["token"] == 500


def test_the_treasury_decides_before_tokens_are_put_up():
    more = {"treasury": {"balance": 300, "real_time": 0, "delay": "1s"}}
    r = auctioned(more=more)
    assert (dollars(r)["treasury_later"], dollars(r)["token_later"]) == (300, 200)
    assert dollars(auctioned((2000, 1700), more=more))["pending"] == 500  # claimed twice, lost once
    first = auctioned(more=more | {"waterfall": ["token", "treasury"]})
    assert (dollars(first).get("treasury_later", 0), dollars(first)["token_later"]) == (0, 500)


def late_deposit(second, amount):
    return auctioned(
        [2000, *[1700] * 5],
        [LONG, isolated("other", 1, 2000, 2000)],
        more={"events": [(second, "long", ETH, "deposit", amount)], "late_deposits": "recover"},
        delay="2s",
    )


def test_late_deposits_before_and_after():
    before, after = late_deposit(2, 200), late_deposit(4, 200)
    assert (raised(before), dollars(before)["recovered"]) == ([(3, 0, 300)], -200)
    assert (dollars(after)["token"], dollars(after)["token_later"], closing(after, "token")) == (300, 500, -300)


def test_attribution_foots():
    r = auctioned([2000, *[1700] * 5], more={"insurance_fund": fund(100)}, lot=300, interval="1s")
    by_layer = dict(uw.metrics.attribution(r).group_by("layer").agg(pl.col("amount_usd").sum()).rows())
    assert by_layer == {"insurance_fund": 100, "token": 400}
    audit(r)


def test_maker_in_march_2020():
    """A debt of 5.67 million DAI of the 12th and 13th, for which more than 20,000 MKR were auctioned from the 19th on, 50,000 DAI
    at a time. At 275 dollars of a token, which is this test's, they are 20,618; a lot an hour takes 114 hours."""
    hour = 3600
    crash = isolated("vaults", 62_890, 194.97, round(62_890 * (194.97 - 95.87)) - 5_670_000)
    r = run(
        [crash],
        {ETH: [(0, 194.97), (hour, 95.87), (13 * 24 * hour, 120)]},
        token={"supply": 1_000_000, "price": 275, "auction": {"delay": "156h", "lot": 50_000, "interval": "1h"}},
    )
    late = r.postings.filter(kind="late_payment")
    lost = only(r.bad_debt)
    assert (lost["bad_debt_usd"], lost["token_later_usd"], lost["uncovered_usd"]) == (5_670_000, 5_670_000, 0)
    assert late["ts"][0] - lost["ts"] == timedelta(hours=156)
    assert late["ts"][-1] - late["ts"][0] == timedelta(hours=113)
    assert late["amount_usd"].to_list() == [50_000] * 113 + [20_000]
    assert float(r.summary()["token"]["minted"]) == pytest.approx(20_618.18, abs=0.01)


@pytest.mark.parametrize(
    ("auction", "named"),
    [({"delay": 0}, r"token\.auction\.delay"), ({"lot": 5}, "interval"), ({"lot": 0, "interval": "1s"}, "lot")],
)
def test_auctions_that_mean_nothing(auction, named):
    with pytest.raises(uw.ConfigError, match=named):
        auctioned(**auction)
