"""Stage *margin*: how much equity a position needs, and what collateral counts."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration
from underwater.names import base_asset
from underwater.numbers import Exact, PartialRatio, Rate, Ratio, exact_text


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
        return _rising(tiers, "lower bounds")


class SizeStep(Config):
    """One step of a rate by size."""

    lower: Rate
    """Size from which the rate applies, in base units (linear markets) or contracts (inverse ones)."""
    rate: Rate
    """Share of the whole notional."""


class SizeStepMargin(Config):
    """A rate by size, in steps: that of the last step whose size is reached (dYdX v3)."""

    kind: Literal["size_steps"] = "size_steps"
    """Tells the rules apart."""
    steps: tuple[SizeStep, ...] = Field(min_length=1)
    """Steps from the lowest up; the first begins at 0."""

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[SizeStep, ...]) -> tuple[SizeStep, ...]:
        return _rising(steps, "sizes")


_Step = TypeVar("_Step", bound=Tier | SizeStep)


def _rising(steps: tuple[_Step, ...], what: str) -> tuple[_Step, ...]:
    """The steps, if they begin at 0 and rise."""
    bounds = [step.lower for step in steps]
    if bounds[0] != 0 or any(a >= b for a, b in pairwise(bounds)):
        raise PydanticCustomError(
            "rising",
            "expected {what} that begin at 0 and rise, got {bounds}",
            {"what": what, "bounds": ", ".join(map(exact_text, bounds))},
        )
    return steps


class LinearSizeMargin(Config):
    """A rate that rises linearly with the size: `min(cap, base + slope * max(0, size - above))` (Deribit)."""

    kind: Literal["linear_size"] = "linear_size"
    """Tells the rules apart."""
    base: Rate
    """Rate of a small size."""
    slope: Rate
    """What one base unit (or contract) adds to the rate."""
    above: Rate = Fraction(0)
    """Size up to which the rate stands at `base`, in base units (or contracts)."""
    cap: Rate = Fraction(1)
    """Highest rate."""


class RootSizeMargin(Config):
    """A rate that rises with the square root of the size: `min(cap, max(base, share * base + factor * root))` (Drift v2)."""

    kind: Literal["root_size"] = "root_size"
    """Tells the rules apart."""
    base: Rate
    """Lowest rate."""
    share: Rate = Fraction(4, 5)
    """Share of `base` that the root is added to."""
    factor: Rate
    """What the root of the size in base units (or contracts), to millionths, is multiplied by."""
    cap: Rate = Fraction(1)
    """Highest rate."""


class LeverageMargin(Config):
    """Fees owed at the close and a limit of the leverage, whichever is more; both by the notional at the entry (GMX v1)."""

    kind: Literal["leverage"] = "leverage"
    """Tells the rules apart."""
    fee: Rate = Fraction(0)
    """Fixed fee, in quote units (dollars for a USD market)."""
    fee_rate: Rate = Fraction(0)
    """Fee as a share of the notional at the entry."""
    max_leverage: Rate
    """Notional at the entry over equity, above which the position is liquidatable."""


class CollateralShareMargin(Config):
    """Liquidatable once a share of the collateral is lost, closing fee included (Gains)."""

    kind: Literal["collateral_share"] = "collateral_share"
    """Tells the rules apart."""
    lost: Ratio = Fraction(9, 10)
    """Share of the account's collateral whose loss is reached."""
    fee_rate: Rate = Fraction(0)
    """Closing fee as a share of the notional at the entry, counted as a loss."""


class InitialShareMargin(Config):
    """A share of an initial requirement that is rounded up to whole units first: `share * ceil(rate * notional)` (dYdX v4)."""

    kind: Literal["initial_share"] = "initial_share"
    """Tells the rules apart."""
    rate: Rate
    """Initial requirement as a share of the notional."""
    share: Ratio
    """Share of the initial requirement."""


class OpenInterestMargin(Config):
    """A rate that rises with the market's open interest; for the initial requirement only (dYdX v4)."""

    kind: Literal["open_interest"] = "open_interest"
    """Tells the rules apart."""
    base: Rate
    """Rate while the open interest is small."""
    lower: Rate
    """Notional of the larger side, in quote units, up to which the rate stands at `base`."""
    upper: Rate
    """Notional from which the rate stands at `cap`."""
    cap: Rate = Fraction(1)
    """Highest rate."""


Maintenance = Annotated[
    FlatMargin
    | BracketMargin
    | SizeStepMargin
    | LinearSizeMargin
    | RootSizeMargin
    | LeverageMargin
    | CollateralShareMargin
    | InitialShareMargin,
    Field(discriminator="kind"),
]
"""Any maintenance rule; `kind` tells which."""

