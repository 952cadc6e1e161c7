"""Where insurance funds get money from, checked by hand."""

import polars as pl
import pytest
from cases import ETH, LONG, audit, book, closing, dollars, fund, isolated, run

import underwater as uw

SECOND = isolated("second", 5, 1700, 500)
"""Short of 500 at 1,500."""
FEES = {"rate": "0.0005", "share": "0.3", "every": "1s"}


def with_sizes(prints, positions, **protocol):
    """A replay over prints (second, price, size)."""
    rows = pl.DataFrame(prints, schema=["second", "price", "size"], orient="row")
    floats = rows.select("second", pl.col("price", "size").cast(pl.Float64))
    frame = floats.select(pl.from_epoch("second").alias("ts"), "price", "size", market=pl.lit(ETH))
    result = uw.replay(uw.Ticks(frame), book(positions), uw.Protocol.from_dict(protocol))
    audit(result)
    return result


CASE_18 = [(0, 2000, 500_000), (1, 2000, 500_000), (2, 1700, 0)]
"""Two billion have traded at 2,000 when the price falls."""
WHALE = isolated("whale", 1500, 2000, 300_000)
"""Short of 150,000 at 1,700."""


@pytest.mark.parametrize(("scale", "paid"), [("0.01", 3_000), ("1", 150_000)])
def test_a_share_of_the_fees_is_scaled_to_the_book(scale, paid):
    """Semantics case 18: 2 bn at 5 bp, 30 % to the fund, of which the book's part is a hundredth; or, by statement, all."""
    r = with_sizes(CASE_18, [WHALE], insurance_fund=fund(0) | {"fees": FEES}, execution={"book_scale": {ETH: scale}})
    assert (dollars(r)["bad_debt"], dollars(r)["insurance_fund"]) == (150_000, paid)
    assert dollars(r).get("uncovered", 0) == 150_000 - paid
    assert dollars(r)["fee_shares"] == {"0.01": 3_000, "1": 300_000}[scale]
    assert closing(r, "insurance_fund") == dollars(r)["fee_shares"] - paid


def test_the_scale_must_be_stated():
    with pytest.raises(uw.ConfigError, match=f"book_scale.*{ETH}"):
        with_sizes(CASE_18, [WHALE], insurance_fund=fund(0) | {"fees": FEES})


def test_a_share_of_fees_needs_sizes():
    scale = {"book_scale": {ETH: 1}}
    with pytest.raises(uw.DataError, match="column size"):
        run([LONG], (2000, 1700), insurance_fund=fund(0) | {"fees": FEES}, execution=scale)


def test_fees_come_at_their_cadence():
    """Every two seconds: at 2 what traded from 0 to 2; what trades later, at 4."""
    prints = [(0, 2000, 10), (1, 2000, 10), (2, 2000, 10), (3, 2000, 10), (4, 2000, 5), (5, 2000, 99)]
    fees = {"rate": "0.01", "share": "0.5", "every": "2s"}
    r = with_sizes(prints, [LONG], insurance_fund=fund(0) | {"fees": fees}, execution={"book_scale": {ETH: 1}})
    came = r.postings.filter(kind="fee_share")
    assert came.select(pl.col("ts").dt.second(), "amount_usd").rows() == [(2, 300), (4, 150)]


@pytest.mark.parametrize("chunk", [None, 1, 2, 5])
def test_windows_of_the_tape_do_not_show(chunk):
    prints = [(at, 2000 - 400 * (at > 5), 3 + at) for at in range(12)]
    rows = pl.DataFrame(prints, schema=["second", "price", "size"], orient="row")
    frame = rows.select(
        pl.from_epoch("second").alias("ts"), pl.col("price", "size").cast(pl.Float64), market=pl.lit(ETH)
    )
    refill = {"kind": "refill", "below": 90, "amount": 7, "delay": "3s"}
    protocol = uw.Protocol.from_dict(
        {
            "insurance_fund": fund(5) | {"fees": FEES | {"every": "3s"}, "injections": [refill]},
            "execution": {"book_scale": {ETH: "1/3"}},
        }
    )
    results = [uw.replay(uw.Ticks(frame), book([LONG]), protocol, chunk_ticks=c) for c in (None, chunk)]
    assert results[0].state_hash == results[1].state_hash
    assert len(results[1].postings.filter(kind="injection")) == 3


