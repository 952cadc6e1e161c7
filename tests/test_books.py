"""Books from snapshots, trades and marginals; balanced, scaled, described."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from cases import DATA

import underwater as uw

SNAPSHOT = DATA / "hyperliquid_positions_2026-02-05.parquet"
real = pytest.mark.skipif(not SNAPSHOT.is_file(), reason=f"the snapshot is not at {SNAPSHOT}")


def rows(*positions: tuple) -> pl.DataFrame:
    columns = ["account", "market", "size", "entry_price", "mark_price", "account_value"]
    kinds = dict.fromkeys(columns[2:], pl.Float64)
    return pl.DataFrame(positions, columns, orient="row", schema_overrides=kinds)


TWO = rows(
    ("ann", "ETH", 2, 1900, 2000, 700), ("ann", "BTC", -0.1, 71_000, 70_000, 700), ("bob", "ETH", -1, 2100, 2000, 500)
)


def tape(**prices: float) -> uw.Ticks:
    frame = pl.DataFrame(
        {"ts": pl.from_epoch([0] * len(prices)), "market": list(prices), "price": list(prices.values())}
    )
    markets = [uw.Market(name=name, size_decimals=3) for name in prices]
    return uw.Ticks(frame.with_columns(pl.col("price").cast(pl.Float64)), markets)


def test_a_snapshot_keeps_its_account_values() -> None:
    """Ann: 200 on ETH, 100 on BTC, so 400 of 700 are cash. Bob: 100 of 500 are profit."""
    book = uw.books.from_snapshot(TWO)
    assert dict(book.accounts.select("account", "collateral").rows()) == {"ann": Decimal(400), "bob": Decimal(400)}
    assert book.positions["margin_mode"].unique().to_list() == ["cross"]
    result = uw.replay(tape(BTC=70_000, ETH=2000), book, uw.Protocol())
    assert dict(result.accounts.select("account", "opening_equity_usd").rows()) == {"ann": 700, "bob": 500}


def test_an_account_that_drew_on_its_profit() -> None:
    drew = rows(("ann", "ETH", 2, 1000, 2000, 700))
    with pytest.raises(uw.BookError, match="account 'ann' \\(1 in all\\): its unrealised profit exceeds its value"):
        uw.books.from_snapshot(drew)
    book = uw.books.from_snapshot(drew, negative_cash="rebase")
    assert (book.positions["entry_price"].item(), book.accounts["collateral"].item()) == (2000, 700)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (TWO.drop("mark_price"), "snapshot: expected a column 'mark_price'"),
        (
            rows(("a", "E", 1, 1, 1, 5), ("a", "B", 1, 1, 1, 6)),
            "row 1: account_value: differs from that of another row of 'a'",
        ),
        (rows(("a", "E", 1, 1, 1, -5)), "row 0: account_value: expected no negative number"),
        (rows(("a", "E", None, 1, 1, 5)), "row 0: size: expected a number"),
    ],
)
def test_snapshots_that_cannot_be_used(frame, message) -> None:
    with pytest.raises(uw.BookError, match=message):
        uw.books.from_snapshot(frame)


def test_liquidation_prices_by_hand() -> None:
    """10 ETH long from 2,000 with 2,000, at 5 %: 2,000 + 10 (p - 2,000) = 0.5 p, p = 18,000 / 9.5. The short: 2,000 + 10 (2,000 -
    p) = 0.5 p, p = 22,000 / 10.5."""
    positions = pl.DataFrame(
        {"account": ["l", "s"], "market": "ETH", "size": [10, -10], "entry_price": 2000, "collateral": 2000}
    )
    protocol = uw.Protocol(margin={"maintenance": {"kind": "flat", "rate": "0.05"}})
    found = uw.books.liquidation_prices(uw.Book.from_frames(positions), protocol, {"ETH": 2100})
    assert found["liquidation_price"].to_list() == pytest.approx([18_000 / 9.5, 22_000 / 10.5], rel=1e-12)
    assert found["distance"][1] == pytest.approx(22_000 / 10.5 / 2100 - 1)


def test_liquidation_price_in_the_bracket_of_the_price_it_finds() -> None:
    """A short of 10 from 100 with 2,000, 1 % up to 2,000 and 10 % above: 3,000 - 10 p = p - 180, p = 3,180 / 11, notional
    2,890; with the first bracket alone 3,000 / 10.1 would be beyond it."""
    positions = pl.DataFrame({"account": ["s"], "market": "ETH", "size": [-10], "entry_price": 100, "collateral": 2000})
    tiers = [{"lower": 0, "rate": "0.01"}, {"lower": 2000, "rate": "0.1"}]
    protocol = uw.Protocol(margin={"maintenance": {"kind": "brackets", "tiers": tiers}})
    found = uw.books.liquidation_prices(uw.Book.from_frames(positions), protocol, {"ETH": 100})
    assert found["liquidation_price"].item() == pytest.approx(3180 / 11)


def test_liquidation_prices_of_an_inverse_market_and_of_cross_accounts() -> None:
    """1,000 contracts of 10 USD from 50,000 with 0.02 coin: 0.02 + 10,000 (1/50,000 - 1/p) = 100 / p, so p = 10,100 / 0.22."""
    inverse = uw.Market(name="XBT", kind="inverse", contract_size=10, settlement="BTC")
    protocol = uw.Protocol(margin={"maintenance": {"kind": "flat", "rate": "0.01"}})
    one = pl.DataFrame({"account": ["l"], "market": "XBT", "size": [1000], "entry_price": 50_000, "collateral": "0.02"})
    one = one.with_columns(pl.col("collateral").cast(pl.Decimal(38, 8)))
    found = uw.books.liquidation_prices(uw.Book.from_frames(one), protocol, {"XBT": 50_000}, [inverse])
    assert found["liquidation_price"].item() == pytest.approx(10_100 / 0.22)
    cross = uw.books.liquidation_prices(uw.books.from_snapshot(TWO), protocol, {"ETH": 2000, "BTC": 70_000})
    # Ann, ETH: 700 + 2 (p - 2,000) = 0.02 p + 70; her BTC short stands.
    assert cross["liquidation_price"][0] == pytest.approx((4000 - 700 + 70) / 1.98)
    nowhere = rows(("rich", "ETH", 1, 2000, 2000, 10_000))
    assert (
        uw.books.liquidation_prices(uw.books.from_snapshot(nowhere), protocol, {"ETH": 2000})["liquidation_price"][0]
        is None
    )


def test_liquidation_prices_are_where_the_engine_liquidates() -> None:
    ticks = uw.crash_days.load("2025-10-10", ticks_per_market=2_000).load()
    perps = [market for market in ticks.markets if market.kind == "linear" and market.name != "BTC-USD"]
    book = uw.Book.synthetic(
        ticks, accounts=300, seed=5, weights={m.name: 1 for m in perps}, leverage_median=5, leverage_p95=30
    )
    protocol = uw.protocols.order_book()
    prices = uw.books.opening_prices(ticks)
    found = uw.books.liquidation_prices(book, protocol, prices, ticks.markets).filter(
        (pl.col("margin_mode") == "isolated") & pl.col("liquidation_price").is_not_null()
    )
    assert len(found) > 150
    for beyond, expected in ((-1e-4, 0), (1e-4, 1)):
        for market in perps:
            own = found.filter(market=market.name)
            for row in own.sample(min(len(own), 8), seed=1).iter_rows(named=True):
                # To just short of the price, or just beyond it.
                target = row["liquidation_price"] * (1 + beyond * (1 if row["distance"] > 0 else -1))
                frame = pl.DataFrame(
                    {
                        "ts": pl.from_epoch([0, 1]),
                        "market": market.name,
                        "price": [float(prices[market.name]), round(target, 10)],
                    }
                )
                day = uw.Ticks(frame, [market.with_(price_decimals=None)])
                alone = uw.Book.from_frames(
                    book.positions.filter(pl.col("account") == row["account"], pl.col("market") == market.name)
                )
                result = uw.replay(day, alone, protocol.with_(**{"keeper.latency": "0s"}))
                assert result.summary()["liquidated"] == expected, row


def test_balanced_books_need_no_outside_counterparty() -> None:
    book = uw.books.from_snapshot(TWO)
    ticks = tape(BTC=70_000, ETH=2000)
    even = uw.books.balanced(book, ticks, leverage=4, accounts=3)
    assert dict(even.describe().select("market", "net").rows()) == {"BTC": 0, "ETH": 0}
    added = even.positions.filter(pl.col("account").str.starts_with("balance-ETH"))
    assert sorted(float(size) for size in added["size"]) == [-0.334, -0.333, -0.333]
    assert float(added["collateral"].sum()) == pytest.approx(500)
    assert uw.books.balanced(even, ticks) is even
    uw.replay(ticks, even, uw.Protocol())


def test_a_sample_scaled_to_a_target_open_interest() -> None:
    """ETH: 2 long against 1 short, so a target of 5 is a factor of 2.5; Ann's cash goes with notionals of 3,800 and 7,100."""
    book = uw.books.from_snapshot(TWO)
    large = uw.books.scaled_to(book, tape(BTC=70_000, ETH=2000), {"ETH": 5})
    assert [float(size) for size in large.positions["size"]] == [5, -0.1, -2.5]
    cash = dict(large.accounts.select("account", "collateral").rows())
    assert cash["bob"] == 1000
    assert float(cash["ann"]) == pytest.approx(400 * (3800 * 2.5 + 7100) / 10_900)
    with pytest.raises(uw.BookError, match="no position in 'SOL'"):
        uw.books.scaled_to(book, tape(BTC=70_000, ETH=2000), {"SOL": 1})
    with pytest.raises(uw.BookError, match="market 'BTC' is not in the ticks"):
        uw.books.scaled_to(book, tape(ETH=2000), {"ETH": 1})


