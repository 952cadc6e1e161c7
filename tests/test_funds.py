"""Insurance funds of some markets, checked by hand."""

import pytest
from cases import ETH, LONG, SHORT, closing, cross, dollars, flat, fund, isolated, run, textbook

import underwater as uw

BTC = "BTC-PERP"
OWN = f"insurance_fund:{ETH}"


def funds(general=5000, coverage="slices", **own):
    """A general fund, and one for each market: a balance, or fields."""
    own = {name: fields if isinstance(fields, dict) else {"balance": fields} for name, fields in own.items()}
    return fund(general, coverage) | {"funds": own}


def test_a_loss_is_paid_by_the_fund_of_its_market_alone():
    r = run([LONG], (2000, 1700), insurance_fund=funds(**{ETH: 300}))
    assert dollars(r) == {"bad_debt": 500, "insurance_fund": 300, "uncovered": 200, "gross": 500}
    assert (closing(r, OWN), closing(r, "insurance_fund")) == (0, 5000)


def test_an_isolated_market_whose_fund_starts_empty_is_deleveraged():
    """dYdX v4: 5 are matched at 1,800 although the general fund has plenty."""
    r = textbook((LONG, SHORT), insurance_fund=funds(coverage="all_or_none", **{ETH: {}}), adl={})
    assert dollars(r) == {"bad_debt": 500, "adl": 500, "gross": 500}


def test_markets_share_the_fund_of_their_group():
    """Each of two markets loses 500, the group has 700."""
    group = {"alts": {"balance": 700, "markets": [ETH, BTC]}}
    lost = isolated("btc", 5, 2000, 1000, BTC)
    r = run([LONG, lost], {ETH: (2000, 1700), BTC: (2000, 1700)}, insurance_fund=funds(**group))
    assert (dollars(r)["insurance_fund"], dollars(r)["uncovered"]) == (700, 300)
    assert closing(r, "insurance_fund:alts") == 0


def test_penalties_and_residuals_feed_the_fund_of_their_market():
    """Closed at 1,850 with 250: 1 % of 9,250 and the rest. Then a loss of 250."""
    early, late = LONG, isolated("late", 5, 1850, 500)
    r = run(
        [early, late],
        (2000, 1850, 1700),
        insurance_fund=funds(**{ETH: {}}),
        margin=flat("0.05"),
        penalty={"rate": "0.01"},
    )
    assert (dollars(r)["insurance_fund"], dollars(r)["uncovered"]) == (92.5, 157.5)
    r = run(
        [early, late],
        (2000, 1850, 1700),
        insurance_fund=funds(**{ETH: {}}),
        margin=flat("0.05"),
        residual="insurance_fund",
    )
    assert (dollars(r)["insurance_fund"], closing(r, OWN)) == (250, 0)


BOTH = [cross("both", 5, 2000), cross("both", 10, 850, BTC)]
"""At 1,700 and 850: 8,500 in each market, and 500 short with 1,000 of cash."""
PRICES = {ETH: (2000, 1700), BTC: (850, 850)}


def test_a_loss_in_two_markets_is_divided_by_notional():
    r = run(BOTH, PRICES, cash=[("both", "USD", 1000)], insurance_fund=funds(**{BTC: 100}))
    assert (dollars(r)["insurance_fund"], dollars(r)["uncovered"]) == (350, 150)
    assert (closing(r, "insurance_fund"), closing(r, f"insurance_fund:{BTC}")) == (4750, 0)


def test_adl_takes_of_each_leg_what_its_own_fund_does_not_cover():
    """The ETH leg is sold whole, of the BTC leg 4; 6 are matched at 875, 25 above the market."""
    short = isolated("short", -10, 1000, 5000, BTC)
    r = run([*BOTH, short], PRICES, cash=[("both", "USD", 1000)], insurance_fund=funds(**{BTC: 100}), adl={})
    assert {line: dollars(r).get(line, 0) for line in ("insurance_fund", "adl", "uncovered")} == {
        "insurance_fund": 350,
        "adl": 150,
        "uncovered": 0,
    }
    assert dict(r.liquidations.select("market", "size").rows()) == {ETH: 5, BTC: 4}


