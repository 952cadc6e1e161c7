"""Stage *waterfall*: where insurance funds get money from, besides what liquidations bring."""

from typing import Annotated, Literal

from pydantic import Field

from underwater.config.base import Config
from underwater.durations import Duration, PositiveDuration
from underwater.instants import Instant
from underwater.numbers import Rate, Ratio, Usd


class FeeShare(Config):
    """A share of the trading fees on all that trades in the fund's markets, paid from outside traders as time passes.

    The tape is the volume of the whole venue, the book is a part of it: `execution.book_scale` must state which part for
    every market in which the book has a position (1: all of it). Needs ticks with sizes.
    """

    rate: Rate
    """Fees of both sides of a trade, as a share of its notional."""
    share: Ratio
    """The part of the fees that goes to the fund."""
    every: PositiveDuration = 3_600_000_000_000
    """From one payment to the next, counted from 1970 UTC."""


Giver = Literal["external", "treasury"]
"""Who gives money to a fund: someone from outside the venue, or the treasury, as far as it has it."""


class Injection(Config):
    """Money at a given time."""

    kind: Literal["scheduled"] = "scheduled"
    """Tells the injections apart."""
    at: Instant
    """When: an offset from the start of the tape, or an absolute time. One that is not after the start, or after the end of
    the tape, does not come."""
    amount: Usd
    """USD."""
    giver: Giver = "external"
    """Who gives it."""


class Refill(Config):
    """Money whenever the fund is low."""

    kind: Literal["refill"] = "refill"
    """Tells the injections apart."""
    below: Usd
    """USD: it is set off when the fund has less."""
    amount: Usd
    """USD at a time."""
    total: Usd | None = None
    """USD in all; None: any number of times."""
    delay: Duration = 0
    """From then until it comes. Meanwhile it is not set off again."""
    giver: Giver = "external"
    """Who gives it."""


AnyInjection = Annotated[Injection | Refill, Field(discriminator="kind")]
"""Money for a fund."""


class Funded(Config):
    """What funds have in common."""

    fees: FeeShare | None = None
    """What it gets of the fees on all that trades in its markets; None: nothing."""
    injections: tuple[AnyInjection, ...] = ()
    """Other money that it gets."""
