"""Ticks from files and frames: what is taken, what is refused and how the refusal reads.

The forms that pyarrow and polars can produce are here; every form of every fault is tested beside the reader, in Rust.
"""

import concurrent.futures
import copy
import datetime as dt
import decimal
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import underwater as uw
from underwater import _core

REAL = Path(__file__).parents[2] / "shared" / "data" / "ticks_2025-10-10"

TS = [10, 20, 20, 20, 50]
MARKETS = ["B", "A", "B", "B", "A"]
PRICES = [100.5, 7.0, 101.25, 101.25, 8.125]
SIZES = [1.0, 0.0, 2.5, 2.5, 0.5]
SIDES = [1, -1, 0, 0, 1]


def frame(**columns: Any) -> pl.DataFrame:
    """Five ticks of two markets, with columns replaced or (None) left out."""
    data = {
        "ts": pl.Series(TS).cast(pl.Datetime("ns", "UTC")),
        "market": MARKETS,
        "price": PRICES,
        "size": SIZES,
        "side": pl.Series(SIDES, dtype=pl.Int8),
    } | columns
    return pl.DataFrame({name: column for name, column in data.items() if column is not None})


def table(**columns: Any) -> pa.Table:
    return pa.table(frame(**columns))


@pytest.fixture
def expected() -> pl.DataFrame:
    return uw.Ticks(frame()).to_polars()


# What is taken


@pytest.mark.parametrize(
    "column",
    [
        {"market": pl.Series(MARKETS, dtype=pl.Categorical)},
        {"market": pl.Series(MARKETS, dtype=pl.Enum(["A", "B", "never"]))},
        {"side": ["buy", "sell", "unknown", "unknown", "buy"]},
        {"side": pl.Series(["BUY", "Sell", "unknown", "unknown", "buy"], dtype=pl.Categorical)},
        {"side": pl.Series(SIDES, dtype=pl.Int16)},
        {"side": pl.Series(SIDES, dtype=pl.Int64)},
        {"price": pl.Series([decimal.Decimal(str(price)) for price in PRICES], dtype=pl.Decimal(20, 10))},
        {"size": pl.Series([decimal.Decimal(str(size)) for size in SIZES], dtype=pl.Decimal(38, 1))},
    ],
    ids=str,
)
def test_polars_types(expected, column):
    assert uw.Ticks(frame(**column)).to_polars().equals(expected)


