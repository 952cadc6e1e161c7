"""From a Parquet file to first triggers and to who pays, against `polars.read_parquet` of the same two columns."""

from pathlib import Path

import polars as pl
import pytest
from conftest import Measure
from workloads import NEVER, BookRecipe, heavy, mild, protocol, single, with_adl

import underwater as uw

TAPE = single()
ENCODINGS = {
    "canonical": "Parquet: DELTA_BINARY_PACKED, zstd, page index",
    "polars": "Parquet: as polars writes it (zstd)",
}


def file(encoding: str) -> Path:
    """The tape in an encoding."""
    return TAPE.file() if encoding == "canonical" else TAPE.as_written_by_polars()


def replay(measure: Measure, row: str, case: str, recipe: BookRecipe, proto: uw.Protocol, encoding: str) -> None:
    """Measures decoding and replay together; the book is resident, unbound."""
    path, book = file(encoding), recipe.load()
    measure(
        row,
        case,
        lambda: uw.replay(uw.Ticks.scan(path, markets=TAPE.definitions), book, proto),
        against=("polars.read_parquet", lambda: pl.read_parquet(path, columns=["ts", "price"])),
        ticks=ENCODINGS[encoding],
    )


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_first_triggers_mild(measure: Measure, encoding: str) -> None:
    """A few per cent of the accounts trigger."""
    replay(measure, "first_triggers", "mild book", mild(TAPE), protocol(NEVER), encoding)


def test_first_triggers_heavy(measure: Measure) -> None:
    """More than a third of the accounts trigger."""
    replay(measure, "first_triggers", "heavy book", heavy(TAPE), protocol(NEVER), "canonical")


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_who_pays_heavy(measure: Measure, encoding: str) -> None:
    """About a third of the accounts are liquidated; nobody covers what they cannot pay."""
    replay(measure, "who_pays", "heavy book", heavy(TAPE), protocol(), encoding)


def test_who_pays_mild(measure: Measure) -> None:
    """A few per cent of the accounts are liquidated."""
    replay(measure, "who_pays", "mild book", mild(TAPE), protocol(), "canonical")


def test_who_pays_adl(measure: Measure) -> None:
    """More than 5 % of the accounts are liquidated and ADL fires."""
    recipe = mild(TAPE)
    replay(measure, "who_pays", "mild book, ADL", recipe, with_adl(recipe), "canonical")
