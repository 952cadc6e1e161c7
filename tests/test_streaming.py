"""A tape read in chunks: markets that cannot matter are not read, and the tape is no shorter for it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from cases import isolated

import underwater as uw
from underwater.result import FRAMES

START = datetime(2025, 10, 10, tzinfo=UTC)
PROTOCOL = uw.Protocol(insurance_fund={"balance": 300}, keeper={"latency": "5s"})


def ticks_of(market, prices, *, start=0, every=10):
    ts = [START + timedelta(seconds=start + every * k) for k in range(len(prices))]
    return pl.DataFrame({"ts": pl.Series(ts, dtype=pl.Datetime("ns", "UTC")), "market": market, "price": prices})


MARKETS = [
    uw.Market(name="ETH-PERP", price_decimals=2, index="ETH"),
    uw.Market(name="ETH", price_decimals=2),
    uw.Market(name="LATE", price_decimals=4),
    uw.Market(name="OTHER", price_decimals=1),
]
DAY = {
    "ETH-PERP": ticks_of("ETH-PERP", [2000.0, 1990.0, 1700.0], start=60),
    "ETH": ticks_of("ETH", [2001.0, 1701.0], start=70),
    "LATE": ticks_of("LATE", [5.0] * 3, start=500),
    "OTHER": ticks_of("OTHER", [7.0] * 20),
}
BOOK = uw.Book.from_frames(pl.DataFrame([isolated("long", 5, 2000, 600)]))


@pytest.fixture
def files(tmp_path):
    for market, frame in DAY.items():
        uw.Ticks(frame, [m for m in MARKETS if m.name == market and m.index is None] or None).write(
            tmp_path / f"{market}.parquet"
        )
    return tmp_path


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize("events", [None, 400, 520, 521])
def test_the_result_is_that_of_the_whole_tape(files, chunk, events):
    """The other markets begin and end the tape: a withdrawal after the last ETH tick still counts until the end of all."""
    book = BOOK
    if events is not None:
        ts = pl.Series([START + timedelta(seconds=events)], dtype=pl.Datetime("ns", "UTC"))
        event = {"ts": ts, "account": "idle", "kind": "withdrawal", "asset": "USD", "amount": [10.0]}
        cash = pl.DataFrame({"account": ["idle"], "asset": ["USD"], "collateral": [100.0]})
        book = uw.Book.from_frames(pl.DataFrame([isolated("long", 5, 2000, 600)]), cash, pl.DataFrame(event))
    scan = uw.Ticks.scan(files, MARKETS)
    whole = uw.replay(uw.Ticks.scan(files, MARKETS).load(), book, PROTOCOL)
    streamed = uw.replay(scan, book, PROTOCOL, chunk_ticks=chunk)
    assert streamed.summary() == whole.summary()
    assert streamed.summary()["ticks"] == 28
    assert streamed.state_hash == whole.state_hash
    for name in FRAMES:
        assert streamed._frame(name).equals(whole._frame(name)), name
    assert whole.timeline["ts"].to_list() == [START + timedelta(seconds=85)]
    assert len(whole.rejected_events) == (events == 521)


def test_files_of_markets_that_cannot_matter_are_not_opened(files):
    expected = uw.replay(uw.Ticks.scan(files, MARKETS).load(), BOOK, PROTOCOL).state_hash
    scan = uw.Ticks.scan(files, MARKETS)  # reads the footers, and with them the first and the last time
    (files / "OTHER.parquet").unlink()
    (files / "LATE.parquet").unlink()
    assert uw.replay(scan, BOOK, PROTOCOL, chunk_ticks=2).state_hash == expected
    (files / "ETH.parquet").unlink()
    with pytest.raises(uw.MissingFileError, match=r"ETH\.parquet"):
        uw.replay(scan, BOOK, PROTOCOL, chunk_ticks=2)


def test_a_hundred_thousand_events_in_one_instant():
    """Not timed: with a search through all accounts for each event this would take minutes."""
    accounts = 100_000
    names = pl.int_range(accounts, eager=True).cast(pl.String)
    positions = pl.DataFrame({"account": names}).with_columns(
        market=pl.lit("ETH-PERP"),
        size=pl.lit(5.0),
        entry_price=pl.lit(2000.0),
        margin_mode=pl.lit("isolated"),
        collateral=pl.lit(600.0),
    )
    at = pl.lit(START + timedelta(seconds=80)).cast(pl.Datetime("ns", "UTC"))
    # At 1,700 all lack more than 900; the first half bring enough in time.
    events = pl.DataFrame({"account": names}).select(
        ts=at,
        account="account",
        market=pl.lit("ETH-PERP"),
        kind=pl.lit("deposit"),
        asset=pl.lit("USD"),
        amount=pl.when(pl.int_range(pl.len()) < accounts // 2).then(2000.0).otherwise(1.0),
    )
    book = uw.Book.from_frames(positions, None, events)
    result = uw.replay(uw.Ticks(DAY["ETH-PERP"]), book, uw.Protocol(insurance_fund={"balance": 300}))
    counts = result.summary()
    assert (counts["liquidated"], counts["rejected_events"]) == (accounts // 2, 0)
    assert len(result.postings.filter(kind="deposit")) == accounts
