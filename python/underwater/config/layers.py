"""Stage *waterfall*: the layers that pay for equity that a close left below zero."""

from typing import Literal

from pydantic import Field

from underwater.config.base import Config
from underwater.config.funds import OwnFunds
from underwater.config.sources import Funded
from underwater.durations import PositiveDuration
from underwater.numbers import Usd

Layer = Literal["insurance_fund", "pool", "adl", "socialised", "treasury", "token"]
"""A payer of the waterfall; `adl` marks where auto-deleveraging steps in."""

ORDER: tuple[Layer, ...] = ("insurance_fund", "pool", "adl", "socialised", "treasury", "token")
"""Order of payers where a protocol states none."""


class InsuranceFund(Funded):
    """Capital set aside for bad debt."""

    balance: Usd
    """USD at the open."""
    coverage: Literal["slices", "exhaust", "all_or_none"] = "slices"
    """A loss beyond the fund: sell as much as it can cover and let ADL take the rest; sell all and empty it; or pay
    only a loss that it covers whole."""
    funds: OwnFunds = Field(default_factory=dict)
    """Funds of their own for some markets, by name; this one is that of all others. A loss in several markets is divided
    among the funds by the notional of the legs; the coverage is the same for all. In frames they are holders
    `insurance_fund:NAME`; `uw.metrics.funds` has a row for each."""


class Pool(Config):
    """A liquidity pool: the counterparty of the book, or a payer, or both."""

    balance: Usd
    """USD at the open."""


class Vault(Config):
    """A liquidator vault that can take over positions."""

    balance: Usd
    """USD at the open."""


class Treasury(Config):
    """The protocol's own money, the payer of last resort. What it pays at once can be less than what it pays after a vote."""

    balance: Usd
    """USD at the open."""
    real_time: Usd | None = None
    """USD that it pays at once, all in all; None: what it has. `limits` hold besides."""
    delay: PositiveDuration | None = None
    """After how long it pays, as far as it can, what nobody covered; until then this is uncovered. None: never. Mango's DAO
    made its users whole days after October 2022. Needs the treasury among the layers."""


class Socialised(Config):
    """Loss that other accounts are charged for."""

    by: Literal["profit", "open_interest", "deposits"] = "profit"
    """Whom it is charged to: the session's winners, pro rata to their profit, at the end of the tape; every position in
    the market where the loss was made, long or short, pro rata to its size, at once through an index, so that the charge
    can bring others down; or everyone's collateral in the asset, pro rata, at once. Source of the last: Mango v3 and v4 cut the
    index of deposits of a token. It touches every account at every instant at which such a loss is made."""