@pytest.mark.parametrize("zone", [None, "UTC", "Etc/UTC"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_units_and_zones(unit, zone):
    start = dt.datetime(2025, 10, 10, 21, 19, 1, 433000)
    ts = pl.Series([start, start + dt.timedelta(milliseconds=5)], dtype=pl.Datetime(unit)).dt.replace_time_zone(zone)
    ticks = uw.Ticks(pl.DataFrame({"ts": ts, "market": "X", "price": [1.0, 2.0]})).to_polars()
    assert ticks["ts"].dtype == pl.Datetime("ns", "UTC")
    assert ticks["ts"].dt.epoch("ns").to_list() == [1760131141433000000, 1760131141438000000]


@pytest.mark.parametrize(
    "form",
    [
        lambda: table(),
        lambda: table().to_batches()[0],
        lambda: table().to_reader(max_chunksize=2),
        lambda: pa.Table.from_batches(table().to_batches(max_chunksize=1)),
        lambda: pa.concat_tables([table().slice(0, 2), table().slice(2, 0), table().slice(2)]),
        lambda: pa.table(frame().select("side", "size", "price", "market", "ts").with_columns(note=pl.lit("kept out"))),
        lambda: table().set_column(1, "market", pa.array(MARKETS, pa.large_string())),
        lambda: table().set_column(1, "market", pa.array(MARKETS, pa.string_view())),
        lambda: table().set_column(1, "market", pa.array(MARKETS).dictionary_encode()),
        lambda: table().set_column(0, "ts", pa.array(TS, pa.timestamp("ns", "+00:00"))),
        lambda: table().set_column(0, pa.field("ts", pa.int64(), metadata={"unit": "ns"}), pa.array(TS)),
        lambda: table().set_column(
            2,
            pa.field("price", pa.int64(), metadata={"decimals": "3"}),
            pa.array([round(price * 1000) for price in PRICES]),
        ),
    ],
)
def test_arrow_forms(expected, form, tmp_path):
    assert uw.Ticks(form()).to_polars().equals(expected)
    data = form()
    if isinstance(data, pa.Table):
        pq.write_table(data, tmp_path / "x.parquet", row_group_size=2)
        assert uw.Ticks.scan(tmp_path / "x.parquet").to_polars().equals(expected)


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "lz4", "gzip", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_parquet_encodings(expected, compression, version, tmp_path):
    path = tmp_path / "x.parquet"
    options = {"compression": compression, "data_page_version": version}
    pq.write_table(table(), path, **options)
    assert uw.Ticks.scan(path).to_polars().equals(expected)
    encoding = {"ts": "DELTA_BINARY_PACKED", "price": "BYTE_STREAM_SPLIT"}
    pq.write_table(table(), path, use_dictionary=["market"], column_encoding=encoding, **options)
    assert uw.Ticks.scan(path).to_polars().equals(expected)
    pq.write_table(table(), path, store_schema=False, write_page_checksum=True, **options)
    assert uw.Ticks.scan(path).to_polars().equals(expected)


def test_files_of_polars(expected, tmp_path):
    frame().write_parquet(tmp_path / "x.parquet", row_group_size=2)
    assert uw.Ticks.scan(tmp_path / "x.parquet").to_polars().equals(expected)


def test_a_stream_is_consumed_once():
    reader = table().to_reader()
    assert uw.Ticks(reader).rows == 5
    with pytest.raises(uw.DataError, match="expected ticks, got a frame without rows"):
        uw.Ticks(reader)


def test_files_of_many_markets_and_days(tmp_path):
    def day(number: int, name: str, **columns: Any) -> None:
        ts = pl.Series([value + 100 * number for value in TS]).cast(pl.Datetime("ns", "UTC"))
        frame(ts=ts, **columns).write_parquet(tmp_path / name)

    day(2, "a.parquet")
    day(1, "b.parquet")
    day(1, "C.parquet", market=None, size=None, side=None)
    ticks = uw.Ticks.scan(tmp_path)
    assert [market.name for market in ticks.markets] == ["A", "B", "C"]
    rows = ticks.to_polars().with_columns(pl.col("market").cast(pl.String), pl.col("ts").dt.epoch("ns"))
    assert rows.filter(market="A")["ts"].to_list() == [120, 150, 220, 250]
    assert rows.filter(market="C")["ts"].to_list() == [110, 120, 120, 120, 150]
    assert rows.filter(market="C")["size"].null_count() == 5
    quality = ticks.quality.row(by_predicate=pl.col("market") == "B", named=True)
    counts = {name: quality[name] for name in ("rows", "duplicates", "same_instant", "instants")}
    assert counts == {"rows": 6, "duplicates": 2, "same_instant": 2, "instants": 4}


def test_a_file_without_markets_is_named_by_its_definition_its_metadata_or_its_stem(tmp_path):
    path = tmp_path / "ETH-PERP.parquet"
    nameless = table(market=None, size=None, side=None)
    pq.write_table(nameless, path)
    assert [market.name for market in uw.Ticks.scan(path).markets] == ["ETH-PERP"]
    assert [market.name for market in uw.Ticks.scan(path, markets=[uw.Market(name="X")]).markets] == ["X"]
    pq.write_table(nameless.replace_schema_metadata({"underwater": '{"markets":[{"name":"SOL"}]}'}), path)
    assert [market.name for market in uw.Ticks.scan(path).markets] == ["SOL"]
    assert uw.Ticks(nameless, markets=[uw.Market(name="X")]).markets[0].name == "X"
    with pytest.raises(uw.DataError, match="frame: expected a column `market`, or the definition of exactly one"):
        uw.Ticks(nameless)


def test_decimals_are_declared_or_the_fewest_that_fit():
    a, b = uw.Ticks(frame()).markets
    assert (a.price_decimals, a.size_decimals, b.price_decimals, b.size_decimals) == (3, 1, 2, 1)
    a, b = uw.Ticks(frame(size=None), markets=[uw.Market(name="A", price_decimals=5)]).markets
    assert (a.price_decimals, a.size_decimals, b.price_decimals) == (5, 8, 2)
    with pytest.raises(uw.DataError, match=r"`price`, row 4: market A: .* declared 2 decimals, got 8\.125"):
        uw.Ticks(frame(), markets=[uw.Market(name="A", price_decimals=2)]).load()


# What is refused

FAULTS = {
    "no ts": ({"ts": None}, "frame: expected columns ts and price"),
    "no price": ({"price": None}, "`price` is missing among ts, market, size, side"),
    "ts of floats": ({"ts": PRICES}, "column `ts`: expected a timestamp"),
    "ts of bare integers": (
        {"ts": TS},
        "column `ts`: expected a timestamp in s, ms, us or ns, in UTC or without a zone, or",
    ),
    "ts elsewhere": ({"ts": pl.Series(TS).cast(pl.Datetime("ns", "Asia/Tokyo"))}, 'got Timestamp(ns, "Asia/Tokyo")'),
    "ts of dates": ({"ts": [dt.date(2025, 10, 10)] * 5}, "column `ts`: expected a timestamp"),
    "null ts": ({"ts": pl.Series([1, 2, None, 4, 5]).cast(pl.Datetime("ns"))}, "column `ts`, row 2: expected a value"),
    "unsorted": (
        {"ts": pl.Series([10, 30, 20, 25, 29]).cast(pl.Datetime("ns"))},
        "column `ts`, row 4: expected times that do not descend, got 1970-01-01T00:00:00.000000029Z after "
        "1970-01-01T00:00:00.000000030Z",
    ),
    "time out of range": (
        {"ts": pl.Series([0, 1, 2, 3, 2**63 // 10**6 + 1]).cast(pl.Datetime("ms"))},
        "column `ts`, row 4: expected a time between 1677-09-21",
    ),
    "market of integers": ({"market": TS}, "column `market`: expected dictionary, utf8"),
    "null market": ({"market": ["A", None, "A", "A", "A"]}, "column `market`, row 1: expected a value, got null"),
    "empty market": ({"market": ["A", "A", "", "A", "A"]}, "column `market`, row 2: expected the name of a market"),
    "price of bare integers": ({"price": [1, 2, 3, 4, 5]}, "got Int64 without `decimals`"),
    "price of float32": (
        {"price": pl.Series(PRICES, dtype=pl.Float32)},
        "column `price`: expected int64 with `decimals`",
    ),
    "price of strings": ({"price": ["1"] * 5}, "column `price`: expected int64"),
    "null price": ({"price": [1.0, 2.0, None, 4.0, 5.0]}, "column `price`, row 2: expected a value, got null"),
    "NaN": ({"price": [1.0, 2.0, 3.0, float("nan"), 5.0]}, "column `price`, row 3: expected a finite number, got NaN"),
    "infinite": (
        {"price": [float("inf"), 2.0, 3.0, 4.0, 5.0]},
        "column `price`, row 0: expected a finite number, got inf",
    ),
    "zero price": ({"price": [1.0, 0.0, 3.0, 4.0, 5.0]}, "column `price`, row 1: expected a positive number, got 0"),
    "negative price": ({"price": [1.0, 2.0, 3.0, 4.0, -37.63]}, "row 4: expected a positive number, got -37.63"),
    "noise": ({"price": [0.1 + 0.2] * 5}, "row 0: expected a decimal number of at most 15 digits and 18 decimals"),
    "too wide": (
        {"price": [1e14, 1.0, 1e-9, 1.0, 1.0]},
        "row 0: 100000000000000 with 9 decimals, which other rows need",
    ),
    "negative size": (
        {"size": [1.0, -1.0, 1.0, 1.0, 1.0]},
        "column `size`, row 1: expected a number that is not negative",
    ),
    "size here and there": ({"size": [None, 1.0, 1.0, 1.0, 1.0]}, "column `size`, row 0: expected a value, got null"),
    "strange side": (
        {"side": [0, 1, 2, 1, 1]},
        "column `side`, row 2: expected +1 (buy), -1 (sell) or 0 (unknown), got 2",
    ),
    "strange word": ({"side": ["buy", "ask", "buy", "buy", "buy"]}, 'row 1: expected buy, sell or unknown, got "ask"'),
    "side of floats": ({"side": PRICES}, "column `side`: expected int8"),
}


@pytest.mark.parametrize(("columns", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_name_the_place_and_what_was_expected(columns, message, tmp_path):
    data = frame(**columns)
    with pytest.raises(uw.DataError) as raised:
        uw.Ticks(data).load()
    assert str(raised.value).startswith("frame: ")
    assert message in str(raised.value)
    path = tmp_path / "ticks.parquet"
    data.write_parquet(path)
    with pytest.raises(uw.DataError) as raised:
        uw.Ticks.scan(path).load()
    assert str(raised.value).startswith(f"{path}: ")
    assert message.removeprefix("frame: ") in str(raised.value)


def test_schemas_are_checked_before_anything_is_read(tmp_path):
    frame(price=None).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(uw.DataError, match=r"x\.parquet: expected columns ts and price"):
        uw.Ticks.scan(tmp_path / "x.parquet")
    with pytest.raises(uw.DataError, match="frame: expected columns ts and price"):
        uw.Ticks(frame(price=None))


def test_files_that_are_not_there(tmp_path):
    path = tmp_path / "none.parquet"
    with pytest.raises(FileNotFoundError) as raised:
        _core.Ticks.from_files([str(path)])
    assert isinstance(raised.value, uw.DataError)
    assert (raised.value.filename, raised.value.errno) == (str(path), 2)
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert (type(again), str(again)) == (uw.MissingFileError, str(raised.value))
    with pytest.raises(uw.DataError, match="expected at least one"):
        _core.Ticks.from_files([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected a Parquet file, got an empty file \(0 bytes\)"),
        (b"PAR1", "cannot be read as Parquet"),
        (b"ts,price\n1,2\n" * 100, "cannot be read as Parquet"),
        (b"PAR1" + bytes(range(256)) * 4 + b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_no_parquet(content, message, tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(uw.DataError, match=rf"x\.parquet: {message}"):
        uw.Ticks.scan(path)


def test_truncated_files(tmp_path):
    path = tmp_path / "x.parquet"
    frame().write_parquet(path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(uw.DataError, match=r"x\.parquet: "):
            uw.Ticks.scan(path).load()


def test_checksums_find_damage(tmp_path):
    path = tmp_path / "x.parquet"
    ts = pl.Series(range(2000)).cast(pl.Datetime("ns", "UTC"))
    data = pa.table(pl.DataFrame({"ts": ts, "market": "A", "price": [float(1 + n % 7) for n in range(2000)]}))
    pq.write_table(data, path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(uw.DataError, match=r"x\.parquet: .*checksum"):
        uw.Ticks.scan(path).load()


def test_frames_without_rows(tmp_path):
    with pytest.raises(uw.DataError, match="frame: expected ticks, got a frame without rows"):
        uw.Ticks(frame().clear())
    frame().clear().write_parquet(tmp_path / "x.parquet")
    with pytest.raises(uw.DataError, match=r"x\.parquet: expected ticks, got a file without rows"):
        uw.Ticks.scan(tmp_path / "x.parquet")


def test_what_a_producer_raises_is_told():
    def batches() -> Iterator[pa.RecordBatch]:
        yield from table().to_batches()
        raise RuntimeError("the disk is on fire")

    reader = pa.RecordBatchReader.from_batches(table().schema, batches())
    with pytest.raises(uw.DataError, match=r"frame: .*the disk is on fire"):
        uw.Ticks(reader)
    with pytest.raises(
        TypeError, match="expected an object with __arrow_c_stream__ or __arrow_c_array__, got <class 'int'>"
    ):
        _core.Ticks.from_arrow(3)
    with pytest.raises(uw.DataError, match="frame: cannot be read as an Arrow table"):
        _core.Ticks.from_arrow(pa.array([1, 2]))


# The door


def test_progress_is_told_on_the_calling_thread():
    calls: list[tuple[str, int, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append((phase, done, total))

    ticks = uw.Ticks(frame())
    assert not ticks.is_loaded
    assert ticks.load(progress).is_loaded
    assert calls[-1] == ("decode", 5, 5)
    calls.clear()
    ticks.load(progress)
    assert calls == []


@pytest.mark.parametrize("error", [ValueError("enough"), KeyboardInterrupt(), SystemExit(3)])
def test_what_progress_raises_ends_the_call(error):
    def progress(phase: str, done: int, total: int) -> None:
        raise error

    ticks = uw.Ticks(frame())
    with pytest.raises(type(error)):
        ticks.load(progress)
    assert ticks.load().rows == 5


def test_progress_must_be_callable():
    ticks = _core.Ticks.from_arrow(frame())
    for _ in range(2):
        with pytest.raises(TypeError, match=r"progress: expected a callable .* got <class 'int'>"):
            ticks.load(3)
        ticks.load()


def test_threads_share_ticks(expected):
    ticks = uw.Ticks(frame())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda _: ticks.to_polars(), range(32)))
    assert all(other.equals(expected) for other in frames)


def test_ticks_are_frozen():
    ticks = _core.Ticks.from_arrow(frame())
    with pytest.raises(AttributeError):
        ticks.rows = 3
    with pytest.raises(TypeError):
        _core.Ticks()
    for dump in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle"):
            dump(ticks)
    assert repr(ticks) == "Ticks(5 rows, not loaded)"
    assert repr(ticks.load()) == "Ticks(5 rows, loaded)"


# What comes out


def test_tables_read_back(tmp_path):
    market = uw.Market(name="B", kind="inverse", contract_size="10", settlement="COIN", index="A")
    ticks = uw.Ticks(frame(), markets=[market], assets=[uw.Asset(name="GOLD", decimals=3)])
    exported = pa.table(_core.Ticks.from_arrow(ticks).load().table())
    assert exported.schema.field("price").metadata == {b"decimals": b"3"}
    again = uw.Ticks(exported)
    assert again.definitions == ticks.definitions
    assert again.to_polars().equals(ticks.to_polars())
    assert again.quality.equals(ticks.quality)
    handed_on = _core.Ticks.from_arrow(ticks).table()
    assert len(handed_on) == 5
    assert handed_on.column_names == ["ts", "market", "price", "size", "side"]
    assert pl.DataFrame(handed_on).equals(pl.DataFrame(handed_on)), "a table may be read again"


@pytest.mark.skipif(not REAL.exists(), reason="the vendor's ticks of 2025-10-10 are not part of the repository")
def test_real_ticks(tmp_path):
    total = 0
    for path in sorted(REAL.glob("*.parquet")):
        data = pl.read_parquet(path)
        price = "price" if "price" in data.columns else "okx_btcusd_index"
        ts = pl.from_epoch("ts_us", time_unit="us").dt.replace_time_zone("UTC").alias("ts")
        optional = [pl.col("amount").alias("size"), pl.col("side")] if "amount" in data.columns else []
        data = data.select(ts, pl.col(price).alias("price"), *optional)
        data.write_parquet(tmp_path / path.name)
        total += len(data)
    ticks = uw.Ticks.scan(tmp_path)
    assert ticks.rows == ticks.load().to_polars().height == total
    avax = ticks.quality.row(by_predicate=pl.col("market") == "binance_coinm_AVAXUSD_PERP", named=True)
    assert (avax["rows"], avax["same_instant"], avax["instants"]) == (137_632, 70_523, 67_109)
    (tmp_path / "all").mkdir()
    again = uw.Ticks.scan(ticks.write(tmp_path / "all" / "ticks.parquet"))
    assert again.to_polars().equals(ticks.to_polars())