def test_large_books_are_scaled_exactly() -> None:
    """Cash of 12,345,678,901.234567 has 28 digits at 18 decimals and more once it is scaled."""
    positions = {
        "account": ["ann"],
        "market": ["ETH"],
        "size": [2.0],
        "entry_price": [2000.0],
        "margin_mode": ["cross"],
    }
    cash = pl.DataFrame({"account": ["ann"], "asset": ["USD"], "collateral": ["12345678901.234567"]})
    book = uw.Book.from_frames(pl.DataFrame(positions), cash.with_columns(pl.col("collateral").cast(pl.Decimal(38, 6))))
    large = uw.books.scaled_to(book, tape(ETH=2000), {"ETH": 2_000_000})
    assert str(large.accounts["collateral"].item()).rstrip("0") == "12345678901234567."
    assert uw.books.balanced(large, tape(ETH=2000)).describe()["net"].to_list() == [0]
    with pytest.raises(uw.BookError, match="collateral: expected numbers of at most 20 digits before the point"):
        uw.books.scaled_to(book, tape(ETH=2000), {"ETH": "1e15"})


def test_described_with_prices() -> None:
    """Ann has 4,000 + 7,000 on 700, Bob 2,000 on 500."""
    table = uw.books.from_snapshot(TWO).describe({"ETH": 2000, "BTC": 70_000})
    eth = table.filter(market="ETH").row(0, named=True)
    assert (eth["long_usd"], eth["short_usd"], eth["net_usd"], eth["largest_usd"]) == (4000, 2000, 2000, 4000)
    assert eth["leverage_median"] == pytest.approx((11_000 / 700 + 4) / 2)
    inverse = uw.Market(name="XBT", kind="inverse", contract_size=10, settlement="BTC")
    coin = pl.DataFrame({"account": ["l"], "market": "XBT", "size": [1000], "entry_price": 50_000, "collateral": [0.1]})
    row = uw.Book.from_frames(coin).describe({"XBT": 40_000}, [inverse]).row(0, named=True)
    # 0.1 coin are 4,000; the loss is 10,000 (1 / 50,000 - 1 / 40,000) coin, 2,000.
    assert (row["long_usd"], row["leverage_median"]) == (10_000, pytest.approx(5))
    with pytest.raises(uw.BookError, match="no price of 'ETH'"):
        uw.books.from_snapshot(TWO).describe({"BTC": 1})


