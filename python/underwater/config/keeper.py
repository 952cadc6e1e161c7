"""Stage *keeper*: who acts on a trigger, how late, how often it works, and for what reward."""

from fractions import Fraction

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.config.latency import Latency
from underwater.durations import Duration
from underwater.instants import START, Instant
from underwater.numbers import Rate, Ratio, Usd


class Capacity(Config):
    """How much keepers can do: so many attempts a window, from the start of the tape on. The rest waits."""

    limit: int = Field(ge=0, lt=2**32)
    """Attempts in a window; 0: nothing is done at all."""
    window: Duration = Field(gt=0)
    """Length of a window, such as a block."""


class Failure(Config):
    """Attempts that fail, each for itself, drawn by account and number of the attempt."""

    probability: Ratio
    """Of an attempt; half of the keepers failing is 0.5."""
    retry: Duration = Field(gt=0)
    """From a failure until the next attempt begins."""


class GasStep(Config):
    """From a time on, gas costs so many times the base."""

    at: Instant
    """From when: an offset from the start of the tape, or an absolute time."""
    factor: Rate
    """How many times."""


class Gas(Config):
    """What a liquidation costs the keeper."""

    base: Usd
    """USD for a liquidation at factor 1."""
    series: tuple[GasStep, ...] = ()
    """Factors in the order of time; before the first it is 1."""


class Regime(Config):
    """What is different for a while. A field that is not stated stays as it is; of several regimes the last counts."""

    start: Instant = START
    """From when: an offset from the start of the tape (`9h`), or an absolute time (`2020-03-12T10:30:00Z`)."""
    end: Instant | None = None
    """Until when, exclusive; None: to the end."""
    latency: Latency | None = None
    """From detection to action, of attempts that begin meanwhile."""
    failure: Failure | None = None
    """How often attempts fail meanwhile."""
    capacity: Capacity | None = None
    """How much can be done meanwhile."""
    gas_factor: Rate | None = None
    """Gas costs so many times its series meanwhile."""


class Keeper(Config):
    """Whoever closes accounts that fell below their requirement.

    >>> from underwater import Failure, Keeper, LognormalLatency, Regime
    >>> outage = Regime(start="9h", end="15h", failure=Failure(probability=0.5, retry="10m"))
    >>> keeper = Keeper(latency=LognormalLatency(median="2s", sigma=1), regimes=(outage,))
    >>> Keeper.from_toml(keeper.to_toml()) == keeper
    True
    """

    poll: Duration | None = Field(default=None, gt=0)
    """Accounts are looked at so often, first at the start of the tape; None: at every update of their feeds."""
    latency: Latency = 0
    """From detection to action: a duration, or a distribution."""
    rounds: int = Field(default=1, ge=0, lt=2**32)
    """How often accounts that actions changed are tested again within the same instant."""
    capacity: Capacity | None = None
    """How much can be done; None: everything."""
    failure: Failure | None = None
    """How often attempts fail; None: never."""
    minimum_profit: Usd = Fraction(0)
    """USD that must be left of the keeper's reward (its fee, its share of the penalty) after gas, or it does not act."""
    gas: Gas | None = None
    """What a liquidation costs the keeper; None: nothing."""
    regimes: tuple[Regime, ...] = ()
    """What is different for a while."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Seed of all draws."""

    @model_validator(mode="after")
    def _consistent(self) -> "Keeper":
        for number, regime in enumerate(self.regimes):
            if regime.gas_factor is not None and self.gas is None:
                raise _wrong(f"regimes.{number}.gas_factor: there is no gas to multiply; add the field gas")
        return self


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("keeper", "{message}", {"message": message})
