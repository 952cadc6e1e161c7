"""The inside of a pool or vault: its shares and their price, who holds them, and what it is worth from price to price.

These are views of a finished run. What liquidity providers bring and take does not change the replay: a decision of the replay
that depends on the capital of the layer (what the pool can pay, a refused payout) is taken on the capital that the protocol
states. docs/pools.md has the rules.
"""

from underwater.pools.gmx_v1 import GmxHealth, GmxPool, GmxPosition, Token
from underwater.pools.shares import (
    Epochs,
    Lag,
    ShareAccounting,
    Shares,
    share_accounting,
)
from underwater.pools.utilisation import borrow_rates, utilisation
from underwater.pools.valuation import valuation

__all__ = [
    "Epochs",
    "GmxHealth",
    "GmxPool",
    "GmxPosition",
    "Lag",
    "ShareAccounting",
    "Shares",
    "Token",
    "borrow_rates",
    "share_accounting",
    "utilisation",
    "valuation",
]
