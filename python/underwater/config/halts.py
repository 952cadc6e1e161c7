"""Stage *after*: when the venue is down."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.instants import Instant


class Halt(Config):
    """The venue is down: nobody is liquidated, and events of accounts are refused. Prices move all the same.

    A `PausedFeed` with an outage over the same time, or longer, restarts the venue with the prices from before the halt:
    dYdX v4 halted for eight hours on 2025-10-10 and came back so.

    Raises:
        ConfigError: it ends before it starts, where both are counted from the same moment.
    """

    start: Instant
    """From when: an offset from the start of the tape, or an absolute time."""
    end: Instant
    """When it is over; at this moment accounts are tested again."""
    markets: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """In which markets (an account with a position in one of them is not liquidated); None: the whole venue."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Halt":
        if self.start[0] == self.end[0] and self.end[1] <= self.start[1]:
            raise PydanticCustomError("halt", "expected an end after the start")
        return self
