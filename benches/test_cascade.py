"""A cascade of 1 M accounts: each of about 39,000 closes displaces the trigger feed, half as far as what called it forth.

The day falls by 1 % in equal ticks and the cascade doubles that. Margins are spread evenly: closes come one by one.
"""

import polars as pl
import pytest
from conftest import Measure

import underwater as uw

ACCOUNTS, CLOSES, TICKS, START, FALL = 1_000_000, 39_000, 40_000, 10_000_000, 0.01
SPREAD = 2 * FALL * ACCOUNTS / CLOSES
"""The accounts' margins are 0 to this share of their positions."""


@pytest.fixture(scope="module")
def ticks() -> uw.Ticks:
    """The fall, one tick a second."""
    price = (START * (1 - FALL * pl.col("i") / TICKS)).round().cast(pl.Float64)
    second = pl.from_epoch(pl.col("i"), time_unit="s")
    frame = pl.DataFrame({"i": range(TICKS)}).select(ts=second, market=pl.lit("ETH-PERP"), price=price)
    return uw.Ticks(frame).load()


@pytest.fixture(scope="module")
def book() -> uw.Book:
    """Longs of one unit each."""
    return uw.Book.from_frames(
        pl.DataFrame({"i": range(1, ACCOUNTS + 1)}).select(
            account=pl.format("a{}", "i"),
            market=pl.lit("ETH-PERP"),
            size=pl.lit(1),
            entry_price=pl.lit(START),
            collateral=(pl.col("i") / ACCOUNTS * SPREAD * START).ceil().cast(pl.Int64),
        )
    )


@pytest.mark.parametrize("half_life", [None, "1h"])
def test_cascade(measure: Measure, ticks: uw.Ticks, book: uw.Book, half_life: str | None) -> None:
    """The whole run: opening, certificates, closes, certificates again."""
    sales = ACCOUNTS / SPREAD * START
    impact = uw.Impact(kind="linear", depth=int(2 * sales), half_life=half_life, feedback=True)
    protocol = uw.Protocol(
        margin={"maintenance": {"kind": "flat", "rate": 0}},
        keeper={"rounds": 50},
        execution={"impact": impact},
    )
    measure("cascade", half_life or "for good", lambda: uw.replay(ticks, book, protocol), rounds=3)
