"""Stage *payout*: how much of their profit the pool pays to winners."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from underwater.config.base import Config
from underwater.numbers import Rate, Ratio


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


class Payout(Config):
    """What the pool pays of the profits of positions: of those closed in a liquidation, by a trade of the account, at the end.

    The pool is the counterparty, of closes too, and the other side of the accounts' trades. What it does not pay it keeps:
    lines `capped_payouts` and `refused_payouts` of who_pays, beside bad debt.
    """

    policy: PayoutPolicy = UncappedPayout()
    """How much of a profit is paid."""
    when_short: Literal["pay", "refuse"] = "pay"
    """A profit that the pool does not have, were all positions closed at what they cost: paid all the same, so that the pool goes
    negative, or refused."""
    at_end: bool = False
    """Whether all positions are closed against the pool at the end of the tape."""
    sides: PoolSides = PoolSides()
    """What of the pool stands behind a market."""
    markets: dict[str, PoolSides] = Field(default_factory=dict)
    """The same of single markets."""
