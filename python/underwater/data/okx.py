"""OKX: historical trades, `traderecords/trades/daily/{YYYYMMDD}/{INSTRUMENT}-trades-{date}.zip`, one day of UTC+8 each.

The size of a swap or future is in contracts, whose size is the instrument's. Three layouts, after public loaders: without a
header (2021), with one in Chinese (GBK) beside the English names, and since with the instrument as the first column.
"""

from underwater.data.formats import Format, columns, number, side, text, time
from underwater.errors import ConfigError
from underwater.market import Market

_CONTRACTS = {"BTC-USDT-SWAP": "0.01"}


def market(name: str, path: str) -> Market:
    """A spot pair is in base units; of a contract only what is known is told, never guessed.

    Raises:
        ConfigError: the size of the contract is not known.
    """
    if name in _CONTRACTS:
        return Market(name=name, contract_size=_CONTRACTS[name])
    if name.count("-") > 1:
        raise ConfigError(f"market {name}: sizes are in contracts, and the size of a contract is not known; define it")
    return Market(name=name)


FORMATS = (
    Format(
        "okx.trades",
        "every trade",
        (
            time("ts", "created_time", "created_time/成交时间"),
            text("market", "instrument_name", optional=True),
            number("price", "price", "price/价格"),
            number("size", "size", "size/数量"),
            side("side", "side/交易方向"),
            text("id", "trade_id", "trade_id/撮合id"),
        ),
        (
            columns("instrument_name, trade_id, side, price, size, created_time"),
            columns("trade_id, side, size, price, created_time"),
        ),
        {"price": ""},
        names=r"(?:^|/)(?P<market>[A-Z0-9]+-[A-Z0-9-]+)-trades-\d{4}-\d\d-\d\d\.(?:zip|csv)$|(?:^|/)all[a-z]+-trades-",
        market=market,
    ),
)
"""The formats of the archive."""
