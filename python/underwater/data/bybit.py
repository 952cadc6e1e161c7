"""Bybit: public.bybit.com, derivatives and spot.

`trading/{SYMBOL}/{SYMBOL}{date}.csv.gz`: times in seconds with a fraction; some old files descend in time. An inverse market's
size is in contracts of 1 USD.
"""

from underwater.data.formats import Format, columns, flag, integer, number, side, text, time
from underwater.market import Market


def market(name: str, path: str) -> Market:
    """`BTCUSD` and its dated futures (`BTCUSDZ21`) are inverse; `BTCUSDT`, `BTCPERP` and the like are linear.

    >>> market("BTCUSD", "").kind, market("BTCUSDT", "").kind
    ('inverse', 'linear')
    """
    coin, usd, delivery = name.partition("USD")
    if usd and coin and (not delivery or (len(delivery) == 3 and delivery[1:].isdigit())):
        return Market(name=name, kind="inverse", settlement=coin, size_decimals=0)
    return Market(name=name)


FORMATS = (
    Format(
        "bybit.trades",
        "every trade of a derivative",
        (
            time("ts", "timestamp"),
            text("market", "symbol"),
            number("price"),
            number("size"),
            side(),
            text("tick_direction", "tickDirection", optional=True),
            text("id", "trdMatchID", optional=True),
            number("gross_value", "grossValue", optional=True),
            number("base_notional", "homeNotional", optional=True),
            number("quote_notional", "foreignNotional", optional=True),
            flag("rpi", "RPI", optional=True),
        ),
        (
            head := columns(
                "timestamp, symbol, side, size, price, tickDirection, trdMatchID, grossValue, homeNotional, "
                "foreignNotional"
            ),
            (*head, "RPI"),
        ),
        {"price": ""},
        names=r"(?:^|/)(?P<market>[A-Z0-9]+?)\d{4}-\d\d-\d\d\.csv(?:\.gz)?$",
        market=market,
    ),
    Format(
        "bybit.spot",
        "every trade of a spot market",
        (time("ts", "timestamp"), integer("id"), number("price"), number("size", "volume"), side()),
        (columns("id, timestamp, price, volume, side"),),
        {"price": ""},
        names=r"(?:^|/)(?P<market>[A-Z0-9]+)[_-]\d{4}-\d\d(?:-\d\d)?\.csv(?:\.gz)?$",
    ),
)
"""The formats of the archive."""
