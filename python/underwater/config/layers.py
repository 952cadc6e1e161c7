"""Stage *waterfall*: the layers that pay for equity that a close left below zero."""

from typing import Literal

from underwater.config.base import Config
from underwater.numbers import Usd

Layer = Literal["insurance_fund", "pool", "adl", "socialised", "treasury"]
"""A payer of the waterfall; `adl` marks where auto-deleveraging steps in."""

ORDER: tuple[Layer, ...] = ("insurance_fund", "pool", "adl", "socialised", "treasury")
"""Order of payers where a protocol states none."""


class InsuranceFund(Config):
    """Capital set aside for bad debt."""

    balance: Usd
    """USD at the open."""
    coverage: Literal["slices", "exhaust", "all_or_none"] = "slices"
    """A loss beyond the fund: sell as much as it can cover and let ADL take the rest; sell all and empty it; or pay
    only a loss that it covers whole."""


class Pool(Config):
    """A liquidity pool: the counterparty of the book, or a payer, or both."""

    balance: Usd
    """USD at the open."""


class Vault(Config):
    """A liquidator vault that can take over positions."""

    balance: Usd
    """USD at the open."""


class Treasury(Config):
    """The protocol's own money, the payer of last resort."""

    balance: Usd
    """USD at the open."""


class Socialised(Config):
    """Loss that other accounts are charged for."""

    by: Literal["profit", "open_interest", "deposits"] = "profit"
    """Whom it is charged to: the session's winners, pro rata to their profit, at the end of the tape; every position in
    the market where the loss was made, long or short, pro rata to its size, at once through an index, so that the charge
    can bring others down; or everyone's collateral in the asset, pro rata, at once. Source of the last: Mango v3 and v4 cut the
    index of deposits of a token. It touches every account at every instant at which such a loss is made."""
