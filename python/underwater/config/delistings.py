"""Stage *after*: when a market, or the venue, is settled, and at what price."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration
from underwater.instants import Instant
from underwater.numbers import Positive, Usd


class AtTime(Config):
    """The delisting comes at a stated time."""

    kind: Literal["time"] = "time"
    """Tells the triggers apart."""
    at: Instant
    """When: an offset from the start of the tape, or an absolute time. One before the tape is due at its start."""


class OnUncovered(Config):
    """The delisting comes once so much was lost that no layer has covered."""

    kind: Literal["uncovered"] = "uncovered"
    """Tells the triggers apart."""
    amount: Annotated[Usd, Field(gt=0)]
    """USD that are uncovered in all markets together, since the open."""
    delay: Duration = 0
    """How long after; at least a nanosecond."""


class AfterHalt(Config):
    """The delisting comes when the first halt that stops the market is over."""

    kind: Literal["halt"] = "halt"
    """Tells the triggers apart."""


DelistingTrigger = Annotated[AtTime | OnUncovered | AfterHalt, Field(discriminator="kind")]
"""What brings a delisting about."""


class FixedPrice(Config):
    """A price that somebody states. Hyperliquid's validators settled JELLY at 0.0095 on 2025-03-26."""

    kind: Literal["fixed"] = "fixed"
    """Tells the prices apart."""
    price: Positive
    """In quote units; it must fit the decimals of the market."""


class FeedPrice(Config):
    """The price of a feed as of then."""

    kind: Literal["feed"] = "feed"
    """Tells the prices apart."""
    feed: str
    """Its name; a feed with one price for both sides."""


class MarkPrice(Config):
    """The last mark: that of `adl_feed` as of then."""

    kind: Literal["mark"] = "mark"
    """Tells the prices apart."""


SettlementPrice = Annotated[FixedPrice | FeedPrice | MarkPrice, Field(discriminator="kind")]
"""The price at which everything is closed."""


class Delisting(Config):
    """A market, or the venue, is settled: every position in it is closed at one price, without fees, those of outside, pool
    and vault too, so that nothing is left. Accounts without any position left that have less than nothing are a loss, which
    runs through the waterfall. The market takes no trades any more.

    Raises:
        ConfigError: a stated price for the whole venue; `negative = "adl"` at another price than the mark.
    """

    market: str | None = None
    """Which market; None: all of them."""
    trigger: DelistingTrigger
    """What brings it about."""
    price: SettlementPrice = MarkPrice()
    """At what price."""
    negative: Literal["waterfall", "adl"] = "waterfall"
    """Accounts whose equity is negative are settled like others; or first closed at their bankruptcy price against the other
    side, by the rules of `adl`, as in dYdX v4's final settlement."""

    @model_validator(mode="after")
    def _price_of_one_market(self) -> "Delisting":
        if self.price.kind == "fixed" and self.market is None:
            raise _wrong("price: expected one market, whose price it is; name it in market")
        if self.negative == "adl" and self.price.kind != "mark":
            raise _wrong("negative: expected the price mark, at which bankruptcy is told")
        return self


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("delisting", "{message}", {"message": message})
