"""Stage *feeds*: published price series, each with its own cadence, and the guard that watches them.

A feed may be made from other feeds, which it names: the predefined `last` and `index`, or those of the protocol. Points
of a cadence are whole multiples of `every` after `offset`, counted from 1970, so that `every="1h"` is on the hour.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.latency import Latency
from underwater.durations import Duration, PositiveDuration
from underwater.numbers import Rate


class LastFeed(Config):
    """The prices of the ticks themselves."""

    kind: Literal["last"] = "last"
    """Tells the feeds apart."""
    source: Literal["own", "index"] = "own"
    """Whose ticks: the market's own, or those of its index market."""
    prints: Literal["last_of_instant", "each"] = "last_of_instant"
    """Which prints of one timestamp count: the last in file order, or each (for accounts with a single leg)."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the feeds that it is made from."""
        return ()


class _OfOne(Config):
    """A feed that is made from one other."""

    source: str = "last"
    """The feed that it is made from."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the feeds that it is made from."""
        return (self.source,)


class _Sampled(_OfOne):
    """A feed that is published at the points of a cadence, from the first update of its source on."""

    every: PositiveDuration
    """Time between points."""
    offset: Duration = 0
    """A point in time, counted from 1970, from which the others are counted."""


class _OfSeveral(Config):
    """A feed that is made from several others."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    """The feeds that it is made from."""


class Outage(Config):
    """A stretch of time in which an oracle writes nothing, or a feed stands still."""

    start: Duration
    """When it begins, after the first tick of the tape."""
    end: Duration
    """When it is over, after the first tick of the tape."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Outage":
        if self.end <= self.start:
            raise PydanticCustomError("outage", "expected an end after the start")
        return self


class PushFeed(_OfOne):
    """A push oracle: written on deviation or heartbeat, visible after a latency."""

    kind: Literal["push"] = "push"
    """Tells the feeds apart."""
    deviation: Rate
    """Relative change since the last write that forces a write."""
    heartbeat: PositiveDuration
    """Age of the last write that forces a write at the next state of the source."""
    latency: Latency = 0
    """From write to visibility. What is drawn is drawn for each write; each becomes visible after the one before it, at
    least a nanosecond."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Seed of latencies that are drawn."""
    observed: Literal["at_write", "when_visible"] = "at_write"
    """Which price a write carries: that at which it was decided upon, so that a wick is seen late; or that of the
    moment at which it becomes visible, so that a wick that is over by then is never seen. Until then nothing else is
    written."""
    outages: tuple[Outage, ...] = ()
    """When nothing is written. What was written before becomes visible all the same."""


class PausedFeed(_OfOne):
    """The source, which is not published in outages: after one it stands at the price from before.

    With a `Halt` over the same time this is a venue that restarts with stale prices. An outage that outlasts the halt
    keeps them for a stated time; otherwise they stay until the source moves, or not at all with `catch_up`.
    """

    kind: Literal["paused"] = "paused"
    """Tells the feeds apart."""
    outages: Annotated[tuple[Outage, ...], Field(min_length=1)]
    """When it stands still."""
    catch_up: bool = False
    """Whether the source is published at the end of an outage, rather than at its next update."""


class PeriodicFeed(_Sampled):
    """The source as it stands at the points of a cadence."""

    kind: Literal["periodic"] = "periodic"
    """Tells the feeds apart."""


class EmaFeed(_Sampled):
    """An exponential average over the updates of the source, each weighted by the time since the one before."""

    kind: Literal["ema"] = "ema"
    """Tells the feeds apart."""
    time_constant: PositiveDuration
    """Time in which a weight falls to 1/e (a half-life times 1.4427)."""


class TwapFeed(_Sampled):
    """The time-weighted average of the source over a window, rounded down."""

    kind: Literal["twap"] = "twap"
    """Tells the feeds apart."""
    window: PositiveDuration
    """Length of the window, which reaches back to the first update of the source at most."""


class BasisFeed(_Sampled):
    """A reference plus the average distance of the source from it: an oracle with the premium of the last minutes.

    The distance is averaged as by `EmaFeed`, over the updates of both; the reference is that of the moment.
    """

    kind: Literal["basis"] = "basis"
    """Tells the feeds apart."""
    reference: str = "index"
    """The feed whose distance is averaged, and to which the average is added."""
    time_constant: PositiveDuration
    """Time in which a weight falls to 1/e."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the feeds that it is made from."""
        return (self.source, self.reference)


class MedianFeed(_OfSeveral):
    """The median of several feeds; of an even number the mean of the two in the middle, rounded down."""

    kind: Literal["median"] = "median"
    """Tells the feeds apart."""


class LaggedFeed(_OfOne):
    """What the source was before its last update."""

    kind: Literal["lagged"] = "lagged"
    """Tells the feeds apart."""


class WorstOfFeed(_OfSeveral):
    """The worst of several feeds by side: the lowest for longs, the highest for shorts."""

    kind: Literal["worst_of"] = "worst_of"
    """Tells the feeds apart."""


class SpreadFeed(_OfOne):
    """A feed that opens a spread while it disagrees with a reference.

    As long as the source is within the limit of the reference everyone sees the source; beyond it longs see the lower of
    the two and shorts the higher.
    """

    kind: Literal["spread"] = "spread"
    """Tells the feeds apart."""
    reference: str
    """The feed that the source must agree with."""
    limit: Rate
    """Greatest distance at which they agree, relative to the reference."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the feeds that it is made from."""
        return (self.source, self.reference)


Feed = Annotated[
    LastFeed
    | PushFeed
    | PausedFeed
    | PeriodicFeed
    | EmaFeed
    | TwapFeed
    | BasisFeed
    | MedianFeed
    | LaggedFeed
    | WorstOfFeed
    | SpreadFeed,
    Field(discriminator="kind"),
]
"""Any feed; `kind` tells which."""

TWO_SIDED = ("worst_of", "spread")
"""Kinds of feeds that have a price for longs and one for shorts."""

PREDEFINED = {"last": LastFeed(), "index": LastFeed(source="index")}
"""Feeds that every protocol has; one of the same name replaces it."""


class Divergence(Config):
    """Two feeds that must not be too far apart."""

    feed: str
    """The one."""
    reference: str
    """The other."""
    limit: Rate
    """Greatest distance that is tolerated, relative to the reference."""


class Guard(Config):
    """When accounts with a size in a market are not liquidated: they are tested again as soon as the guard lifts.

    Raises:
        ConfigError: neither a divergence nor a staleness is given.
    """

    divergence: Divergence | None = None
    """While two feeds diverge; None: that does not matter."""
    staleness: Duration | None = None
    """While the trigger feed was not updated for longer than this; None: its age does not matter."""

    @model_validator(mode="after")
    def _guards_something(self) -> "Guard":
        if self.divergence is None and self.staleness is None:
            raise PydanticCustomError("guard", "expected a divergence or a staleness")
        return self
