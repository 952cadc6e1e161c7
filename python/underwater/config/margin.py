"""Stage *margin*: how much equity a position needs, and what collateral counts."""

from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.numbers import Exact, Rate, Ratio, exact_text


class FlatMargin(Config):
    """One rate for every size."""

    kind: Literal["flat"] = "flat"
    """Tells the rules apart."""
    rate: Rate
    """Share of the notional."""


class Tier(Config):
    """One bracket of notional."""

    lower: Rate
    """Quote notional from which the bracket applies, in quote units (dollars for a USD market)."""
    rate: Rate
    """Share of the whole notional."""
    deduction: Exact | None = None
    """Quote amount taken off; None: what makes the requirement continuous."""


class BracketMargin(Config):
    """Brackets of notional: `rate * notional - deduction` of the last bracket whose lower bound is reached."""

    kind: Literal["brackets"] = "brackets"
    """Tells the rules apart."""
    tiers: tuple[Tier, ...] = Field(min_length=1)
    """Brackets from the lowest up; the first begins at 0."""

    @field_validator("tiers")
    @classmethod
    def _ascending(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        bounds = [tier.lower for tier in tiers]
        if bounds[0] != 0 or any(a >= b for a, b in pairwise(bounds)):
            raise PydanticCustomError(
                "tiers",
                "expected lower bounds that begin at 0 and rise, got {bounds}",
                {"bounds": ", ".join(map(exact_text, bounds))},
            )
        return tiers


Maintenance = Annotated[FlatMargin | BracketMargin, Field(discriminator="kind")]
"""Any maintenance rule; `kind` tells which."""


class MarketMargin(Config):
    """Margin of one market, where it differs from the protocol's."""

    maintenance: Maintenance | None = None
    """Maintenance requirement; None: the protocol's."""
    initial_rate: Rate | None = None
    """Initial requirement as a share of the notional; None: the protocol's."""


class Margin(Config):
    """Requirements of all markets."""

    maintenance: Maintenance = FlatMargin(rate=Fraction(1, 200))
    """Requirement below which an account is liquidatable."""
    initial_rate: Rate | None = None
    """Initial requirement as a share of the notional, tested at the open and at withdrawals; None: not tested."""
    markets: dict[str, MarketMargin] = Field(default_factory=dict)
    """Exceptions by market name."""

    def resolved(self) -> "Margin":
        """The same requirements with every exception spelled out."""
        markets = {
            name: MarketMargin(
                maintenance=market.maintenance or self.maintenance,
                initial_rate=self.initial_rate if market.initial_rate is None else market.initial_rate,
            )
            for name, market in self.markets.items()
        }
        return self.model_copy(update={"markets": markets})


class Collateral(Config):
    """How an asset counts as collateral."""

    weight: Ratio = Fraction(1)
    """Share of a positive balance that counts; a negative balance counts whole."""
