"""Replay a crash day, tick by tick, through a perpetual-futures protocol's risk engine, and see who pays."""

import warnings

from underwater import crash_days, protocols
from underwater._core import __version__, build_profile
from underwater.book import Book
from underwater.compare import compare
from underwater.config import (
    Adl,
    Bound,
    BracketMargin,
    Collateral,
    Execution,
    FlatMargin,
    Impact,
    InsuranceFund,
    Keeper,
    LastFeed,
    Margin,
    MarketMargin,
    Penalty,
    Pool,
    Protocol,
    PushFeed,
    Rung,
    Socialised,
    Takeover,
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
    "Bound",
    "BracketMargin",
    "Collateral",
    "ConfigError",
    "DataError",
    "EngineError",
    "Execution",
    "FlatMargin",
    "Impact",
    "InsuranceFund",
    "Keeper",
    "LastFeed",
    "Margin",
    "Market",
    "MarketMargin",
    "MissingFileError",
    "Penalty",
    "Pool",
    "Protocol",
    "PushFeed",
    "Result",
    "Rung",
    "Socialised",
    "Takeover",
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
