"""Importers: every lesson that real files taught."""

import datetime as dt
import threading
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import polars as pl
import pytest
from archive_files import AGG, BITMEX, MS, agg_trades, write
from cases import DATA

import underwater as uw

FIXTURES = DATA / "formats"
real = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"the vendors' files are not at {FIXTURES}")


# The lessons


@pytest.mark.parametrize("header", [True, False])
def test_a_header_is_told_by_its_first_field(load, header):
    frame, _ = load("BTCUSDT-aggTrades-2020-03-12.zip", agg_trades([(MS, "7934.5"), (MS + 1, "7900")], header))
    assert frame["price"].to_list() == [7934.5, 7900]


@real
@pytest.mark.parametrize(
    ("file", "rows", "price", "decimals"),
    [
        ("futures-APEUSDT-aggTrades-2024-10-18.zip", 45342, Decimal("0.7097"), 4),  # with a header
        ("spot-PEPEUSDT-aggTrades-2024-10-27.zip", 57229, Decimal("0.00000908"), 8),  # without
    ],
)
def test_byte_original_trades(file, rows, price, decimals, tmp_path):
    done = uw.data.import_ticks(FIXTURES / file, tmp_path / "x.parquet")
    frame = done.ticks.to_polars()
    assert (done.rows, done.written, len(frame)) == (rows, rows, rows)
    assert done.ticks.markets[0].price_decimals == decimals
    assert frame["price"][0] == price.scaleb(decimals)
    texts = uw.data.scan(FIXTURES / file).select("price", "size").collect()
    assert (texts["price"] * 10**decimals).cast(pl.Int64).equals(frame["price"])


@real
def test_byte_original_others(tmp_path):
    kinds = {}
    for path in sorted(FIXTURES.iterdir()):
        frame = uw.data.scan(path).collect()
        kinds[path.name] = (len(frame), frame["market"].n_unique())
        if "klines" in path.name:
            assert (frame["close_ts"] - frame["open_ts"]).unique().to_list() == [
                dt.timedelta(hours=1) - dt.timedelta(milliseconds=1)
            ]
    assert {rows for rows, _ in kinds.values()} == {45342, 57229, 24, 200, 10, 15, 2}
    assert {markets for _, markets in kinds.values()} == {1}


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_the_unit_of_time_is_told_by_magnitude(load, unit, factor):
    first = MS * 10**6 // factor
    frame, done = load("BTCUSDT-aggTrades-2020-03-12.csv", agg_trades([(first, "1"), (first + 3, "2")]))
    assert list(done.units.values()) == [unit]
    assert frame["ts"].to_list() == [MS * 10**6, MS * 10**6 + 3 * factor]


@pytest.mark.parametrize("block", [1 << 25, 90])
def test_a_file_of_mixed_units_is_refused(load, monkeypatch, block):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", block)
    text = agg_trades([(MS, "1"), (MS + 1, "1"), (MS + 2, "1"), (MS * 1000, "1")])
    with pytest.raises(uw.DataError, match=r"row 4, column `transact_time`: expected a time in ms, .*got '158397120"):
        load("BTCUSDT-aggTrades-2020-03-12.csv", text)


def test_each_file_has_a_unit_of_its_own(tmp_path):
    """Binance spot went from ms to us with the year 2025."""
    for day, ts in ((1, MS), (2, (MS + 86_400_000) * 1000)):
        write(tmp_path / f"BTCUSDT-aggTrades-2020-03-{11 + day}.zip", agg_trades([(ts, "1")], header=False))
    done = uw.data.import_ticks(tmp_path / "*.zip", tmp_path / "x.parquet")
    assert sorted(done.units.values()) == ["ms", "us"]
    assert done.ticks.to_polars()["ts"].dt.date().to_list() == [dt.date(2020, 3, 12), dt.date(2020, 3, 13)]


BITMEX_BARS = """timestamp,symbol,open,high,low,close,trades,volume,vwap
2020-03-13T02:17:00.000Z,XBTUSD,4500.5,4490,4400,4410,12,3000,4444.4
2020-03-13T02:19:00.000Z,XBTUSD,4410,4420,4405,4405.5,3,200,4411
"""


