"""The configuration of a protocol and of a run, one module per stage."""

from underwater.config.adl import Adl
from underwater.config.base import Config
from underwater.config.execution import Bound, Execution, Impact, Rung, Takeover
from underwater.config.feeds import Feed, LastFeed, PushFeed
from underwater.config.keeper import (
    Capacity,
    EmpiricalLatency,
    Failure,
    Gas,
    GasStep,
    Keeper,
    LognormalLatency,
    Regime,
    UniformLatency,
    WeightedLatency,
)
from underwater.config.layers import InsuranceFund, Layer, Pool, Socialised, Treasury, Vault
from underwater.config.margin import BracketMargin, Collateral, FlatMargin, Margin, MarketMargin, Tier
from underwater.config.options import RunOptions
from underwater.config.penalty import Penalty, Sink
from underwater.config.protocol import Protocol

__all__ = [
    "Adl",
    "Bound",
    "BracketMargin",
    "Capacity",
    "Collateral",
    "Config",
    "EmpiricalLatency",
    "Execution",
    "Failure",
    "Feed",
    "FlatMargin",
    "Gas",
    "GasStep",
    "Impact",
    "InsuranceFund",
    "Keeper",
    "LastFeed",
    "Layer",
    "LognormalLatency",
    "Margin",
    "MarketMargin",
    "Penalty",
    "Pool",
    "Protocol",
    "PushFeed",
    "Regime",
    "RunOptions",
    "Rung",
    "Sink",
    "Socialised",
    "Takeover",
    "Tier",
    "Treasury",
    "UniformLatency",
    "Vault",
    "WeightedLatency",
]
