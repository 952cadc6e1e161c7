"""Bundled days: what is real stays real, the rest is the same every time, and the cache heals itself."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import underwater as uw

DAYS = ["2020-03-12", "2021-05-19", "2022-05-11", "2022-11-08", "2025-10-10"]
TICKS = 3_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def decimals(ticks: uw.Ticks, column: str) -> int:
    return int(pa.table(ticks).schema.field(column).metadata[b"decimals"])


def of_market(ticks: uw.Ticks, market: str) -> pl.DataFrame:
    return ticks.to_polars().filter(pl.col("market").cast(pl.String) == market)


def anchors_of(ticks: uw.Ticks, day: str, market: str) -> pl.DataFrame:
    """Anchors with prices as integers in the ticks' decimals."""
    anchors, unit = uw.crash_days.anchors(day, market), 10 ** decimals(ticks, "price")
    return anchors.with_columns(price=pl.Series([int(Decimal(text) * unit) for text in anchors["price"]]))


def test_list_shows_the_five_days() -> None:
    days = uw.crash_days.list()
    assert days["day"].to_list() == DAYS
    assert days.columns == ["day", "title", "start", "end", "markets", "deepest", "high", "low", "fall"]
    black_thursday = days.row(0, named=True)
    assert black_thursday["markets"] == ["XBTUSD"]
    assert (black_thursday["high"], black_thursday["low"]) == (7967.0, 3596.0)
    assert days["fall"].is_between(-0.9, -0.3).all()


def test_markets_shows_the_anchors_figures() -> None:
    markets = uw.crash_days.markets()
    assert len(markets) == 20
    assert markets["anchors"].sum() == 3720
    lows = dict(markets.filter(pl.col("day") == "2025-10-10").select("market", "low").iter_rows())
    assert lows["AVAXUSD_PERP"] == 6.02
    assert lows["BTC-USD"] == 106_211.6
    assert markets.filter(pl.col("volume_usd").is_null())["market"].to_list() == ["BTC-USD"]
    one = uw.crash_days.markets("2020-03-12")
    assert one["market"].to_list() == ["XBTUSD"]
    assert one["volume_usd"][0] == pytest.approx(18.35e9, rel=1e-3)


def test_the_bundled_figures_are_those_of_the_repository() -> None:
    bundled = Path(__file__).parents[1] / "data"
    assert uw._core.crash_profiles() == (bundled / "crash_profiles.csv").read_text()
    assert uw._core.crash_days_toml() == (bundled / "crash_days.toml").read_text()
    for day in DAYS:
        about = uw.crash_days.about(day)
        assert about["summary"]
        assert all(event["text"] and event["source"] for event in about["events"])


@pytest.mark.parametrize("day", DAYS)
def test_every_anchor_is_a_tick_and_the_path_stays_between_them(day: str, cache: Path) -> None:
    ticks = uw.crash_days.load(day, ticks_per_market=TICKS, cache_dir=cache).load()
    about = uw.crash_days.about(day)
    spans = uw.crash_days.markets(day).select("market", "series").rows()
    assert [market.name for market in ticks.markets] == sorted(name for name, _ in spans)
    for name, series in spans:
        own, anchors = of_market(ticks, name), anchors_of(ticks, day, name)
        assert own["ts"].is_sorted()
        assert about["start"] <= own["ts"][0]
        assert own["ts"][-1] < about["end"]
        assert anchors.join(own, on=["ts", "price"], how="anti").is_empty()
        assert own["price"].min() == anchors["price"].min()
        assert own["price"].max() == anchors["price"].max()
        assert len(own) == pytest.approx(TICKS, rel=0.1)
        if series == "index":
            assert own["size"].is_null().all()
            assert own["side"].is_null().all()
        else:
            assert (own["size"] > 0).all()
            assert set(own["side"].unique()) <= {-1, 1}


def test_the_path_never_leaves_the_interval_of_its_anchors(cache: Path) -> None:
    ticks = uw.crash_days.load("2020-03-12", ticks_per_market=TICKS, cache_dir=cache)
    own, anchors = of_market(ticks, "XBTUSD"), anchors_of(ticks, "2020-03-12", "XBTUSD")
    before = own.join_asof(anchors.select("ts", a="price"), on="ts")
    both = before.join_asof(anchors.select("ts", b="price"), on="ts", strategy="forward")
    low, high = pl.min_horizontal("a", "b"), pl.max_horizontal("a", "b")
    inside = both.select(pl.col("price").is_between(low, high) | (pl.col("ts").is_in(anchors["ts"].implode())))
    assert inside.to_series().all()


def test_volume_is_honoured_where_it_is_known(cache: Path) -> None:
    ticks = uw.crash_days.load("2020-03-12", ticks_per_market=TICKS, cache_dir=cache)
    own, anchors = of_market(ticks, "XBTUSD"), uw.crash_days.anchors("2020-03-12", "XBTUSD")
    # One contract is one USD.
    sums = [
        float(own.filter(pl.col("ts").is_between(a, b, closed="right"))["size"].sum())
        for a, b in zip(anchors["ts"][:-1], anchors["ts"][1:], strict=True)
    ]
    assert sums == pytest.approx(anchors["volume_usd"][1:].to_list(), abs=1)


