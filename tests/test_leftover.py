"""What ADL finds nobody for stays open and is tried again: 500 of the textbook loser, of which a short of 2 bears 200."""

from cases import LONG, closing, dollars, flat, fund, isolated, run, size_at_end, status

WINNER = isolated("winner", -2, 2000, 1000)
RULES = {"adl": {"leftover": "open"}, "outside": "hedges", "margin": flat("0.01")}


def test_the_leftover_is_sold_where_nothing_is_said():
    result = run([LONG, WINNER], [2000, 1700, 1700], **RULES | {"adl": {}})
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "adl": 200, "uncovered": 300}
    assert status(result)["long"] == "defaulted"


def test_the_leftover_stays_open():
    result = run([LONG, WINNER], [2000, 1700, 1700], **RULES)
    assert dollars(result) == {"bad_debt": 200, "gross": 500, "adl": 200, "open": 300}
    assert (status(result)["long"], size_at_end(result, "long"), size_at_end(result, "winner")) == ("queued", 3, 0)
    assert len(result.liquidations) == 0


def test_it_recovers_with_the_price():
    """Back at 2,000 the rest is worth 600: 3 of 5 ETH, which were 200 short of nothing each."""
    result = run([LONG, WINNER], [2000, 1700, 1700, 2000, 2000], **RULES)
    assert dollars(result) == {"bad_debt": 200, "gross": 200, "adl": 200}
    assert (status(result)["long"], size_at_end(result, "long")) == ("open", 3)
    assert result.accounts.filter(account="long")["closing_equity_usd"].item() == 600


def test_it_is_matched_once_there_is_somebody():
    """The second short is in profit only at 1,650: the next attempt, a second later, finds it. 3 ETH are then short of 450."""
    later = isolated("later", -3, 1690, 1000)
    result = run([LONG, WINNER, later], [2000, 1700, 1650, 1650], **RULES)
    assert result.adl.select("account", "size", "give_up_usd").rows() == [("winner", 2, 200), ("later", 3, 450)]
    assert result.adl["ts"].n_unique() == 2
    assert dollars(result) == {"bad_debt": 650, "gross": 650, "adl": 650}
    assert (status(result)["long"], closing(result, "long")) == ("defaulted", 0)


def test_what_the_fund_covers_is_sold_meanwhile():
    """The fund stands for 300 of 500, so that 3 are sold; of the other 2 one is matched. The last is open, and 400 are short."""
    small = isolated("winner", -1, 2000, 1000)
    result = run([LONG, small], [2000, 1700, 1700], insurance_fund=fund(300), **RULES)
    assert result.liquidations["size"].to_list() == [3, 0.75]  # and of what is left three quarters again
    assert dollars(result) == {"bad_debt": 100, "gross": 500, "adl": 100, "open": 400}
    assert closing(result, "insurance_fund") == 300
