"""Stage *close*: how much of which position an action closes, and when that is enough."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration, duration_text
from underwater.numbers import PositiveRate, PositiveRatio, Ratio, Usd


def _not_nothing(duration: int) -> int:
    if duration <= 0:
        raise PydanticCustomError(
            "duration", "expected a duration above 0, got {got}", {"got": duration_text(duration)}
        )
    return duration


class FullClose(Config):
    """The whole position."""

    kind: Literal["full"] = "full"
    """Tells the policies apart."""


class FractionClose(Config):
    """At most a share of a position in one action, as on dYdX v4."""

    kind: Literal["fraction"] = "fraction"
    """Tells the policies apart."""
    share: PositiveRatio
    """Share of the position as it stands."""
    minimum: Usd = Fraction(0)
    """Notional in USD that an action closes of a position at least."""
    cap: Usd | None = None
    """Notional in USD that an action closes at most, over all positions; None: no cap."""


class SplitClose(Config):
    """A share of a large position first and the whole after the pause, as on Hyperliquid."""

    kind: Literal["split"] = "split"
    """Tells the policies apart."""
    threshold: Usd
    """Notional in USD above which a position is split."""
    share: PositiveRatio
    """Share that goes first."""


class RampClose(Config):
    """A share that grows with the time since the detection, as on Drift v2; what was closed before counts."""

    kind: Literal["ramp"] = "ramp"
    """Tells the policies apart."""
    initial: Ratio
    """Share at the detection."""
    duration: Duration
    """Time in which the share grows by one."""
    of: Literal["position", "target"] = "position"
    """Share of the position as it was when the liquidation began, or of what makes the account healthy."""

    _duration = field_validator("duration")(_not_nothing)


class TargetClose(Config):
    """The least that makes the account healthy again (see `Stop`), penalty counted in, as on Mango v4."""

    kind: Literal["target"] = "target"
    """Tells the policies apart."""


class TierClose(Config):
    """As much as takes the position to a lower bracket of maintenance margin, as on Binance and OKX.

    Steps by size count as brackets. A position in the lowest one, or under a rule without any, is closed whole.
    """

    kind: Literal["tier"] = "tier"
    """Tells the policies apart."""
    steps: int = Field(default=1, ge=1, lt=2**32)
    """How many brackets lower."""


ClosePolicy = Annotated[
    FullClose | FractionClose | SplitClose | RampClose | TargetClose | TierClose, Field(discriminator="kind")
]
"""Any close policy; `kind` tells which."""


class Stop(Config):
    """When an account under liquidation is healthy again: not liquidatable, and equity is so many times a requirement."""

    requirement: Literal["maintenance", "initial"] = "maintenance"
    """The requirement."""
    factor: PositiveRate = Fraction(1)
    """How many times it."""


class Close(Config):
    """How much an action closes. An account of which a part is left goes on until it is closed or healthy."""

    policy: ClosePolicy = FullClose()
    """How much of a position."""
    positions: Literal["all", "market", "largest_notional", "largest_loss", "random"] = "all"
    """Which positions of a cross account: all, each by the policy; or one, the first by market, the largest, the one that
    has lost most, or one that is drawn with the keeper's seed (a target goes on to the next)."""
    stop: Stop = Stop()
    """When it is enough."""
    pause: Duration = 1_000_000_000
    """From an action that leaves something open to the next one on the account, at least."""
    when_insolvent: Literal["full", "policy"] = "full"
    """An account whose whole close would leave it below zero: closed whole at once, or by the policy; the loss then
    shows when nothing is left."""

    _pause = field_validator("pause")(_not_nothing)
