"""lrvx: its liquidation engine with 100,000 positions of as many accounts, marked at every tick for a fixed time.

The engine walks its positions at every mark, so that its rate does not depend on how many ticks there are; the ticks of
the calm part of the day are as cheap as any.
"""

import time

import lrvx
from common import positions, tell, ticks

SECONDS = 20.0


def main() -> None:
    """Marks until the time is over."""
    _, price = ticks()
    engine = lrvx.LiquidationEngine()
    engine.add_tier(0.0, 0.005)
    rows = positions()
    for number, (size, entry, collateral) in enumerate(rows.tolist()):
        engine.open_position(number, 1, size, entry, collateral)
    marked, start = 0, time.perf_counter()
    for mark in price:
        engine.on_mark(1, float(mark))
        marked += 1
        if time.perf_counter() - start > SECONDS:
            break
    spent = time.perf_counter() - start
    tell(
        {"on_mark": (marked, spent)},
        positions=len(rows),
        left=engine.position_count(),
        liquidations=engine.liquidations_count(),
    )


main()
