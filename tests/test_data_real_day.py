"""2025-10-10 in vendors' layouts: exported, imported, replayed, and equal to the direct path; skipped where the data is absent.

The shared files are a vendor's trades, already turned to Parquet; they are written back as that vendor lays them out (CSV, gzip)
and as Binance does (CSV, zip), and read from there. The index is in `derivative_ticker`, whose other columns are empty.
"""

import gzip
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest
from test_real_day import COINS, FOLDER, PERPS, prints, protocol

import underwater as uw

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the ticks of 2025-10-10 are not at {FOLDER}")

INDEX = FOLDER / "okx_BTC-USD_index_1s.parquet"
INVERSE = {"kind": "inverse", "contract_size": 10, "size_decimals": 0}
DEFINED = [
    *(uw.Market(name=f"{coin}USD_PERP", settlement=coin, index=f"{coin}-USD", **INVERSE) for coin in COINS),
    *(uw.Market(name=f"{coin}-USD") for coin in COINS),
    uw.Market(name="BTC-USD"),
]
ASSETS = [uw.Asset(name=coin, decimals=8, price_market=f"{coin}-USD") for coin in COINS]


def csv(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_csv(buffer)
    return buffer.getvalue()


def as_binance(coin: str, folder: Path) -> Path:
    """COIN-M trades, every print, in ms."""
    symbol = f"{coin}USD_PERP"
    source = pl.read_parquet(FOLDER / f"binance_coinm_{symbol}.parquet")
    contracts = pl.col("amount").cast(pl.Int64)
    frame = source.select(
        "id",
        "price",
        contracts.alias("qty"),
        (pl.col("amount") * 10 / pl.col("price")).round(8).alias("base_qty"),
        (pl.col("ts_us") // 1000).alias("time"),
        (pl.col("side") == -1).alias("is_buyer_maker"),
    )
    path = folder / f"data/futures/cm/daily/trades/{symbol}/{symbol}-trades-2025-10-10.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}.csv", csv(frame))
    return path


def as_tardis(coin: str, folder: Path) -> Path:
    """Coinbase's trades, in us, sorted by receipt."""
    symbol = f"{coin}-USD"
    source = pl.read_parquet(FOLDER / f"coinbase_{symbol}.parquet").sort("local_ts_us", maintain_order=True)
    frame = source.select(
        pl.lit("coinbase").alias("exchange"),
        pl.lit(symbol).alias("symbol"),
        pl.col("ts_us").alias("timestamp"),
        pl.col("local_ts_us").alias("local_timestamp"),
        "id",
        pl.when(pl.col("side") == 1).then(pl.lit("buy")).otherwise(pl.lit("sell")).alias("side"),
        "price",
        pl.col("amount"),
    )
    path = folder / f"coinbase/trades/2025/10/10/{symbol}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(csv(frame), 6))
    return path


def as_derivative_ticker(folder: Path) -> Path:
    """OKX's index of BTC, in us, as the swap's ticker carries it."""
    symbol = "BTC-USD-SWAP"
    frame = pl.read_parquet(INDEX).select(
        pl.lit("okex-swap").alias("exchange"),
        pl.lit(symbol).alias("symbol"),
        pl.col("ts_us").alias("timestamp"),
        pl.col("local_ts_us").alias("local_timestamp"),
        *(
            pl.lit(None, pl.String).alias(name)
            for name in ("funding_timestamp", "funding_rate", "predicted_funding_rate", "open_interest", "last_price")
        ),
        pl.col("okx_btcusd_index").alias("index_price"),
        pl.lit(None, pl.String).alias("mark_price"),
    )
    path = folder / f"okex-swap/derivative_ticker/2025/10/10/{symbol}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(csv(frame), 6))
    return path


def index() -> pl.DataFrame:
    """Prices without sizes, read directly."""
    ts = pl.from_epoch("ts_us", "us").dt.cast_time_unit("ns").dt.replace_time_zone("UTC")
    frame = pl.read_parquet(INDEX).select(ts.alias("ts"), pl.lit("BTC-USD").alias("market"), price="okx_btcusd_index")
    return frame.with_columns(size=pl.lit(None, pl.Float64), side=pl.lit(None, pl.Int64))


@pytest.fixture(scope="module")
def direct() -> uw.Ticks:
    """As the other tests of the day read it, and the index of BTC."""
    frames = [prints(f"{coin}USD_PERP", f"binance_coinm_{coin}USD_PERP") for coin in COINS]
    frames += [prints(f"{coin}-USD", f"coinbase_{coin}-USD") for coin in COINS]
    return uw.Ticks(pl.concat([*frames, index()], how="vertical_relaxed"), DEFINED, ASSETS).load()


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> tuple[list[uw.data.Imported], uw.Ticks]:
    """One canonical file a market."""
    folder = tmp_path_factory.mktemp("2025-10-10")
    files = {f"{coin}USD_PERP": as_binance(coin, folder / "vendor") for coin in COINS}
    files |= {f"{coin}-USD": as_tardis(coin, folder / "vendor") for coin in COINS}
    done = [uw.data.import_ticks(path, folder / "ticks" / f"{name}.parquet") for name, path in files.items()]
    ticker, target = as_derivative_ticker(folder / "vendor"), folder / "ticks" / "BTC-USD.parquet"
    done.append(uw.data.import_ticks(ticker, target, price="index_price", market="BTC-USD"))
    return done, uw.Ticks.scan(folder / "ticks", DEFINED, ASSETS).load()


def test_the_ticks_are_the_same(direct, imported):
    done, ticks = imported
    assert [report.format for report in done] == ["binance.trades"] * 4 + ["tardis.trades"] * 4 + [
        "tardis.derivative_ticker"
    ]
    assert [report.written for report in done][-1] == 80_532
    assert sum(report.written for report in done) == direct.rows == 1_135_786 + 80_532
    assert {(report.backwards, report.not_ticks) for report in done} == {(0, 0)}
    assert ticks.definitions == direct.definitions
    assert ticks.to_polars().equals(direct.to_polars())


def test_the_venue_says_what_a_contract_is(imported):
    found = {market.name: market for report in imported[0] for market in report.ticks.markets}
    assert {(found[name].kind, int(found[name].contract_size)) for name in PERPS} == {("inverse", 10)}


def test_the_canonical_files_are_smaller(imported):
    assert sum(report.bytes_out for report in imported[0]) < 0.6 * sum(report.bytes_in for report in imported[0])


def test_a_replay_of_them_is_the_same(direct, imported):
    odds = {**dict.fromkeys(PERPS, 1), "BTC-USD": 5}  # the index is the price of a linear market of its own
    book = uw.Book.synthetic(direct, accounts=2000, seed=7, weights=odds)
    one, other = (uw.replay(ticks, book, protocol("last")) for ticks in (direct, imported[1]))
    liquidated = one.liquidations.group_by("market").len()
    assert set(liquidated["market"]) == set(odds)
    assert liquidated["len"].min() >= 10
    assert one.state_hash == other.state_hash
    assert one.who_pays().equals(other.who_pays())


def test_an_index_from_columns_of_ones_own_is_replayed(tmp_path):
    source = pl.read_parquet(FOLDER / "okx_BTC-USD_index_1s.parquet")
    path = tmp_path / "okx_index.csv.gz"
    path.write_bytes(gzip.compress(csv(source), 6))
    columns = uw.data.mapped(ts="ts_us", price="okx_btcusd_index", local_ts="local_ts_us")
    done = uw.data.import_ticks(path, tmp_path / "x.parquet", columns, market="BTC-USD")
    frame = done.ticks.to_polars()
    assert (len(frame), done.ticks.markets[0].price_decimals) == (80_532, 1)
    assert frame["price"].min() == 1_062_116
    assert done.bytes_out < 0.5 * done.bytes_in
    straight = source.select(
        pl.col("ts_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("ts"),
        pl.lit("BTC-USD").alias("market"),
        pl.col("okx_btcusd_index").alias("price"),
    ).sort("ts", maintain_order=True)
    direct = uw.Ticks(straight, [uw.Market(name="BTC-USD", price_decimals=1)])
    book = uw.Book.synthetic(direct, accounts=2000, seed=7)
    one, other = (uw.replay(ticks, book, uw.protocols.order_book()) for ticks in (direct, done.ticks))
    assert one.summary()["liquidated"] > 20
    assert one.state_hash == other.state_hash


def test_the_check_sees_the_dislocation(imported):
    found = uw.data.check(imported[1], uw.data.Limits(crossed=0.1))
    crossed = found.findings.filter(kind="crossed")
    # BCH stayed within 9 % of its index.
    assert set(crossed["market"]) == set(PERPS) - {"BCHUSD_PERP"}
    assert crossed["ts"].dt.strftime("%H:%M").min() == "21:17", "not before the crash"
    deepest = dict(crossed.group_by("market").agg((pl.col("price") / pl.col("expected") - 1).min()).iter_rows())
    assert {market: round(off, 2) for market, off in deepest.items()} == {
        "DOTUSD_PERP": -0.81,
        "AVAXUSD_PERP": -0.68,
        "UNIUSD_PERP": -0.6,
    }
    assert found.summary["stale"].sum() == 0
