"""dYdX v4: answers of the indexer, JSON with numbers as texts, newest first."""

from underwater.data.formats import Format, number, side, text, time

_FILL = (
    time("ts", "createdAt"),
    number("price"),
    number("size"),
    side(),
    text("type"),
    text("id"),
    text("height", "createdAtHeight", optional=True),
)

FORMATS = (
    Format(
        "dydx.trades",
        "every trade; type LIMIT, LIQUIDATED or DELEVERAGED",
        _FILL,
        prices={"price": ""},
        names=r"(?:^|/)(?P<market>[A-Z0-9]+-USD)[-_]trades.*\.json$",
        rows="indexer",
    ),
    Format(
        "dydx.fills",
        "fills of accounts; type also LIQUIDATION and OFFSETTING",
        (*_FILL, text("market", "market"), text("liquidity", optional=True), number("fee", optional=True)),
        names=r"(?:^|/)fills.*\.json$|[-_]fills.*\.json$",
        rows="indexer",
    ),
    Format(
        "dydx.historicalFunding",
        "funding as it was paid, with the price",
        (time("ts", "effectiveAt"), text("market", "ticker"), number("rate"), number("price")),
        prices={"price": "-ORACLE"},
        names=r"historicalFunding.*\.json$",
        rows="indexer",
    ),
)
"""The formats of the indexer."""
