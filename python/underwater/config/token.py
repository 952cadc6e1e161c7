"""Stage *waterfall*: the token backstop, new tokens sold for what is missing."""

from fractions import Fraction
from typing import Literal

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration, PositiveDuration
from underwater.numbers import PartialRatio, Positive, Usd


class SaleImpact(Config):
    """What sales do to the price of the token."""

    kind: Literal["linear", "square_root"]
    """How the price falls with what is sold."""
    depth: Positive
    """USD of tokens, at the price before, whose sale takes all of the price."""
    half_life: Duration | None = None
    """Time in which half of what was sold is forgotten; None: it weighs for ever."""


class Auction(Config):
    """Tokens are put up later, not sold at once: what a close leaves uncovered is a claim on the layer, and uncovered until then.

    Source of the form: Maker's debt auctions. A debt waits 156 hours (`wait`) before tokens are put up for it, 50,000 dollars of
    it at a time (`sump`); tokens that find no bid are put up again. A replayed day needs a shorter time.
    """

    delay: PositiveDuration
    """How long after a loss tokens are put up for it, at the price of then."""
    lot: Usd | None = None
    """USD that are asked for at most at a time; None: all that is due. Needs an `interval`."""
    interval: PositiveDuration | None = None
    """How long until tokens are put up again, for what has not been raised or has become due meanwhile. None: they are put up
    once for each loss, when it is due, and what they do not bring then stays uncovered."""

    @model_validator(mode="after")
    def _lots_follow(self) -> "Auction":
        if self.lot is not None and (self.lot == 0 or self.interval is None):
            raise PydanticCustomError("auction", "lot: expected a lot above 0, and an interval beside it")
        return self


class Token(Config):
    """The protocol mints tokens and sells them for what is missing; their holders bear it. `limits.token` caps what is raised
    per event, day or week.

    Source of the form: the debt auctions of Maker.
    """

    supply: Positive
    """Tokens at the open."""
    price: Usd | None = None
    """USD of a token through the day; this or `market`."""
    market: str | None = None
    """Market of the tape, linear and settled in dollars, whose price at the reference is the token's."""
    impact: SaleImpact | None = None
    """What sales do to it; None: nothing."""
    discount: PartialRatio = Fraction(0)
    """How far below the price buyers get the tokens."""
    auction: Auction | None = None
    """Tokens are put up later; None: they are sold at once."""

    @model_validator(mode="after")
    def _one_price(self) -> "Token":
        if (self.price is None) == (self.market is None):
            raise PydanticCustomError("token", "price: expected either a price or a market")
        if self.price == 0:
            raise PydanticCustomError("token", "price: expected a positive price")
        return self
