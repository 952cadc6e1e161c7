"""Borrow rates that follow from the utilisation of a run, checked by hand."""

from decimal import Decimal

import polars as pl
import pytest
from cases import book, closing, day, isolated

import underwater as uw

HOUR = 3_600
ROWS = [isolated("long", 5, 2000, 1000), isolated("short", -5, 2000, 4000)]
PATH = [(0, 2000), (HOUR, 2000), (2 * HOUR - 5, 1700), (2 * HOUR, 1700), (3 * HOUR, 1700)]
ETH = "ETH-PERP"


def gmx(**changes):
    """The preset at once at one feed, a pool of 40,000."""
    feeds = {"trigger_feed": "last", "execution_feed": "last", "collateral_feed": "last", "keeper.latency": 0}
    return uw.protocols.gmx_v1(pool=40_000, utilisation=0).with_(**{**feeds, "borrow.feed": "last", **changes})


def replay(rates=None):
    ticks, positions = day({ETH: PATH}), book(ROWS)
    changes = {} if rates is None else {"borrow.rates": rates}
    return ticks, positions, uw.replay(ticks, positions, gmx(**changes))


def test_what_is_reserved_over_what_the_pool_has():
    ticks, positions, result = replay()
    steps = uw.pools.utilisation(result, ticks, positions)
    # 20,000 dollars of positions; then the long is closed with a loss of 1,500, of which it had 1,000: less its fee of 10 and the
    # keeper's 5. The profit of the short is still open.
    assert steps["reserved_usd"].to_list() == [20_000, 10_000, 10_000]
    assert steps["pool_usd"].to_list() == [40_000, 40_985, 40_985]
    assert steps["utilisation"].to_list() == pytest.approx([0.5, 10_000 / 40_985, 10_000 / 40_985])


def test_the_next_run_pays_them_and_they_follow_from_it():
    ticks, positions, first = replay()
    rates = uw.pools.borrow_rates(first, ticks, positions)
    assert rates[ETH][0] == {"ts": HOUR * 10**9, "rate": "0.000050000000"}
    ticks, positions, second = replay(rates)
    # The short pays 0.00005 of 10,000 at the first hour, and 10,000 / 40,985 of a ten thousandth of 8,500 at each of the others.
    owed = Decimal("0.5") + 2 * Decimal(rates[ETH][1]["rate"]) * 8_500
    paid = second.accounts.filter(account="short")["closing_equity_usd"].item()
    assert first.accounts.filter(account="short")["closing_equity_usd"].item() - paid == pytest.approx(
        owed, abs=Decimal("1e-5")
    )
    # The long had owed half a dollar when it was closed: fees leave the pool, and it has the less.
    again = uw.pools.borrow_rates(second, ticks, positions)
    assert again[ETH][0] == rates[ETH][0]
    _, _, third = replay(again)
    assert uw.pools.borrow_rates(third, ticks, positions) == again
    assert closing(third, "fees") > closing(first, "fees")


def test_what_it_cannot_be_asked_of():
    ticks, positions, result = replay()
    plain = uw.replay(ticks, positions, uw.protocols.no_fund())
    with pytest.raises(uw.ConfigError, match="the pool is the other side"):
        uw.pools.utilisation(plain, ticks, positions)
    coin = day(
        {ETH: PATH},
        markets=[{"name": ETH, "kind": "inverse", "settlement": "ETH"}],
        assets=[{"name": "ETH", "price_market": ETH}],
    )
    with pytest.raises(uw.ConfigError, match="linear markets"):
        uw.pools.utilisation(result, coin, positions)
    events = pl.DataFrame({"account": ["long"], "market": [ETH], "kind": ["trade"], "size": [1]})
    traded = uw.Book.from_frames(positions.positions, None, events.with_columns(ts=pl.from_epoch(pl.lit(1))))
    with pytest.raises(uw.ConfigError, match="no trades"):
        uw.pools.utilisation(result, ticks, traded)
