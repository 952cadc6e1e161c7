"""Synthetic books: balanced, exact at the open, the same every time."""

from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import underwater as uw


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> uw.Ticks:
    cache = tmp_path_factory.mktemp("cache")
    return uw.crash_days.load("2025-10-10", ticks_per_market=2_000, cache_dir=cache).load()


@pytest.fixture(scope="module")
def book(ticks: uw.Ticks) -> uw.Book:
    return uw.Book.synthetic(ticks, accounts=3_000, seed=7)


def first_prices(ticks: uw.Ticks) -> dict[str, Fraction]:
    decimals = int(pa.table(ticks).schema.field("price").metadata[b"decimals"])
    first = ticks.to_polars().group_by(pl.col("market").cast(pl.String)).agg(pl.col("price").first())
    return {market: Fraction(price, 10**decimals) for market, price in first.iter_rows()}


def value(market: uw.Market, size: Decimal, price: Fraction) -> Fraction:
    """Signed value in the settlement asset."""
    contracts = Fraction(size) * Fraction(market.contract_size)
    return contracts * price if market.kind == "linear" else -contracts / price


def equities(ticks: uw.Ticks, book: uw.Book) -> pl.DataFrame:
    """Per isolated position: notional and equity at the open in units of the settlement asset, as the engine rounds."""
    opening, markets = first_prices(ticks), {market.name: market for market in ticks.markets}
    units = {asset.name: 10**asset.decimals for asset in ticks.definitions.assets}
    rows = []
    for row in book.positions.filter(pl.col("margin_mode") == "isolated").iter_rows(named=True):
        market = markets[row["market"]]
        unit = units[market.settlement or "USD"]
        now = floor(value(market, row["size"], opening[market.name]) * unit)
        cost = -floor(-value(market, row["size"], Fraction(row["entry_price"])) * unit)
        equity = Fraction(row["collateral"]) * unit - cost + now
        rows.append({"market": market.name, "notional": abs(now), "equity": int(equity)})
        assert equity.denominator == 1
    return pl.DataFrame(rows)


def test_open_interest_is_balanced(book: uw.Book) -> None:
    net = book.positions.group_by("market").agg(pl.col("size").sum())
    assert (net["size"] == 0).all()
    assert book.positions["account"].n_unique() == 3_000
    assert (book.positions["size"] != 0).all()


def test_equity_at_the_open_is_notional_over_leverage(ticks: uw.Ticks, book: uw.Book) -> None:
    leverage = equities(ticks, book).select(pl.col("notional") / pl.col("equity")).to_series()
    assert leverage.median() == pytest.approx(0.43, rel=0.12)
    assert leverage.quantile(0.95) == pytest.approx(6.5, rel=0.25)
    assert leverage.max() <= 40.5


def test_one_leverage_is_exact(ticks: uw.Ticks) -> None:
    book = uw.Book.synthetic(ticks, accounts=400, cross_share=0.0, leverage_median=5.0, leverage_p95=5.0)
    exact = equities(ticks, book).select((pl.col("equity") - pl.col("notional") / 5).abs())
    assert exact.to_series().max() <= 1


def test_collateral_is_positive(book: uw.Book) -> None:
    isolated = pl.col("margin_mode") == "isolated"
    assert (book.positions.filter(isolated)["collateral"] > 0).all()
    assert book.positions.filter(~isolated)["collateral"].null_count() == len(book.positions.filter(~isolated))
    assert (book.accounts["collateral"] > 0).all()
    cross = book.positions.filter(~isolated)["account"].unique()
    assert set(cross) == set(book.accounts["account"])
    assert len(cross) == pytest.approx(600, rel=0.15)


def test_the_same_seed_gives_the_same_book(ticks: uw.Ticks, book: uw.Book) -> None:
    again = uw.Book.synthetic(ticks, accounts=3_000, seed=7)
    assert again.positions.equals(book.positions)
    assert again.accounts.equals(book.accounts)
    assert not uw.Book.synthetic(ticks, accounts=3_000, seed=8).positions.equals(book.positions)


def test_options_shape_the_book(ticks: uw.Ticks) -> None:
    book = uw.Book.synthetic(
        ticks, accounts=2_000, weights={"DOTUSD_PERP": 1, "ETHUSDT": 3}, cross_share=1.0, max_legs=1, long_share=0.8
    )
    counts = dict(book.positions.group_by("market").len().iter_rows())
    assert set(counts) == {"DOTUSD_PERP", "ETHUSDT"}
    assert counts["ETHUSDT"] == pytest.approx(1_500, rel=0.1)
    assert book.positions.filter(pl.col("size") > 0).height == pytest.approx(1_600, rel=0.1)
    assert set(book.accounts["asset"]) == {"DOT", "USD"}


def test_a_cross_account_has_several_legs(ticks: uw.Ticks) -> None:
    book = uw.Book.synthetic(ticks, accounts=500, cross_share=1.0, max_legs=4, cross_assets="any")
    legs = book.positions.group_by("account").agg(pl.len(), pl.col("market").n_unique().alias("markets"))
    assert legs["len"].max() in (3, 4)
    assert (legs["len"] == legs["markets"]).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"accounts": 1}, "accounts: expected at least 2"),
        ({"long_share": 2}, "long_share"),
        ({"leverage": 3}, "unknown field `leverage`"),
        ({"weights": {"NOPE": 1}}, 'no market "NOPE"'),
    ],
)
def test_bad_options_name_the_field(ticks: uw.Ticks, options: dict[str, object], expected: str) -> None:
    with pytest.raises(uw.ConfigError, match=expected):
        uw.Book.synthetic(ticks, **options)  # type: ignore[arg-type]


def test_a_replay_opens_at_what_the_book_says(ticks: uw.Ticks, book: uw.Book) -> None:
    """The engine's own opening equity of each isolated position is the one computed here."""
    result = uw.replay(ticks, book, uw.Protocol(name="nothing"))
    assert result.accounts["opening_equity_usd"].null_count() == 0
    assert (result.accounts["opening_equity_usd"] > 0).all()


def test_any_tape_will_do(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ts": pl.from_epoch([0, 1]), "market": "ETH-PERP", "price": [2000.0, 1700.0]})
    book = uw.Book.synthetic(uw.Ticks(frame), accounts=10)
    assert set(book.positions["market"]) == {"ETH-PERP"}
