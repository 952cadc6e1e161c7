"""Replay a crash day, tick by tick, through a perpetual-futures protocol's risk engine, and see who pays."""

import warnings

from underwater import crash_days, protocols
from underwater._core import __version__, build_profile
from underwater.book import Book
from underwater.compare import compare
from underwater.config import (
    Adl,
    Borrow,
    BracketMargin,
    Collateral,
    CollateralShareMargin,
    DynamicMargin,
    Execution,
    FlatMargin,
    InsuranceFund,
    Keeper,
    LastFeed,
    LeverageMargin,
    LinearSizeMargin,
    Margin,
    MarketMargin,
    OpenInterestMargin,
    Penalty,
    Pool,
    PremiumFunding,
    Protocol,
    PushFeed,
    RatePoint,
    RootSizeMargin,
    Rung,
    SeriesFunding,
    SizeStep,
    SizeStepMargin,
    Socialised,
    Tier,
    Treasury,
    Vault,
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
    "Borrow",
    "BracketMargin",
    "Collateral",
    "CollateralShareMargin",
    "ConfigError",
    "DataError",
    "DynamicMargin",
    "EngineError",
    "Execution",
    "FlatMargin",
    "InsuranceFund",
    "Keeper",
    "LastFeed",
    "LeverageMargin",
    "LinearSizeMargin",
    "Margin",
    "Market",
    "MarketMargin",
    "MissingFileError",
    "OpenInterestMargin",
    "Penalty",
    "Pool",
    "PremiumFunding",
    "Protocol",
    "PushFeed",
    "RatePoint",
    "Result",
    "RootSizeMargin",
    "Rung",
    "SeriesFunding",
    "SizeStep",
    "SizeStepMargin",
    "Socialised",
    "Ticks",
    "Tier",
    "Treasury",
    "UnderwaterError",
    "Vault",
    "__version__",
    "build_profile",
    "compare",
    "crash_days",
    "protocols",
    "replay",
]

if build_profile != "release":
    warnings.warn(
        "underwater was built without optimisation and is many times slower; build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )
