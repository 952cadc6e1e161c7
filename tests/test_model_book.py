"""The five positions of arXiv 2512.01112 through two steps of funding, replayed (their figures have 4 to 6 digits).

All enter at 1: A, B and D long of 1 with margins of 2, 2/3 and 2/19, C short of 4 with 8/3, E short of 1 with 10/99. The mark
goes to 1.4 and 1.3 over an index of 1.5 and 1.25, maintenance is 10 %. The rate of funding is L / S = 3/5 less mark over index,
and shorts pay it: longs pay 1/3 and then 0.44. The book is short of 2, which the outside holds against it.
"""

import pytest
from cases import dollars, isolated, run, size_at_end, status

import underwater as uw

BOOK = {"A": (1, 2), "B": (1, 2 / 3), "C": (-4, 8 / 3), "D": (1, 2 / 19), "E": (-1, 10 / 99)}
LATE = {"keeper": {"latency": "1h"}}


def replay(seconds=2, **protocol):
    rows = [isolated(name, size, 1, round(margin, 6), market="M") for name, (size, margin) in BOOK.items()]
    rates = [{"ts": 10**9, "rate": "1/3"}, {"ts": 2 * 10**9, "rate": "0.44"}]
    protocol = {
        "margin": {"maintenance": {"kind": "flat", "rate": "0.1"}},
        "funding": {"kind": "series", "rates": {"M": rates}},
    } | protocol
    return run(rows, {"M": [1, 1.4, 1.3][: seconds + 1]}, **protocol)


def equities(result):
    return {name: float(equity) for name, equity in result.accounts.select("account", "closing_equity_usd").rows()}


def test_equities_after_the_first_step():
    result = replay(1, **LATE)
    assert equities(result) == pytest.approx({"A": 1.9333, "B": 0.6, "C": 2.9333, "D": 0.0386, "E": 0.1677}, abs=5e-5)
    assert [name for name, state in status(result).items() if state == "queued"] == ["D"]
    assert size_at_end(result, "outside", "M") == 2


def test_equities_after_the_second_step_where_nobody_acts():
    result = replay(**LATE)
    found = equities(result)
    assert found == pytest.approx({"A": 1.2613, "B": -0.0720, "C": 5.6213, "D": -0.6334, "E": 0.8397}, abs=5e-5)
    assert float(dollars(result)["open"]) == pytest.approx(0.705404, abs=3e-6)
    sums = uw.metrics.solvency(result).filter(moment="closing").row(0, named=True)
    assert float(sums["wealth_usd"]) == pytest.approx(7.722343, abs=5e-6)
    assert float(sums["deficit_usd"]) == pytest.approx(0.705404, abs=3e-6)
    assert float(sums["deficit_usd"]) / float(sums["wealth_usd"]) == pytest.approx(0.091346, abs=1e-6)
    assert float(sums["wealth_usd"] - sums["deficit_usd"]) == pytest.approx(7.016940, abs=6e-6)
    assert uw.metrics.identities(result)["holds"].all()


def test_a_keeper_on_time_leaves_the_deficit_of_one():
    """D is closed at 1.4 while it has something; B is under water at once, by funding, and costs 0.072."""
    result = replay()
    assert status(result) == {"A": "open", "B": "defaulted", "C": "open", "D": "liquidated", "E": "open"}
    assert [(row["account"], float(row["price"])) for row in result.liquidations.rows(named=True)] == [
        ("D", 1.4),
        ("B", 1.3),
    ]
    assert float(dollars(result)["uncovered"]) == pytest.approx(0.072, abs=2e-6)
    assert equities(result)["D"] == pytest.approx(0.0386, abs=5e-5)
