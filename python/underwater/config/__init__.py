"""The configuration of a protocol and of a run, one module per stage."""

from underwater.config.adl import Adl
from underwater.config.base import Config
from underwater.config.execution import Execution, Rung
from underwater.config.feeds import (
    Divergence,
    EmaFeed,
    Feed,
    Guard,
    LaggedFeed,
    LastFeed,
    MedianFeed,
    Outage,
    PeriodicFeed,
    PushFeed,
    SpreadFeed,
    TwapFeed,
    WorstOfFeed,
)
from underwater.config.keeper import Keeper
from underwater.config.layers import InsuranceFund, Layer, Pool, Socialised, Treasury, Vault
from underwater.config.margin import BracketMargin, Collateral, FlatMargin, Margin, MarketMargin, Tier
from underwater.config.options import RunOptions
from underwater.config.penalty import Penalty, Sink
from underwater.config.protocol import Protocol

__all__ = [
    "Adl",
    "BracketMargin",
    "Collateral",
    "Config",
    "Divergence",
    "EmaFeed",
    "Execution",
    "Feed",
    "FlatMargin",
    "Guard",
    "InsuranceFund",
    "Keeper",
    "LaggedFeed",
    "LastFeed",
    "Layer",
    "Margin",
    "MarketMargin",
    "MedianFeed",
    "Outage",
    "Penalty",
    "PeriodicFeed",
    "Pool",
    "Protocol",
    "PushFeed",
    "RunOptions",
    "Rung",
    "Sink",
    "Socialised",
    "SpreadFeed",
    "Tier",
    "Treasury",
    "TwapFeed",
    "Vault",
    "WorstOfFeed",
]
