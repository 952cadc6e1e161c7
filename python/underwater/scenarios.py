"""Price scenarios: what if the day had been worse, faster, later, or broken?

Each function takes ticks and returns ticks, so that they compose; `provenance["steps"]` lists what was done. Nothing is
computed before it is needed, and nothing is loaded whole as long as the result is only written (`Ticks.write`) or run with
`chunk_ticks`, which puts the result into a temporary file first. What waits in memory is a frame of about a million ticks,
and for `shift` in time the ticks of that stretch of time. Ticks that are in memory already stay there.

Prices are computed exactly, or for `amplify` to 50 digits, and rounded to the market's last decimal (half up, at least one
unit), so that the same bytes come out on every machine. Sizes and sides stay as they are, and volume in USD goes with the
price. Only the ticks change: whoever traded would have traded otherwise at other prices, and the book of accounts and its
events know nothing of it.

A market that is another's index is a market of its own: change both, or the gap between them changes too.

>>> import polars as pl, underwater as uw
>>> frame = pl.DataFrame({"ts": pl.from_epoch([0, 10, 20]), "market": "ETH-PERP", "price": [2000.0, 1800.0, 1900.0]})
>>> worse = uw.scenarios.amplify(uw.scenarios.speed(uw.Ticks(frame), 2), 2)
>>> worse.to_polars().select(pl.col("ts").dt.second(), "price").rows()
[(0, 2000), (5, 1620), (10, 1805)]
>>> [step["step"] for step in worse.provenance["steps"]]
['speed', 'amplify']
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any, Literal

import polars as pl
from pydantic_core import PydanticCustomError

from underwater._derived import STEPS, DerivedTicks, derive
from underwater._stream import Stream, narrow, reordered, scaled
from underwater.durations import duration_text, parse_duration
from underwater.errors import ConfigError, DataError
from underwater.instants import Point, instant_text, parse_instant
from underwater.market import Asset, Definitions, Market
from underwater.numbers import exact_text, parse_exact
from underwater.ticks import Ticks

Time = datetime | str
"""A `datetime`, text such as `"2025-10-10T21:15:00Z"` (UTC if it names no zone), or a time from the first tick: `"9h30m"`."""
Markets = str | Sequence[str] | None
"""A market, several, or None for all."""

_DIGITS = 50
_END = (1 << 63) - 1


def amplify(
    ticks: Ticks,
    factor: float | str | Fraction,
    *,
    markets: Markets = None,
    start: Time | None = None,
    end: Time | None = None,
) -> Ticks:
    """Multiplies returns: the logarithm of the price, relative to the last one before `start`, is multiplied by `factor`.

    With a factor of 2 a fall to 60 % becomes one to 36 %, a rise by 10 % one by 21 %; 0.5 halves the day, 0 flattens it,
    -1 turns it upside down. After `end` the market's returns are its own again, from the level that it has got to.

    Args:
        ticks: the ticks.
        factor: of the logarithm.
        markets: whose prices are changed.
        start: from here on; None: from the first tick on, which stays.
        end: up to here, exclusive; None: to the last tick.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) a market is not there, or a price does not fit 64 bits.
    """
    exact, span = _number("amplify", "factor", factor), _span("amplify", start, end)
    power = _decimal(exact)

    def change(stream: Stream) -> Stream:
        stream, first, last = span.of(stream)
        paths = {name: _Amplified(power, stream.unit(name), first, last) for name in stream.chosen(_names(markets))}
        return stream.map(_per_market(frame, paths) for frame in stream.frames)

    return derive(ticks, _step("amplify", factor=exact, markets=markets, start=start, end=end), change)


def jump(
    ticks: Ticks, size: float | str | Fraction, *, at: Time, until: Time | None = None, markets: Markets = None
) -> Ticks:
    """A gap: from `at` on prices are `1 + size` times what they were, at once and without a print in between.

    Args:
        ticks: the ticks.
        size: relative; -0.3 is a fall by 30 %.
        at: prices change from the first tick at or after this.
        until: up to here, exclusive, after which prices are what they were: a wick; None: they stay.
        markets: whose prices are changed.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) a market is not there, or a price does not fit 64 bits.
    """
    exact = _number("jump", "size", size)
    if exact <= -1:
        raise ConfigError(f"scenarios.jump: size: expected a number above -1, got {size!r}")
    span = _span("jump", at, until)

    def change(stream: Stream) -> Stream:
        stream, first, last = span.of(stream)
        chosen = stream.chosen(_names(markets))

        def frames() -> Iterator[pl.DataFrame]:
            for frame in stream.frames:
                within = pl.col("ts").is_between(first, last - 1) & pl.col("market").is_in(chosen)
                yield _times(frame, dict.fromkeys(chosen, 1 + exact), stream, within)

        return stream.map(frames())

    return derive(ticks, _step("jump", size=exact, at=at, until=until, markets=markets), change)


def shift(
    ticks: Ticks,
    markets: Markets = None,
    *,
    time: str | timedelta | int = "0s",
    level: float | str | Fraction = 1,
) -> Ticks:
    """Moves markets in time, in level, or both.

    Args:
        ticks: the ticks.
        markets: those that are moved.
        time: later by a duration such as `"5s"`, or earlier by `"-5s"`. As many ticks as lie in it wait in memory.
        level: prices are multiplied by this.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) a market is not there, or a price does not fit 64 bits.
    """
    later, exact = _signed("shift", time), _number("shift", "level", level)
    if exact <= 0:
        raise ConfigError(f"scenarios.shift: level: expected a positive number, got {level!r}")

    def change(stream: Stream) -> Stream:
        chosen = stream.chosen(_names(markets))
        moved = pl.col("market").is_in(chosen)
        # What does not move lies no later than it did, and what moves back lies earlier.
        others = len(chosen) < len(stream.definitions.markets)
        slack = min(later, 0) if others else later

        def frames() -> Iterator[tuple[pl.DataFrame, int]]:
            for frame in stream.frames:
                last = int(frame["ts"][-1])
                levelled = _times(frame, dict.fromkeys(chosen, exact), stream, moved) if exact != 1 else frame
                yield (
                    levelled.with_columns(pl.when(moved).then(pl.col("ts") + later).otherwise("ts").alias("ts")),
                    last + slack,
                )

        return stream.map(reordered(frames()))

    named = ("-" if later < 0 else "") + duration_text(abs(later))
    return derive(ticks, _step("shift", markets=markets, time=named, level=exact), change)


def speed(ticks: Ticks, factor: float | str | Fraction) -> Ticks:
    """Plays the tape faster or slower: the time since the first tick is divided by `factor`, rounded down to a nanosecond.

    A factor of 2 puts the day into half the time; latencies, cadences and heartbeats of a protocol stay what they are.
    Events of a book keep their times.

    Args:
        ticks: the ticks.
        factor: 2 is twice as fast, 0.5 half as fast.

    Raises:
        ConfigError: the factor is not positive.
        DataError: (when the ticks are made) a time leaves 64 bits.
    """
    exact = _number("speed", "factor", factor)
    if not 0 < exact.numerator < 1 << 60 or exact.denominator >= 1 << 60:
        raise ConfigError(f"scenarios.speed: factor: expected a positive number of at most 18 digits, got {factor!r}")

    def change(stream: Stream) -> Stream:
        def frames() -> Iterator[pl.DataFrame]:
            origin: int | None = None
            for frame in stream.frames:
                origin = int(frame["ts"][0]) if origin is None else origin
                since = (pl.col("ts") - origin).cast(pl.Int128)
                ts = since * exact.denominator // exact.numerator + origin
                wide = frame.with_columns(ts.alias("ts"))
                if int(wide["ts"][-1]) > _END:
                    raise DataError("scenarios.speed: factor: a time is beyond the year 2262")
                yield wide.with_columns(pl.col("ts").cast(pl.Int64))

        return stream.map(frames())

    return derive(ticks, _step("speed", factor=exact), change)


def outage(ticks: Ticks, *, start: Time, end: Time, markets: Markets = None) -> Ticks:
    """Leaves out the ticks of an outage: in `[start, end)` nothing is printed, and every feed of the market stands.

    Args:
        ticks: the ticks.
        start: first instant without ticks.
        end: first instant with ticks again.
        markets: those that are out.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) a market is not there.
    """
    span = _span("outage", start, end)

    def change(stream: Stream) -> Stream:
        stream, first, last = span.of(stream)
        out = pl.col("ts").is_between(first, last - 1) & pl.col("market").is_in(stream.chosen(_names(markets)))
        return stream.map(frame.filter(~out) for frame in stream.frames)

    return derive(ticks, _step("outage", start=start, end=end, markets=markets), change)


def cut(ticks: Ticks, *, start: Time | None = None, end: Time | None = None) -> Ticks:
    """Keeps the ticks of `[start, end)`.

    Raises:
        ConfigError: an argument is wrong.
    """
    span = _span("cut", start, end)

    def change(stream: Stream) -> Stream:
        stream, first, last = span.of(stream)

        def frames() -> Iterator[pl.DataFrame]:
            for frame in stream.frames:
                if int(frame["ts"][0]) >= last:
                    return
                yield frame.filter(pl.col("ts").is_between(first, last - 1))

        return stream.map(frames())

    return derive(ticks, _step("cut", start=start, end=end), change)


def splice(*parts: Ticks, gap: str | timedelta | int = "1s", level: Literal["continue", "keep"] = "continue") -> Ticks:
    """Days one after the other, as if each began when the one before ended.

    Args:
        parts: the days, in order. A market that several have must be defined alike.
        gap: time from the last tick of a day to the first of the next; at least one nanosecond.
        level: `continue`: from the first price of a day on, a market goes on from its last price of the days before, all
            its prices multiplied; `keep`: prices stay, and the market jumps.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) definitions differ, or a price does not fit 64 bits.
    """
    if not parts:
        raise ConfigError("scenarios.splice: parts: expected at least one")
    if level not in ("continue", "keep"):
        raise ConfigError(f"scenarios.splice: level: expected 'continue' or 'keep', got {level!r}")
    pause = _signed("splice", gap)
    if pause < 1:
        raise ConfigError(f"scenarios.splice: gap: expected a positive duration, got {gap!r}")

    def make() -> Stream:
        streams = [part._stream() for part in parts]
        definitions = _together([stream.definitions for stream in streams])
        whole = Stream(
            definitions,
            max(stream.price_decimals for stream in streams),
            max(stream.size_decimals for stream in streams),
            iter(()),
        )
        return whole.map(_spliced(whole, streams, pause, continued=level == "continue"))

    said = {"parts": [part.provenance for part in parts]}
    step = _step("splice", parts=len(parts), gap=duration_text(pause), level=level)
    return DerivedTicks(make, {**said, STEPS: [step]})


class _Amplified:
    """One market's amplified path, frame by frame."""

    def __init__(self, power: Decimal, unit: int, start: int, end: int) -> None:
        self._power, self._unit, self._start, self._end = power, unit, start, end
        self._before: Decimal | None = None
        self._last: Decimal | None = None
        self._within: dict[int, int] = {}
        self._after: dict[int, int] = {}

    def __call__(self, ticks: pl.DataFrame) -> list[pl.Series]:
        """The prices of the market's next ticks, in pieces."""
        ts, prices = ticks["ts"], ticks["price"]
        start, end = (int(ts.search_sorted(time)) for time in (self._start, self._end))
        if start:
            self._before = Decimal(int(prices[start - 1]))
        if self._before is None and start < end:
            self._before = Decimal(int(prices[start]))
        within = self._mapped(prices[start:end], self._within, self._level)
        if start < end:
            self._last = Decimal(int(prices[end - 1]))
        return [prices[:start], within, self._mapped(prices[end:], self._after, self._gone_on)]

    def _level(self, price: Decimal) -> Decimal:
        before = self._before or price
        return before * (self._power * (price / before).ln()).exp()

    def _gone_on(self, price: Decimal) -> Decimal:
        if self._before is None or self._last is None:
            return price
        return price * ((self._power - 1) * (self._last / self._before).ln()).exp()

    def _mapped(self, prices: pl.Series, known: dict[int, int], path: Any) -> pl.Series:
        if not len(prices):
            return prices
        with localcontext(Context(prec=_DIGITS, Emax=999_999, Emin=-999_999)):
            for price in prices.unique().to_list():
                if price not in known:
                    units = int(path(Decimal(price)) / self._unit + Decimal("0.5"))
                    known[price] = max(units, 1) * self._unit
                    if known[price] > _END:
                        raise DataError(f"scenarios.amplify: a price of {price} units leaves 64 bits")
        return prices.replace_strict(list(known), list(known.values()), return_dtype=pl.Int64)


