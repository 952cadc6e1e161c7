"""Venues, one file each: the function that makes the protocol, and the description of its values."""

from collections.abc import Mapping

from underwater.config import MarketMargin
from underwater.errors import ConfigError


def by_market(
    markets: Mapping[str, str] | None, known: Mapping[str, MarketMargin], what: str
) -> dict[str, MarketMargin]:
    """The margin of markets whose names say nothing, by the name of what each of them is.

    Raises:
        ConfigError: there is nothing of that name.
    """
    for market, name in (markets or {}).items():
        if name not in known:
            raise ConfigError(f"markets.{market}: expected {what}, one of {', '.join(known)}, got {name!r}")
    return {market: known[name] for market, name in (markets or {}).items()}
