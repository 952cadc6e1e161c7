"""Columns as exact numbers, and back."""

from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import polars as pl
from pydantic_core import PydanticCustomError

from underwater._arrow import as_arrow, frame
from underwater.errors import BookError
from underwater.numbers import parse_exact

_WIDE = Context(prec=200)
"""Python's usual 28 digits are fewer than a column of decimals holds: what goes beyond them would be rounded."""


def read(data: Any, what: str, needed: list[str]) -> pl.DataFrame:
    """The frame, with the columns that are needed.

    Raises:
        BookError: one is missing.
    """
    rows = frame(as_arrow(data, what, BookError))
    for name in needed:
        if name not in rows.columns:
            raise BookError(f"{what}: expected a column {name!r}, got {', '.join(rows.columns)}")
    return rows


def exact(rows: pl.DataFrame, what: str, column: str) -> list[Fraction]:
    """The column as exact numbers; a float means its shortest decimal text.

    Raises:
        BookError: a value is null or no number; names frame, row and column.
    """
    found = []
    for row, value in enumerate(rows[column].to_list()):
        try:
            found.append(parse_exact(value))
        except PydanticCustomError as error:
            raise BookError(f"{what}, row {row}: {column}: {error.message()}") from None
    return found


def floored(value: Fraction, decimals: int) -> Decimal:
    """The number at so many decimals, rounded down.

    >>> floored(Fraction(-1, 3), 2)
    Decimal('-0.34')
    """
    return Decimal(value.numerator * 10**decimals // value.denominator).scaleb(-decimals, _WIDE)


def series(name: str, values: list[Decimal | None], decimals: int) -> pl.Series:
    """A column of decimals, rounded down.

    Raises:
        BookError: a value has more digits than a column holds.
    """
    unit = Decimal(1).scaleb(-decimals)
    fits = Context(prec=38)
    try:
        rounded = [None if v is None else v.quantize(unit, ROUND_FLOOR, fits) for v in values]
    except InvalidOperation:
        raise BookError(f"{name}: expected numbers of at most {38 - decimals} digits before the point") from None
    return pl.Series(name, rounded, pl.Decimal(38, decimals))
