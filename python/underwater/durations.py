"""Durations: people write `"1h30m"`, the engine counts nanoseconds."""

import re
from datetime import timedelta
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_PART = r"(\d+(?:\.\d+)?)\s*(ms|us|ns|d|h|m|s)\s*"


def parse_duration(value: object) -> int:
    """Nanoseconds of a duration: `"5s"`, `"1h30m"`, `"250ms"`, a `timedelta`, or an `int` of nanoseconds.

    Raises:
        PydanticCustomError: (a `ValueError`) if it is not a duration, is negative, or is no whole number of
        nanoseconds.

    >>> parse_duration("1h30m")
    5400000000000
    """
    nanoseconds: Fraction | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        nanoseconds = Fraction(value)
    elif isinstance(value, timedelta):
        nanoseconds = Fraction(value // timedelta(microseconds=1) * 1_000)
    elif isinstance(value, str) and re.fullmatch(rf"\s*({_PART})+", value):
        nanoseconds = sum((Fraction(n) * _UNITS[unit] for n, unit in re.findall(_PART, value)), Fraction(0))
    if nanoseconds is None or nanoseconds.denominator != 1 or not 0 <= nanoseconds < 2**63:
        raise PydanticCustomError(
            "duration",
            "expected a duration such as '5s', '1h30m' or a whole number of nanoseconds of at least 0, got {got}",
            {"got": repr(value)},
        )
    return int(nanoseconds)


def duration_text(nanoseconds: int) -> str:
    """The shortest text of a duration.

    >>> duration_text(5_400_000_000_000), duration_text(0)
    ('1h30m', '0s')
    """
    text = ""
    for unit, length in _UNITS.items():
        count, nanoseconds = divmod(nanoseconds, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


Duration = Annotated[
    int,
    PlainValidator(parse_duration),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "a duration such as 5s or 1h30m"}),
]
"""A duration in whole nanoseconds."""


def _positive(nanoseconds: int) -> int:
    if nanoseconds == 0:
        raise PydanticCustomError("duration", "expected a duration above 0")
    return nanoseconds


PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
"""A duration of at least a nanosecond."""
