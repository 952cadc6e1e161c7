"""What the run decides, not the protocol: the same for every protocol that is compared."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.feeds import Feed


class RunOptions(Config):
    """Options of a run."""

    reference: Literal["last", "index"] | Feed = "last"
    """Feed at which losses are valued."""
    opening: Literal["keep", "reject", "rescale"] = "keep"
    """What becomes of accounts below a requirement at the open: kept and flagged, left out and listed, or cut to it."""
    block_ticks: int = Field(128, ge=1)
    """Ticks per block of the search index; changes the speed, never the result."""
    chunk_ticks: int | None = Field(None, ge=1)
    """Read the ticks about so many at a time, unless they are loaded; changes memory and speed, never the result."""

    @field_validator("reference", mode="before")
    @classmethod
    def _known(cls, reference: Any) -> Any:
        if isinstance(reference, Config | Mapping) or reference in ("last", "index"):
            return reference
        raise PydanticCustomError(
            "reference", "expected 'last', 'index' or a feed, got {got}", {"got": repr(reference)}
        )
