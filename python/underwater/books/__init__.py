"""Books from what is known of real ones: snapshots, tables of trades, a sample's marginals.

`Book.from_frames` takes a book as it is. Here are the ways there, when what is at hand is something else, and ways to look at
a book and to change it.

- `hyperliquid_positions`, `from_snapshot`: a venue's snapshot of positions and account values.
- `from_trades`: tables of opens, closes, deposits and withdrawals, folded up to the open of the day.
- `calibrate`: options for `Book.synthetic` whose book has a snapshot's marginals.
- `balanced`, `scaled_to`: counterparties for net open interest; a sample brought to a target open interest.
- `liquidation_prices`, `opening_prices`: where each position would be liquidated, and at what prices a day opens.
"""

from underwater.books.calibration import calibrate
from underwater.books.change import balanced, scaled_to
from underwater.books.liquidation import liquidation_prices, opening_prices
from underwater.books.snapshot import from_snapshot, hyperliquid_positions
from underwater.books.trades import from_trades

__all__ = [
    "balanced",
    "calibrate",
    "from_snapshot",
    "from_trades",
    "hyperliquid_positions",
    "liquidation_prices",
    "opening_prices",
    "scaled_to",
]