def test_whether_a_stamp_is_the_open_or_the_close_is_in_the_name(records):
    assert records("bars.csv", BITMEX_BARS, "bitmex.bars").columns[0] == "close_ts"
    kline = f"{MS},1,2,0.5,1.5,10,{MS + 59_999},15,3,5,7.5,0\n"
    frame = records("BTCUSDT-1m-2020-03-12.csv", kline)
    assert frame.columns[:2] == ["open_ts", "close_ts"]
    assert frame["count"].to_list() == [3]
    assert uw.data.get("freqtrade.bars").columns[0].name == "open_ts"


def test_an_open_outside_low_to_high_is_kept(records):
    bar = records("bars.csv", BITMEX_BARS, "bitmex.bars").row(0, named=True)
    assert bar["open"] == Decimal("4500.5") > bar["high"]


def test_a_missing_minute_is_not_filled(records):
    frame = records("bars.csv", BITMEX_BARS, "bitmex.bars")
    assert frame["close_ts"].dt.minute().to_list() == [17, 19]


def test_contracts_or_base_units_belong_to_the_instrument(tmp_path):
    def definition(fmt, name, path=""):
        market = uw.data.get(fmt).market(name, path)
        return market.kind, market.contract_size, market.settlement

    assert definition("binance.aggTrades", "BTCUSDT") == ("linear", 1, None)
    assert definition("binance.aggTrades", "BTCUSD_PERP") == ("inverse", 100, "BTC")
    assert definition("binance.aggTrades", "DOTUSD_PERP") == ("inverse", 10, "DOT")
    assert definition("binance.aggTrades", "ETHUSD_200626") == ("inverse", 10, "ETH")
    assert definition("bybit.trades", "BTCUSD") == ("inverse", 1, "BTC")
    assert definition("bybit.trades", "ETHPERP") == ("linear", 1, None)
    assert definition("bitmex.trades", "XBTUSD") == ("inverse", 1, "XBT")
    assert definition("okx.trades", "BTC-USDT-SWAP") == ("linear", Fraction(1, 100), None)
    assert definition("tardis.trades", "binance-delivery:BTCUSD_PERP") == ("inverse", 100, "BTC")
    for fmt, name in (("okx.trades", "ETH-USDT-SWAP"), ("bitmex.trades", "ETHUSD"), ("tardis.trades", "huobi:BTC")):
        with pytest.raises(uw.ConfigError, match="define"):
            definition(fmt, name)


def test_a_contract_that_is_not_known_can_be_defined(load):
    text = "instrument_name,trade_id,side,price,size,created_time\n" + f"ETH-USDT-SWAP,1,buy,200.5,3,{MS}\n"
    with pytest.raises(uw.ConfigError, match="ETH-USDT-SWAP: sizes are in contracts"):
        load("x.csv", text, "okx.trades")
    given = uw.Market(name="ETH-USDT-SWAP", contract_size="0.1")
    _, done = load("x.csv", text, "okx.trades", markets=[given])
    assert done.ticks.markets[0].contract_size == Fraction(1, 10)


TARDIS = f"""exchange,symbol,timestamp,local_timestamp,id,side,price,amount
coinbase,BTC-USD,{MS}000,{MS + 100}000,1,buy,7900.01,0.5
coinbase,BTC-USD,{MS + 1}000,{MS + 9000}123,2,sell,7900,0.25
"""


def test_the_time_of_receipt_is_kept_and_can_be_the_clock(load, records):
    frame = records("coinbase_trades_2020-03-12_BTC-USD.csv.gz", TARDIS)
    assert (frame["local_ts"] - frame["ts"])[1] == dt.timedelta(seconds=8, milliseconds=999, microseconds=123)
    by_venue, done = load("coinbase_trades_2020-03-12_BTC-USD.csv.gz", TARDIS)
    assert done.ticks.provenance["clock"] == "ts"
    by_receipt, _ = load("coinbase_trades_2020-03-12_BTC-USD.csv.gz", TARDIS, clock="local_ts")
    assert (by_receipt["ts"] - by_venue["ts"]).to_list() == [100_000_000, 8_999_123_000]


