"""hftbacktest: replays the ticks as trades of one asset, without an order, a book or margin."""

from functools import partial
from typing import Any

import hftbacktest as hft
import numpy as np
from common import tell, ticks, timed
from numba import njit

TRADE = hft.TRADE_EVENT | hft.EXCH_EVENT | hft.LOCAL_EVENT
DAYS = 10 * 86_400_000_000_000


@njit  # type: ignore[untyped-decorator, unused-ignore]
def one_call(hbt: Any, start: int, until: int) -> int:
    """Lets the time until an instant pass at once."""
    code: int = hbt.elapse(until - start)
    return code


@njit  # type: ignore[untyped-decorator, unused-ignore]
def every_feed(hbt: Any, start: int, until: int) -> int:
    """Wakes at every instant with trades."""
    while hbt.wait_next_feed(False, DAYS) == 2 and hbt.current_timestamp < until:
        pass
    return 0


def backtest(events: Any) -> Any:
    """A backtest of one linear asset; orders would be acknowledged at once."""
    asset = (
        hft.BacktestAsset()
        .data(events)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(0.1)
        .lot_size(0.001)
    )
    return hft.HashMapMarketDepthBacktest([asset])


def main() -> None:
    """Measures both ways of replaying."""
    ts, price = ticks()
    events = np.zeros(len(ts), hft.event_dtype)
    events["ev"] = np.where(np.arange(len(ts)) % 2 == 0, TRADE | hft.BUY_EVENT, TRADE | hft.SELL_EVENT)
    events["exch_ts"], events["local_ts"], events["px"], events["qty"] = ts, ts, price, 1.0
    # Just before the last instant: past the end of its data a backtest only says that there is no more.
    until = int(ts[-1]) - 1
    replayed = int(np.searchsorted(ts, until))
    ways = {}
    for name, way in (("elapse, once", one_call), ("wait_next_feed, every instant", every_feed)):
        compiled = backtest(events[:1000].copy())
        way(compiled, int(ts[0]), int(ts[900]))
        compiled.close()
        hbt = backtest(events)
        ways[name] = (replayed, timed(partial(way, hbt, int(ts[0]), until)))
        left = until - hbt.current_timestamp
        assert left < 10_000_000_000, f"{name} stopped {left} ns before the end"  # noqa: S101
        hbt.close()
    tell(ways)


main()
