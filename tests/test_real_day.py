"""2025-10-10 on four coin-margined perpetuals, with the ticks that really traded; skipped where the data is absent.

The perpetual fell far below its index: whoever liquidates at the last price makes losses that the index would not have.
"""

from collections import defaultdict
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from cases import DATA, audit

import underwater as uw

FOLDER = DATA / "ticks_2025-10-10"
COINS = ("AVAX", "BCH", "DOT", "UNI")
PERPS = [f"{coin}USD_PERP" for coin in COINS]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the ticks of 2025-10-10 are not at {FOLDER}")


def prints(market: str, file: str) -> pl.DataFrame:
    frame = pl.read_parquet(FOLDER / f"{file}.parquet").sort("ts_us", maintain_order=True)
    ts = pl.from_epoch("ts_us", "us").dt.cast_time_unit("ns").dt.replace_time_zone("UTC")
    return frame.select(ts.alias("ts"), pl.lit(market).alias("market"), "price", pl.col("amount").alias("size"), "side")


@pytest.fixture(scope="module")
def ticks() -> uw.Ticks:
    frames = [prints(f"{coin}USD_PERP", f"binance_coinm_{coin}USD_PERP") for coin in COINS]
    frames += [prints(f"{coin}-USD", f"coinbase_{coin}-USD") for coin in COINS]
    inverse = {"kind": "inverse", "contract_size": 10, "size_decimals": 0}
    perps = [uw.Market(name=f"{coin}USD_PERP", settlement=coin, index=f"{coin}-USD", **inverse) for coin in COINS]
    spots = [uw.Market(name=f"{coin}-USD") for coin in COINS]
    assets = [uw.Asset(name=coin, decimals=8, price_market=f"{coin}-USD") for coin in COINS]
    return uw.Ticks(pl.concat(frames), [*perps, *spots], assets).load()


def draw(ticks: uw.Ticks, accounts: int) -> uw.Book:
    return uw.Book.synthetic(ticks, accounts=accounts, seed=7, weights=dict.fromkeys(PERPS, 1))


@pytest.fixture(scope="module")
def book(ticks) -> uw.Book:
    return draw(ticks, 5000)


def protocol(trigger: str, execution: str = "last", **changes) -> uw.Protocol:
    """Fund, then ADL, then treasury."""
    fields = {
        "name": f"trigger {trigger}, execution {execution}",
        "trigger_feed": trigger,
        "execution_feed": execution,
        "margin": {"maintenance": {"kind": "flat", "rate": "0.01"}},
        "keeper": {"latency": "1s"},
        "penalty": {"rate": "0.002"},
        "insurance_fund": {"balance": 10_000},
        "adl": {},
        "treasury": {"balance": 1000},
    }
    return uw.Protocol.from_dict(fields).with_(**changes)


@pytest.fixture(scope="module")
def by_last(ticks, book) -> uw.Result:
    return uw.replay(ticks, book, protocol("last"))


@pytest.fixture(scope="module")
def by_index(ticks, book) -> uw.Result:
    return uw.replay(ticks, book, protocol("index"))


def bad_debt(result: uw.Result) -> Decimal:
    return result.who_pays().filter(line="bad_debt")["amount_usd"].item()


def test_the_ticks_are_those_of_the_day(ticks):
    assert ticks.rows == 1_135_786
    first, last = ticks.to_polars().select(first=pl.col("ts").min(), last=pl.col("ts").max()).row(0)
    assert first.date() == last.date() == date(2025, 10, 10)
    assert [market.name for market in ticks.markets if market.kind == "inverse"] == PERPS


def test_the_index_triggers_fewer_and_too_late_for_a_market_that_fell_further(by_last, by_index):
    last, index = by_last.summary(), by_index.summary()
    assert last["liquidated"] > 2 * index["liquidated"] > 400
    # Sold at the last price all the same, so each of the few leaves a far larger hole.
    assert bad_debt(by_index) / index["defaulted"] > 2 * bad_debt(by_last) / last["defaulted"] > 0


def test_the_feed_decides_the_bad_debt(ticks, book):
    """Tested and closed at the last price, or both at the index: the dislocation is nearly the whole loss."""
    without = {"adl": None}
    last, index = (uw.replay(ticks, book, protocol(feed, feed, **without)) for feed in ("last", "index"))
    assert bad_debt(last) > 10 * bad_debt(index) > 0
    for result in (last, index):
        audit(result)


def test_losses_foot_and_the_ledger_closes(by_last, by_index):
    """In every row, in total, and for every account and entity in every asset, to the last unit."""
    for result in (by_last, by_index):
        audit(result)
        assert len(result.adl) > 100
        assert len(result.postings) > 1000
        assert set(result.balances["asset"]) == {*COINS, "USD"}


def test_every_size_is_explained_by_fills(by_last, by_index):
    """Opening size less what was closed or matched, plus what the outside took, is the closing size."""
    for result in (by_last, by_index):
        sizes = defaultdict(Decimal)
        for holder, market, size in result.positions.select("holder", "market", "opening_size").rows():
            sizes[holder, market] += size
        signed = pl.when(pl.col("side") == "long").then(1).otherwise(-1) * pl.col("size")
        for account, market, size in result.liquidations.select("account", "market", signed).rows():
            sizes[account, market] -= size
            sizes["outside", market] += size
        for account, loser, market, size in result.adl.select("account", "loser", "market", signed).rows():
            sizes[account, market] -= size
            sizes[loser, market] += size
        closing = defaultdict(Decimal)
        for holder, market, size in result.positions.select("holder", "market", "closing_size").rows():
            closing[holder, market] += size
        assert {key: size for key, size in sizes.items() if size} == {key: x for key, x in closing.items() if x}


def test_the_frames_say_the_same(by_last, by_index):
    """Rows, running totals and the table of who pays are views of one ledger."""
    for result in (by_last, by_index):
        pays = dict(result.who_pays().select("line", "amount_usd").rows())
        rows = result.bad_debt
        assert rows["bad_debt_usd"].sum() == pays["bad_debt"] + pays["opening"] + pays["open"] == pays["gross"]
        for line, column in {"insurance_fund": "insurance_fund_usd", "treasury": "treasury_usd"}.items():
            assert rows[column].sum() == pays[line]
        assert rows["adl_give_up_usd"].sum() == result.adl["give_up_usd"].sum() == pays["adl"]
        assert result.accounts["bad_debt_usd"].sum() == pays["gross"]
        end = result.timeline.row(-1, named=True)
        assert end["bad_debt_usd"] == pays["bad_debt"] + pays["opening"]
        assert end["liquidations"] == len(result.liquidations)
        assert end["adl_fills"] == len(result.adl)
        closed = result.accounts.filter(pl.col("status").is_in(["liquidated", "defaulted"]))
        assert closed["account"].n_unique() == result.summary()["liquidated"]
        assert closed.filter(status="defaulted")["closing_equity_usd"].to_list() == [0] * result.summary()["defaulted"]


def test_hashes_repeat(ticks, book, by_last, by_index):
    again = draw(ticks, 5000)
    assert again.positions.equals(book.positions)
    assert uw.replay(ticks, again, protocol("last")).state_hash == by_last.state_hash
    assert uw.replay(ticks, again, protocol("index")).state_hash == by_index.state_hash
    assert by_last.state_hash != by_index.state_hash


@pytest.mark.slow
def test_a_hundred_thousand_accounts(ticks):
    large = draw(ticks, 100_000)
    for trigger in ("last", "index"):
        result = uw.replay(ticks, large, protocol(trigger))
        audit(result)
        assert uw.replay(ticks, large, protocol(trigger)).state_hash == result.state_hash