def _per_market(frame: pl.DataFrame, paths: Mapping[str, _Amplified]) -> pl.DataFrame:
    rows = frame.with_row_index("row")
    touched = []
    for name, path in paths.items():
        ticks = rows.filter(pl.col("market") == name)
        if len(ticks):
            touched.append(ticks.select("row", pl.concat(path(ticks)).alias("price")))
    if not touched:
        return frame
    return rows.update(pl.concat(touched), on="row", how="left", maintain_order="left").drop("row")


def _times(frame: pl.DataFrame, factors: Mapping[str, Fraction], stream: Stream, where: pl.Expr) -> pl.DataFrame:
    """The frame with the prices of some ticks multiplied, by market."""
    price = pl.col("price").cast(pl.Int128)
    for name, factor in factors.items():
        if factor != 1:
            chosen = where & (pl.col("market") == name)
            price = pl.when(chosen).then(scaled(pl.col("price"), factor, stream.unit(name))).otherwise(price)
    return narrow(frame.with_columns(price.alias("price")))


def _spliced(whole: Stream, streams: Sequence[Stream], pause: int, *, continued: bool) -> Iterator[pl.DataFrame]:
    names = pl.Enum([market.name for market in whole.definitions.markets])
    ended: int | None = None
    closes: dict[str, int] = {}
    for stream in streams:
        later: int | None = None
        factors: dict[str, Fraction] = {}
        finer = 10 ** (whole.price_decimals - stream.price_decimals)
        for frame in stream.frames:
            if later is None:
                later = 0 if ended is None else ended + pause - int(frame["ts"][0])
            columns = [
                pl.col("ts") + later,
                pl.col("market").cast(pl.String).cast(names),
                pl.col("price").cast(pl.Int128) * finer,
            ]
            columns += [
                pl.col(name) * 10 ** (whole.size_decimals - stream.size_decimals) if name == "size" else pl.col(name)
                for name in ("size", "side")
                if name in frame.columns
            ]
            moved = narrow(frame.select(columns))
            for absent, kind in (("size", pl.Int64), ("side", pl.Int8)):
                if absent not in moved.columns:
                    moved = moved.with_columns(pl.lit(None, kind).alias(absent))
            opens = moved.group_by("market", maintain_order=True).agg(pl.col("price").first())
            for market, price in opens.iter_rows():
                known = continued and market in closes
                factors.setdefault(market, Fraction(closes[market], price) if known else Fraction(1))
            yield (moved := _times(moved, factors, whole, pl.lit(value=True)))
            last = moved.group_by("market", maintain_order=True).agg(pl.col("price").last())
            # A market's factor is fixed at its first tick of the day, so its close may move on at once.
            closes |= dict(last.iter_rows())
            ended = int(moved["ts"][-1])


