"""Trades of the accounts themselves, with figures that can be checked by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from cases import audit

import underwater as uw

START = datetime(2025, 10, 10, tzinfo=UTC)
FALL = [2000, 2000, 2000, 1700, 1700]
"""Prices of ETH, one a minute."""


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def run(*trades: tuple[int, float, float | None], prices: list[int] = FALL, size: int = 0, **changes) -> uw.Result:
    """Ann has 1,000 dollars; trades are (minute, size, price)."""
    path = {"ts": [at(k) for k in range(len(prices))], "market": "ETH", "price": [float(p) for p in prices]}
    positions = pl.DataFrame(
        {"account": ["bob", "ann"], "market": "ETH", "size": [-1, size], "entry_price": 2000, "margin_mode": "cross"}
    )
    cash = pl.DataFrame({"account": ["bob", "ann"], "asset": "USD", "collateral": [5000, 1000]})
    events = pl.DataFrame(
        {"ts": [at(m) for m, _, _ in trades], "size": [s for _, s, _ in trades], "price": [p for _, _, p in trades]},
        schema_overrides={"size": pl.Float64, "price": pl.Float64},
    ).with_columns(account=pl.lit("ann"), kind=pl.lit("trade"), market=pl.lit("ETH"))
    ticks = uw.Ticks(pl.DataFrame(path), [uw.Market(name="ETH", price_decimals=2, size_decimals=3)])
    base = {"margin": {"maintenance": {"kind": "flat", "rate": "0.05"}, "initial_rate": "0.1"}}
    book = uw.Book.from_frames(positions if size else positions.head(1), cash, events)
    result = uw.replay(ticks, book, uw.Protocol.from_dict(base).with_(**changes))
    audit(result)
    return result


def ann(result: uw.Result) -> dict:
    return result.accounts.row(by_predicate=pl.col("account") == "ann", named=True)


def test_who_opens_before_the_fall_goes_under() -> None:
    """Five long at 2,000 on 1,000 dollars: 500 are missing at 1,700, and nobody pays."""
    result = run((1, 5, 2000))
    assert ann(result)["status"] == "defaulted"
    assert result.bad_debt["bad_debt_usd"].to_list() == [500]
    trade = result.postings.row(by_predicate=pl.col("kind") == "trade", named=True)
    assert (trade["from"], trade["to"], trade["amount"]) == ("ann", "outside", 10_000)


def test_who_closes_before_the_fall_does_not() -> None:
    result = run((1, 5, None), (2, -5, None))
    assert (ann(result)["status"], ann(result)["closing_equity_usd"]) == ("open", 1000)
    assert not len(result.positions.filter(holder="ann"))  # none at the open, none at the end


def test_a_close_keeps_what_it_earned() -> None:
    """Two long from the open, sold at 1,900 and bought back at 1,700: 200 lost, then nothing."""
    result = run((1, -2, 1900), (4, 2, 1700), size=2)
    assert ann(result)["closing_equity_usd"] == 800
    assert result.positions.filter(holder="ann")["closing_entry_value"].item() == 3400


def test_a_position_is_turned_over() -> None:
    """From 2 long to 1 short at 2,000: the fall brings 300."""
    result = run((1, -3, 2000), size=2)
    assert ann(result)["closing_equity_usd"] == 1300
    assert result.positions.filter(holder="ann").select("closing_size", "closing_entry_value").row(0) == (-1, -2000)


@pytest.mark.parametrize(
    ("trades", "size", "reason"),
    [
        ([(1, 6, 2000)], 0, "below the initial requirement"),  # 12,000 need 1,200
        ([(1, -10, 2000)], 2, "below the initial requirement"),  # turned over to 8 short
        ([(3, -1, 1700)], 5, "the account is being liquidated"),
        ([(4, 1, 1700)], 5, "the account is closed"),
        ([(9, 1, 1700)], 0, "after the end of the tape"),
    ],
)
def test_refused_trades_are_listed(trades, size, reason) -> None:
    late = "90s" if reason == "the account is being liquidated" else "0s"
    prices = [2000, 2000, 1700, 1700, 1700] if size == 5 else FALL
    result = run(*trades, size=size, prices=prices, **{"keeper.latency": late})
    refused = result.rejected_events.row(0, named=True)
    assert (refused["kind"], refused["market"], refused["reason"]) == ("trade", "ETH", reason)
    assert float(refused["size"]) == trades[0][1]


def test_who_reduces_need_not_meet_the_initial_requirement() -> None:
    """Five long at 1,880: equity 400, 940 needed to open. One may be sold; four need 376 to stay."""
    result = run((3, -1, 1880), prices=[2000, 2000, 2000, 1880, 1880], size=5)
    assert not len(result.rejected_events)
    assert result.positions.filter(holder="ann")["closing_size"].to_list() == [4]
