"""The replay: one day, one book, one protocol."""

import json
from typing import Literal

from underwater import _core
from underwater._arrow import frame
from underwater._progress import ProgressCallback, callback
from underwater.book import Book
from underwater.config import Feed, Protocol, RunOptions
from underwater.result import Result
from underwater.ticks import Ticks


def replay(
    ticks: Ticks,
    book: Book,
    protocol: Protocol,
    *,
    reference: Literal["last", "index"] | Feed = "last",
    opening: Literal["keep", "reject", "rescale"] = "keep",
    chunk_ticks: int | None = None,
    block_ticks: int = 128,
    progress: bool | ProgressCallback = False,
) -> Result:
    """Replays the ticks through the protocol and says who pays.

    The same inputs give the same result, to the last unit, on every machine (docs/semantics.md).

    Args:
        ticks: the day.
        book: the accounts at the first tick, and their deposits and withdrawals.
        protocol: the risk engine.
        reference: feed at which losses are valued: `last`, `index`, or a feed; give the same to all runs that are
            compared.
        opening: what becomes of accounts that are below a requirement at the open: `keep` (their bad debt is the line
            `opening`), `reject` (left out, listed in `rejected_events`), `rescale` (cut to the requirement).
        chunk_ticks: for a tape that does not fit in memory: read ticks that are not loaded about so many at a time (4
            million is a good size). The result is the same.
        block_ticks: ticks per block of the search index. The result is the same; the default suits most tapes.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`; an exception from it stops the run.

    Raises:
        DataError: the ticks cannot be used.
        BookError: the book names a market that the ticks do not have, or a value does not fit.
        ConfigError: the protocol or an option does not fit the ticks.
        EngineError: a number left its range, or an identity broke.
    """
    options = RunOptions(reference=reference, opening=opening, chunk_ticks=chunk_ticks, block_ticks=block_ticks)
    with callback(progress, protocol.name or "replay") as report:
        run = _core.replay(
            ticks._for_run(chunk_ticks), book._core, protocol.engine_json(), options.engine_json(), report
        )
    return Result(
        lambda name: frame(run.frame(name)),
        state_hash=lambda: run.state_hash,
        summary=json.loads(run.summary_json),
        protocol=protocol,
        options=options,
        provenance=ticks.provenance,
    )
