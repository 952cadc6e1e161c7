"""Stage *payout*: how much of their profit the pool pays to winners."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration, PositiveDuration
from underwater.numbers import PositiveRatio, Rate, Ratio


class UncappedPayout(Config):
    """Every profit is paid whole."""

    kind: Literal["uncapped"] = "uncapped"
    """Tells the policies apart."""


class PoolFactorPayout(Config):
    """The profit of a side of a market is paid up to a share of what the pool has for it.

    Every winner is cut in the same proportion. Losses are never cut, and the order in which winners leave matters. Source:
    GMX v2, `MAX_PNL_FACTOR_FOR_TRADERS`.
    """

    kind: Literal["pool_factor"] = "pool_factor"
    """Tells the policies apart."""
    factor: Rate
    """The share, of the value of the side's part of the pool (see `Payout.sides`); 0.9 on GMX v2's BTC and ETH markets."""


class CollateralSharePayout(Config):
    """A profit is at most a multiple of the account's collateral. Source: gTrade v6, 900 % of the collateral."""

    kind: Literal["collateral_share"] = "collateral_share"
    """Tells the policies apart."""
    share: Rate
    """The multiple; 9 on gTrade."""


class ReservedPayout(Config):
    """A profit is at most what the pool reserved when the position was opened. Sources: GMX v1, Jupiter (locked tokens)."""

    kind: Literal["reserved"] = "reserved"
    """Tells the policies apart."""
    share: Rate = Fraction(1)
    """What is reserved, as a share of what the position cost in its settlement asset. A coin-margined long never gains more than
    the coins that it was opened for."""


PayoutPolicy = Annotated[
    UncappedPayout | PoolFactorPayout | CollateralSharePayout | ReservedPayout, Field(discriminator="kind")
]
"""How much of a profit is paid."""


class PoolSide(Config):
    """What of the pool stands behind the longs, or the shorts, of a market."""

    share: Ratio = Fraction(1, 2)
    """Share of its holdings."""
    assets: tuple[str, ...] | None = None
    """Assets of which it has that share; None: all of them."""


class PoolSides(Config):
    """What of the pool stands behind the two sides of a market."""

    long: PoolSide = PoolSide()
    """Behind the longs."""
    short: PoolSide = PoolSide()
    """Behind the shorts."""


class PoolAdl(Config):
    """Auto-deleveraging by the pool factor: positions in profit are closed while the profit of their side is too large.

    The factor of a side is its profit at the better of the two trigger prices over the value of its part of the pool (see
    `Payout.sides`). A position that is closed is paid as any other, caps included: what is prevented is further growth. It
    pays for no loss. Source: GMX v2, `AdlUtils`, `AdlHandler`; which position and how much of it is the keeper's choice there.
    """

    enable: Rate
    """Factor above which (not at which) positions are closed; 0.85 on GMX v2's BTC and ETH markets (`maxPnlFactorForAdl`)."""
    minimum: Rate
    """Factor below which no action may bring it; 0.77 there (`minPnlFactorAfterAdl`)."""
    stop: Literal["minimum", "enable"] = "minimum"
    """A round goes on until the factor is at most `minimum`, or until it is no longer above `enable`."""
    selector: Literal["largest_profit", "largest_position", "highest_return", "random"] = "largest_profit"
    """Which position comes first: by profit, by value, by profit over what it cost, or as it is drawn."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Seed of the draws of `random`."""
    share: PositiveRatio = Fraction(1)
    """Share of a position that one action closes, at most."""
    fit: bool = False
    """An action that would bring the factor below `minimum` closes as much as it may; otherwise it does not take place."""
    actions: int | None = Field(default=None, ge=1)
    """Actions of one round; None: as many as it takes."""
    latency: Duration = 0
    """From when the factor is first above `enable` to the round, in nanoseconds or as text (`"30s"`)."""
    pause: PositiveDuration = 1_000_000_000
    """From a round to the next of the side, if its factor is still above `enable`."""

    @model_validator(mode="after")
    def _ordered(self) -> "PoolAdl":
        if self.minimum > self.enable:
            raise PydanticCustomError("minimum", "minimum is above enable; expected a factor of at most enable")
        return self


class Payout(Config):
    """What the pool pays of the profits of positions: of those closed in a liquidation, by a trade of the account, at the end.

    The pool is the counterparty, of closes too, and the other side of the accounts' trades. What it does not pay it keeps:
    lines `capped_payouts`, `refused_payouts` and `deferred_payouts` of who_pays, beside bad debt.
    """

    policy: PayoutPolicy = UncappedPayout()
    """How much of a profit is paid."""
    when_short: Literal["pay", "refuse", "defer"] = "pay"
    """A profit that the pool does not have, were all positions closed at what they cost: paid all the same, so that the pool goes
    negative; refused; or owed, and paid in the order in which claims arose once money has come in (gTrade, Jupiter). A claim of
    an account that defaults lapses."""
    in_margin: bool = False
    """Whether the margin test counts no more of a profit than would be paid (GMX v2), and the initial requirement nothing."""
    at_end: bool = False
    """Whether all positions are closed against the pool at the end of the tape."""
    sides: PoolSides = PoolSides()
    """What of the pool stands behind a market."""
    markets: dict[str, PoolSides] = Field(default_factory=dict)
    """The same of single markets."""
    adl: PoolAdl | None = None
    """Auto-deleveraging by the pool factor; None: there is none."""
