"""Stage *ADL*: auto-deleveraging, the match of a loser with winners on the other side."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config, spelled_out
from underwater.numbers import Rate, Ratio


class QueueAdl(Config):
    """One counterparty after the other, each up to its capacity, the last in part."""

    kind: Literal["queue"] = "queue"
    """Tells the policies apart."""


class ProRataAdl(Config):
    """Every counterparty gives the same share of its profit."""

    kind: Literal["pro_rata"] = "pro_rata"
    """Tells the policies apart."""


class ContractsProRataAdl(Config):
    """Every counterparty gives the same share of its contracts."""

    kind: Literal["contracts_pro_rata"] = "contracts_pro_rata"
    """Tells the policies apart."""


class CappedProRataAdl(Config):
    """Every counterparty gives the same share of its profit, up to a cap."""

    kind: Literal["capped_pro_rata"] = "capped_pro_rata"
    """Tells the policies apart."""
    cap: Ratio
    """Largest share of its profit that a counterparty gives up to one match; what caps leave goes to the market."""


class RiskAwareAdl(Config):
    """The more leveraged a counterparty, the larger the share of its profit: proportional to l g(l), l = notional / equity.

    A leverage above 100 counts as 100. Source: Chitra, arXiv 2512.01112, risk-aware policies.
    """

    kind: Literal["risk_aware"] = "risk_aware"
    """Tells the policies apart."""
    weight: Literal["linear", "power", "cvar"] = "linear"
    """g: the leverage, a power of it, or what is above a threshold (without that a counterparty gives nothing)."""
    power: int = Field(default=1, ge=1, le=3)
    """Exponent of `power`."""
    threshold: Rate = Fraction(0)
    """Leverage above which `cvar` counts."""
    cap: Ratio | None = None
    """Largest share of its profit that a counterparty gives up to one match; None: no cap."""


class MinMaxAdl(Config):
    """The largest share of its equity that any counterparty gives up is as small as it can be."""

    kind: Literal["min_max"] = "min_max"
    """Tells the policies apart."""


class MirrorDescentAdl(Config):
    """The shares of profit that are nearest (Euclidean) to wished ones, `start + step * leverage`, and meet the demand.

    With both at 0 the shares grow with the profit. Source: Chitra and others, arXiv 2602.15182, the projection.
    """

    kind: Literal["mirror_descent"] = "mirror_descent"
    """Tells the policies apart."""
    start: Ratio = Fraction(0)
    """Wished share of every profit."""
    step: Rate = Fraction(0)
    """What is added to it for each unit of leverage, notional / equity, of which at most 100 counts."""


AdlPolicy = Annotated[
    QueueAdl | ProRataAdl | ContractsProRataAdl | CappedProRataAdl | RiskAwareAdl | MinMaxAdl | MirrorDescentAdl,
    Field(discriminator="kind"),
    BeforeValidator(spelled_out),
]
"""Any policy of ADL; `kind` tells which. A name alone stands for the policy with its defaults."""

AdlScore = Literal[
    "profit_leverage",
    "bitmex",
    "hyperliquid_docs",
    "hyperliquid_docs_literal",
    "binance",
    "leverage",
    "profit",
    "position",
    "random_start",
]
"""What ranks the counterparties, the highest first.

- `profit_leverage`: (profit / entry notional) * (notional / equity), the form that was found from what Hyperliquid did on
  2025-10-10;
- `bitmex`: the same, and losses (where they are eligible) divided by the leverage. BitMEX publishes it as PnL % times
  effective leverage; OKX (leverage PnL %) and Bybit (leveraged return) rank by the same formula;
- `hyperliquid_docs`: (mark / entry) * (notional / equity) as Hyperliquid documents it, with entry / mark for shorts;
- `hyperliquid_docs_literal`: the same with mark / entry for shorts too, by which they go later the more they gain;
- `binance`: (profit / wallet, at least 1) * (maintenance margin / equity, at most 1); slower, for its bound is loose;
- `leverage`: notional / equity; `profit`, `position`: profit and notional in the settlement asset;
- `random_start`: none; accounts in the order of the book from a drawn one on, as on dYdX v4.
"""


class Adl(Config):
    """How winners are matched.

    >>> from underwater import Adl
    >>> Adl(policy="pro_rata", capacity="profit").policy.kind
    'pro_rata'
    """

    policy: AdlPolicy = QueueAdl()
    """Who gives how much. All but `queue` look at every position of the market at each event and mostly take a little of
    each: runs take as much longer, and `Result.adl` as many rows more, as there are winners; `counterparties` limits both."""
    score: AdlScore = "profit_leverage"
    """Order of the counterparties; where the policy is no queue, of rows and of roundings only."""
    seed: int = Field(default=0, ge=0, lt=2**64)
    """Seed of `random_start`."""
    eligibility: Literal["in_profit", "overlap", "any"] = "in_profit"
    """Who, of those on the other side whose account has equity: positions in profit; positions whose own bankruptcy price
    is not beyond the price of the match; or all."""
    price: Literal["bankruptcy", "mark", "previous_mark", "oracle", "mark_then_bankruptcy"] = "bankruptcy"
    """Price of a match: where the loser's equity is zero; the mark (`adl_feed`); the mark before it; that of `price_feed`;
    or the mark while the insurance fund has `threshold` of its opening balance, then where the equity is zero."""
    price_feed: str | None = None
    """Feed of the price `oracle`."""
    threshold: Ratio | None = None
    """Share of the fund's opening balance, of the price `mark_then_bankruptcy`."""
    capacity: Literal["equity", "position", "profit"] = "equity"
    """Limit of a counterparty: up to its own bankruptcy, its whole position whatever the cost, or up to its profit."""
    counterparties: int | None = Field(default=None, ge=1, lt=2**32)
    """Counterparties of one position at most, the first of the order; None: any number."""
    attempts: int | None = Field(default=None, ge=0, lt=2**32)
    """Accounts that are closed with ADL at one instant at most, the others without; None: any number."""
    partial_last: bool = True
    """Whether a counterparty may be closed in part; if not, whom the demand does not take whole is passed over."""
    leftover: Literal["market", "open"] = "market"
    """What ADL is asked for and nobody is matched with goes to the market; or stays open and is tried again after `close.pause`,
    while what was matched and sold is closed for good. dYdX v4: it is tried again in the next block."""

    @model_validator(mode="after")
    def _consistent(self) -> "Adl":
        for field, price in (("price_feed", "oracle"), ("threshold", "mark_then_bankruptcy")):
            if (getattr(self, field) is not None) != (self.price == price):
                given = "is missing" if self.price == price else "has no use"
                raise _wrong(f"{field}: {given}; it belongs to the price {price}")
        if not self.partial_last and self.policy.kind != "queue":
            raise _wrong(f"partial_last: only the policy queue takes whole positions, got {self.policy.kind}")
        return self


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("adl", "{message}", {"message": message})