def injected(*injections, path=(2000, 1700, 1500), start=100, **more):
    r = run([LONG, SECOND], path, insurance_fund=fund(start) | {"injections": list(injections)}, **more)
    came = r.postings.filter(kind="injection").select(pl.col("ts").dt.second(), "amount_usd").rows()
    return dollars(r), came


def test_a_scheduled_injection():
    """The first loss takes the 100; the second meets 300 more."""
    lines, came = injected({"kind": "scheduled", "at": "2s", "amount": 300})
    assert (lines["insurance_fund"], lines["uncovered"], lines["injections"]) == (400, 600, 300)
    assert came == [(2, 300)]


def test_an_injection_that_comes_too_late():
    lines, came = injected({"kind": "scheduled", "at": "3s", "amount": 300})
    assert (lines["insurance_fund"], came) == (100, [])


@pytest.mark.parametrize(
    ("refill", "came", "paid"),
    [
        ({}, [(1, 200), (2, 200)], 300),  # at once, after each loss has taken all
        ({"total": 250}, [(1, 200), (2, 50)], 300),
        ({"delay": "1s"}, [(2, 200)], 300),  # set off at 1; comes at 2, before the second loss
        ({"delay": "2s"}, [], 100),
        ({"below": 0}, [], 100),
    ],
)
def test_a_fund_that_is_low_is_refilled(refill, came, paid):
    lines, found = injected({"kind": "refill", "below": 50, "amount": 200} | refill)
    assert (found, lines["insurance_fund"]) == (came, paid)


def test_the_treasury_gives_what_it_has():
    refill = {"kind": "refill", "below": 50, "amount": 200, "giver": "treasury"}
    lines, came = injected(refill, treasury={"balance": 250}, waterfall=["insurance_fund"])
    assert (came, lines["insurance_fund"]) == ([(1, 200), (2, 50)], 300)


def test_each_fund_has_its_own_sources():
    own = {ETH: {"injections": [{"kind": "scheduled", "at": "1s", "amount": 300}]}}
    r = run([LONG], (2000, 1700), insurance_fund=fund(0) | {"funds": own})
    assert (dollars(r)["insurance_fund"], closing(r, "insurance_fund")) == (300, 0)


def test_a_giver_that_is_not_there():
    with pytest.raises(uw.ConfigError, match=r"insurance_fund\.injections\.0\.giver"):
        injected({"kind": "scheduled", "at": "1s", "amount": 1, "giver": "treasury"})


def test_the_path_of_a_fund_shows_what_came_and_went():
    own = {ETH: {"balance": 50, "injections": [{"kind": "scheduled", "at": "1s", "amount": 300}]}}
    r = run([LONG], (2000, 2000, 1700, 1700), insurance_fund=fund(100) | {"funds": own})
    assert r.timeline["insurance_fund_usd"].to_list() == [450, 100]
    assert uw.metrics.path(r)["level_usd"].to_list() == [150, 450, 100, 100]
    path = uw.metrics.balance_path(r, f"insurance_fund:{ETH}")
    assert path.select(pl.col("ts").dt.second(), "balance").rows() == [(0, 50), (1, 350), (2, 0)]
    fall = uw.metrics.max_drawdown(path, "balance")
    assert (fall.drawdown, fall.trough_ts.second) == (350, 2)
    assert uw.metrics.balance_path(r)["balance"].to_list() == [100]  # the general one, which had nothing to pay