def _together(all_of: Sequence[Definitions]) -> Definitions:
    """The definitions of all parts; what several define must be the same but for decimals, of which the most count."""
    markets: dict[str, Market] = {}
    for definitions in all_of:
        for market in definitions.markets:
            known = markets.setdefault(market.name, market)
            price = max(known.price_decimals or 0, market.price_decimals or 0)
            size = max(known.size_decimals or 0, market.size_decimals or 0)
            merged = _with_decimals(market, price, size)
            if _with_decimals(known, price, size) != merged:
                raise DataError(f"scenarios.splice: market {market.name}: is defined in different ways")
            markets[market.name] = merged
    assets: dict[str, Asset] = {}
    for definitions in all_of:
        for asset in definitions.assets:
            if assets.setdefault(asset.name, asset) != asset:
                raise DataError(f"scenarios.splice: asset {asset.name}: is defined in different ways")
    return Definitions(
        markets=tuple(markets[name] for name in sorted(markets)), assets=tuple(assets[name] for name in sorted(assets))
    )


def _with_decimals(market: Market, price: int, size: int) -> Market:
    """The market with other decimals."""
    return market.model_copy(update={"price_decimals": price, "size_decimals": size})


def _names(markets: Markets) -> list[str] | None:
    return None if markets is None else [markets] if isinstance(markets, str) else list(markets)


