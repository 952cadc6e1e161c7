"""Names of markets."""

import re

_QUOTES = re.compile(r"(?<=.)(?:USDT|USDC|USD|PERP)$")
_CODES = {"XBT": "BTC"}


def base_asset(market: str) -> str:
    """The asset that a market's name begins with: what stands before `-`, `/` or `_`, or else before USD, USDT, USDC or PERP.

    BitMEX's XBT is BTC. A name of another kind stands for itself.

    >>> [base_asset(name) for name in ("ETH-PERP", "BTCUSDT", "XBTUSD", "kPEPE/USD", "GOLD")]
    ['ETH', 'BTC', 'BTC', 'kPEPE', 'GOLD']
    """
    first = re.split(r"[-/_]", market, maxsplit=1)[0] or market
    base = first if first != market else _QUOTES.sub("", market)
    return _CODES.get(base, base)
