"""Tardis: `{exchange}/{type}/{Y}/{M}/{D}/{SYMBOL}.csv.gz`, with a header, in us, sorted by the time of receipt.

`ts` is the exchange's time and `local_ts` that of receipt; in a crash they are seconds apart, so both are kept, and an import
to ticks says which one it takes.
"""

from underwater.data import binance, bitmex, bybit, okx
from underwater.data.formats import Format, flag, number, side, text, time
from underwater.errors import ConfigError
from underwater.market import Market

_COMMON = (
    time("ts", "timestamp"),
    time("local_ts", "local_timestamp"),
    text("exchange"),
    text("market", "symbol"),
)
_LINEAR = ("binance", "binance-futures", "bybit-spot", "coinbase", "hyperliquid", "kraken", "bitstamp", "dydx-v4")
_VENUES = {
    "binance-delivery": binance.market,
    "bitmex": bitmex.market,
    "bybit": bybit.market,
    "okex": okx.market,
    "okex-swap": okx.market,
}


def market(name: str, path: str) -> Market:
    """The definition at the exchange that is in the path, or in front of the name after a colon.

    Raises:
        ConfigError: what the exchange's sizes mean is not known.
    """
    exchange, _, symbol = name.rpartition(":")
    if exchange in _LINEAR:
        return Market(name=symbol)
    if exchange in _VENUES:
        return _VENUES[exchange](symbol, path)
    if exchange == "deribit" and symbol.count("-") == 1:
        return Market(name=symbol, kind="inverse", settlement=symbol.partition("-")[0], size_decimals=0)
    raise ConfigError(f"market {symbol}: what a size means at {exchange} is not known; define the market")


def _names(kind: str) -> str:
    """As the vendor's client names files, or as the vendor's own paths do."""
    return rf"(?:^|/)(?:tardis_)?(?:[a-z0-9-]+_)?{kind}_[^/]*$|/{kind}/\d{{4}}/\d\d/\d\d/[^/]+$"


def _book(depth: int) -> Format:
    levels = [
        number(f"{side}_{what}_{level}", f"{side}s[{level}].{word}", optional=True)
        for level in range(depth)
        for side in ("ask", "bid")
        for what, word in (("price", "price"), ("size", "amount"))
    ]
    return Format(
        f"tardis.book_snapshot_{depth}",
        f"the best {depth} levels of the book, at every change",
        (*_COMMON, *levels),
        prices={"bid_price_0": "-BID", "ask_price_0": "-ASK"},
        market=market,
        names=_names(f"book_snapshot_{depth}"),
    )


FORMATS = (
    Format(
        "tardis.trades",
        "every trade",
        (*_COMMON, number("price"), number("size", "amount"), side(optional=True), text("id", optional=True)),
        prices={"price": ""},
        market=market,
        names=_names("trades"),
    ),
    Format(
        "tardis.quotes",
        "best bid and ask, at every change",
        (
            *_COMMON,
            number("ask_size", "ask_amount", optional=True),
            number("ask_price", optional=True),
            number("bid_price", optional=True),
            number("bid_size", "bid_amount", optional=True),
        ),
        prices={"bid_price": "-BID", "ask_price": "-ASK"},
        market=market,
        names=_names("quotes"),
    ),
    Format(
        "tardis.derivative_ticker",
        "mark, index, last price, funding and open interest, at every change",
        (
            *_COMMON,
            time("funding_ts", "funding_timestamp", optional=True),
            number("funding_rate", optional=True),
            number("predicted_funding_rate", optional=True),
            number("open_interest", optional=True),
            number("last_price", optional=True),
            number("index_price", optional=True),
            number("mark_price", optional=True),
        ),
        prices={"mark_price": "-MARK", "index_price": "-INDEX", "last_price": "-LAST"},
        market=market,
        names=_names("derivative_ticker"),
    ),
    Format(
        "tardis.liquidations",
        "liquidations; the side is that of the order: buy closes a short",
        (*_COMMON, number("price"), number("size", "amount"), side(), text("id", optional=True)),
        market=market,
        names=_names("liquidations"),
    ),
    Format(
        "tardis.incremental_book_L2",
        "changes of the book; a size of 0 removes a level",
        (
            *_COMMON,
            flag("is_snapshot"),
            side(),
            number("price"),
            number("size", "amount"),
        ),
        market=market,
        names=_names("incremental_book_L2"),
    ),
    _book(5),
    _book(25),
)
"""The formats of the vendor."""
