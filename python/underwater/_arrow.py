"""Arrow in and out: what callers may hand over, and what the engine hands back."""

from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow.dataset as ds

from underwater.errors import UnderwaterError


def as_arrow(data: Any, what: str, error: type[UnderwaterError]) -> Any:
    """The object to hand to the engine: anything that exports Arrow, a lazy polars frame, or a pyarrow dataset."""
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if isinstance(data, pl.DataFrame):
        # Polars exports its Null type in a form that other readers refuse; a column of null texts says the same.
        return data.with_columns(cs.by_dtype(pl.Null).cast(pl.String))
    if isinstance(data, ds.Dataset):
        return data.scanner().to_reader()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return data
    expected = "a polars frame, a pyarrow table or dataset, or an object that exports Arrow"
    raise error(f"{what}: expected {expected}, got {type(data).__name__}")


def frame(data: Any) -> pl.DataFrame:
    """A polars frame of what the engine hands back."""
    return pl.DataFrame(data)
