"""OKX: historical trades. The size of a swap or future is in contracts, whose size is the instrument's."""

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
            time("ts", "created_time"),
            text("market", "instrument_name"),
            number("price"),
            number("size"),
            side(),
            text("id", "trade_id"),
        ),
        (columns("instrument_name, trade_id, side, price, size, created_time"),),
        {"price": ""},
        names=r"(?:^|/)[A-Z0-9]+-[A-Z0-9-]+-trades-\d{4}-\d\d-\d\d\.(?:zip|csv)$|(?:^|/)allswap-trades-",
        market=market,
    ),
)
"""The formats of the archive."""
