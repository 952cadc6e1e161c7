"""Binance: data.binance.vision, spot, USD-M and COIN-M futures.

`data/{spot|futures/um|futures/cm}/{daily|monthly}/{kind}/{SYMBOL}/[interval/]{SYMBOL}-{kind|interval}-{date}.zip`, one CSV each.
Futures have a header (older files none), spot never; times in ms, of spot in us from 2025. A COIN-M size is in contracts of
10 USD (BTC: 100).
"""

from underwater.data.formats import Column, Format, columns, integer, maker, number, text, time
from underwater.market import Market

_DATE = r"\d{4}-\d\d(?:-\d\d)?\.(?:zip|csv)"
_SYMBOL = r"(?:^|/|[a-z]-)(?P<market>[A-Z0-9_]+)-"
_INTERVAL = r"\d+(?:s|m|h|d|w|mo)"
_PRICES = ("markPrice", "indexPrice", "premiumIndex")
"""Bars of these are named like those of trades; the folder tells them apart."""


def market(name: str, path: str) -> Market:
    """A COIN-M contract, by its name or the file's place, is inverse; any other market is linear in base units.

    >>> market("DOTUSD_PERP", "").contract_size
    Fraction(10, 1)
    """
    pair, _, delivery = name.partition("_")
    if pair.endswith("USD") and (delivery or "futures/cm/" in path):
        coin = pair.removesuffix("USD")
        contract = 100 if coin == "BTC" else 10
        return Market(name=name, kind="inverse", contract_size=contract, settlement=coin, size_decimals=0)
    return Market(name=name)


def _bars(of: str, about: str) -> Format:
    ahead = f"(?=.*{of}Klines)" if of else f"(?!.*(?:{'|'.join(_PRICES)})Klines)"
    kind = f"{of}Klines" if of else "klines"
    return Format(
        f"binance.{kind}",
        f"{about}; stamped with the opening, both times kept",
        (
            time("open_ts", "open_time"),
            time("close_ts", "close_time"),
            *(number(name) for name in ("open", "high", "low", "close", "volume")),
            number("quote_volume", "quote_volume", "quote_asset_volume"),
            integer("count", "count", "number_of_trades"),
            number("taker_buy_volume", "taker_buy_volume", "taker_buy_base_asset_volume"),
            number("taker_buy_quote_volume", "taker_buy_quote_volume", "taker_buy_quote_asset_volume"),
        ),
        (
            columns(
                "open_time, open, high, low, close, volume, close_time, quote_volume, count, taker_buy_volume, "
                "taker_buy_quote_volume, ignore"
            ),
        ),
        names=rf"^{ahead}(?:.*/)?(?:[a-z-]*-)?(?P<market>[A-Z0-9_]+)-(?:{kind}-)?{_INTERVAL}-{_DATE}$",
        market=market,
    )


def _trade_columns(stamp: str) -> tuple[Column, ...]:
    return (
        time("ts", stamp),
        number("price"),
        number("size", "quantity", "qty"),
        maker("is_buyer_maker"),
    )


FORMATS = (
    Format(
        "binance.aggTrades",
        "trades of one taker order at one price, together",
        (
            *_trade_columns("transact_time"),
            integer("id", "agg_trade_id"),
            integer("first_id", "first_trade_id"),
            integer("last_id", "last_trade_id"),
        ),
        (
            head := columns(
                "agg_trade_id, price, quantity, first_trade_id, last_trade_id, transact_time, is_buyer_maker"
            ),
            (*head, "is_best_match"),
        ),
        {"price": ""},
        names=rf"{_SYMBOL}aggTrades-{_DATE}$",
        market=market,
    ),
    Format(
        "binance.trades",
        "every trade",
        (
            *_trade_columns("time"),
            integer("id"),
            number("quote_size", "quote_qty", "base_qty"),
        ),
        (head := columns("id, price, qty, quote_qty, time, is_buyer_maker"), (*head, "is_best_match")),
        {"price": ""},
        names=rf"{_SYMBOL}trades-{_DATE}$",
        market=market,
    ),
    _bars("", "bars of trades"),
    _bars("markPrice", "bars of the mark price; no volume"),
    _bars("indexPrice", "bars of the index; no volume"),
    _bars("premiumIndex", "bars of the premium index, a ratio; no volume"),
    Format(
        "binance.bookTicker",
        "best bid and ask, at every change",
        (
            time("ts", "transaction_time"),
            time("event_ts", "event_time"),
            integer("id", "update_id"),
            number("bid_price", "best_bid_price"),
            number("bid_size", "best_bid_qty"),
            number("ask_price", "best_ask_price"),
            number("ask_size", "best_ask_qty"),
        ),
        (
            columns(
                "update_id, best_bid_price, best_bid_qty, best_ask_price, best_ask_qty, transaction_time, event_time"
            ),
        ),
        {"bid_price": "-BID", "ask_price": "-ASK"},
        names=rf"{_SYMBOL}bookTicker-{_DATE}$",
        market=market,
    ),
    Format(
        "binance.bookDepth",
        "depth within -5 to 5 per cent of the middle, cumulative",
        (time("ts", "timestamp"), number("percentage"), number("depth"), number("notional")),
        (columns("timestamp, percentage, depth, notional"),),
        names=rf"{_SYMBOL}bookDepth-{_DATE}$",
    ),
    Format(
        "binance.metrics",
        "open interest and long/short ratios, every five minutes",
        (
            time("ts", "create_time"),
            text("market", "symbol"),
            number("open_interest", "sum_open_interest"),
            number("open_interest_value", "sum_open_interest_value"),
            *(
                number(name, optional=True)
                for name in (
                    "count_toptrader_long_short_ratio",
                    "sum_toptrader_long_short_ratio",
                    "count_long_short_ratio",
                    "sum_taker_long_short_vol_ratio",
                )
            ),
        ),
        names=rf"{_SYMBOL}metrics-{_DATE}$",
    ),
    Format(
        "binance.fundingRate",
        "funding as it was paid",
        (
            time("ts", "calc_time"),
            integer("interval_hours", "funding_interval_hours"),
            number("rate", "last_funding_rate"),
        ),
        (columns("calc_time, funding_interval_hours, last_funding_rate"),),
        names=rf"{_SYMBOL}fundingRate-{_DATE}$",
    ),
    Format(
        "binance.liquidationSnapshot",
        "liquidation orders, at most one a second: a lower bound; SELL closes a long",
        (
            time("ts", "time"),
            text("market", "symbol", optional=True),
            Column("side", "side", ("side",)),
            text("order_type"),
            text("time_in_force"),
            number("size", "original_quantity"),
            number("price"),
            number("average_price"),
            text("order_status"),
            number("last_fill_size", "last_fill_quantity"),
            number("filled_size", "accumulated_fill_quantity"),
        ),
        (
            tail := columns(
                "time, side, order_type, time_in_force, original_quantity, price, average_price, order_status, "
                "last_fill_quantity, accumulated_fill_quantity"
            ),
            (tail[0], "symbol", *tail[1:]),
        ),
        names=rf"{_SYMBOL}liquidationSnapshot-{_DATE}$",
    ),
)
"""The formats of the archive."""
