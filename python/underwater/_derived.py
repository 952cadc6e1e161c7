"""Ticks that follow from other ticks, made when they are needed."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from underwater import _core as engine
from underwater._progress import ProgressCallback
from underwater._stream import Stream
from underwater.market import Definitions
from underwater.ticks import Ticks

STEPS = "steps"
"""The key of provenance that lists what was done to the ticks, in order."""


class DerivedTicks(Ticks):
    """Ticks that a function makes of others, frame by frame.

    Nothing is computed before it is needed. `write` and a run with `chunk_ticks` go through them frame by frame, as long
    as they are not loaded; everything else loads them.
    """

    def __init__(self, make: Callable[[], Stream], provenance: Mapping[str, Any]) -> None:
        self._make = make
        self._provenance = dict(provenance)

    @cached_property
    def _core(self) -> engine.Ticks:  # type: ignore[override]
        schema, tables = self._stream_of_source().tables()
        batches = (batch for table in tables for batch in table.to_batches())
        return engine.Ticks.from_arrow(pa.RecordBatchReader.from_batches(schema, batches))

    @property
    def _made(self) -> bool:
        return "_core" in self.__dict__

    def _stream_of_source(self) -> Stream:
        return self._make()

    def _stream(self) -> Stream:
        return super()._stream() if self._made else self._make()

    def _chunks(self) -> Iterator[pa.Table] | None:
        return super()._chunks() if self._made else self._make().tables()[1]

    def load(self, progress: bool | ProgressCallback = False) -> Self:
        """The same ticks, in memory.

        Raises:
            DataError: a value cannot be used, or a step does not fit the ticks.
        """
        self._core.load(None)
        return self

    @property
    def is_loaded(self) -> bool:
        """Whether the ticks are in memory."""
        return self._made and self._core.is_loaded

    @property
    def definitions(self) -> Definitions:
        """Markets and assets. Reads the first frame if the ticks are not in memory."""
        return super().definitions if self._made else self._make().definitions

    @cached_property
    def _spilled(self) -> engine.Ticks:
        """The ticks in a temporary file, which goes when they do."""
        directory = tempfile.mkdtemp(prefix="underwater-")
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        return engine.Ticks.from_files([self.write(Path(directory) / "ticks.parquet")])

    def _for_run(self, chunk_ticks: int | None) -> engine.Ticks:
        return self._core if self._made or chunk_ticks is None else self._spilled


def derive(ticks: Ticks, step: Mapping[str, Any], change: Callable[[Stream], Stream]) -> Ticks:
    """The ticks changed by `change`; `step` says in their provenance what was done."""
    provenance = ticks.provenance
    steps = [*provenance.pop(STEPS, []), dict(step)]
    return DerivedTicks(lambda: change(ticks._stream()), {**provenance, STEPS: steps})
