"""Replay a crash day, tick by tick, through a perpetual-futures protocol's risk engine, and see who pays."""

import warnings

from underwater import crash_days, keepers, protocols
from underwater._core import __version__, build_profile
from underwater.book import Book
from underwater.compare import compare
from underwater.config import (
    Adl,
    Bound,
    BracketMargin,
    Capacity,
    Collateral,
    EmpiricalLatency,
    Execution,
    Failure,
    FlatMargin,
    Gas,
    GasStep,
    Impact,
    InsuranceFund,
    Keeper,
    LastFeed,
    LognormalLatency,
    Margin,
    MarketMargin,
    Penalty,
    Pool,
    Protocol,
    PushFeed,
    Regime,
    Rung,
    Socialised,
    Takeover,
    Tier,
    Treasury,
    UniformLatency,
    Vault,
    WeightedLatency,
)
from underwater.errors import BookError, ConfigError, DataError, EngineError, MissingFileError, UnderwaterError
from underwater.market import Asset, Market
from underwater.result import Result
from underwater.run import replay
from underwater.ticks import Ticks

__all__ = [
    "Adl",
    "Asset",
    "Book",
    "BookError",
    "Bound",
    "BracketMargin",
    "Capacity",
    "Collateral",
    "ConfigError",
    "DataError",
    "EmpiricalLatency",
    "EngineError",
    "Execution",
    "Failure",
    "FlatMargin",
    "Gas",
    "GasStep",
    "Impact",
    "InsuranceFund",
    "Keeper",
    "LastFeed",
    "LognormalLatency",
    "Margin",
    "Market",
    "MarketMargin",
    "MissingFileError",
    "Penalty",
    "Pool",
    "Protocol",
    "PushFeed",
    "Regime",
    "Result",
    "Rung",
    "Socialised",
    "Takeover",
    "Ticks",
    "Tier",
    "Treasury",
    "UnderwaterError",
    "UniformLatency",
    "Vault",
    "WeightedLatency",
    "__version__",
    "build_profile",
    "compare",
    "crash_days",
    "keepers",
    "protocols",
    "replay",
]

if build_profile != "release":
    warnings.warn(
        "underwater was built without optimisation and is many times slower; build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )
