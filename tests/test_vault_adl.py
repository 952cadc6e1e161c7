"""ADL of the vault's own positions, and the rules of what fills a venue refuses, checked by hand through the public API."""

import pytest
from cases import ETH, closing, dollars, flat, isolated, only, run, size_at_end

import underwater as uw

LONG = isolated("long", 5, 2000, 1000)
WINNER = isolated("winner", -5, 2000, 9000)


def vaulted(path, positions=(LONG, WINNER), balance=200, **changes):
    """At 1,850 the long has 250 left of a requirement of 463, and is taken over; the vault then has 450."""
    protocol = {
        "margin": flat("0.05"),
        "vault": {"balance": balance},
        "execution": {"takeover": {"below": "2/3", "floor": 0, "adl_pause": "2s"}},
        "adl": {"price": "previous_mark", "capacity": "position"},
    }
    return run(positions, path, **{**protocol, **changes})


def test_the_vault_is_deleveraged_at_the_mark_before_once_it_has_lost_its_capital():
    # At 1,770 it has 50 left; at 1,700 it lacks 300. Closed at 1,770 it keeps the 50, and the winner gives up 350.
    r = vaulted([2000, 1850, 1770, 1700, 1600])
    row = only(r.adl)
    assert (row["account"], row["loser"], row["kind"], row["price"]) == ("winner", "vault", "vault", 1770)
    assert (row["loser_equity_usd"], row["give_up_usd"]) == (-300, 350)
    assert (closing(r, "vault"), size_at_end(r, "vault"), size_at_end(r, "winner")) == (50, 0, 0)
    found = {"bad_debt": 300, "adl_overshoot": 50, "adl": 350, "gross": 300, "takeover_pnl": -150}
    assert dollars(r) == found
    loss = only(r.bad_debt)
    assert (loss["account"], loss["bad_debt_usd"], loss["adl_give_up_usd"]) == ("vault", 300, 350)
    assert uw.metrics.attribution(r).select("account", "bearer", "amount_usd").rows() == [("vault", "winner", 350)]
    assert r.summary()["metrics"]["adl_accounts"] == 1


def test_what_nobody_takes_stays_and_is_tried_again_after_the_pause():
    # The second winner is in profit from 1,690 on.
    few = [LONG, isolated("winner", -2, 2000, 9000), isolated("late", -3, 1690, 9000)]
    r = vaulted([2000, 1850, 1770, 1700, 1695, 1680], few)
    assert r.adl.select("account", "size").rows() == [("winner", 2), ("late", 3)]
    assert [ts.second for ts in r.adl["ts"]] == [3, 5]


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({}, 1),
        ({"execution": {"takeover": {"below": "2/3", "floor": 0}}}, 0),
        ({"waterfall": []}, 0),
        ({"vault": {"balance": 600}}, 0),
    ],
)
def test_only_where_it_is_asked_for_and_needed(changes, closed):
    assert len(vaulted([2000, 1850, 1770, 1700], **changes).adl) == closed


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"adl": {"price": "bankruptcy"}}, "adl.price"),
        ({"adl": None, "waterfall": []}, "execution.takeover.adl_pause"),
        (
            {"execution": {"bound": {"kind": "fillable", "remainder": "deleverage"}}},
            "execution.bound.remainder: deleverage refuses fills one by one",
        ),
        (
            {"execution": {"bound": {"kind": "fillable", "remainder": "deleverage"}}, "adl": None, "loss_unit": "fill"},
            "execution.bound.remainder",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(changes, named):
    with pytest.raises(uw.ConfigError, match=named):
        vaulted([2000, 1850], **changes)


def test_a_pause_of_nothing_is_refused():
    with pytest.raises(uw.ConfigError, match="adl_pause"):
        uw.Takeover(below="2/3", adl_pause=0)


def test_a_share_above_one_is_refused():
    with pytest.raises(uw.ConfigError, match="share"):
        uw.InitialShareMargin(rate="0.1", share=2)


def test_a_refused_fill_leaves_the_account_open_and_the_fund_whole():
    """The textbook long at 1,700 lacks 500, which a fund of 499 does not cover; nobody stands opposite."""
    protocol = {
        "execution": {"bound": {"kind": "fillable", "remainder": "deleverage"}},
        "loss_unit": "fill",
        "attribution": "maintenance",
        "adl": {"eligibility": "overlap", "capacity": "position"},
        "outside": "hedges",
        "margin": flat("0.05"),
    }

    def replay(fund):
        return run([LONG], [2000, 1700, 1700], insurance_fund={"balance": fund, "coverage": "all_or_none"}, **protocol)

    assert dollars(replay(499)) == {"open": 500, "gross": 500}
    paid = replay(500)
    assert (dollars(paid)["insurance_fund"], size_at_end(paid, "long", ETH)) == (500, 0)