def test_an_outage_is_silent(cache: Path) -> None:
    own = uw.crash_days.load("2020-03-12", ticks_per_market=TICKS, cache_dir=cache).to_polars()
    outage = pl.datetime(2020, 3, 13, 2, 17, time_zone="UTC"), pl.datetime(2020, 3, 13, 2, 30, time_zone="UTC")
    assert own.filter(pl.col("ts").is_between(*outage, closed="left")).is_empty()


def test_the_same_seed_gives_the_same_ticks(tmp_path: Path, cache: Path) -> None:
    load = uw.crash_days.load
    first = load("2022-11-08", ticks_per_market=TICKS, cache_dir=cache).to_polars()
    again = load("2022-11-08", ticks_per_market=TICKS, cache_dir=tmp_path).to_polars()
    other = load("2022-11-08", ticks_per_market=TICKS, cache_dir=tmp_path, seed=2).to_polars()
    assert first.equals(again)
    assert not first.equals(other)


def test_provenance_says_what_is_real(cache: Path) -> None:
    said = uw.crash_days.load("2025-10-10", ticks_per_market=TICKS, cache_dir=cache).provenance
    assert said["kind"] == "reconstructed"
    assert said["seed"] == 1
    assert "anchors" in said["real"]
    assert "path" in said["reconstructed"]
    assert "Binance COIN-M trades" in said["sources"]
    assert said["method"] == uw._core.RECONSTRUCTION


def test_inverse_markets_keep_their_coin(cache: Path) -> None:
    ticks = uw.crash_days.load("2025-10-10", ticks_per_market=TICKS, cache_dir=cache)
    markets = {market.name: market for market in ticks.markets}
    assert (markets["AVAXUSD_PERP"].kind, markets["AVAXUSD_PERP"].settlement) == ("inverse", "AVAX")
    assert markets["AVAXUSD_PERP"].contract_size == 10
    assert (markets["ETHUSDT"].kind, markets["ETHUSDT"].settlement) == ("linear", "USD")
    assert {asset.name: asset.price_market for asset in ticks.definitions.assets}["AVAX"] == "AVAXUSD_PERP"


def test_the_cache_is_used_and_heals(tmp_path: Path) -> None:
    def load() -> pl.DataFrame:
        return uw.crash_days.load("2022-05-11", ticks_per_market=500, cache_dir=tmp_path).to_polars()

    first = load()
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [file.stem for file in files] == ["BTCUSDT", "ETHUSDT", "XRPUSDT"]
    stamp = files[0].stat().st_mtime_ns
    load()
    assert files[0].stat().st_mtime_ns == stamp, "made once"
    whole = files[1].read_bytes()
    for damage in (whole[:100], whole[:-1], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        files[1].write_bytes(damage)
        assert load().equals(first)
        assert files[1].read_bytes() == whole
    files[2].unlink()
    assert load().equals(first)
    next(tmp_path.rglob("manifest.json")).write_text("[")
    assert load().equals(first)
    assert sorted(tmp_path.rglob("*.parquet")) == files, "nothing is left behind"


def test_the_cache_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("UNDERWATER_CACHE", raising=False)
    uw.crash_days.load("2020-03-12", ticks_per_market=300)
    assert list((tmp_path / "xdg" / "underwater").rglob("XBTUSD.parquet"))
    monkeypatch.setenv("UNDERWATER_CACHE", str(tmp_path / "own"))
    uw.crash_days.load("2020-03-12", ticks_per_market=300)
    assert list((tmp_path / "own").rglob("XBTUSD.parquet"))


def test_progress_is_reported(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    uw.crash_days.load("2022-05-11", ticks_per_market=300, cache_dir=tmp_path, progress=lambda *step: seen.append(step))
    assert seen[0][1:] == (0, 3)
    assert seen[-1][1:] == (3, 3)


def test_bad_arguments_name_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(uw.ConfigError, match=r"expected one of 2020-03-12, .*, got '2020-03-13'"):
        uw.crash_days.load("2020-03-13")
    with pytest.raises(uw.ConfigError, match="market: expected one of XBTUSD, got 'BTC'"):
        uw.crash_days.anchors("2020-03-12", "BTC")
    with pytest.raises(uw.ConfigError, match="ticks_per_market: expected an integer from 1"):
        uw.crash_days.load("2020-03-12", ticks_per_market=0, cache_dir=tmp_path)
    with pytest.raises(uw.ConfigError, match="seed"):
        uw.crash_days.load("2020-03-12", seed=-1, cache_dir=tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(uw.DataError, match="UNDERWATER_CACHE"):
        uw.crash_days.load("2020-03-12", ticks_per_market=300, cache_dir=blocked)
