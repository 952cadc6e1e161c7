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


def canonical(path, rows_per_group):
    """Checks the file as a whole: every column chunk, and what the metadata says."""
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    markets = json.loads(schema.metadata[b"underwater"])["markets"]
    for name in ("price", "size"):
        decimals = max(market[f"{name}_decimals"] for market in markets)
        assert schema.field(name).metadata[b"decimals"] == str(decimals).encode()
    groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
    assert all(group.num_rows == rows_per_group for group in groups[:-1])
    assert 0 < groups[-1].num_rows <= rows_per_group
    for group in groups:
        for at, field in enumerate(schema):
            chunk = group.column(at)
            assert (chunk.compression, chunk.has_column_index, chunk.has_offset_index) == ("ZSTD", True, True)
            values = {"market": {"PLAIN", "RLE_DICTIONARY"}, "side": {"PLAIN"}}
            assert set(chunk.encodings) - {"RLE"} == values.get(field.name, {"DELTA_BINARY_PACKED"})
            assert chunk.statistics.has_min_max
    return len(groups)


@pytest.fixture
def many() -> pl.DataFrame:
    """25,000 ticks of two markets, some of an instant."""
    rows = pl.int_range(25_000, eager=True)
    return pl.DataFrame(
        {
            "ts": (rows // 3 * 7).cast(pl.Datetime("ns", "UTC")),
            "market": pl.Series(["BTC", "ETH", "BTC"])[rows % 3],
            "price": 100 + rows % 500 / 4,
            "size": rows % 7 / 8,
            "side": (rows % 3 - 1).cast(pl.Int8),
        }
    )


def test_the_written_file_is_laid_out_as_promised(many, tmp_path, monkeypatch):
    monkeypatch.setattr("underwater.ticks._ROWS_PER_GROUP", 10_000)
    many.write_parquet(tmp_path / "raw.parquet")
    ticks = uw.Ticks.scan(tmp_path / "raw.parquet")
    resident = ticks.load().write(tmp_path / "resident.parquet")
    assert canonical(resident, 10_000) == 3
    # Ticks beyond a chunk that are not loaded are written without loading them.
    for rows in (1, 7_000, 20_000, 24_999):
        monkeypatch.setattr("underwater.ticks._ROWS_PER_CHUNK", rows)
        part = many if rows > 1 else many.head(50)
        part.write_parquet(tmp_path / "raw.parquet")
        streaming = uw.Ticks.scan(tmp_path / "raw.parquet")
        path = streaming.write(tmp_path / "streamed.parquet")
        assert not streaming.is_loaded
        canonical(path, 10_000)
        written, expected = uw.Ticks.scan(path), uw.Ticks(part)
        assert written.to_polars().equals(expected.to_polars())
        assert written.definitions == expected.definitions
        assert written.quality.equals(expected.quality)


@pytest.mark.parametrize("chunk", [100, 1 << 22])
def test_ticks_may_be_written_over_what_they_are_read_from(many, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("underwater.ticks._ROWS_PER_CHUNK", chunk)
    path = tmp_path / "ticks.parquet"
    many.write_parquet(path)
    expected = uw.Ticks(many).to_polars()
    assert uw.Ticks.scan(path).write(path) == path
    assert uw.Ticks.scan(path).to_polars().equals(expected)
    # A fault leaves the file as it was.
    many.with_columns(price=pl.when(pl.col("ts").dt.epoch("ns") < 50_000).then("price").otherwise(-1)).write_parquet(
        path
    )
    before = path.read_bytes()
    with pytest.raises(uw.DataError, match="expected a positive number"):
        uw.Ticks.scan(path).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_prices_that_need_more_than_64_bits_together_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("underwater.ticks._ROWS_PER_CHUNK", 1)
    prices = [1e-17, 2e-17, 1e14, 3e-17]
    frame = pl.DataFrame({"ts": pl.from_epoch([0, 1, 2, 3]), "market": ["A", "A", "B", "A"], "price": prices})
    frame.write_parquet(tmp_path / "raw.parquet")
    path = uw.Ticks.scan(tmp_path / "raw.parquet").write(tmp_path / "ticks.parquet")
    assert uw.Ticks.scan(path).to_polars().equals(uw.Ticks(frame).to_polars())


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
