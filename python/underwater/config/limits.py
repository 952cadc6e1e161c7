"""Stage *waterfall*: what a layer may pay, and when. The same limits for every layer."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from underwater.config.base import Config, spelled_out
from underwater.durations import Duration, PositiveDuration
from underwater.numbers import Ratio, Usd

Capital = Literal["insurance_fund", "pool", "vault", "treasury"]
"""Capital that a trigger watches: its equity in USD at the reference."""


class Drawdown(Config):
    """Capital has fallen from its peak.

    Source: Bybit and similar venues start ADL when the insurance fund has lost 30 % of its peak of the last eight hours.
    """

    kind: Literal["drawdown"] = "drawdown"
    """Tells the triggers apart."""
    of: Capital
    """Whose capital."""
    share: Annotated[Ratio, Field(gt=0)] = Fraction(3, 10)
    """By this share of the peak, or more."""
    window: PositiveDuration = 8 * 3_600_000_000_000
    """The peak of so long."""


class Below(Config):
    """Capital is small, or gone."""

    kind: Literal["below"] = "below"
    """Tells the triggers apart."""
    of: Capital
    """Whose capital."""
    amount: Usd = Fraction(0)
    """USD; at most so much is left. 0: it is depleted."""


LayerTrigger = Annotated[Drawdown | Below, Field(discriminator="kind")]
"""What starts or stops a layer."""


class PeriodCap(Config):
    """What a layer pays at most in each window of one length: a block, a day."""

    every: PositiveDuration
    """Length of the windows, counted from the open."""
    amount: Usd
    """USD."""


class SkipFailure(Config):
    """The next layer is asked for the rest."""

    kind: Literal["skip"] = "skip"
    """Tells the failures apart."""


class HaltFailure(Config):
    """The next layer is asked for the rest, and the venue halts from the next nanosecond on, as in a `Halt` of the whole venue.

    Source of the form: Perpetual Protocol v1, shut down on 2022-05-15 after a liquidation had emptied its insurance fund.
    """

    kind: Literal["halt"] = "halt"
    """Tells the failures apart."""
    halt_for: PositiveDuration | None = None
    """For so long; a further failure prolongs it. None: until the end of the tape."""


class RevertFailure(Config):
    """The liquidation is not carried out: nothing of it has happened, and it is tried again. The settlement of a market is
    no liquidation, and is not undone.

    Source: Perpetual Protocol v1, whose `InsuranceFund.withdraw` reverts with "Fund not enough", so that the position stays open.
    """

    kind: Literal["revert"] = "revert"
    """Tells the failures apart."""
    retry: PositiveDuration
    """So long after, the next attempt of a keeper begins."""


LayerFailure = Annotated[
    SkipFailure | HaltFailure | RevertFailure, Field(discriminator="kind"), BeforeValidator(spelled_out)
]
"""What follows where a layer that is on leaves something of what it is asked for. A name alone stands for the failure with its
defaults."""


class Limits(Config):
    """What a layer may pay, and when. ADL, which pays nothing, can only start and stop."""

    per_event: Usd | None = None
    """USD for one event (a close, or an action of it); None: there is no such cap."""
    per_market: Usd | None = None
    """USD for the losses of each market, all in all. A loss belongs to the market of the account's first leg that is settled in
    its asset. None: there is no such cap."""
    periods: tuple[PeriodCap, ...] = ()
    """Caps by windows of time, all of which hold."""
    start: LayerTrigger | None = None
    """What starts the layer, until it is stopped; None: it is on whenever nothing stops it."""
    stop: LayerTrigger | None = None
    """What stops it; None: nothing."""
    delay: Duration = 0
    """How long after its start (or after the open) the layer is on."""
    failure: LayerFailure = SkipFailure()
    """What follows where it leaves something of what it is asked for."""
