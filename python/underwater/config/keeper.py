"""Stage *keeper*: who acts on a trigger, how late, how often it works, and for what reward."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration, duration_text
from underwater.instants import START, Instant
from underwater.numbers import Rate, Ratio, Usd, exact_text


class UniformLatency(Config):
    """Every latency between two is as likely."""

    kind: Literal["uniform"] = "uniform"
    """Tells the distributions apart."""
    low: Duration = 0
    """The least."""
    high: Duration
    """The largest."""

    @model_validator(mode="after")
    def _ordered(self) -> "UniformLatency":
        if self.high < self.low:
            raise _wrong(
                f"expected high of at least low, got {duration_text(self.high)} below {duration_text(self.low)}"
            )
        return self


class LognormalLatency(Config):
    """Latencies whose logarithm is normal: mostly about the median, now and then much longer."""

    kind: Literal["lognormal"] = "lognormal"
    """Tells the distributions apart."""
    median: Duration
    """Half of the latencies are longer."""
    sigma: Rate
    """Standard deviation of the natural logarithm; below 16."""
    maximum: Duration | None = None
    """No latency is longer; None: there is no limit."""

    @field_validator("sigma")
    @classmethod
    def _small(cls, sigma: Fraction) -> Fraction:
        if sigma >= 16 or sigma.denominator >= 2**63:
            raise _wrong(f"expected a number from 0 to below 16, got {exact_text(sigma)}")
        return sigma


class WeightedLatency(Config):
    """One value of an empirical distribution."""

    latency: Duration
    """The value."""
    weight: int = Field(default=1, ge=0, lt=2**32)
    """How often it comes, relative to the others."""


class EmpiricalLatency(Config):
    """Given latencies, as often as their weights say."""

    kind: Literal["empirical"] = "empirical"
    """Tells the distributions apart."""
    values: tuple[WeightedLatency, ...] = Field(min_length=1)
    """The values; at least one has a weight above 0."""

    @field_validator("values")
    @classmethod
    def _possible(cls, values: tuple[WeightedLatency, ...]) -> tuple[WeightedLatency, ...]:
        if not any(value.weight for value in values):
            raise _wrong("expected a weight that is not 0")
        return values


def _kind(latency: Any) -> str | None:
    if isinstance(latency, Mapping):
        kind = latency.get("kind")
        return kind if isinstance(kind, str) else None
    return getattr(latency, "kind", "fixed")


Latency = Annotated[
    Annotated[Duration, Tag("fixed")]
    | Annotated[UniformLatency, Tag("uniform")]
    | Annotated[LognormalLatency, Tag("lognormal")]
    | Annotated[EmpiricalLatency, Tag("empirical")],
    Discriminator(_kind),
]
"""A duration, or a distribution that is drawn from for each attempt; `kind` tells which."""


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
