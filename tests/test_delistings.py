"""Delistings and final settlement, in small numbers, through the public API."""

import polars as pl
import pytest
from cases import (
    ETH,
    LONG,
    SHORT,
    audit,
    closing,
    cross,
    day,
    dollars,
    flat,
    fund,
    isolated,
    only,
    run,
    size_at_end,
    status,
)

import underwater as uw

NEVER = {"keeper": {"latency": "1h"}}
"""Nobody is liquidated before the settlement."""


def delist(price=None, at="1s", **more):
    price = {} if price is None else {"price": {"kind": "fixed", "price": price}}
    return {"delistings": [{"market": ETH, "trigger": {"kind": "time", "at": at}, **price, **more}]}


def test_everything_is_closed_at_the_stated_price():
    result = run([LONG, SHORT], [2000, 1900, 1850], **delist(1950))
    # 5 ETH down 50, against a price of 1,900: the long gains 250 by the settlement, the short pays it.
    assert (closing(result, "long"), closing(result, "short")) == (750, 1250)
    assert status(result) == {"long": "open", "short": "open"}
    assert [size_at_end(result, holder) for holder in ("long", "short", "outside")] == [0, 0, 0]
    assert dollars(result) == {}
    assert set(result.postings["kind"]) == {"settlement"}


def test_the_outside_bears_the_price_for_its_own_inventory():
    result = run([LONG], [2000, 1900, 1850], **delist(1950))
    assert dollars(result) == {"settlement:accounts": 250, "settlement:outside": -250}
    assert (closing(result, "long"), size_at_end(result, "outside")) == (750, 0)


@pytest.mark.parametrize(
    ("price", "worth"),
    [({"kind": "mark"}, 1900), ({"kind": "feed", "feed": "slow"}, 2000), ({"kind": "fixed", "price": 1700}, 1700)],
)
def test_prices_of_a_settlement(price, worth):
    feeds = {"slow": {"kind": "push", "deviation": 1, "heartbeat": "1h"}}
    rows = [isolated("long", 5, 2000, 5000), SHORT]
    result = run(
        rows,
        [2000, 1900, 1850],
        feeds=feeds,
        delistings=[{"market": ETH, "trigger": {"kind": "time", "at": "1s"}, "price": price}],
    )
    assert closing(result, "long") == 5000 + 5 * (worth - 2000)


def test_a_loss_runs_through_the_waterfall():
    result = run([LONG, SHORT], [2000, 1900, 1700], insurance_fund=fund(300), **NEVER, **delist(at="2s"))
    row = only(result.bad_debt)
    assert (row["account"], row["bad_debt_usd"], row["insurance_fund_usd"], row["uncovered_usd"]) == (
        "long",
        500,
        300,
        200,
    )
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "insurance_fund": 300, "uncovered": 200}
    assert status(result) == {"long": "defaulted", "short": "open"}
    assert closing(result, "short") == 2500


def test_final_settlement_closes_the_negative_at_their_bankruptcy_price():
    """dYdX v4: the long is bankrupt at 1,800 and matched there with the short, who is settled at 1,700 with what is left."""
    rows = [LONG, isolated("short", -8, 2000, 2000), isolated("other", 3, 2000, 6000)]
    result = run(rows, [2000, 1900, 1700], adl={}, waterfall=[], **NEVER, **delist(at="2s", negative="adl"))
    row = only(result.adl)
    assert (row["account"], row["loser"], row["size"], row["price"], row["give_up_usd"]) == (
        "short",
        "long",
        5,
        1800,
        500,
    )
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "adl": 500}
    assert (closing(result, "short"), closing(result, "other")) == (2000 + 5 * 200 + 3 * 300, 6000 - 900)


def test_other_positions_stay_open():
    legs = [cross("a", 5, 2000), cross("a", 1, 100, "BTC")]
    prices = {ETH: [2000, 1900, 1850], "BTC": [100, 100, 90]}
    result = run(legs, prices, cash=[("a", "USD", 1000)], **delist(1900))
    assert [size_at_end(result, "a", market) for market in (ETH, "BTC")] == [0, 1]
    assert result.accounts["closing_equity_usd"].to_list() == [1000 - 500 - 10]


def test_what_the_vault_holds_is_settled_too():
    rows = [isolated("short", -2000, 1900, 300_000)]
    rules = {
        "margin": flat("0.03"),
        "execution": {"counterparty": "vault"},
        "vault": {"balance": 0},
        "residual": "vault",
    }
    result = run(rows, [1900, 2000, 7000, 7000], **rules, **delist(1900, at="3s"))
    # Taken over at 2,000 with what is left of the margin, 100,000, and settled at 1,900: a gain instead of 9.9 M lost.
    assert dollars(result) == {
        "takeover_pnl": 300_000,
        "settlement:vault": 10_200_000,
        "settlement:outside": -10_200_000,
    }
    assert (size_at_end(result, "vault"), size_at_end(result, "outside")) == (0, 0)


def test_a_settled_market_takes_no_trades():
    rows = pl.from_dicts([isolated("long", 5, 2000, 100_000), SHORT])
    trades = pl.DataFrame({"second": [0, 1, 2], "size": [1.0] * 3, "price": [2000.0] * 3}).select(
        pl.from_epoch("second").alias("ts"),
        "size",
        "price",
        account=pl.lit("long"),
        market=pl.lit(ETH),
        kind=pl.lit("trade"),
    )
    book = uw.Book.from_frames(rows, None, trades)
    result = uw.replay(day({ETH: [2000, 2000, 2000]}), book, uw.Protocol.from_dict(delist(2000)))
    audit(result)
    assert result.rejected_events["reason"].to_list() == ["the market is settled"] * 2
    assert size_at_end(result, "long") == 0


def test_once_so_much_is_uncovered():
    more = isolated("later", 5, 1800, 700)
    trigger = {"kind": "uncovered", "amount": 500, "delay": "1s"}
    result = run([LONG, SHORT, more], [2000, 1700, 1700, 1600], delistings=[{"trigger": trigger}])
    # 500 uncovered at second 1, so that all is settled at second 2, at 1,700.
    assert closing(result, "later") == 200
    assert closing(result, "short") == 2500


def test_after_a_halt():
    halts = [{"start": "1s", "end": "3s"}]
    one = {"market": ETH, "trigger": {"kind": "halt"}}
    result = run([LONG, SHORT], [(0, 2000), (2, 1900), (4, 1950)], halts=halts, delistings=[one])
    assert closing(result, "long") == 500
    assert result.postings["ts"][0].timestamp() == 3


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (delist(negative="adl"), "delistings.0.negative: adl is not configured"),
        (delist(1900, negative="adl") | {"adl": {}}, "negative: expected the price mark"),
        (delist("0.001234567891"), "delistings.0.price.price: .* does not fit"),
        ({"delistings": [{"market": "XYZ", "trigger": {"kind": "time", "at": "1s"}}]}, "there is no market"),
        ({"delistings": [{"market": ETH, "trigger": {"kind": "halt"}}]}, "there is no halt"),
        (
            {
                "delistings": [
                    {"market": ETH, "trigger": {"kind": "time", "at": "1s"}, "price": {"kind": "feed", "feed": "x"}}
                ]
            },
            "delistings.0.price.feed: no feed is named",
        ),
        ({"delistings": [{"trigger": {"kind": "uncovered", "amount": 0}}]}, "delistings.0.trigger"),
    ],
)
def test_wrong_delistings_are_named(protocol, message):
    with pytest.raises(uw.ConfigError, match=message):
        run([LONG, SHORT], [2000, 1900], **protocol)
