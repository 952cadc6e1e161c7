"""The replay: one day, one book, one protocol."""

import json
import os
import tempfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Literal

import polars as pl

from underwater import _core
from underwater._arrow import frame
from underwater._progress import ProgressCallback, callback
from underwater.book import Book
from underwater.config import Feed, Protocol, RunOptions
from underwater.errors import ConfigError
from underwater.result import Result
from underwater.ticks import Ticks

# Rows of a kind that are written to a temporary file together; about as many stay in memory.
_ROWS_TOGETHER = 1 << 14


def replay(
    ticks: Ticks,
    book: Book,
    protocol: Protocol,
    *,
    reference: Literal["last", "index"] | Feed = "last",
    opening: Literal["keep", "reject", "rescale"] = "keep",
    chunk_ticks: int | None = None,
    block_ticks: int = 128,
    spill: str | PathLike[str] | None = None,
    progress: bool | ProgressCallback = False,
) -> Result:
    """Replays the ticks through the protocol and says who pays.

    The same inputs give the same result, to the last unit, on every machine (docs/semantics.md).

    Args:
        ticks: the day.
        book: the accounts at the first tick, and their deposits, withdrawals and trades.
        protocol: the risk engine.
        reference: feed at which losses are valued: `last`, `index`, or a feed; give the same to all runs that are
            compared.
        opening: what becomes of accounts that are below a requirement at the open: `keep` (their bad debt is the line
            `opening`), `reject` (left out, listed in `rejected_events`), `rescale` (cut to the requirement).
        chunk_ticks: for a tape that does not fit in memory: read ticks that are not loaded about so many at a time (4
            million is a good size). The result is the same.
        block_ticks: ticks per block of the search index. The result is the same; the default suits most tapes.
        spill: directory of a temporary file for records that do not stay in memory; None: that of the environment
            variable UNDERWATER_SPILL, else with `chunk_ticks` the system's, else all records stay in memory. The file
            is removed with the result, which is the same.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`; an exception from it stops the run.

    Raises:
        DataError: the ticks cannot be used.
        BookError: the book names a market that the ticks do not have, or a value does not fit.
        ConfigError: the protocol or an option does not fit the ticks.
        EngineError: a number left its range, an identity broke, or records could not be written to a file.
    """
    options = RunOptions(reference=reference, opening=opening, chunk_ticks=chunk_ticks, block_ticks=block_ticks)
    # Lazy ticks are asked for their markets only where margin goes by asset.
    names = [market.name for market in ticks.markets] if protocol.margin.assets else []
    with callback(progress, protocol.name or "replay") as report:
        run = _core.replay(
            ticks._for_run(chunk_ticks),
            book._core,
            protocol.engine_json(names),
            options.engine_json(),
            report,
            _spill(spill, streamed=chunk_ticks is not None),
        )

    def batches(name: str) -> Iterator[pl.DataFrame]:
        return (frame(run.part(name, part)) for part in range(run.parts(name)))

    return Result(
        lambda name: frame(run.frame(name)),
        batches,
        state_hash=lambda: run.state_hash,
        summary=json.loads(run.summary_json),
        protocol=protocol,
        options=options,
        provenance=ticks.provenance,
    )


def _spill(directory: str | PathLike[str] | None, *, streamed: bool) -> tuple[Path, int] | None:
    """Where records go, and how many at a time."""
    named = directory or os.environ.get("UNDERWATER_SPILL")
    if not named:
        return (Path(tempfile.gettempdir()), _ROWS_TOGETHER) if streamed else None
    if not Path(named).is_dir():
        source = "spill" if directory else "UNDERWATER_SPILL"
        raise ConfigError(f"{source}: expected a directory, got {os.fspath(named)!r}")
    return Path(named), _ROWS_TOGETHER