NOON = datetime(2025, 10, 10, 12, tzinfo=UTC)


def trades(*made: tuple[int, str, float, float]) -> pl.DataFrame:
    frame = pl.DataFrame(
        made,
        ["hour", "account", "size", "price"],
        orient="row",
        schema_overrides={"size": pl.Float64, "price": pl.Float64},
    )
    hour = pl.datetime(2025, 10, 10, pl.col("hour"), time_zone="UTC", time_unit="ns")
    return frame.select(hour.alias("ts"), "account", pl.lit("ETH").alias("market"), "size", "price")


def paid(*made: tuple[int, str, float]) -> pl.DataFrame:
    frame = pl.DataFrame(made, ["hour", "account", "amount"], orient="row", schema_overrides={"amount": pl.Float64})
    hour = pl.datetime(2025, 10, 10, pl.col("hour"), time_zone="UTC", time_unit="ns")
    return frame.select(hour.alias("ts"), "account", pl.lit("USD").alias("asset"), "amount")


def test_trades_are_folded_up_to_the_open() -> None:
    """Ann turns from 2 long at 100 to 1 short at 130 and keeps 60; Bob is flat with a loss of 5."""
    done = trades((1, "ann", 1, 90), (2, "ann", 1, 110), (3, "bob", 1, 100), (4, "ann", -3, 130), (5, "bob", -1, 95))
    book = uw.books.from_trades(done, paid((0, "ann", 50), (0, "bob", 20), (15, "ann", 7), (16, "bob", -3)), at=NOON)
    position = book.positions.row(0, named=True)
    assert (position["account"], position["size"], position["entry_price"]) == ("ann", -1, 130)
    assert dict(book.accounts.select("account", "collateral").rows()) == {"ann": 110, "bob": 15}
    assert book.events.select("account", "kind", "amount").rows() == [("ann", "deposit", 7), ("bob", "withdrawal", 3)]