Initial = Annotated[
    FlatMargin
    | BracketMargin
    | SizeStepMargin
    | LinearSizeMargin
    | RootSizeMargin
    | LeverageMargin
    | CollateralShareMargin
    | InitialShareMargin
    | OpenInterestMargin,
    Field(discriminator="kind"),
]
"""Any initial rule; `kind` tells which."""


class DynamicMargin(Config):
    """Requirements scaled by the realised volatility of a feed, on a schedule.

    The volatility of a look-back is the root of the sum of the squared returns between samples. The scale is that over
    `base`, within the limits; it stands at `floor` until the first update.
    """

    feed: str = "last"
    """Feed whose volatility is measured, market by market."""
    look_back: Duration
    """How far back returns count; a multiple of `sample`."""
    sample: Duration
    """Between two samples of the feed, which are taken at whole multiples of it."""
    cadence: Duration
    """Between two updates of the scale, at whole multiples of it; a multiple of `sample`."""
    base: Rate
    """Volatility over the look-back at which requirements stand as configured."""
    floor: Rate = Fraction(1)
    """Lowest scale."""
    cap: Rate
    """Highest scale."""
    max_rise: Rate | None = None
    """How far the scale may rise in an update; None: to the cap."""
    max_fall: Rate | None = None
    """How far the scale may fall in an update; None: to the floor."""
    initial: bool = True
    """Scale the initial requirement too."""


class MarketMargin(Config):
    """Margin of one market, where it differs from the protocol's."""

    maintenance: Maintenance | None = None
    """Maintenance requirement; None: the protocol's."""
    initial_rate: Rate | None = None
    """Initial requirement as a share of the notional; None: the protocol's."""
    initial: Initial | None = None
    """Initial requirement by a rule; None: the protocol's."""
    minimum: Rate | None = None
    """Least requirement of a position, in quote units; None: the protocol's."""
    dynamic: DynamicMargin | None = None
    """Scale by volatility; None: the protocol's."""

    @model_validator(mode="after")
    def _one_initial(self) -> "MarketMargin":
        _check_initial(self)
        return self


class Margin(Config):
    """Requirements of all markets."""

    maintenance: Maintenance = FlatMargin(rate=Fraction(1, 200))
    """Requirement below which an account is liquidatable."""
    initial_rate: Rate | None = None
    """Initial requirement as a share of the notional, tested at the open and at withdrawals; None: not tested."""
    initial: Initial | None = None
    """Initial requirement by a rule, in place of `initial_rate`."""
    minimum: Rate | None = None
    """Least requirement of a position, in quote units (dollars for a USD market; GMX v2); None: there is none."""
    dynamic: DynamicMargin | None = None
    """Scale of the requirements by volatility; None: they stand as they are."""
    markets: dict[str, MarketMargin] = Field(default_factory=dict)
    """Exceptions by market name."""
    assets: dict[str, MarketMargin] = Field(default_factory=dict)
    """Exceptions by base asset, such as `BTC`, for the markets whose names begin with it (see `uw.base_asset`); those by
    market name come first. An asset that the tape does not have is passed over."""

    @model_validator(mode="after")
    def _one_initial(self) -> "Margin":
        _check_initial(self)
        return self

    def own(self, market: str) -> MarketMargin | None:
        """What differs for a market of this name; None: nothing."""
        return self.markets.get(market) or self.assets.get(base_asset(market))

    def resolved(self, tape: Iterable[str] = ()) -> "Margin":
        """The same requirements with every exception spelled out by market, for a tape with markets of these names."""
        by_asset = {name: market for name in tape if (market := self.own(name)) is not None}
        markets = {}
        for name, market in {**self.markets, **by_asset}.items():
            own = market if market.initial is not None or market.initial_rate is not None else self
            markets[name] = MarketMargin(
                maintenance=market.maintenance or self.maintenance,
                initial_rate=own.initial_rate,
                initial=own.initial,
                minimum=self.minimum if market.minimum is None else market.minimum,
                dynamic=market.dynamic or self.dynamic,
            )
        return self.model_copy(update={"markets": markets, "assets": {}})


def _check_initial(margin: MarketMargin | Margin) -> None:
    if margin.initial is not None and margin.initial_rate is not None:
        raise PydanticCustomError("initial", "initial: expected either initial or initial_rate, not both", {})


class Collateral(Config):
    """How an asset counts as collateral."""

    weight: Ratio = Fraction(1)
    """Share of a positive balance that counts; a negative balance counts whole."""
    initial_weight: Ratio | None = None
    """The same where the initial requirement is tested; None: `weight`."""
    profit_weight: Ratio | None = None
    """Share of the unrealised profit of a position settled in this asset that counts; None: all of it."""
    sale_cost: PartialRatio | None = None
    """Share of the price that is lost when this asset is sold to cover another at a close; None: nothing."""
