"""Funding and borrow fees, on days whose figures can be checked by hand."""

import polars as pl
from cases import ETH, closing, dollars, flat, isolated, only, run, status

import underwater as uw

RICH = 100_000


def given(*points):
    return {"kind": "series", "rates": {ETH: [{"ts": second * 10**9, "rate": rate} for second, rate in points]}}


def equities(result):
    return dict(result.accounts.select("account", "closing_equity_usd").rows())


def test_longs_pay_shorts():
    pair = [isolated("long", 1, 2000, RICH), isolated("short", -1, 2000, RICH)]
    result = run(pair, [2000, 2000], funding=given((1, 0.01)))
    assert equities(result) == {"long": RICH - 20, "short": RICH + 20}
    result = run(pair, [2000, 2000], funding=given((1, -0.005)))
    assert equities(result) == {"long": RICH + 10, "short": RICH - 10}
    assert closing(result, "funding") == closing(result, "rounding") == 0


def test_the_outside_pays_for_what_it_holds():
    result = run(
        [isolated("long", 5, 2000, RICH), isolated("short", -3, 2000, RICH)], [2000, 2000], funding=given((1, 0.01))
    )
    assert equities(result) == {"long": RICH - 100, "short": RICH + 60}
    # The positions cost 10,000 less 6,000; the outside is short of 2
    assert closing(result, "outside") == 4000 + 40
    paid = result.postings.filter(kind="funding").select("from", "to", "amount").sort("amount").rows()
    assert paid == [("funding", "outside", 40), ("funding", "short", 60), ("long", "funding", 100)]


def test_nothing_is_paid_at_the_open_or_after_the_end():
    pair = [isolated("long", 1, 2000, RICH), isolated("short", -1, 2000, RICH)]
    assert equities(run(pair, [2000, 2000], funding=given((0, 0.01), (2, 0.01)))) == {"long": RICH, "short": RICH}


def test_who_cannot_pay_is_closed_at_the_payment():
    # 100 less 200 at second 2, between the prints
    pair = [isolated("long", 1, 2000, 100), isolated("short", -1, 2000, RICH)]
    path = {ETH: [(0, 2000), (1, 2000), (5, 2000)]}
    result = run(pair, path, margin=flat(0.01), funding=given((2, 0.1)))
    assert result.liquidations["ts"].dt.epoch("s").to_list() == [2]
    row = only(result.bad_debt)
    assert (row["bad_debt_usd"], row["funding_borrow_usd"], row["principal_usd"]) == (100, 100, 0)
    assert equities(result)["short"] == RICH + 200
    assert dollars(result) == {"bad_debt": 100, "gross": 100, "uncovered": 100}


def test_it_is_owed_at_the_end_by_who_was_not_closed():
    pair = [isolated("long", 1, 2000, 100), isolated("short", -1, 2000, RICH)]
    result = run(pair, [2000, 2000], margin=flat(0), funding=given((1, 0.1)), keeper={"latency": "1h"})
    row = only(result.bad_debt.filter(status="open"))
    assert (row["bad_debt_usd"], row["funding_borrow_usd"], row["principal_usd"]) == (100, 100, 0)


def test_a_premium_is_pulled_toward_the_interest():
    markets = [{"name": ETH, "price_decimals": 0, "index": "I"}, {"name": "I", "price_decimals": 0}]
    path = {ETH: [(0, 1010), (1, 1010), (2, 1010), (4, 1010)], "I": [(0, 1000), (3, 1010)]}
    rules = {"kind": "premium", "interval": "4s", "sample": "1s", "interest": 0, "band": 0.0005}
    pair = [isolated("long", 1, 1010, RICH), isolated("short", -1, 1010, RICH)]
    # Premiums 1 %, 1 %, 0, 0: 0.5 % less 0.05 %, of 1,010
    result = run(pair, path, markets=markets, funding=rules)
    assert float(RICH - equities(result)["long"]) == 4.545
    result = run(pair, path, markets=markets, funding=rules | {"cap": 0.001, "share": "1/8"})
    assert float(equities(result)["short"] - RICH) == 0.12625


def test_both_sides_pay_borrow_fees():
    path = {ETH: [(0, 2000), (3600, 2000), (7200, 1000), (7201, 1000)]}
    pair = [isolated("long", 1, 2000, RICH), isolated("short", -2, 2000, RICH)]
    result = run(pair, path, borrow={"rate_per_hour": 0.01})
    # A hundredth of 2,000 and of 1,000 for each unit
    assert closing(result, "fees") == 3 * 30
    assert equities(result) == {"long": RICH - 1000 - 30, "short": RICH + 2000 - 60}
    pool = run(pair, path, borrow={"rate_per_hour": 0.01, "interval": "2h", "receiver": "pool"}, pool={"balance": 0})
    assert closing(pool, "pool") == 3 * 20


def test_a_time_may_be_written_as_people_do():
    point = uw.RatePoint(ts="1970-01-01T00:00:01Z", rate="0.01")
    assert point.ts == 10**9
    funding = uw.SeriesFunding(rates={ETH: (point,)})
    assert uw.Protocol.from_toml(uw.Protocol(funding=funding).to_toml()).funding == funding


def test_funding_flows_through_chunks_alike():
    pair = [isolated("long", 1, 2000, 280), isolated("short", -1, 2000, RICH)]
    rows = [{"ts": second, "market": ETH, "price": 2000.0 + second} for second in range(20)]
    ticks = uw.Ticks(pl.DataFrame(rows).with_columns(pl.from_epoch(pl.col("ts"))))
    protocol = uw.Protocol.from_dict({"margin": flat(0.05), "funding": given((3, 0.01), (7, 0.04), (12, 0.05))})
    book = uw.Book.from_frames(pl.from_dicts(pair))
    hashes = {uw.replay(ticks, book, protocol, chunk_ticks=chunk).state_hash for chunk in (None, 1, 3, 8)}
    assert len(hashes) == 1
    assert status(uw.replay(ticks, book, protocol))["long"] == "liquidated"
