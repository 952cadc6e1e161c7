"""Every format once, on small files written after public descriptions, and formats of one's own."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pyarrow.feather as feather
import pytest
import test_data_import
from archive_files import MS, write

import underwater as uw

# Every other format once

FILLS = """
["0xa", {"coin":"BTC","px":"7900.5","sz":"0.1","side":"B","time":MS,"startPosition":"0.0","dir":"Open Long",\
"closedPnl":"0.0","hash":"0x1","oid":1,"crossed":true,"fee":"0.1","tid":11,"feeToken":"USDC"}]
["0xb", {"coin":"BTC","px":"7900.5","sz":"0.1","side":"A","time":MS,"startPosition":"0.1","dir":"Liquidated Cross Long",\
"closedPnl":"-5","hash":"0x1","oid":2,"crossed":false,"fee":"0.1","tid":11,"feeToken":"USDC",\
"liquidation":{"liquidatedUser":"0xb","markPx":"7899","method":"market"}}]
""".replace("MS", str(MS))
BLOCK = '{"local_time":"x","block_number":1,"events":[' + ",".join(FILLS.strip().splitlines()) + "]}\n"


@pytest.mark.parametrize("text", [FILLS, BLOCK], ids=["lines", "blocks"])
def test_a_fill_is_there_twice_and_is_one_tick(load, records, text):
    frame, done = load("20200312-0.lz4", text, "hyperliquid.node_fills")
    assert (done.rows, done.written, done.not_ticks) == (2, 1, 1)
    assert frame["side"].to_list() == [1], "the taker bought"
    seen = records("20200312-0.lz4", text, "hyperliquid.node_fills")
    assert seen["liquidation_mark_price"].to_list() == [None, Decimal(7899)]
    assert seen["dir"].to_list() == ["Open Long", "Liquidated Cross Long"]


ONCE = {
    "binance.trades": ("X-trades-2020-03-12.zip", f"1,7900.5,2,15801,{MS},True,True\n", {"side": -1, "size": 2}),
    "binance.bookTicker": (
        "X-bookTicker-2024-01-01.csv",
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"
        f"1,9,1,10,2,{MS},{MS + 4}\n",
        {"bid_price": 9, "ask_size": 2},
    ),
    "binance.bookDepth": (
        "X-bookDepth-2024-01-01.csv",
        "timestamp,percentage,depth,notional\n2024-01-01 00:00:07,-5,10.5,1000\n",
        {"percentage": -5, "depth": Decimal("10.5"), "market": "X"},
    ),
    "binance.metrics": (
        "X-metrics-2024-01-01.csv",
        "create_time,symbol,sum_open_interest,sum_open_interest_value,count_long_short_ratio\n2024-01-01 00:05:00,X,10,99.5,\n",
        {"open_interest_value": Decimal("99.5"), "count_long_short_ratio": None},
    ),
    "binance.fundingRate": (
        "X-fundingRate-2024-01.csv",
        f"calc_time,funding_interval_hours,last_funding_rate\n{MS},8,-0.00012\n",
        {"interval_hours": 8, "rate": Decimal("-0.00012")},
    ),
    "binance.liquidationSnapshot": (
        "XUSD_PERP-liquidationSnapshot-2023-06-25.csv",
        "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
        f"accumulated_fill_quantity\n{MS},SELL,LIMIT,IOC,4,9.5,9.6,FILLED,4,4\n",
        {"side": -1, "average_price": Decimal("9.6"), "market": "XUSD_PERP"},
    ),
    "binance.markPriceKlines": (
        "X-markPriceKlines-1m-2020-03-12.csv",
        f"{MS},1,2,0.5,1.5,0,{MS + 59_999},0,60,0,0,0\n",
        {"close": Decimal("1.5")},
    ),
    "binance.indexPriceKlines": (
        "X-indexPriceKlines-1m-2020-03-12.csv",
        f"{MS},1,2,0.5,1.5,0,{MS + 59_999},0,60,0,0,0\n",
        {"open": 1, "volume": 0, "count": 60},
    ),
    "binance.premiumIndexKlines": (
        "data/futures/um/daily/premiumIndexKlines/X/1m/X-1m-2020-03-12.csv",
        f"{MS},-0.0001,0.0002,-0.0003,0.0001,0,{MS + 59_999},0,60,0,0,0\n",
        {"low": Decimal("-0.0003"), "market": "X"},
    ),
    "bybit.spot": (
        "X_2023-01-01.csv.gz",
        f"id,timestamp,price,volume,side\n1,{MS},3.5,2,sell\n",
        {"side": -1, "size": 2},
    ),
    "okx.trades": (
        "BTC-USDT-SWAP-trades-2024-01-01.zip",
        f"instrument_name,trade_id,side,price,size,created_time\nBTC-USDT-SWAP,1,buy,7900.5,3,{MS}\n",
        {"market": "BTC-USDT-SWAP", "side": 1},
    ),
    "tardis.quotes": (
        "bitmex_quotes_2020-03-12_XBTUSD.csv.gz",
        f"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\nb,X,{MS}000,{MS}000,7,10,9.5,\n",
        {"ask_price": 10, "bid_price": Decimal("9.5"), "bid_size": None},
    ),
    "tardis.incremental_book_L2": (
        "bitmex_incremental_book_L2_2020-03-12_XBTUSD.csv.gz",
        f"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\nb,X,{MS}000,{MS}000,true,ask,10,0\n",
        {"is_snapshot": True, "side": -1, "size": 0},
    ),
    "tardis.liquidations": (
        "bitmex_liquidations_2020-03-12_XBTUSD.csv.gz",
        f"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nbitmex,XBTUSD,{MS}000,{MS}000,a,buy,7900,5\n",
        {"side": 1, "size": 5},
    ),
    "tardis.book_snapshot_5": (
        "bitmex_book_snapshot_5_2020-03-12_XBTUSD.csv.gz",
        f"exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount\nb,X,{MS}000,{MS}000,10,1,9,\n",
        {"ask_price_0": 10, "bid_size_0": None, "ask_price_4": None},
    ),
    "tardis.book_snapshot_25": (
        "bitmex_book_snapshot_25_2020-03-12_XBTUSD.csv.gz",
        "exchange,symbol,timestamp,local_timestamp,"
        + ",".join(f"asks[{i}].price,asks[{i}].amount,bids[{i}].price,bids[{i}].amount" for i in range(25))
        + f"\nb,X,{MS}000,{MS}000,"
        + ",".join(f"{100 + i},{i},{99 - i},{2 * i}" for i in range(25))
        + "\n",
        {"ask_price_24": 124, "ask_size_24": 24, "bid_price_24": 75, "bid_size_24": 48},
    ),
    "hyperliquid.asset_ctxs": (
        "20240101.csv.lz4",
        "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,"
        "impact_ask_px\n2024-01-01T00:01:00Z,BTC,0.0000125,10,1,2,,42000.5,42001,,,\n",
        {"oracle_price": Decimal("42000.5"), "mid_price": None},
    ),
    "dydx.trades": (
        "BTC-USD_trades.json",
        '{"trades":[{"id":"a","side":"SELL","size":"0.5","price":"42000","type":"LIQUIDATED",'
        '"createdAt":"2024-01-01T00:00:01.000Z","createdAtHeight":"7"}]}',
        {"side": -1, "type": "LIQUIDATED", "market": "BTC-USD"},
    ),
    "dydx.fills": (
        "fills.json",
        '[{"id":"a","side":"BUY","size":"1","price":"4","type":"OFFSETTING","market":"BTC-USD",'
        '"createdAt":"2024-01-01T00:00:01Z"}]',
        {"side": 1, "market": "BTC-USD"},
    ),
    "dydx.historicalFunding": (
        "historicalFunding.json",
        '{"historicalFunding":[{"ticker":"BTC-USD","rate":"0.00001","price":"42000.1","effectiveAt":"2024-01-01T01:00:00.000Z"}]}',
        {"market": "BTC-USD", "price": Decimal("42000.1")},
    ),
}


OKX = f"1,buy,3,7900.5,{MS}\n2,SELL,4,7901,{MS + 1}\n"


@pytest.mark.parametrize("suffix", ["zip", "csv"])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "trade_id,side,size,price,created_time\n",
        "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n",
    ],
    ids=["none", "English", "Chinese"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_files_of_okx_without_the_instrument(tmp_path, header, encoding, suffix):
    """The instrument is in the name; its contract is 0.01 BTC, whatever the market is to be called."""
    path = tmp_path / f"BTC-USDT-SWAP-trades-2022-06-18.{suffix}"
    write(path, header + OKX, encoding)
    row = uw.data.scan(path).collect().row(1, named=True)
    assert (row["market"], row["side"], row["size"], row["price"]) == ("BTC-USDT-SWAP", -1, 4, 7901)
    for name in ("BTC-USDT-SWAP", "MINE"):
        done = uw.data.import_ticks(path, tmp_path / "x.parquet", market=None if name != "MINE" else name)
        market = done.ticks.markets[0]
        assert (market.name, float(market.contract_size)) == (name, 0.01)
        assert (market.price_decimals, market.size_decimals) == (1, 0)


def test_files_of_okx_of_all_years_go_together(tmp_path):
    with_name = (
        f"instrument_name,trade_id,side,price,size,created_time,source\nBTC-USDT-SWAP,3,buy,7900.55,3,{MS + 2},0\n"
    )
    write(tmp_path / "BTC-USDT-SWAP-trades-2021-12-31.zip", OKX)
    write(tmp_path / "BTC-USDT-SWAP-trades-2024-06-01.zip", with_name)
    done = uw.data.import_ticks(tmp_path / "*.zip", tmp_path / "x.parquet")
    assert [market.name for market in done.ticks.markets] == ["BTC-USDT-SWAP"]
    assert done.ticks.to_polars()["price"].to_list() == [790050, 790100, 790055]


def test_a_file_that_does_not_say_its_market_is_refused(tmp_path):
    path = write(tmp_path / "allswap-trades-2021-10-10.zip", OKX)
    with pytest.raises(uw.ConfigError, match="its name does not say the market; give it as market"):
        uw.data.import_ticks(path, tmp_path / "x.parquet")
    done = uw.data.import_ticks(path, tmp_path / "x.parquet", market="BTC-USDT-SWAP")
    assert done.ticks.markets[0].contract_size == Fraction(1, 100)


def test_no_format_is_left_out():
    elsewhere = {
        "binance.aggTrades": "test_a_header_is_told_by_its_first_field",
        "binance.klines": "test_whether_a_stamp_is_the_open_or_the_close_is_in_the_name",
        "bybit.trades": "test_a_file_that_descends_is_turned_round_ties_too",
        "bitmex.trades": "test_several_markets_in_one_file_and_one_in_each",
        "bitmex.bars": "test_an_open_outside_low_to_high_is_kept",
        "tardis.trades": "test_the_time_of_receipt_is_kept_and_can_be_the_clock",
        "tardis.derivative_ticker": "test_a_price_series_of_another_column_is_another_market",
        "hyperliquid.node_fills": "test_a_fill_is_there_twice_and_is_one_tick",
        "chainlink.rounds": "test_a_round_of_chainlink_stays_a_text_and_its_answer_exact",
        "freqtrade.bars": "test_freqtrade",
    }
    assert sorted([*ONCE, *elsewhere]) == sorted(uw.data.formats()["format"])
    assert all(hasattr(test_data_import, test) or test in globals() for test in elsewhere.values())


@pytest.mark.parametrize("fmt", list(ONCE))
def test_every_format_is_known_by_its_name_and_read(records, fmt):
    name, text, expected = ONCE[fmt]
    row = records(name, text).row(0, named=True)
    assert {key: row[key] for key in expected} == expected
    named = records(name, text, fmt)
    assert named.schema.names()[:-1] == [column.name for column in uw.data.get(fmt).columns][: len(named.columns) - 1]


def test_freqtrade(tmp_path):
    frame = pl.DataFrame(
        {"date": [dt.datetime(2024, 1, 1)], **{name: [0.1] for name in ("open", "high", "low", "close", "volume")}}
    )
    feather.write_feather(
        frame.with_columns(pl.col("date").dt.replace_time_zone("UTC")).to_arrow(compat_level=pl.CompatLevel.oldest()),
        tmp_path / "BTC_USDT-1m.feather",
        compression="uncompressed",
    )
    row = uw.data.scan(tmp_path / "BTC_USDT-1m.feather").collect().row(0, named=True)
    assert (row["open"], row["market"]) == (Decimal("0.1"), "BTC_USDT")


def test_a_price_series_of_another_column_is_another_market(load):
    text = (
        "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
        f"last_price,index_price,mark_price\nbitmex,XBTUSD,{MS}000,{MS}000,,,,,,7900.5,\nbitmex,XBTUSD,{MS}000,{MS}000,,,,,1,,2\n"
    )
    frame, done = load("bitmex_derivative_ticker_2020-03-12_XBTUSD.csv.gz", text, price="index_price")
    assert frame.select("market", "price").rows() == [("XBTUSD-INDEX", 7900.5)]
    assert done.not_ticks == 1, "a row without that price"
    assert "size" not in frame.columns


# A format of one's own


def test_a_column_map(tmp_path):
    columns = {"ts": "when", "price": "px", "size": "qty", "side": "way"}
    text = f"px,qty,way,when\n7900.5,2,B,{MS}\n7901,1,-1,{MS + 1}\n"
    path = write(tmp_path / "a.csv.gz", text)
    done = uw.data.import_ticks(path, tmp_path / "x.parquet", uw.data.mapped(**columns), market="BTC")
    first = done.ticks.to_polars()
    assert first["side"].to_list() == [1, -1]
    bare = write(tmp_path / "b.csv", text.split("\n", 1)[1])
    fmt = uw.data.mapped(**columns, layout=["px", "qty", "way", "when"])
    second = uw.data.import_ticks(bare, tmp_path / "y.parquet", fmt, market="BTC").ticks.to_polars()
    pl.DataFrame({"px": [7900.5, 7901.0], "qty": [2, 1], "way": [1, -1], "when": [MS, MS + 1]}).write_parquet(
        tmp_path / "c.parquet"
    )
    third = uw.data.import_ticks(
        tmp_path / "c.parquet", tmp_path / "z.parquet", uw.data.mapped(**columns), market="BTC"
    )
    assert first.equals(second)
    assert first.equals(third.ticks.to_polars())
    with pytest.raises(uw.ConfigError, match="its name does not say the market; give it"):
        uw.data.import_ticks(path, tmp_path / "x.parquet", uw.data.mapped(**columns))
