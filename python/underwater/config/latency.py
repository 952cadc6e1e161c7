"""Latencies of keepers and oracles: fixed, or drawn from a distribution."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration, duration_text
from underwater.numbers import Rate, exact_text


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
"""A duration, or a distribution that is drawn from for each attempt, or each write; `kind` tells which."""


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("latency", "{message}", {"message": message})
