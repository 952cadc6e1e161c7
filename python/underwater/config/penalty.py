"""Stage *penalty*: what a liquidation costs the account, and who receives it."""

from fractions import Fraction
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.durations import Duration
from underwater.numbers import Rate, Ratio, Usd, exact_text

Sink = Literal["insurance_fund", "pool", "treasury", "keepers", "fees", "vault"]
"""Who can receive penalties and what is left of a closed account."""


class Escalation(Config):
    """A penalty rate that rises with time, or with the shortfall, as in a Dutch auction."""

    after: Duration = 0
    """Time from the detection in which it does not rise."""
    every: Duration = 1_000_000_000
    """Time of one step."""
    step: Rate = Fraction(0)
    """Rise with each step."""
    shortfall: Rate = Fraction(0)
    """Rise where equity is zero; less in proportion to what there is of the maintenance requirement."""
    maximum: Rate | None = None
    """Highest rate; None: no limit."""

    @field_validator("every")
    @classmethod
    def _step_by_step(cls, every: int) -> int:
        if every <= 0:
            raise PydanticCustomError("duration", "expected a duration above 0, got {got}", {"got": every})
        return every


class Penalty(Config):
    """Charges of a liquidation."""

    rate: Rate = Fraction(0)
    """Share of the closed notional; waived if the account cannot pay."""
    escalation: Escalation | None = None
    """How the rate rises; None: it does not."""
    cap: Usd | None = None
    """USD that one charge comes to at most; None: no cap. A charge is that of an action in one asset, or of a loss unit."""
    equity_share: Ratio = Fraction(1)
    """Share of what the account has left that one charge comes to at most."""
    split: dict[Sink, Ratio] = Field(default={"insurance_fund": Fraction(1)})
    """Shares of the penalty by receiver; they sum to 1."""
    keeper_fee: Usd = Fraction(0)
    """Fixed fee of the keeper, in USD."""
    fee_per: Literal["account", "fill"] = "account"
    """What the fixed fee is paid for: an action on an account, or each of its fills in the market."""
    fee_if: Literal["always", "short"] = "always"
    """When the keeper is paid: always; or only for an account that cannot pay it, while one that can is closed as if by its
    owner and keeps the rest (GMX v1)."""
    keeper_rate: Rate = Fraction(0)
    """Fee of the keeper as a share of the notional, besides the fixed one."""
    paid_if_insolvent: bool = False
    """Whether the keeper is paid in full even by an account that has nothing; the layers then make it good."""
    fund_pays_keeper: bool = False
    """Whether the insurance fund pays the keeper what the account does not, out of its own cash as far as it goes."""

    @field_validator("split")
    @classmethod
    def _whole(cls, split: dict[Sink, Fraction]) -> dict[Sink, Fraction]:
        total = sum(split.values(), Fraction(0))
        if total != 1:
            raise PydanticCustomError(
                "split", "expected shares that sum to 1, got {total}", {"total": exact_text(total)}
            )
        return split

    @model_validator(mode="after")
    def _one_payer(self) -> "Penalty":
        if self.fund_pays_keeper and self.paid_if_insolvent:
            raise PydanticCustomError(
                "penalty", "fund_pays_keeper: expected at most one of fund_pays_keeper and paid_if_insolvent"
            )
        return self
