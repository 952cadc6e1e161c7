"""Bad files and bad requests: named by file, row and column, and nothing is left behind."""

import pytest
from archive_files import AGG, BITMEX, MS, agg_trades, write

import underwater as uw


def damaged(path):
    path.write_bytes(path.read_bytes()[:-30])
    return path


@pytest.mark.parametrize("suffix", ["zip", "csv.gz", "csv.lz4"])
def test_a_damaged_file_is_named_and_nothing_is_left(tmp_path, suffix):
    text = agg_trades([(MS + i, str(1 + i * 7919 % 1000)) for i in range(2000)])
    path = damaged(write(tmp_path / "in" / f"X-aggTrades-2020-03-12.{suffix}", text))
    with pytest.raises(uw.DataError, match=rf"X-aggTrades-2020-03-12\.{suffix}: damaged or cut off"):
        uw.data.import_ticks(path, tmp_path / "out" / "x.parquet", "binance.aggTrades", market="X")
    with pytest.raises(uw.DataError, match="damaged or cut off"):
        uw.data.scan(path, "binance.aggTrades").collect()
    assert list((tmp_path / "out").iterdir()) == []


def test_an_earlier_file_stays_when_an_import_fails(tmp_path):
    target = tmp_path / "out" / "x.parquet"
    good = write(tmp_path / "X-aggTrades-2020-03-12.csv", agg_trades([(MS, "1")]))
    uw.data.import_ticks(good, target)
    before = target.read_bytes()
    write(good, agg_trades([(MS, "1"), (MS, "x")]))
    with pytest.raises(uw.DataError):
        uw.data.import_ticks(good, target)
    assert [path.name for path in target.parent.iterdir()] == ["x.parquet"]
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("X-aggTrades-2020-03-12.csv", "a,b\n1,2\n", "expected binance.aggTrades: 7 or 8 columns without a header"),
        ("X-aggTrades-2020-03-12.csv", "price,agg_trade_id\n1,2\n", "expected a column transact_time"),
        ("X-aggTrades-2020-03-12.csv", "", "expected binance.aggTrades"),
        ("X-aggTrades-2020-03-12.csv", f"{AGG}\n", "no ticks among 0 rows"),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,3,4,5,{MS},true\n1,2,3\n",
            "row 2: expected 7 columns, got 3: '1,2,3'",
        ),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,3,4,5,{MS},true,8\n",
            "row 1: expected 7 columns, got 8: '1,2,3,4,5",
        ),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,3,4,5,{MS},true\n1,2,3,4,5,{MS},true,8\n",
            "row 2: expected 7 columns, got 8",
        ),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,3,4,5,{MS},true\n1,0,3,4,5,{MS},true\n",
            "row 2, column `price`: expected a positive number, got '0'",
        ),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,-2.5,3,4,5,{MS},true\n",
            "row 1, column `price`: expected a positive number, got '-2.5'",
        ),
        (
            "X-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,-3,4,5,{MS},true\n",
            "row 1, column `quantity`: expected a number that is not negative, got '-3'",
        ),
        (
            "DOTUSD_PERP-aggTrades-2020-03-12.csv",
            f"{AGG}\n1,2,3,4,5,{MS},true\n1,2,3.5,4,5,{MS},true\n",
            "row 2, column `quantity`: expected a number of at most 0 decimals, as DOTUSD_PERP is defined, got '3.5'",
        ),
        (
            "20200313.csv",
            BITMEX
            + "2020-03-13D02:16:00,XBTUSD,Buy,1,4500,x,x,0,0,0\n2020-03-13D02:16:00,XBTUSD,Buy,1.25,4500,x,x,0,0,0\n",
            "20200313.csv: row 2, column `size`: expected a number of at most 0 decimals, as XBTUSD is defined, got '1.25'",
        ),
        ("X-aggTrades-2020-03-12.csv", f"{AGG}\n1,2,3,4,5,{MS},maybe\n", "expected true or false, got 'maybe'"),
        ("X-aggTrades-2020-03-12.csv", f"{AGG}\n1,2,3,4,5,12,true\n", "expected a time in s, ms, us or ns since 1970"),
        ("20240101_00.lz4", "[1]\n", "line 1: expected fills in JSON"),
        ("BTC-USD_trades.json", "{", "expected JSON"),
    ],
)
def test_bad_files_are_refused(load, name, text, message):
    with pytest.raises(uw.DataError, match=message):
        load(name, text, "hyperliquid.node_fills" if name.endswith("lz4") else None)


def test_bad_requests_are_refused(tmp_path):
    bars = write(tmp_path / "X-1m-2020-03-12.csv", f"{MS},1,2,0.5,1.5,0,{MS + 59_999},0,60,0,0,0\n")
    trades = write(tmp_path / "X-aggTrades-2020-03-12.csv", agg_trades([(MS, "1")]))
    other = write(tmp_path / "other.csv", "1\n")
    target = tmp_path / "x.parquet"
    for source, how, message in [
        (bars, {}, "binance.klines: bars of trades; .*: no ticks; import them as records"),
        (trades, {"price": "mark"}, "price: expected one of price of binance.aggTrades, got 'mark'"),
        (trades, {"clock": "local_ts"}, "clock: binance.aggTrades has no local_ts"),
        (trades, {"format": "nonesuch"}, "format: expected one of binance.aggTrades, "),
        (other, {}, "format: other.csv is like none that is known"),
        ([bars, trades], {}, "expected files of one format, got binance.klines, binance.aggTrades"),
    ]:
        with pytest.raises(uw.ConfigError, match=message):
            uw.data.import_ticks(source, target, **how)
    with pytest.raises(uw.MissingFileError):
        uw.data.import_ticks(tmp_path / "*.none", target)
    with pytest.raises(uw.MissingFileError):
        uw.data.import_ticks(tmp_path / "none.zip", target)