@pytest.mark.parametrize("block", [1 << 25, 100])
def test_rows_that_repeat_are_counted_and_kept(load, monkeypatch, block):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", block)
    row = f"7,1.5,2,7,7,{MS},true\n"
    frame, done = load("BTCUSDT-aggTrades-2020-03-12.csv", f"{AGG}\n{row * 6}8,1.5,2,7,7,{MS},true\n")
    assert (len(frame), done.repeats) == (7, 5)


@pytest.mark.parametrize("words", [("true", "false"), ("True", "False"), ("1", "0"), ("TRUE", "FALSE")])
def test_booleans_as_they_come(load, words):
    sold, bought = words
    text = f"{AGG}\n1,1,2,1,1,{MS},{sold}\n2,1,2,1,1,{MS},{bought}\n"
    frame, _ = load("BTCUSDT-aggTrades-2020-03-12.csv", text)
    assert frame["side"].to_list() == [-1, 1], "the buyer was the maker: the taker sold"


# Exact numbers


@pytest.mark.parametrize(
    ("texts", "expected", "decimals"),
    [
        (["0.1", "0.30000000000000004"], [10**16, 30000000000000004], 17),
        (["9007199254740993", "1"], [9007199254740993, 1], 0),  # no double holds it
        (["68021.69000000", "7.50"], [6802169, 750], 2),
        (["9.08e-06", "1E-5"], [908, 1000], 8),
        (["0.1000000000000000000000", "2"], [1, 20], 1),
    ],
)
def test_prices_never_pass_through_a_float(tmp_path, texts, expected, decimals):
    text = agg_trades([(MS + i, price) for i, price in enumerate(texts)])
    done = uw.data.import_ticks(write(tmp_path / "X-aggTrades-2020-03-12.csv", text), tmp_path / "x.parquet")
    assert done.ticks.markets[0].price_decimals == decimals
    assert done.ticks.to_polars()["price"].to_list() == expected


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("abc", "row 2, column `price`: expected a number, got 'abc'"),
        ("", "row 2, column `price`: expected a value, got nothing"),
        ("nan", "row 2, column `price`: expected a number, got 'nan'"),
        ("1_0", "row 2, column `price`: expected a number, got '1_0'"),
        ("0.1234567890123456789", "at most 18 decimals, got '0.1234567890123456789'"),
        ("1e999", "row 2, column `price`: expected a number, got '1e999'"),
        ("99999999999999999999", "row 2, column `price`: expected a number within 64 bits"),
    ],
)
def test_what_is_no_number_is_refused_by_row(load, price, message):
    with pytest.raises(uw.DataError, match=message):
        load("BTCUSDT-aggTrades-2020-03-12.csv", agg_trades([(MS, "1"), (MS, price), (MS, "2")]))


def test_rows_are_counted_over_blocks(load, monkeypatch):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", 64)
    with pytest.raises(uw.DataError, match="row 41, column `price`: expected a number, got 'x'"):
        load("BTCUSDT-aggTrades-2020-03-12.zip", agg_trades([(MS, "1")] * 40 + [(MS, "x")]))


def test_a_round_of_chainlink_stays_a_text_and_its_answer_exact(load, records):
    text = (
        "round,answer,startedAt,updatedAt,answeredInRound\n"
        "36893488147419103233,790012345678,1583971200,1583971203,36893488147419103233\n"
    )
    assert records("BTC-USD-rounds.csv", text)["round"].to_list() == ["36893488147419103233"]
    assert records("BTC-USD-rounds.csv", text)["price"].to_list() == [Decimal("7900.12345678")]
    frame, done = load("BTC-USD-rounds.csv", text)
    assert frame["ts"].to_list() == [(MS + 3000) * 10**6]
    assert done.ticks.to_polars()["price"].to_list() == [790012345678]


# Order


def expected_order(rows):
    return sorted(rows, key=lambda row: row[0])


