"""Stage *execution*: how a position is closed, and against whom."""

from typing import Literal

from pydantic import Field

from underwater.config.base import Config
from underwater.numbers import Offset, PositiveRatio


class Rung(Config):
    """One level of depth."""

    share: PositiveRatio
    """Share of the whole position that fills here."""
    offset: Offset
    """Relative price against the account: -0.15 sells 15 % lower, or buys 15 % higher."""


class Execution(Config):
    """How a close fills."""

    kind: Literal["feed", "next_tick"] = "feed"
    """At the execution feed at once, or at the market's next print after the action."""
    counterparty: Literal["outside", "pool", "vault"] = "outside"
    """Who takes the position: the rest of the market, the liquidity pool, or the liquidator vault."""
    ladder: tuple[Rung, ...] | None = Field(default=None, min_length=1)
    """Depth, best level first; what the shares leave fills at the last. None: everything fills at one price."""
