"""Stage *waterfall*: insurance funds that stand for some markets only."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from underwater.config.sources import Funded
from underwater.numbers import Usd


class OwnFund(Funded):
    """An insurance fund of its own for some markets: it pays for losses made in them, and gets their penalties, fees and
    residuals.

    Sources: dYdX v4, where each isolated market has a fund that starts empty; Bybit, where up to nine contracts share a
    pool.
    """

    balance: Usd = Fraction(0)
    """USD at the open."""
    markets: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Its markets; None: the one that bears the name of the fund."""


def _once_each(funds: Mapping[str, OwnFund]) -> Mapping[str, OwnFund]:
    taken: dict[str, str] = {}
    for name, fund in funds.items():
        for market in fund.markets or (name,):
            if market in taken:
                raise PydanticCustomError(
                    "funds",
                    "{market} has the fund {other} already; expected one fund for each market",
                    {"market": repr(market), "other": repr(taken[market])},
                )
            taken[market] = name
    return funds


OwnFunds = Annotated[dict[str, OwnFund], AfterValidator(_once_each)]
"""Funds by name; no market has two."""
