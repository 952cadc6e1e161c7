"""Exact numbers at the border between people and the engine.

A rate or a balance may be written as `int`, `str` (`"0.05"`, `"1/30"`, `"1e6"`), `Decimal`, `Fraction` or `float`; a
float means its shortest decimal text (`0.1` is one tenth). It is kept as a `Fraction` and travels as text, so nothing
is rounded.
"""

import math
import numbers
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_LIMIT = 2**127
_DECIMALS = 18


Dollars = int | str | float | Decimal | Fraction
"""An amount of dollars as people write it, where a function takes one."""


def parse_exact(value: object) -> Fraction:
    """The exact value of a number.

    Raises:
        PydanticCustomError: (a `ValueError`) if it is not a finite number.

    >>> parse_exact("1/30"), parse_exact(0.1)
    (Fraction(1, 30), Fraction(1, 10))
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, float):
            exact = Fraction(float.__repr__(value))
        elif isinstance(value, numbers.Rational):
            exact = Fraction(int(value.numerator), int(value.denominator))
        elif isinstance(value, str | Decimal):
            exact = Fraction(value)
        else:
            raise TypeError
    except (ArithmeticError, TypeError, ValueError):
        raise _wrong("a number such as 0.05, '0.05' or '1/30'", value) from None
    if abs(exact.numerator) >= _LIMIT or exact.denominator >= _LIMIT:
        raise _wrong("a number of at most 38 digits", value)
    return exact


def exact_text(value: Fraction) -> str:
    """The shortest exact text: a decimal where it has at most 18 decimals, else a fraction.

    >>> exact_text(Fraction(1, 80)), exact_text(Fraction(1, 30))
    ('0.0125', '1/30')
    """
    scale = next((n for n in range(_DECIMALS + 1) if 10**n % value.denominator == 0), None)
    if scale is None:
        return str(value)
    digits = str(abs(value.numerator) * 10**scale // value.denominator).zfill(scale + 1)
    whole, decimals = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return ("-" if value < 0 else "") + whole + (f".{decimals}" if decimals else "")


def _wrong(expected: str, got: object) -> PydanticCustomError:
    shown = exact_text(got) if isinstance(got, Fraction) else repr(got)
    return PydanticCustomError("number", "expected {expected}, got {got}", {"expected": expected, "got": shown})


def _must(holds: Callable[[Fraction], bool], expected: str) -> AfterValidator:
    def check(value: Fraction) -> Fraction:
        if not holds(value):
            raise _wrong(expected, value)
        return value

    return AfterValidator(check)


Exact = Annotated[
    Fraction,
    PlainValidator(parse_exact),
    PlainSerializer(exact_text, return_type=str),
    WithJsonSchema({"type": "string", "description": "an exact decimal or fraction"}),
]
"""Any exact number."""

Rate = Annotated[Exact, _must(lambda x: x >= 0, "a rate of at least 0")]
"""A share of a notional or of a price; not negative."""

Ratio = Annotated[Exact, _must(lambda x: 0 <= x <= 1, "a share from 0 to 1")]
"""A share of a whole."""

PartialRatio = Annotated[Exact, _must(lambda x: 0 <= x < 1, "a share of at least 0, below 1")]
"""A share that leaves something."""

PositiveRatio = Annotated[Exact, _must(lambda x: 0 < x <= 1, "a share above 0, at most 1")]
"""A share of a whole that is not nothing."""

PositiveRate = Annotated[Exact, _must(lambda x: x > 0, "a rate above 0")]
"""A factor or a share that is not nothing."""

Positive = Annotated[Exact, _must(lambda x: x > 0, "a positive number")]
"""A number above 0."""

Offset = Annotated[Exact, _must(lambda x: x > -1, "a relative price above -1")]
"""A signed relative distance of a price."""

Size = Annotated[
    Exact, _must(lambda x: x > 0 and math.gcd(10**_DECIMALS, x.denominator) == x.denominator, "a positive decimal")
]
"""A positive decimal number with at most 18 decimals."""

Usd = Annotated[
    Exact, _must(lambda x: x >= 0 and 10**6 % x.denominator == 0, "dollars of at least 0 with at most 6 decimals")
]
"""An amount of US dollars; not negative, whole micro-dollars."""
