"""The token backstop, checked by hand."""

from math import sqrt

import pytest
from cases import ETH, LONG, closing, dollars, fund, isolated, run

import underwater as uw

SECOND = isolated("second", 5, 1700, 500)
"""Short of 500 at 1,500."""


def backed(positions=(LONG,), path=(2000, 1700), limits=None, **token):
    supply_and_price = {"supply": 1000} | ({} if "market" in token else {"price": 2})
    return run(list(positions), path, token=supply_and_price | token, limits=limits or {})


def sold(result):
    return {name: float(value) for name, value in result.summary()["token"].items()}


def test_holders_bear_what_new_tokens_bring():
    r = backed()
    assert dollars(r) == {"bad_debt": 500, "token": 500, "gross": 500}
    assert sold(r) == {"minted": 250, "dilution": 0.25, "nominal_usd": 500, "raised_usd": 500}
    assert closing(r, "token") == -500
    assert r.bad_debt["token_usd"].to_list() == [500]
    assert uw.metrics.attribution(r).select("bearer", "kind").rows() == [("token", "token_holders")]


def test_buyers_get_a_discount():
    r = backed(discount="0.2")
    assert (sold(r)["nominal_usd"], dollars(r)["token_sale_cost"]) == (625, 125)


def test_the_price_is_that_of_a_market():
    r = backed(path={ETH: (2000, 1700), "GOV": (4, 1)}, market="GOV")
    assert sold(r)["minted"] == 500


def test_a_sale_moves_the_price():
    """G (1 - G / 4,000) = 500."""
    r = backed(impact={"kind": "linear", "depth": 2000})
    assert sold(r)["nominal_usd"] == pytest.approx(2000 - sqrt(2e6), abs=1e-5)
    assert dollars(r)["token"] == 500


def test_a_sale_moves_the_price_with_the_root():
    r = backed(impact={"kind": "square_root", "depth": 2000})
    nominal = sold(r)["nominal_usd"]
    assert nominal * (1 - 2 / 3 * sqrt(nominal / 2000)) == pytest.approx(500, abs=1e-5)


def test_a_token_can_be_worth_too_little():
    """The whole price is gone once 600 are sold, which has brought 300."""
    r = backed(impact={"kind": "linear", "depth": 600})
    assert (dollars(r)["token"], dollars(r)["uncovered"]) == (300, 200)


@pytest.mark.parametrize(("half_life", "second"), [(None, 2), ("0s", 1), ("1s", 1.5)])
def test_the_price_recovers(half_life, second):
    """The second loss is sold into a price that still bears all, nothing or half of the first sale."""
    impact = {"kind": "linear", "depth": 4000, "half_life": half_life}
    nominal = sold(backed([LONG, SECOND], (2000, 1700, 1500), impact=impact))["nominal_usd"]
    first = 4000 - sqrt(4000**2 - 8000 * 500)
    left = first * (second - 1)
    # G (1 - (left + G / 2) / 4,000) = 500
    after = (4000 - left) - sqrt((4000 - left) ** 2 - 8000 * 500)
    assert nominal == pytest.approx(first + after, abs=1e-4)


def test_a_cap_on_what_is_raised_in_a_day():
    r = backed([LONG, SECOND], (2000, 1700, 1500), limits={"token": {"periods": [{"every": "24h", "amount": 700}]}})
    assert (dollars(r)["token"], dollars(r)["uncovered"]) == (700, 300)


def test_it_comes_last():
    r = run([LONG], (2000, 1700), insurance_fund=fund(300), treasury={"balance": 50}, token={"supply": 1, "price": 1})
    assert (dollars(r)["insurance_fund"], dollars(r)["treasury"], dollars(r)["token"]) == (300, 50, 150)


def test_a_late_deposit_pays_the_holders_back():
    r = run(
        [LONG, isolated("other", 1, 2000, 2000)],
        (2000, 1700, 1700),
        events=[(2, "long", ETH, "deposit", 200)],
        token={"supply": 1000, "price": 2},
        late_deposits="recover",
    )
    assert (dollars(r)["token"], closing(r, "token")) == (300, -300)


@pytest.mark.parametrize(
    ("token", "named"),
    [
        ({"price": 1, "market": ETH}, r"token.*price"),
        ({"market": "GOV"}, "GOV"),
        ({"discount": 1}, r"token\.discount"),
    ],
)
def test_tokens_that_mean_nothing(token, named):
    with pytest.raises(uw.ConfigError, match=named):
        backed(**token)
