"""The same day and the same book through several protocols."""

from collections.abc import Mapping
from typing import Literal

import polars as pl

from underwater._progress import ProgressCallback
from underwater.book import Book
from underwater.config import Feed, Protocol
from underwater.run import replay
from underwater.ticks import Ticks


def compare(
    protocols: Mapping[str, Protocol],
    ticks: Ticks,
    book: Book,
    *,
    reference: Literal["last", "index"] | Feed = "last",
    opening: Literal["keep", "reject", "rescale"] = "keep",
    progress: bool | ProgressCallback = False,
) -> pl.DataFrame:
    """Who pays, by protocol: the frames of `Result.who_pays` one below the other, with a first column `protocol`.

    All are valued at the same reference, so that a stale oracle cannot look safe.

    Raises:
        ValueError: no protocol is given.
        UnderwaterError: as for `replay`.
    """
    if not protocols:
        raise ValueError("protocols: expected at least one")
    resident = ticks.load()
    frames = []
    for name, protocol in protocols.items():
        result = replay(resident, book, protocol, reference=reference, opening=opening, progress=progress)
        frames.append(result.who_pays().select(pl.lit(name).alias("protocol"), pl.all()))
    return pl.concat(frames)
