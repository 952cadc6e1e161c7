"""Stage *penalty*: what a liquidation costs the account, and who receives it."""

from fractions import Fraction
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.numbers import Rate, Ratio, Usd, exact_text

Sink = Literal["insurance_fund", "pool", "treasury", "keepers", "fees", "vault"]
"""Who can receive penalties and what is left of a closed account."""


class Penalty(Config):
    """Charges of a liquidation."""

    rate: Rate = Fraction(0)
    """Share of the closed notional; waived if the account cannot pay."""
    split: dict[Sink, Ratio] = Field(default={"insurance_fund": Fraction(1)})
    """Shares of the penalty by receiver; they sum to 1."""
    keeper_fee: Usd = Fraction(0)
    """Fixed fee of the keeper per account, in USD."""
    paid_if_insolvent: bool = False
    """Whether the keeper is paid in full even by an account that has nothing; the layers then make it good."""

    @field_validator("split")
    @classmethod
    def _whole(cls, split: dict[Sink, Fraction]) -> dict[Sink, Fraction]:
        total = sum(split.values(), Fraction(0))
        if total != 1:
            raise PydanticCustomError(
                "split", "expected shares that sum to 1, got {total}", {"total": exact_text(total)}
            )
        return split
