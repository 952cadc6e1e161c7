"""The configuration of a protocol and of a run, one module per stage."""

from underwater.config.adl import Adl
from underwater.config.base import Config
from underwater.config.close import (
    Close,
    ClosePolicy,
    FractionClose,
    FullClose,
    RampClose,
    SplitClose,
    Stop,
    TargetClose,
    TierClose,
)
from underwater.config.execution import Execution, Rung
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
from underwater.config.penalty import Escalation, Penalty, Sink
from underwater.config.protocol import Protocol

__all__ = [
    "Adl",
    "BracketMargin",
    "Capacity",
    "Close",
    "ClosePolicy",
    "Collateral",
    "Config",
    "EmpiricalLatency",
    "Escalation",
    "Execution",
    "Failure",
    "Feed",
    "FlatMargin",
    "FractionClose",
    "FullClose",
    "Gas",
    "GasStep",
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
    "RampClose",
    "Regime",
    "RunOptions",
    "Rung",
    "Sink",
    "Socialised",
    "SplitClose",
    "Stop",
    "TargetClose",
    "Tier",
    "TierClose",
    "Treasury",
    "UniformLatency",
    "Vault",
    "WeightedLatency",
]
