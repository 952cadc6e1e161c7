"""Protocols to start from, and to change with `with_`: generic shapes, and venues with what is known of them.

A shape shows a way of bearing a loss; its numbers are round and stand for no venue. A venue is a function with options, whose
every value is documented: `describe` says what it models, what it leaves out, and where each number comes from.

>>> import underwater as uw
>>> uw.protocols.hyperliquid().margin.own("BTC-PERP").maintenance.tiers[0].rate
Fraction(1, 80)
>>> uw.protocols.describe("hyperliquid").parameters[0].status
'verified'
"""

from collections.abc import Callable

from underwater.config import Protocol
from underwater.errors import ConfigError
from underwater.protocols.description import Description, Parameter
from underwater.protocols.shapes import description, lp_pool, no_fund, order_book
from underwater.protocols.venues import dydx_v4 as _dydx_v4
from underwater.protocols.venues import gmx_v1 as _gmx_v1
from underwater.protocols.venues import hyperliquid as _hyperliquid
from underwater.protocols.venues.dydx_v4 import dydx_v4
from underwater.protocols.venues.gmx_v1 import gmx_v1
from underwater.protocols.venues.hyperliquid import hyperliquid

__all__ = [
    "SHAPES",
    "VENUES",
    "Description",
    "Parameter",
    "describe",
    "dydx_v4",
    "get",
    "gmx_v1",
    "hyperliquid",
    "lp_pool",
    "no_fund",
    "order_book",
]

SHAPES: dict[str, Callable[[], Protocol]] = {"order_book": order_book, "lp_pool": lp_pool, "no_fund": no_fund}
"""The shapes by name."""

VENUES: dict[str, Callable[[], Protocol]] = {"dydx_v4": dydx_v4, "hyperliquid": hyperliquid, "gmx_v1": gmx_v1}
"""The venues by name; called without options they have their defaults."""

_DESCRIPTIONS = {
    "dydx_v4": _dydx_v4.DESCRIPTION,
    "hyperliquid": _hyperliquid.DESCRIPTION,
    "gmx_v1": _gmx_v1.DESCRIPTION,
}


def get(name: str) -> Protocol:
    """The protocol of this name, with the defaults of its options.

    Raises:
        ConfigError: there is none.
    """
    known = {**SHAPES, **VENUES}
    if name not in known:
        raise ConfigError(f"protocol: expected one of {', '.join(known)}, got {name!r}")
    return known[name]()


def describe(name: str) -> Description:
    """What the protocol of this name models and leaves out, and the source and status of each of its values.

    Raises:
        ConfigError: there is none.
    """
    protocol = get(name)
    said = _DESCRIPTIONS[name] if name in VENUES else description(name, protocol)
    return said.of(protocol)