def _number(function: str, field: str, value: object) -> Fraction:
    try:
        return parse_exact(value)
    except PydanticCustomError as error:
        raise ConfigError(f"scenarios.{function}: {field}: {error.message()}") from None


def _signed(function: str, value: str | timedelta | int) -> int:
    """Nanoseconds of a duration that may be negative."""
    length: str | timedelta | int
    match value:
        case str():
            negative = value.strip().startswith("-")
            length = value.strip().removeprefix("-")
        case timedelta():
            negative, length = value < timedelta(0), abs(value)
        case _:
            negative, length = value < 0, abs(value)
    try:
        return -parse_duration(length) if negative else parse_duration(length)
    except PydanticCustomError as error:
        raise ConfigError(f"scenarios.{function}: {error.message()}") from None


def _span(function: str, start: Time | None, end: Time | None) -> "_Span":
    try:
        return _Span(
            function,
            None if start is None else parse_instant(start),
            None if end is None else parse_instant(end),
        )
    except PydanticCustomError as error:
        raise ConfigError(f"scenarios.{function}: {error.message()}") from None


@dataclass(frozen=True)
class _Span:
    """From one time to another; None: without bound."""

    function: str
    start: Point | None
    end: Point | None

    def __post_init__(self) -> None:
        if self.start and self.end and self.start[0] == self.end[0] and self.start[1] >= self.end[1]:
            raise ConfigError(f"scenarios.{self.function}: {self._wrong()}")

    def of(self, stream: Stream) -> tuple[Stream, int, int]:
        """The stream, and the times on it in nanoseconds since 1970.

        Raises:
            DataError: the start is not before the end.
        """
        ahead, origin = stream.ahead()
        first, last = (
            default if point is None else point[1] + (origin if point[0] == "offset" else 0)
            for point, default in ((self.start, -_END), (self.end, _END))
        )
        if first >= last:
            raise DataError(f"scenarios.{self.function}: {self._wrong()}")
        return ahead, first, last

    def _wrong(self) -> str:
        start, end = ("none" if point is None else instant_text(point) for point in (self.start, self.end))
        return f"expected an end after the start, got {start} and {end}"


def _decimal(value: Fraction) -> Decimal:
    with localcontext(Context(prec=_DIGITS)):
        return Decimal(value.numerator) / Decimal(value.denominator)


def _step(name: str, **arguments: Any) -> dict[str, Any]:
    """What was done, as JSON has it; arguments that are None are left out."""

    def plain(value: Any) -> Any:
        match value:
            case Fraction():
                return exact_text(value)
            case datetime():
                return value.isoformat()
            case list() | tuple():
                return list(value)
            case _:
                return value

    return {"step": name, **{key: plain(value) for key, value in arguments.items() if value is not None}}
