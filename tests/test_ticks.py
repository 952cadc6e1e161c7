import json

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import underwater as uw


def test_written_ticks_are_canonical_and_read_back(ticks, tmp_path):
    path = ticks.write(tmp_path / "ticks.parquet")
    schema = pq.read_schema(path)
    assert schema.field("ts").type == pa.timestamp("ns", "UTC")
    assert schema.field("price").type == pa.int64()
    assert schema.field("price").metadata[b"decimals"] == b"0"
    assert [market["name"] for market in json.loads(schema.metadata[b"underwater"])["markets"]] == ["ETH-PERP"]
    chunk = pq.read_metadata(path).row_group(0).column(schema.get_field_index("price"))
    assert (chunk.compression, chunk.has_column_index) == ("ZSTD", True)
    assert "DELTA_BINARY_PACKED" in chunk.encodings

    read = uw.Ticks.scan(path)
    assert not read.is_loaded
    assert read.load().is_loaded
    assert read.to_polars().equals(ticks.to_polars())
    assert read.markets == ticks.markets
    assert read.provenance == {"real": "nothing", "files": [str(path)]}


def test_scan_takes_globs_directories_and_lists(ticks, tmp_path):
    path = ticks.write(tmp_path / "a.parquet")
    for source in (path, str(path), tmp_path, f"{tmp_path}/*.parquet", [path]):
        assert uw.Ticks.scan(source).load().rows == 2


def test_scan_says_what_is_missing(tmp_path):
    with pytest.raises(uw.MissingFileError, match=r"no Parquet file matches .*\*\.parquet"):
        uw.Ticks.scan(tmp_path / "*.parquet")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        uw.Ticks.scan(tmp_path / "none.parquet")
    with pytest.raises(uw.DataError, match="at least one file"):
        uw.Ticks.scan([])


def test_ticks_take_anything_that_speaks_arrow(ticks, tmp_path):
    frame = pl.DataFrame({"ts": pl.from_epoch([0, 1]), "market": "ETH-PERP", "price": [2000.0, 1700.0]})
    table = pa.table(frame)
    for data in (frame, frame.lazy(), table, table.to_reader(), ds.dataset(table), ticks):
        assert uw.Ticks(data).to_polars().equals(ticks.to_polars())
    with pytest.raises(uw.DataError, match=r"ticks: expected a polars frame.* got dict"):
        uw.Ticks({"ts": [0]})


def test_definitions_travel(tmp_path):
    frame = pl.DataFrame({"ts": pl.from_epoch([0]), "market": "XBTUSD", "price": [8000.5]})
    market = uw.Market(name="XBTUSD", kind="inverse", settlement="XBT", price_decimals=2)
    ticks = uw.Ticks(frame, markets=[market])
    assert ticks.markets[0].price_decimals == 2
    assert uw.Ticks.scan(ticks.write(tmp_path / "x.parquet")).markets == ticks.markets
    with pytest.raises(uw.ConfigError, match="markets: 'XBTUSD' is defined twice"):
        uw.Ticks(frame, markets=[market, market])


def test_book_describes_itself(book):
    assert book.n_accounts == 2
    row = book.describe().row(0, named=True)
    assert (row["market"], row["positions"], row["long"], row["short"], row["net"]) == ("ETH-PERP", 2, 5.0, 5.0, 0.0)
    with pytest.raises(uw.BookError, match="size"):
        uw.Book.from_frames(book.positions.drop("size"))
    with pytest.raises(uw.BookError, match=r"positions: expected a polars frame.* got list"):
        uw.Book.from_frames([])
