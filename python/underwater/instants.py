"""Times on a tape: absolute (`"2020-03-12T10:30:00Z"`, a `datetime`), or counted from its start (`"9h30m"`)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from underwater.durations import duration_text, parse_duration

Point = tuple[Literal["offset", "ts"], int]
"""Nanoseconds, and what they are counted from: the first timestamp of the tape, or the epoch."""

START: Point = ("offset", 0)
"""The start of the tape."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?"


def parse_instant(value: object) -> Point:
    """The nanoseconds of a time, and what they are counted from. A time without a zone is in UTC.

    Raises:
        PydanticCustomError: (a `ValueError`) if it is neither a duration nor a time.

    >>> parse_instant("9h30m"), parse_instant("2020-03-12T10:30:00Z")
    (('offset', 34200000000000), ('ts', 1584009000000000000))
    """
    if isinstance(value, list | tuple) and len(value) == 2 and value[0] in ("offset", "ts"):
        origin, nanoseconds = value
        if isinstance(nanoseconds, int) and not isinstance(nanoseconds, bool) and -(2**63) <= nanoseconds < 2**63:
            return origin, nanoseconds
    if isinstance(value, datetime):
        return "ts", _since_epoch(value)
    if isinstance(value, str) and (match := re.fullmatch(_TEXT, value.strip())):
        text, fraction, zone = match.groups()
        try:
            whole = datetime.fromisoformat(text + (zone or ""))
            return "ts", _since_epoch(whole) + int((fraction or "").ljust(9, "0"))
        except ValueError:
            pass
    try:
        return "offset", parse_duration(value)
    except PydanticCustomError:
        raise PydanticCustomError(
            "instant",
            "expected a time such as '2020-03-12T10:30:00Z' or an offset from the start such as '9h30m', got {got}",
            {"got": repr(value)},
        ) from None


def instant_text(point: Point) -> str:
    """The text of a time.

    >>> instant_text(("offset", 34_200_000_000_000)), instant_text(("ts", 1_584_009_000_000_000_001))
    ('9h30m', '2020-03-12T10:30:00.000000001Z')
    """
    origin, nanoseconds = point
    if origin == "offset":
        return duration_text(nanoseconds)
    seconds, fraction = divmod(nanoseconds, 10**9)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09}".rstrip("0") if fraction else "") + "Z"


def _since_epoch(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1_000


Instant = Annotated[
    Point,
    PlainValidator(parse_instant),
    PlainSerializer(instant_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "description": "a time such as 2020-03-12T10:30:00Z, or an offset such as 9h30m"}
    ),
]
"""A time, absolute or from the start of the tape."""