@pytest.mark.parametrize("stretch", [1 << 22, 50])
@pytest.mark.parametrize("block", [1 << 25, 300])
def test_times_out_of_order_are_sorted_and_counted(load, monkeypatch, stretch, block):
    monkeypatch.setattr("underwater.data._parts.STRETCH", stretch)
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", block)
    rows = [(MS + i * 7919 % 97, f"{i + 1}{'.5' if i > 200 else ''}") for i in range(400)]
    frame, done = load("BTCUSDT-aggTrades-2020-03-12.zip", agg_trades(rows))
    assert done.backwards == sum(b[0] < a[0] for a, b in pairwise(rows))
    assert done.descending == []
    assert [(ts // 10**6, price) for ts, price in frame.select("ts", "price").rows()] == [
        (ts, float(price)) for ts, price in expected_order(rows)
    ]
    assert done.ticks.provenance["backwards"] == done.backwards


@pytest.mark.parametrize("block", [1 << 25, 150])
def test_a_file_that_descends_is_turned_round_ties_too(load, monkeypatch, block):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", block)
    text = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
    stamps = ["1583971202.5", "1583971201.0001", "1583971201.0001", "1583971200"]
    text += "".join(
        f"{ts},BTCUSDT,{'Buy' if i % 2 else 'Sell'},0.00{i + 1},790{i},ZeroPlusTick,{i},0,0,0\n"
        for i, ts in enumerate(stamps)
    )
    frame, done = load("BTCUSDT2020-03-12.csv.gz", text)
    assert done.descending == ["BTCUSDT2020-03-12.csv.gz"]
    assert frame["price"].to_list() == [7903, 7902, 7901, 7900]
    assert [ts - MS * 10**6 for ts in frame["ts"]] == [0, 1_000_100_000, 1_000_100_000, 2_500_000_000]
    assert frame["side"].to_list() == [1, -1, 1, -1]


def test_files_come_out_in_the_order_of_time_whatever_their_names(tmp_path):
    for name, ts in (("a", MS + 10), ("b", MS)):
        write(tmp_path / name / "X-aggTrades-2020-03-12.csv", agg_trades([(ts, "1"), (ts + 20, "2")]))
    paths = [tmp_path / name / "X-aggTrades-2020-03-12.csv" for name in "ab"]
    done = uw.data.import_ticks(paths, tmp_path / "x.parquet")
    assert [ts % 10**9 // 10**6 for ts in done.ticks.to_polars()["ts"].dt.epoch("ns")] == [0, 10, 20, 30]


def test_files_that_overlap_are_told(tmp_path):
    """A day and its month, or spot and perpetual of one symbol: nothing is dropped, and it is said."""
    days = {"2020-03-12": MS, "2020-03-13": MS + 86_400_000}
    for day, ts in days.items():
        write(tmp_path / f"X-aggTrades-{day}.csv", agg_trades([(ts, "1"), (ts + 86_399_999, "2")]))
        write(tmp_path / f"Y-aggTrades-{day}.csv", agg_trades([(ts, "1"), (ts + 86_399_999, "2")]))
    done = uw.data.import_ticks(tmp_path / "*.csv", tmp_path / "x.parquet")
    assert done.overlapping == [], "days that follow each other, and different markets"
    month = write(tmp_path / "X-aggTrades-2020-03.csv", agg_trades([(MS, "1"), (MS + 2 * 86_400_000, "2")]))
    done = uw.data.import_ticks(tmp_path / "*.csv", tmp_path / "x.parquet")
    assert done.overlapping == [month.name]
    assert (done.written, done.ticks.provenance["overlapping"]) == (10, done.overlapping)
    assert uw.data.import_ticks([month, month], tmp_path / "x.parquet").overlapping == [month.name]


def test_two_venues_under_one_name_are_refused(tmp_path):
    for venue in ("coinbase", "kraken"):
        write(tmp_path / f"{venue}_trades_2020-03-12_BTC-USD.csv.gz", TARDIS.replace("coinbase", venue))
    with pytest.raises(uw.ConfigError, match="BTC-USD is of coinbase and of kraken; import them apart and name them"):
        uw.data.import_ticks(tmp_path / "*.gz", tmp_path / "x.parquet")
    done = uw.data.import_ticks(tmp_path / "kraken*.gz", tmp_path / "x.parquet", market="KRAKEN")
    assert done.ticks.markets[0].name == "KRAKEN"


def test_several_markets_in_one_file_and_one_in_each(tmp_path):
    for name in ("AUSDT", "BUSDT"):
        write(tmp_path / f"{name}-aggTrades-2020-03-12.csv", agg_trades([(MS, "1.25"), (MS + 5, "2")]))
    done = uw.data.import_ticks(tmp_path / "*.csv", tmp_path / "x.parquet")
    assert [market.name for market in done.ticks.markets] == ["AUSDT", "BUSDT"]
    assert done.ticks.to_polars()["market"].to_list() == ["AUSDT", "BUSDT", "AUSDT", "BUSDT"]
    bitmex = BITMEX
    for symbol, second in (("ETHUSD", 1), ("XBTUSD", 0)):  # sorted by symbol, as the archive's files are
        bitmex += f"2020-03-13D02:16:0{second}.123456789,{symbol},Sell,10,4500.5,MinusTick,x,0,0,0\n"
    file = write(tmp_path / "20200313.csv.gz", bitmex)
    with pytest.raises(uw.ConfigError, match="market ETHUSD: the size and payoff"):
        uw.data.import_ticks(file, tmp_path / "y.parquet")
    done = uw.data.import_ticks(file, tmp_path / "y.parquet", only=["XBTUSD"])
    assert (done.rows, done.written, done.not_ticks) == (2, 1, 1)
    assert done.ticks.to_polars()["ts"].dt.epoch("ns").item() % 10**9 == 123_456_789


MIXED = [
    ("ADAXBT", "0.00001234", "5"),
    ("XBTUSD", "4500.5", "100"),
    ("ETHUSD", "200.05", "7.25"),
    ("XBTUSD", "4501.0", "1"),
]


@pytest.mark.parametrize("block", [1 << 25, 100])
@pytest.mark.parametrize("only", [None, ["XBTUSD"], ["XBTUSD", "ETHUSD"]])
def test_each_market_of_a_file_has_the_decimals_that_its_own_values_need(tmp_path, monkeypatch, only, block):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", block)
    rows = [
        f"2020-03-13D02:16:0{i},{name},Sell,{size},{price},x,x,0,0,0" for i, (name, price, size) in enumerate(MIXED)
    ]
    file = write(tmp_path / "20200313.csv.gz", BITMEX + "\n".join(rows) + "\n")
    others = [uw.Market(name="ADAXBT"), uw.Market(name="ETHUSD")]
    done = uw.data.import_ticks(file, tmp_path / "x.parquet", only=only, markets=others)
    for ticks in (done.ticks, uw.Ticks.scan(done.path).load()):
        found = {market.name: (market.price_decimals, market.size_decimals) for market in ticks.markets}
        assert found == {
            name: decimals
            for name, decimals in {"ADAXBT": (8, 0), "ETHUSD": (2, 2), "XBTUSD": (1, 0)}.items()
            if only is None or name in only
        }
    bars = uw.bars.from_ticks(done.ticks, "1m")
    closes = {name: Decimal(price) for name, price, _ in MIXED if only is None or name in only}
    assert dict(bars.select("market", "close").rows()) == closes
    given = uw.Market(name="XBTUSD", kind="inverse", settlement="XBT", price_decimals=3)
    done = uw.data.import_ticks(file, tmp_path / "x.parquet", only=["XBTUSD"], markets=[given])
    assert done.ticks.markets[0].price_decimals == 3, "what is defined stays"


def test_a_market_that_is_not_there_is_told_from_those_that_are(tmp_path):
    rows = "".join(f"2020-03-13D02:16:00,{name},Sell,{size},{price},x,x,0,0,0\n" for name, price, size in MIXED)
    file = write(tmp_path / "20200313.csv.gz", BITMEX + rows)
    message = "no ticks among 4 rows; only: expected markets of the files, ADAXBT, ETHUSD, XBTUSD, got BTCUSD"
    with pytest.raises(uw.DataError, match=message):
        uw.data.import_ticks(file, tmp_path / "x.parquet", only=["BTCUSD"])


def test_a_market_that_comes_late_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", 100)
    rows = "".join(
        f"2020-03-13D02:16:0{i},{name},Sell,1,5,x,x,0,0,0\n" for i, name in enumerate(["A", "A", "A", "XBTUSD"])
    )
    file = write(tmp_path / "20200313.csv.gz", BITMEX + rows)
    done = uw.data.import_ticks(file, tmp_path / "x.parquet", market="MINE", only=["XBTUSD"])
    assert (done.written, done.not_ticks, done.ticks.markets[0].settlement) == (1, 3, "XBT")


def test_a_market_that_is_renamed_is_one_of_the_file(load):
    name = "coinbase_trades_2020-03-12_BTC-USD.csv.gz"
    frame, done = load(name, TARDIS, market="SPOT")
    assert (frame["market"].unique().to_list(), done.ticks.markets[0].kind) == (["SPOT"], "linear")
    two = TARDIS + f"coinbase,ETH-USD,{MS + 2}000,{MS + 2}000,3,buy,200,1\n"
    with pytest.raises(uw.ConfigError, match="SPOT cannot be all of BTC-USD, ETH-USD; choose one with only"):
        load(name, two, market="SPOT")
    frame, done = load(name, two, market="SPOT", only=["ETH-USD"])
    assert (frame["price"].to_list(), done.not_ticks) == ([200], 2)


# Lazily, and with progress


def test_scan_is_lazy_and_reads_what_is_asked_for(tmp_path):
    path = write(tmp_path / "X-aggTrades-2020-03-12.zip", agg_trades([(MS + i, f"{i + 1}.50") for i in range(100)]))
    frame = uw.data.scan(path)
    assert isinstance(frame, pl.LazyFrame)
    assert frame.filter(pl.col("price") > 50).select(pl.len()).collect().item() == 51
    assert frame.head(3).select("price", "market").collect().rows() == [(Decimal(f"{i}.5"), "X") for i in (1, 2, 3)]
    write(path, "1,2\n")
    with pytest.raises(Exception, match=r"expected binance\.aggTrades"):
        uw.data.scan(path).collect()


def test_records_go_to_parquet(tmp_path):
    path = write(tmp_path / "X-1m-2020-03-12.csv", f"{MS},1,2,0.5,1.5,0,{MS + 59_999},0,60,0,0,0\n")
    done = uw.data.import_records(path, tmp_path / "bars.parquet")
    assert (done.rows, done.written) == (1, 1)
    assert pl.read_parquet(done.path).equals(uw.data.scan(path).collect())


def test_progress_tells_bytes_and_rows(tmp_path):
    path = write(tmp_path / "X-aggTrades-2020-03-12.zip", agg_trades([(MS - i % 7, "1") for i in range(1000)]))
    told = []

    def tell(*said):
        assert threading.current_thread() is threading.main_thread()
        told.append(said)

    uw.data.import_ticks(path, tmp_path / "x.parquet", progress=tell)
    assert list(dict.fromkeys(phase for phase, _, _ in told)) == ["read", "sort", "write"]
    assert max(done for phase, done, _ in told if phase == "read") == path.stat().st_size
    assert all(done <= total for _, done, total in told)


def test_the_canonical_file_is_written_as_ever(tmp_path):
    """The same bytes as Ticks.write gives for the same ticks, but for the provenance."""
    path = write(tmp_path / "X-aggTrades-2020-03-12.zip", agg_trades([(MS + i, f"{i + 1}.5") for i in range(1000)]))
    done = uw.data.import_ticks(path, tmp_path / "x.parquet")
    again = done.ticks.load().write(tmp_path / "again.parquet")
    assert uw.Ticks.scan(again).to_polars().equals(done.ticks.to_polars())
    assert done.ticks.provenance["kind"] == "imported"
    assert done.ticks.provenance["sources"] == [path.name]
