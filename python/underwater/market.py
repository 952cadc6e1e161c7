"""What a market and an asset are. These definitions travel with the ticks."""

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from underwater.config.base import Config
from underwater.numbers import Size


class Market(Config):
    """A market of the tape. A market that is not defined is linear, settled in USD, with contracts of one unit.

    Raises:
        ConfigError: a field is unknown or wrong, or an inverse market names no settlement coin.

    >>> import underwater as uw
    >>> uw.Market(name="XBTUSD", kind="inverse", settlement="XBT").contract_size
    Fraction(1, 1)
    """

    name: str = Field(min_length=1)
    """Name, as in the column `market`."""
    kind: Literal["linear", "inverse"] = "linear"
    """Profit is size times price change in quote units, or in the coin, in 1/price."""
    contract_size: Size = Fraction(1)
    """Base units of one contract if linear, quote units if inverse."""
    price_decimals: int | None = Field(default=None, ge=0, le=18)
    """Decimals of a price; None: the fewest that fit the data."""
    size_decimals: int | None = Field(default=None, ge=0, le=18)
    """Decimals of a size; None: the fewest that fit the ticks' sizes, 8 if they have none."""
    settlement: str | None = Field(default=None, min_length=1)
    """Asset of profit and loss; None: USD. An inverse market must name its coin."""
    index: str | None = None
    """Another market of the tape whose price is this market's index; None: there is none."""

    @model_validator(mode="after")
    def _coin(self) -> Self:
        if self.kind == "inverse" and self.settlement is None:
            raise PydanticCustomError("settlement", "settlement: an inverse market must name the coin it settles in")
        return self


class Asset(Config):
    """An asset of collateral or settlement. One that is not defined follows from the markets: the coin of an inverse
    market has 8 decimals and that market's price, any other 6 decimals and the worth of 1 USD."""

    name: str = Field(min_length=1)
    """Name, as in the columns `asset` and `collateral_asset`."""
    decimals: int = Field(default=6, ge=0, le=18)
    """Decimals of an amount."""
    price_market: str | None = None
    """Market whose price is the asset's price in USD; None: it is worth 1 USD."""


class Definitions(Config):
    """The markets and assets of a tape."""

    markets: tuple[Market, ...] = ()
    """Markets."""
    assets: tuple[Asset, ...] = ()
    """Assets."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for field, names in (("markets", [m.name for m in self.markets]), ("assets", [a.name for a in self.assets])):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise PydanticCustomError("twice", f"{field}: {{name}} is defined twice", {"name": repr(twice)})
        return self


def definitions_json(markets: Iterable[Market] | None, assets: Iterable[Asset] | None) -> str | None:
    """The definitions as the engine and the files hold them; None if nothing is defined."""
    if markets is None and assets is None:
        return None
    return Definitions(markets=tuple(markets or ()), assets=tuple(assets or ())).engine_json()


def parse_definitions(text: str) -> Definitions:
    """The definitions of an engine's or a file's JSON."""
    return Definitions.from_dict(json.loads(text))
