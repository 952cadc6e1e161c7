"""Losses socialised by deposits, checked by hand: 500 of a textbook loser, cut from everyone's collateral."""

from cases import LONG, SHORT, closing, dollars, flat, fund, isolated, run, textbook

import underwater as uw

BY_DEPOSITS = {"socialised": {"by": "deposits"}}


def cut(result):
    return dict(
        result.accounts.filter(result.accounts["socialised_usd"] != 0).select("account", "socialised_usd").rows()
    )


def test_a_loss_cuts_every_collateral_in_proportion():
    """500 over deposits of 3,000 and 1,000, whatever they have made of them."""
    savers = [("saver", "USD", 3000)]
    result = run([LONG, SHORT], (2000, 1700), cash=savers, insurance_fund=fund(100), **BY_DEPOSITS)
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 100, "socialised": 400}
    assert cut(result) == {"short": 100, "saver": 300}
    assert dict(result.accounts.select("account", "closing_equity_usd").rows()) == {
        "long": 0,
        "short": 2400,
        "saver": 2700,
    }
    assert closing(result, "socialised") == 0


def test_profit_on_paper_is_no_deposit():
    """Two with a margin of 500: a short that is 300 up, and a long that is 100 up."""
    rows = [LONG, isolated("short", -1, 2000, 500), isolated("long too", 1, 1600, 500)]
    result = run(rows, (2000, 1700), **BY_DEPOSITS)
    assert cut(result) == {"short": 250, "long too": 250}


def test_the_cut_brings_others_down_in_the_same_instant():
    """The thin one has 330 and is down 300: half of its deposit is 165, and the rich pays for what it then lacks."""
    rows = [LONG, isolated("thin", 1, 2000, 330)]
    result = run(rows, (2000, 1700, 1700), cash=[("rich", "USD", 670)], margin=flat("0.01"), **BY_DEPOSITS)
    assert result.liquidations["account"].to_list() == ["long", "thin"]
    assert result.liquidations["ts"].n_unique() == 1
    assert dollars(result) == {"bad_debt": 635, "gross": 635, "socialised": 635}
    assert cut(result) == {"thin": 165, "rich": 470}


def test_what_nobody_has_goes_to_the_layers_after_it():
    """Of 500 the only deposit bears 300; its owner then lacks 100 more."""
    result = textbook([LONG, isolated("poor", 1, 1800, 300)], treasury={"balance": 50}, **BY_DEPOSITS)
    assert cut(result) == {"poor": 300}
    assert dollars(result) == {"bad_debt": 600, "gross": 600, "socialised": 300, "treasury": 50, "uncovered": 250}
    assert closing(result, "socialised") == 0


def test_other_assets_are_left_alone():
    euros = {"assets": [{"name": "USD"}, {"name": "EURX"}]}
    result = run([LONG, SHORT], (2000, 1700), cash=[("saver", "EURX", 9000)], **BY_DEPOSITS, **euros)
    assert cut(result) == {"short": 500}


def test_clawback_rate():
    """CX-8 (old OKEx): a loss of 10, of which the fund has 4, over profits of 20 and 10."""
    rows = [isolated("loser", 3, 100, 20), isolated("a", -2, 100, 100), isolated("b", -1, 100, 100)]
    kept = run(rows, [100, 90], insurance_fund=fund(4), margin=flat("0.01"))
    assert uw.metrics.clawback_rate(kept) == 0.2
    assert uw.metrics.clawback_rate(run(rows, [100, 100])) is None
