"""What the run decides, not the protocol: the same for every protocol that is compared."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.feeds import PREDEFINED, TWO_SIDED, Feed


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

    @field_validator("reference")
    @classmethod
    def _belongs_to_no_protocol(cls, reference: Any) -> Any:
        if isinstance(reference, str):
            return reference
        if reference.kind in TWO_SIDED:
            raise PydanticCustomError(
                "reference", "expected a feed with one price, not one for longs and one for shorts"
            )
        for source in reference.sources:
            if source not in PREDEFINED:
                raise PydanticCustomError(
                    "reference", "expected a feed of 'last' and 'index' alone, got {got}", {"got": repr(source)}
                )
        return reference
