"""nautilus_trader: its backtest engine with trade ticks of one perpetual and a strategy that does nothing."""

from typing import Any

import nautilus_trader
import numpy as np
from common import tell, ticks, timed
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

TICKS = 2_000_000


class Idle(Strategy):  # type: ignore[misc, unused-ignore]
    """Does nothing."""


class Watching(Strategy):  # type: ignore[misc, unused-ignore]
    """Is called with every trade, and does nothing."""

    def on_start(self) -> None:
        """Subscribes."""
        self.subscribe_trade_ticks(TestInstrumentProvider.btcusdt_perp_binance().id)

    def on_trade_tick(self, tick: Any) -> None:
        """Does nothing."""


def run(strategy: type[Any], trades: list[Any]) -> float:
    """Seconds of `engine.run()`; the trades are there before."""
    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(1_000_000, USDT)],
    )
    engine.add_instrument(instrument)
    engine.add_data(trades, sort=False)
    engine.add_strategy(strategy())
    seconds = timed(engine.run)
    assert engine.iteration == len(trades), engine.iteration  # noqa: S101
    engine.dispose()
    return seconds


def main() -> None:
    """Measures both strategies."""
    ts, price = (column[:TICKS] for column in ticks())
    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    stamps = np.array(ts, np.uint64)
    trades = TradeTick.from_raw_arrays_to_list(
        instrument.id,
        instrument.price_precision,
        instrument.size_precision,
        np.array(price),
        np.ones(len(ts)),
        np.ones(len(ts), np.uint8),
        [str(i) for i in range(len(ts))],
        stamps,
        stamps,
    )
    ways = {
        "strategy without subscription": (len(trades), run(Idle, trades)),
        "strategy called with every trade": (len(trades), run(Watching, trades)),
    }
    tell(ways, version=nautilus_trader.__version__)


main()
