"""The configuration of a protocol and of a run, one module per stage."""

from underwater.config.accruals import Borrow, Funding, PremiumFunding, RatePoint, SeriesFunding
from underwater.config.adl import Adl
from underwater.config.base import Config
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
from underwater.config.margin import (
    BracketMargin,
    Collateral,
    CollateralShareMargin,
    DynamicMargin,
    FlatMargin,
    LeverageMargin,
    LinearSizeMargin,
    Margin,
    MarketMargin,
    OpenInterestMargin,
    RootSizeMargin,
    SizeStep,
    SizeStepMargin,
    Tier,
)
from underwater.config.options import RunOptions
from underwater.config.penalty import Penalty, Sink
from underwater.config.protocol import Protocol

__all__ = [
    "Adl",
    "Borrow",
    "BracketMargin",
    "Capacity",
    "Collateral",
    "CollateralShareMargin",
    "Config",
    "DynamicMargin",
    "EmpiricalLatency",
    "Execution",
    "Failure",
    "Feed",
    "FlatMargin",
    "Funding",
    "Gas",
    "GasStep",
    "InsuranceFund",
    "Keeper",
    "LastFeed",
    "Layer",
    "LeverageMargin",
    "LinearSizeMargin",
    "LognormalLatency",
    "Margin",
    "MarketMargin",
    "OpenInterestMargin",
    "Penalty",
    "Pool",
    "PremiumFunding",
    "Protocol",
    "PushFeed",
    "RatePoint",
    "Regime",
    "RootSizeMargin",
    "RunOptions",
    "Rung",
    "SeriesFunding",
    "Sink",
    "SizeStep",
    "SizeStepMargin",
    "Socialised",
    "Tier",
    "Treasury",
    "UniformLatency",
    "Vault",
    "WeightedLatency",
]
