"""Stage *feeds*: published price series, each with its own cadence."""

from typing import Annotated, Literal

from pydantic import Field

from underwater.config.base import Config
from underwater.durations import Duration
from underwater.numbers import Rate


class LastFeed(Config):
    """The prices of the ticks themselves."""

    kind: Literal["last"] = "last"
    """Tells the feeds apart."""
    source: Literal["own", "index"] = "own"
    """Whose ticks: the market's own, or those of its index market."""
    prints: Literal["last_of_instant", "each"] = "last_of_instant"
    """Which prints of one timestamp count: the last in file order, or each (for accounts with a single leg)."""


class PushFeed(Config):
    """A push oracle: written on deviation or heartbeat, visible after a latency."""

    kind: Literal["push"] = "push"
    """Tells the feeds apart."""
    source: Literal["last", "index"] = "last"
    """The feed that is sampled."""
    deviation: Rate
    """Relative change since the last write that forces a write."""
    heartbeat: Duration
    """Age of the last write that forces a write at the next state of the source."""
    latency: Duration = 0
    """From write to visibility."""


Feed = Annotated[LastFeed | PushFeed, Field(discriminator="kind")]
"""Any feed; `kind` tells which."""

PREDEFINED = {"last": LastFeed(), "index": LastFeed(source="index")}
"""Feeds that every protocol has; one of the same name replaces it."""