def test_trades_of_the_day_are_events() -> None:
    """Ann buys another at 80; Cid comes only then, pays in 40 and sells two."""
    done = trades((1, "ann", 1, 90), (13, "ann", 1, 80), (13, "cid", -2, 80))
    book = uw.books.from_trades(done, paid((0, "ann", 50), (13, "cid", 40)), at=NOON)
    assert book.events.select("account", "kind", "amount", "size", "price").rows() == [
        ("cid", "deposit", 40, None, None),
        ("ann", "trade", None, 1, 80),
        ("cid", "trade", None, -2, 80),
    ]
    assert book.positions.select("account", "size").rows() == [("ann", 1), ("cid", 0)]
    ticks = uw.Ticks(
        pl.DataFrame({"ts": [NOON, NOON + timedelta(hours=2)], "market": "ETH", "price": [85.0, 82.0]}),
        [uw.Market(name="ETH", size_decimals=0, price_decimals=0)],
    )
    held = uw.replay(ticks, book, uw.Protocol()).positions
    assert dict(held.select("holder", "closing_size").rows()) == {"ann": 2, "cid": -2, "outside": 0}
    book = uw.books.from_trades(done, paid((0, "ann", 50)), at=NOON, later_trades="ignore")
    assert book.positions["size"].item() == 1
    with pytest.raises(uw.BookError, match=r"account 'ann': cash of -10.0 .*are deposits missing"):
        uw.books.from_trades(trades((1, "ann", 1, 90), (2, "ann", -1, 80)), paid(), at=NOON)


@real
def test_a_synthetic_book_with_the_marginals_of_a_snapshot() -> None:
    snapshot = uw.books.hyperliquid_positions(pl.read_parquet(SNAPSHOT))
    options = uw.books.calibrate(snapshot, {"BTC": "BTCUSDT", "ETH": "ETHUSDT", "XRP": "XRPUSDT"})
    assert options["weights"] == {"BTCUSDT": 102, "ETHUSDT": 99, "XRPUSDT": 42}
    ticks = uw.crash_days.load("2022-05-11", ticks_per_market=500).load()
    names = {market.name for market in ticks.markets}
    options["weights"] = {name: odds for name, odds in options["weights"].items() if name in names}
    book = uw.Book.synthetic(ticks, accounts=20_000, seed=3, **options)
    drawn = book.describe(uw.books.opening_prices(ticks), ticks.markets)
    # Leverage is drawn by account and cut at the largest; balancing moves sizes, not leverage.
    shown = (drawn["leverage_median"] * drawn["positions"]).sum() / drawn["positions"].sum()
    assert shown == pytest.approx(options["leverage_median"], rel=0.15)
    share = (book.positions["size"] > 0).mean()
    assert share == pytest.approx(options["long_share"], abs=0.02)


@real
def test_the_snapshot_as_a_book() -> None:
    snapshot = uw.books.hyperliquid_positions(pl.read_parquet(SNAPSHOT))
    book = uw.books.from_snapshot(snapshot, negative_cash="rebase")
    assert (book.n_accounts, len(book.positions)) == (160, 2113)
    marks = dict(snapshot.group_by("market").agg(pl.col("mark_price").median()).rows())
    table = book.describe(marks)
    assert table["long_usd"].sum() + table["short_usd"].sum() == pytest.approx(1.648e9, rel=0.001)
    assert table.filter(market="BTC")["net_usd"].item() < 0
