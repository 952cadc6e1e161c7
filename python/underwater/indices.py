"""Index construction: one price from several venues' ticks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from math import lcm
from typing import Any, Literal

import polars as pl
from pydantic_core import PydanticCustomError

from underwater._derived import derive
from underwater._stream import Stream, narrow
from underwater.durations import duration_text, parse_duration
from underwater.errors import ConfigError, DataError
from underwater.market import Definitions, Market
from underwater.numbers import exact_text, parse_exact
from underwater.ticks import Ticks

Weight = float | str | Fraction
_MOST_WEIGHT = 1 << 40


def index(
    ticks: Ticks,
    name: str,
    sources: Mapping[str, Weight] | Sequence[str],
    *,
    method: Literal["median", "mean"] = "median",
    stale_after: str | timedelta | int | None = None,
    min_sources: int = 1,
    cadence: str | timedelta | int | None = None,
    decimals: int | None = None,
    of: Sequence[str] = (),
) -> Ticks:
    """The ticks with one market more: an index of several of them, published at a cadence or at each update.

    At an instant the price of a source is its last print, after all prints of that instant. A source takes part if it has
    printed, not longer ago than `stale_after`. Their weighted median is the price at which the weights of the sources below
    and of those above are both at most half; if two prices have that property, their mean. The weighted mean is what it
    is elsewhere. All of this is exact, and rounded once, to `decimals`, half up.

    Nothing is computed before it is needed, and ticks that are not loaded are read frame by frame, as in `uw.scenarios`.

    Args:
        ticks: the ticks of all sources.
        name: of the new market.
        sources: markets with their weights, or markets that count alike.
        method: weighted `median` or weighted `mean`.
        stale_after: a source whose last print is longer ago drops out until it prints again; None: never.
        min_sources: with fewer sources nothing is published, and the index stands where it was.
        cadence: time between publications, at whole multiples since 1970; None: at each instant at which a source prints.
            (Without a cadence, that a source has become stale shows when another prints.)
        decimals: of the index; None: those of the source that has most.
        of: markets whose `index` this becomes.

    Raises:
        ConfigError: an argument is wrong.
        DataError: (when the ticks are made) a market is not there, or there is one of that name already.

    >>> import polars as pl, underwater as uw
    >>> frame = pl.DataFrame({"ts": pl.from_epoch([0, 1, 2]), "market": ["A", "B", "C"], "price": [100.0, 101.0, 70.0]})
    >>> both = uw.index(uw.Ticks(frame), "I", {"A": 2, "B": 2, "C": 1}, decimals=1)
    >>> both.to_polars().filter(pl.col("market") == "I")["price"].to_list()
    [1000, 1005, 1000]
    """
    weights = _weights(sources)
    rule = _Rule(
        method=_one_of("method", method, ("median", "mean")),
        stale_after=None if stale_after is None else _duration("stale_after", stale_after),
        min_sources=_whole("min_sources", min_sources, 1, len(weights)),
        cadence=None if cadence is None else _duration("cadence", cadence),
    )
    if rule.cadence == 0:
        raise ConfigError("index: cadence: expected a positive duration")
    if decimals is not None:
        _whole("decimals", decimals, 0, 18)
    step: dict[str, Any] = {
        "step": "index",
        "name": name,
        "sources": {market: exact_text(weight) for market, weight in weights.items()},
        "method": method,
        "stale_after": None if rule.stale_after is None else duration_text(rule.stale_after),
        "min_sources": min_sources,
        "cadence": None if rule.cadence is None else duration_text(rule.cadence),
        "decimals": decimals,
    }

    def change(stream: Stream) -> Stream:
        return _with_index(stream, name, weights, rule, decimals, list(of))

    return derive(ticks, {key: value for key, value in step.items() if value is not None}, change)


@dataclass(frozen=True)
class _Rule:
    method: str
    stale_after: int | None
    min_sources: int
    cadence: int | None


def _with_index(
    stream: Stream, name: str, weights: Mapping[str, Fraction], rule: _Rule, decimals: int | None, of: list[str]
) -> Stream:
    if any(market.name == name for market in stream.definitions.markets):
        raise DataError(f"index: name: there is a market {name!r} already")
    chosen = [stream.market(source) for source in weights]
    own = max(market.price_decimals or 0 for market in chosen) if decimals is None else decimals
    stream.chosen(of)
    markets = [
        market.model_copy(update={"index": name}) if market.name in of else market
        for market in stream.definitions.markets
    ]
    markets.append(Market(name=name, price_decimals=own, settlement="USD"))
    definitions = Definitions(markets=tuple(sorted(markets, key=lambda m: m.name)), assets=stream.definitions.assets)
    finest = max(stream.price_decimals, own)
    names = pl.Enum([market.name for market in definitions.markets])
    denominator = lcm(*(weight.denominator for weight in weights.values()))
    whole = {source: int(weight * denominator) for source, weight in weights.items()}
    if sum(whole.values()) >= _MOST_WEIGHT:
        raise ConfigError("index: sources: expected weights with a small common denominator")

    def frames() -> Iterator[pl.DataFrame]:
        state = _State(whole, rule, 10 ** (finest - own))
        for frame in stream.frames:
            scaled = frame.with_columns(
                pl.col("market").cast(pl.String).cast(names),
                pl.col("price").cast(pl.Int128) * 10 ** (finest - stream.price_decimals),
            )
            finer = narrow(scaled)
            published = state.publish(finer).with_columns(pl.lit(name).cast(names).alias("market"))
            # Behind the prints of its instant.
            yield pl.concat([finer, published], how="diagonal").sort("ts", maintain_order=True)

    return replace(stream, definitions=definitions, price_decimals=finest).map(frames())


class _State:
    """The last print of each source, from frame to frame."""

    def __init__(self, weights: Mapping[str, int], rule: _Rule, unit: int) -> None:
        self._weights, self._rule, self._unit = weights, rule, unit
        self._last: dict[str, pl.DataFrame] = {}
        self._until: int | None = None

    def publish(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What the index publishes in a frame: `ts`, `price`."""
        prints = frame.filter(pl.col("market").is_in(list(self._weights)))
        times = self._times(frame, prints)
        for number, source in enumerate(self._weights):
            own = prints.filter(pl.col("market") == source).unique("ts", keep="last", maintain_order=True)
            own = own.select("ts", pl.col("price").alias(f"price{number}"), pl.col("ts").alias(f"at{number}"))
            known = pl.concat([self._last[source], own]) if source in self._last else own
            times = times.join_asof(known.set_sorted("ts"), on="ts")
            self._last[source] = known[-1:]
        return self._value(times)

    def _times(self, frame: pl.DataFrame, prints: pl.DataFrame) -> pl.DataFrame:
        if self._rule.cadence is None:
            return prints.select("ts").unique(maintain_order=True).set_sorted("ts")
        cadence = self._rule.cadence
        start = int(frame["ts"][0]) if self._until is None else self._until + 1
        self._until = int(frame["ts"][-1])
        grid = pl.int_range(-(-start // cadence), self._until // cadence + 1, dtype=pl.Int64, eager=True)
        return (grid * cadence).alias("ts").set_sorted().to_frame()

    def _value(self, states: pl.DataFrame) -> pl.DataFrame:
        weights = list(self._weights.values())
        price = [pl.col(f"price{number}").cast(pl.Int128) for number in range(len(weights))]
        active = [pl.col(f"price{number}").is_not_null() for number in range(len(weights))]
        if self._rule.stale_after is not None:
            fresh = [pl.col("ts") - pl.col(f"at{number}") <= self._rule.stale_after for number in range(len(weights))]
            active = [known & new for known, new in zip(active, fresh, strict=True)]
        weight = [pl.when(on).then(w).otherwise(0).cast(pl.Int128) for on, w in zip(active, weights, strict=True)]
        total = pl.sum_horizontal(weight)
        if self._rule.method == "mean":
            terms = [w * pl.when(on).then(p).otherwise(0) for w, on, p in zip(weight, active, price, strict=True)]
            numerator, denominator = pl.sum_horizontal(terms), total
        else:
            # Of the active prices, the least that has half of the weight up to it, and the least that has more than half.
            upto = [
                pl.sum_horizontal([pl.when(p <= q).then(w).otherwise(0) for p, w in zip(price, weight, strict=True)])
                for q in price
            ]
            low = [pl.when(on & (2 * u >= total)).then(q) for on, u, q in zip(active, upto, price, strict=True)]
            high = [pl.when(on & (2 * u > total)).then(q) for on, u, q in zip(active, upto, price, strict=True)]
            numerator = pl.min_horizontal(low) + pl.min_horizontal(high)
            denominator = pl.lit(2, pl.Int128)
        step = denominator * self._unit
        rounded = (2 * numerator + step) // (2 * step)
        value = pl.max_horizontal(rounded, pl.lit(1, pl.Int128)) * self._unit
        enough = pl.sum_horizontal([on.cast(pl.Int32) for on in active]) >= self._rule.min_sources
        return states.filter(enough).select("ts", value.cast(pl.Int64).alias("price"))


def _weights(sources: Mapping[str, Weight] | Sequence[str]) -> dict[str, Fraction]:
    named = sources if isinstance(sources, Mapping) else dict.fromkeys(sources, 1)
    if not named or isinstance(sources, str):
        raise ConfigError(f"index: sources: expected markets, got {sources!r}")
    weights = {}
    for market, weight in named.items():
        try:
            weights[market] = parse_exact(weight)
        except PydanticCustomError as error:
            raise ConfigError(f"index: sources.{market}: {error.message()}") from None
        if weights[market] <= 0:
            raise ConfigError(f"index: sources.{market}: expected a positive weight, got {weight!r}")
    return weights


def _duration(field: str, value: object) -> int:
    try:
        return parse_duration(value)
    except PydanticCustomError as error:
        raise ConfigError(f"index: {field}: {error.message()}") from None


def _whole(field: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"index: {field}: expected an integer from {least} to {most}, got {value!r}")
    return value


def _one_of(field: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ConfigError(f"index: {field}: expected one of {', '.join(allowed)}, got {value!r}")
    return value
