"""Profits that the pool does not have are owed, and paid in turn once losers have paid in; checked by hand."""

import polars as pl
from cases import ETH, audit, closing, day, dollars, isolated

import underwater as uw

POOL = {
    "counterparty": "pool",
    "execution": {"counterparty": "pool"},
    "margin": {"maintenance": {"kind": "flat", "rate": "0.01"}},
}


def replay(positions, path, closes, balance=100, when_short="defer", **payout):
    """Everyone closes at the stated second, at the price of then."""
    events = pl.DataFrame(closes, schema=["second", "account", "size"], orient="row").select(
        pl.from_epoch("second").alias("ts"),
        "account",
        pl.col("size").cast(pl.Float64),
        market=pl.lit(ETH),
        kind=pl.lit("trade"),
        price=pl.lit(None, pl.Float64),
    )
    rules = {"pool": {"balance": balance}, "payout": {"when_short": when_short, **payout}} | POOL
    book = uw.Book.from_frames(pl.from_dicts(positions), None, events)
    result = uw.replay(day({ETH: path}), book, uw.Protocol.from_dict(rules))
    audit(result)
    return result


LONGS = [isolated("first", 1, 2000, 1000), isolated("second", 1, 2000, 1000)]
LOSER = isolated("loser", -2, 2000, 4000)
PATH = [2000, 2300, 2300, 2300]


def equities(result):
    return dict(result.accounts.select("account", "closing_equity_usd").rows())


def test_claims_wait_for_the_loser_and_are_paid_in_turn():
    """The pool has 100. The first has made 300 and gets 100 of it; the second gets nothing, until the loser has paid 600."""
    closes = [(1, "first", -1), (1, "second", -1), (2, "loser", 2)]
    result = replay([*LONGS, LOSER], PATH, closes)
    assert equities(result) == {"first": 1300, "second": 1300, "loser": 3400}
    assert dollars(result) == {}
    paid = result.postings.filter(kind="deferred_payout").select("from", "to", "amount").rows()
    assert paid == [("first", "pool", 200), ("second", "pool", 300), ("pool", "first", 200), ("pool", "second", 300)]
    assert closing(result, "pool") == 100


def test_what_never_comes_in_is_a_line_beside():
    result = replay(LONGS, PATH, [(1, "first", -1), (1, "second", -1)])
    assert dollars(result) == {"deferred_payouts": 500}
    assert result.accounts.select("account", "unpaid_profit_usd").rows() == [("first", 200), ("second", 300)]
    borne = uw.metrics.unpaid_profits(result)
    assert borne.select("account", "line", "amount_usd").rows() == [
        ("first", "deferred_payouts", 200),
        ("second", "deferred_payouts", 300),
    ]


def test_half_of_it_comes_in():
    """Half of the loser's position: 300 come in. The first gets its 200, the second 100 of 300."""
    result = replay([*LONGS, LOSER], PATH, [(1, "first", -1), (1, "second", -1), (2, "loser", 1)])
    assert equities(result) | {"loser": 0} == {"first": 1300, "second": 1100, "loser": 0}
    assert dollars(result) == {"deferred_payouts": 200}


def test_who_is_owed_comes_before_who_comes_later():
    """300 come in together with a third winner: the claims take them, and its own profit waits."""
    third = isolated("third", 1, 2100, 1000)
    closes = [(1, "first", -1), (1, "second", -1), (2, "loser", 1), (2, "third", -1)]
    result = replay([*LONGS, LOSER, third], PATH, closes)
    assert {name: e for name, e in equities(result).items() if name != "loser"} == {
        "first": 1300,
        "second": 1100,
        "third": 1000,
    }
    assert dollars(result) == {"deferred_payouts": 400}


def test_refused_ones_are_never_paid():
    result = replay([*LONGS, LOSER], PATH, [(1, "first", -1), (1, "second", -1), (2, "loser", 2)], when_short="refuse")
    assert equities(result)["second"] == 1000
    assert dollars(result) == {"refused_payouts": 500}


def test_claims_are_tried_once_more_when_all_is_closed_at_the_end():
    result = replay([*LONGS, LOSER], PATH, [(1, "first", -1), (1, "second", -1)], at_end=True)
    assert equities(result) == {"first": 1300, "second": 1300, "loser": 3400}
