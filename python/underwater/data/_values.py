"""Text to exact values: numbers, times, sides. No number passes through a float.

Every function takes a column of texts and tells the first that it cannot use as a `Misfit`: position, what was expected, what
was found. The reader adds file and row.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import polars as pl

MAX_DECIMALS = 18
_SECOND = 10**9
_UNITS = {"s": _SECOND, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds in a unit of time."""
_ISO = r"^(\d{4}-\d\d-\d\d)[DT ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?$"
_BUYS, _SELLS = ("buy", "b", "bid", "1"), ("sell", "s", "a", "ask", "-1")
_UNKNOWN = ("", "unknown", "none", "0")


class Misfit(Exception):  # noqa: N818  # not an error by itself
    """A value that cannot be used."""

    def __init__(self, at: int, expected: str, got: object) -> None:
        super().__init__(expected)
        self.at, self.expected, self.got = at, expected, got


@dataclass(frozen=True)
class Integers:
    """Exact numbers as integers in `10^-decimals`; null where the text is."""

    values: pl.Series
    decimals: int


def integers(texts: pl.Series) -> Integers:
    """The numbers, in the fewest decimals that hold them all."""
    texts = _plain(texts)
    point = texts.str.find(".", literal=True)
    decimals = (texts.str.len_bytes() - point - 1).max() if point.null_count() < len(texts) else 0
    assert isinstance(decimals, int)  # noqa: S101  # of a column of integers that is not all null
    if decimals > 38:
        texts, decimals = _stripped(texts)
    wide = texts.cast(pl.Decimal(38, decimals), strict=False)
    _refuse(texts, wide, "a number")
    values = wide.to_physical()
    narrow = values.cast(pl.Int64, strict=False)
    if narrow.null_count() == values.null_count():
        values = narrow  # the arithmetic of 64 bits is faster
    column = pl.lit(values)
    while decimals and not pl.select((column % 10 != 0).any()).item():
        column = pl.lit(pl.select(column // 10).to_series())
        decimals -= 1
    values = pl.select(column).to_series()
    if decimals > MAX_DECIMALS:
        excess = pl.lit(10 ** (decimals - MAX_DECIMALS), dtype=values.dtype)
        at = pl.select((column % excess != 0).arg_max()).item() or 0
        raise Misfit(at, f"a number of at most {MAX_DECIMALS} decimals", texts[at])
    narrow = values.cast(pl.Int64, strict=False)
    _refuse(texts, narrow, f"a number within 64 bits at the column's {decimals} decimals")
    return Integers(narrow, decimals)


def decimals(texts: pl.Series) -> pl.Series:
    """The numbers as decimals with 18 places."""
    texts = _plain(texts)
    point = texts.str.find(".", literal=True)
    if ((texts.str.len_bytes() - point - 1) > MAX_DECIMALS).any():
        texts, places = _stripped(texts)
        if places > MAX_DECIMALS:
            at = (texts.str.len_bytes() - point - 1).fill_null(0).arg_max() or 0
            raise Misfit(at, f"a number of at most {MAX_DECIMALS} decimals", texts[at])
    values = texts.cast(pl.Decimal(38, MAX_DECIMALS), strict=False)
    _refuse(texts, values, "a number of at most 20 digits before the point")
    return values


def whole(texts: pl.Series) -> pl.Series:
    """Integers of 64 bits."""
    values = texts.cast(pl.Int64, strict=False)
    _refuse(texts, values, "an integer")
    return values


def times(texts: pl.Series, unit: str | None) -> tuple[pl.Series, str | None]:
    """Nanoseconds since 1970, and the unit they were given in: `s`, `ms`, `us`, `ns` by magnitude, or `iso`.

    Args:
        texts: numbers, or ISO 8601 in UTC (a `D` or a blank may stand for the `T`).
        unit: that of the rows before; None: these are the first. Another one is a misfit.
    """
    known = texts.drop_nulls()
    if not len(known):
        return pl.zeros(0, pl.Int64, eager=True).extend_constant(None, len(texts)), unit
    if "-" in known[0][1:]:
        found, values = "iso", _iso(texts)
    else:
        found, values = _epochs(texts, unit)
    if unit not in (None, found):
        raise Misfit(texts.is_not_null().arg_max() or 0, f"a time like those before, in {unit}", known[0])
    return values, found


def sides(texts: pl.Series) -> pl.Series:
    """The taker's side: +1 buys, -1 sells; null if unknown."""
    texts = texts.set(_among(texts, _UNKNOWN).fill_null(False), None)
    return _told_apart(texts, _BUYS, _SELLS, "buy or sell", (1, -1), pl.Int8())


def flags(texts: pl.Series) -> pl.Series:
    """Booleans as archives write them: true, True, 1, false, False, 0."""
    return _told_apart(texts, ("true", "1"), ("false", "0"), "true or false", (True, False), pl.Boolean())


def makers(texts: pl.Series) -> pl.Series:
    """The taker's side, of whether the buyer was the maker: then the taker sold."""
    return _told_apart(texts, ("true", "1"), ("false", "0"), "true or false", (-1, 1), pl.Int8())


def _told_apart(
    texts: pl.Series,
    yes: tuple[str, ...],
    no: tuple[str, ...],
    expected: str,
    values: tuple[int, int],
    kind: pl.DataType,
) -> pl.Series:
    first, second = (pl.lit(value, kind) for value in values)
    column = pl.when(pl.lit(_among(texts, yes))).then(first).when(pl.lit(_among(texts, no))).then(second)
    found = pl.select(column.alias(texts.name)).to_series()
    _refuse(texts, found, expected)
    return found


def _among(texts: pl.Series, words: tuple[str, ...]) -> pl.Series:
    """Which texts are one of the words, in small letters, in capitals, or with one capital."""
    forms = {form for word in words for form in (word, word.upper(), word.capitalize())}
    return texts.is_in(sorted(forms))


def _plain(texts: pl.Series) -> pl.Series:
    """Numbers without exponents; the few that have one are written out."""
    odd = texts.str.contains_any(["e", "E"])
    if not odd.any():
        return texts
    at = odd.arg_true()
    return texts.scatter(at, [_written_out(i, texts[i]) for i in at])


def _written_out(at: int, text: str) -> str:
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else Decimal("nan")
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or abs(value.adjusted()) > 40:
        raise Misfit(at, "a number", text)
    return format(value, "f")


def _stripped(texts: pl.Series) -> tuple[pl.Series, int]:
    """Without zeros after the last decimal that counts; and the most decimals then."""
    point = texts.str.contains(".", literal=True)
    texts = texts.zip_with(~point.fill_null(False), texts.str.strip_chars_end("0"))
    places = texts.str.len_bytes() - texts.str.find(".", literal=True) - 1
    most = places.max()
    assert isinstance(most, int)  # noqa: S101  # there is a point, or nobody would ask
    if most > 38:
        at = places.fill_null(0).arg_max() or 0
        raise Misfit(at, f"a number of at most {MAX_DECIMALS} decimals", texts[at])
    return texts, most


def _epochs(texts: pl.Series, unit: str | None) -> tuple[str, pl.Series]:
    point = texts.str.contains(".", literal=True).any()
    if point:
        number = integers(texts)
        value, scale = number.values, 10**number.decimals
    else:
        value, scale = texts.cast(pl.Int64, strict=False), 1
        _refuse(texts, value, "a time")
    low, high = value.min(), value.max()
    assert isinstance(low, int)  # noqa: S101  # a column of integers with a value
    assert isinstance(high, int)  # noqa: S101
    found = unit if unit in _UNITS else _unit(low // scale)
    if found is None:
        at = value.arg_min() or 0
        raise Misfit(at, "a time in s, ms, us or ns since 1970", texts[at])
    for bound, place in ((low, value.arg_min()), (high, value.arg_max())):
        if _unit(bound // scale) != found:
            raise Misfit(place or 0, f"a time in {found}, like the others of the file", texts[place or 0])
    factor = _UNITS[found]
    return found, value * (factor // scale) if factor >= scale else value // (scale // factor)


def _unit(value: int) -> str | None:
    """By magnitude: the years 1973 to 5138 in seconds, and the same digits in finer units."""
    for power, unit in ((8, "s"), (11, "ms"), (14, "us"), (17, "ns")):
        if 10**power <= value < 10 ** (power + 3):
            return unit
    return None


def _iso(texts: pl.Series) -> pl.Series:
    parts = texts.str.extract_groups(_ISO).struct.unnest()
    day, clock, fraction = parts.get_columns()
    seconds = (day + "T" + clock).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False).dt.epoch("s")
    values = seconds * _SECOND + fraction.fill_null("").str.pad_end(9, "0").cast(pl.Int64)
    _refuse(texts, values, "a time like 2020-03-13T02:16:00.123Z")
    return values


def _refuse(texts: pl.Series, values: pl.Series, expected: str) -> None:
    """Raises for the first text that has no value."""
    if values.null_count() > texts.null_count():
        at = (values.is_null() & texts.is_not_null()).arg_max() or 0
        raise Misfit(at, expected, texts[at])