def test_the_penalty_of_a_leg_goes_to_its_market():
    """One of two legs is closed, with a penalty of 1 % of 8,500."""
    r = run(
        BOTH,
        PRICES,
        cash=[("both", "USD", 2000)],
        insurance_fund=funds(0, **{BTC: {}}),
        margin=flat("0.05"),
        penalty={"rate": "0.01"},
        close={"policy": {"kind": "split", "threshold": 0, "share": 1}, "positions": "market"},
    )
    assert (closing(r, "insurance_fund"), closing(r, f"insurance_fund:{BTC}")) == (0, 85)


def test_a_trigger_watches_the_fund_of_the_loss():
    """ADL starts once the fund of the market has lost half: in BTC, not in ETH."""
    start = {"kind": "drawdown", "of": "insurance_fund", "share": "0.5"}
    losers = [isolated(f"{m} {k}", 5, 2000, 1000, m) for m in (BTC, ETH) for k in (1, 2)]
    shorts = [isolated(f"short {m}", -10, 2000, 9000, m) for m in (BTC, ETH)]
    r = run(
        [*losers, *shorts],
        {ETH: (2000, 1700), BTC: (2000, 1700)},
        insurance_fund=funds(9000, **{BTC: 1000}),
        adl={"capacity": "position"},
        waterfall=["adl", "insurance_fund"],
        limits={"adl": {"start": start}},
    )
    assert (dollars(r)["insurance_fund"], dollars(r)["adl"]) == (1500, 500)
    assert set(r.adl["market"]) == {BTC}


def test_each_fund_has_its_own_caps():
    losers = [isolated(f"{m} {k}", 5, 2000, 1000, m) for m in (BTC, ETH) for k in (1, 2)]
    cap = {"insurance_fund": {"periods": [{"every": "1h", "amount": 600}]}}
    path = {ETH: (2000, 1700), BTC: (2000, 1700)}
    r = run(losers, path, insurance_fund=funds(**{BTC: 5000}), limits=cap)
    assert (dollars(r)["insurance_fund"], dollars(r)["uncovered"]) == (1200, 800)


def test_a_late_deposit_is_paid_back_to_the_fund_that_paid():
    r = run(
        [LONG, isolated("other", 1, 2000, 2000)],
        (2000, 1700, 1700),
        events=[(2, "long", ETH, "deposit", 400)],
        insurance_fund=funds(**{ETH: 300}),
        late_deposits="recover",
    )
    assert (closing(r, OWN), closing(r, "insurance_fund")) == (200, 5000)


def test_the_metrics_know_each_fund():
    r = run(BOTH, PRICES, cash=[("both", "USD", 1000)], insurance_fund=funds(**{BTC: 100}))
    rows = uw.metrics.funds(r).select("fund", "opening_usd", "received_usd", "paid_usd", "closing_usd", "claims").rows()
    assert rows == [("insurance_fund", 5000, 0, 250, 4750, 1), (f"insurance_fund:{BTC}", 100, 0, 100, 0, 1)]
    assert uw.metrics.layer_result(r, "insurance_fund").filter(line="trading")["amount_usd"].item() == 0
    paid = uw.metrics.attribution(r).filter(layer="insurance_fund")["amount_usd"].sum()
    assert paid == dollars(r)["insurance_fund"]


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"a": {"markets": [ETH]}, ETH: {}}, r"insurance_fund\.funds"),
        ({"a": {"markets": []}}, r"insurance_fund\.funds\.a\.markets"),
        ({"DOGE": {}}, "DOGE"),
    ],
)
def test_funds_that_mean_nothing(own, named):
    with pytest.raises(uw.ConfigError, match=named):
        run([LONG], (2000, 1700), insurance_fund=fund(1) | {"funds": own})


def test_the_names_of_funds_are_taken():
    with pytest.raises(uw.BookError, match="name of an insurance fund"):
        run([isolated(OWN, 5, 2000, 1000)], (2000, 1700), insurance_fund=funds(**{ETH: {}}))
