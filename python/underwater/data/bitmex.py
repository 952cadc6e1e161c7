"""BitMEX: public.bitmex.com, one file a day with all markets, and bucketed bars.

Times are `2020-03-13D02:16:00.123456000`; the size of XBTUSD is in contracts of 1 USD. A bar's stamp is the **end** of its
bucket and its open the close of the bar before, so that it may lie outside low to high.
"""

from underwater.data.formats import Format, columns, integer, number, side, text, time
from underwater.errors import ConfigError
from underwater.market import Market


def market(name: str, path: str) -> Market:
    """XBTUSD and the XBT futures are inverse. Other contracts are quanto or of a size of their own.

    Raises:
        ConfigError: the market is none of these, and must be defined.
    """
    if name == "XBTUSD" or (len(name) == 6 and name.startswith("XBT") and name[4:].isdigit()):
        return Market(name=name, kind="inverse", settlement="XBT", size_decimals=0)
    raise ConfigError(f"market {name}: the size and payoff of its contract are not known; define it, or choose markets")


FORMATS = (
    Format(
        "bitmex.trades",
        "every trade of every market",
        (
            time("ts", "timestamp"),
            text("market", "symbol"),
            number("price"),
            number("size"),
            side(optional=True),
            text("tick_direction", "tickDirection"),
            text("id", "trdMatchID"),
            number("gross_value", "grossValue", optional=True),
            number("base_notional", "homeNotional", optional=True),
            number("quote_notional", "foreignNotional", optional=True),
            text("type", "trdType", optional=True),
        ),
        (
            head := columns(
                "timestamp, symbol, side, size, price, tickDirection, trdMatchID, grossValue, homeNotional, "
                "foreignNotional"
            ),
            (*head, "trdType"),
        ),
        {"price": ""},
        names=r"(?:^|/)\d{8}\.csv(?:\.gz)?$",
        market=market,
    ),
    Format(
        "bitmex.bars",
        "bucketed bars; the stamp is the close, the open is the close before",
        (
            time("close_ts", "timestamp"),
            text("market", "symbol", optional=True),
            *(number(name, optional=True) for name in ("open", "high", "low", "close", "volume", "vwap")),
            integer("count", "trades", optional=True),
        ),
    ),
)
"""The formats of the archive."""
