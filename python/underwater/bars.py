"""Bars to ticks, by an explicit reconstruction, and ticks to bars.

A bar says what the first, highest, lowest and last price of its minutes were, how much was traded and in how many trades. It
does not say when within the bar, nor in which order. `to_ticks` invents that, seeded, and the ticks say so in their
provenance. `docs/reconstruction.md` states how far a replay on such ticks lies from one on the real ones.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from math import isqrt
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from pydantic_core import PydanticCustomError

from underwater import _core
from underwater._arrow import as_arrow, frame
from underwater._progress import ProgressCallback, callback
from underwater.durations import duration_text, parse_duration
from underwater.errors import ConfigError, DataError
from underwater.market import Asset, Market, definitions_json
from underwater.numbers import exact_text, parse_exact
from underwater.ticks import Ticks

METHOD = "bars/1"
"""Name and version of the method; changes when the same bars give other ticks."""

_STAMP = 1_000_000
_PRICES = ("open", "high", "low", "close")
# Measured on the one-minute bars of four Binance COIN-M perpetuals on 2025-10-10 with more than 20 trades: in 93 % of them
# a rising bar has its low before its high and a falling one its high before its low (in bars that span more than 3 %: 92 %).
_ALONG = 93
# On average the first trade comes at 0.05 of the bar, the first extreme at 0.18, the second at 0.68, the last trade at 0.925.
_FIRST, _LAST = 10, 15
# Between the turning points of a bar the path is nearly straight: in the crash minutes of that day new lows came in many small
# steps (largest 1 to 5 %), while a path as rough as between the turning points of a day made them in few large ones (up to
# 16 %), and a replay with a fast keeper owed two to five times as much. docs/reconstruction.md has the figures.
_ROUGHNESS = 0.1
# A number of the hash.
_BITS = 32


def to_ticks(
    bars: Any,
    interval: str | timedelta,
    markets: Iterable[Market] | None = None,
    assets: Iterable[Asset] | None = None,
    *,
    seed: int = 1,
    stamp: Literal["open", "close"] = "open",
    open_is_trade: bool = True,
    ticks_per_bar: int = 60,
    progress: bool | ProgressCallback = False,
) -> Ticks:
    """Ticks that have these bars: the same open, high, low, close, volume and number of trades in each.

    Within a bar the path goes from the open to one extreme, to the other, to the close; its order and its times are drawn
    with the odds of real bars, and filled in as the bundled crash days are (`uw.crash_days`), in milliseconds. A bar without
    trades has no ticks. A volume that is known is exact; trades are at least one unit of size each. Without volume, as for an
    index, ticks have neither size nor side. The same bars and seed give the same ticks on every machine.

    Args:
        bars: `ts` (or `open_ts` or `close_ts`, as records of `uw.data` have them), `open`, `high`, `low`, `close`, and optionally
            `market` (if there are several), `volume` (base units or contracts) and `count` (number of trades); a polars frame
            or anything that exports Arrow. Numbers are floats, decimals, integers or text. Sorted by time within a market. A
            market whose bars have counts but nowhere a volume (a venue's mark or index) has ticks without size.
        interval: length of a bar, such as `"1m"`.
        markets: definitions of markets; those not defined are linear and settled in USD.
        assets: definitions of assets.
        seed: of the generator.
        stamp: whether `ts` is the `open` of the bar or its `close`; without `ts`, which of `open_ts` and `close_ts` is taken
            if there are both.
        open_is_trade: False if the open is the close of the bar before (BitMEX), and may lie outside the bar: then the path
            begins at the nearest price inside, if the bar has trades enough.
        ticks_per_bar: mean number of ticks of a bar where `count` is not given; a bar has its share of them by volume,
            and at least 4.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`.

    Raises:
        DataError: a column is missing, or a bar cannot be; names market and row.
        ConfigError: an argument is wrong.

    >>> import polars as pl, underwater as uw
    >>> prices = {"open": 100, "high": 101, "low": 60, "close": 75}
    >>> minute = pl.DataFrame({"ts": pl.from_epoch([0]), **prices, "volume": 9, "count": 5})
    >>> ticks = uw.bars.to_ticks(minute, "1m", [uw.Market(name="ETH-PERP")])
    >>> price = ticks.to_polars()["price"]
    >>> price.first(), price.max(), price.min(), price.last(), ticks.to_polars()["size"].sum()
    (100, 101, 60, 75, 9)
    """
    length = _duration(interval)
    _whole("seed", seed, 0, (1 << 64) - 1)
    _whole("ticks_per_bar", ticks_per_bar, 4, 1_000_000)
    if stamp not in ("open", "close"):
        raise ConfigError(f"bars.to_ticks: stamp: expected 'open' or 'close', got {stamp!r}")
    given = tuple(markets or ())
    rows = _read(bars, given, stamp, length)
    paths: list[_Path] = []
    for name, own in rows.group_by("market", maintain_order=True):
        market = next((m for m in given if m.name == name[0]), Market(name=str(name[0])))
        paths.append(_path(market, own, length, seed, open_is_trade=open_is_trade, per_bar=ticks_per_bar))
    request = {"day": METHOD, "seed": seed, "ticks_per_market": 1, "markets": [path.request() for path in paths]}
    with callback(progress, "bars") as report:
        made = pa.table(_core.reconstruct(json.dumps(request), report))
    table = _with_volumes(made, {path.spec["name"]: path for path in paths})
    known = _defined(given, paths)
    ticks = Ticks(table, known, assets, provenance=_provenance(rows, paths, length, seed))
    # The definitions must fit now, not at the first run.
    definitions_json(known, assets)
    return ticks


def from_ticks(ticks: Ticks, interval: str | timedelta) -> pl.DataFrame:
    """The bars of ticks: `ts` (open of the bar, at whole multiples of the interval since 1970), `market`, `open`, `high`,
    `low`, `close`, `volume` (Decimal; null where ticks have no size), `count`. Sorted by time, then market. Bars without ticks
    are left out. Ticks that are not loaded are read frame by frame.

    Raises:
        ConfigError: the interval is wrong.
    """
    length = _duration(interval)
    stream = ticks._stream()
    bar = (pl.col("ts") // length * length).alias("ts")

    def part(ticks: pl.DataFrame) -> pl.DataFrame:
        # Values of size one by one may add up beyond 64 bits.
        size = pl.col("size").cast(pl.Int128) if "size" in ticks.columns else pl.lit(None, pl.Int128)
        price = pl.col("price")
        return ticks.group_by(bar, pl.col("market").cast(pl.String), maintain_order=True).agg(
            price.first().alias("open"),
            price.max().alias("high"),
            price.min().alias("low"),
            price.last().alias("close"),
            pl.when(size.is_not_null().any()).then(size.sum()).alias("volume"),
            pl.len().cast(pl.Int64).alias("count"),
        )

    parts = pl.concat([part(ticks) for ticks in stream.frames])
    whole = parts.group_by("ts", "market", maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.when(pl.col("volume").is_not_null().any()).then(pl.col("volume").sum()),
        pl.col("count").sum(),
    )

    def exact(name: str, decimals: int) -> pl.Series:
        values = [None if value is None else Decimal(value).scaleb(-decimals) for value in whole[name].to_list()]
        return pl.Series(name, values, pl.Decimal(38, decimals))

    columns = [exact(name, stream.price_decimals) for name in _PRICES] + [exact("volume", stream.size_decimals)]
    stamped = whole.with_columns(*columns, pl.col("ts").cast(pl.Datetime("ns", "UTC")))
    return stamped.sort("ts", "market", maintain_order=True)


@dataclass(frozen=True)
class _Path:
    """What is asked for, for one market, and the bars' own figures."""

    spec: dict[str, Any]
    anchors: list[tuple[int, str, float | None]]
    counts: list[int]
    """Ticks up to each anchor."""
    per_bar: list[int]
    volumes: list[int] | None
    """In units of the market's size decimals."""
    typical_usd: float

    def request(self) -> dict[str, Any]:
        return {
            "spec": self.spec,
            "series": "index" if self.volumes is None else "trades",
            "typical_trade_usd": self.typical_usd,
            "stamp_ns": _STAMP,
            "anchors": self.anchors,
            "counts": self.counts,
            "roughness": _ROUGHNESS,
        }


def _path(market: Market, bars: pl.DataFrame, length: int, seed: int, *, open_is_trade: bool, per_bar: int) -> _Path:
    prices = {name: _exact(market.name, name, bars[name]) for name in _PRICES}
    volumes = _exact(market.name, "volume", bars["volume"]) if _has_volume(bars) else None
    price_decimals = _decimals(market, "price_decimals", [p for column in prices.values() for p in column])
    size_decimals = _decimals(market, "size_decimals", volumes or [])
    counts = _counts(market.name, bars, volumes, per_bar)
    starts = bars["ts"].to_list()
    anchors: list[tuple[int, str, float | None]] = []
    upto: list[int] = []
    typical = _usd(market, volumes, prices["close"], sum(counts))
    for row, (start, count) in enumerate(zip(starts, counts, strict=True)):
        if row and start < starts[row - 1] + length:
            raise DataError(f"bars: market {market.name}, row {row}: ts: is within the bar before")
        if count == 0:
            if volumes is not None and volumes[row]:
                raise DataError(f"bars: market {market.name}, row {row}: volume: {float(volumes[row])} in no trades")
            continue
        draw = _Draw(seed, market.name, start)
        bar = _Bar(*(prices[name][row] for name in _PRICES))
        if not bar.possible(open_is_trade=open_is_trade):
            hint = "; with open_is_trade=False the open may lie outside" if bar.possible(open_is_trade=False) else ""
            raise DataError(
                f"bars: market {market.name}, row {row}: expected 0 < low <= open, close <= high, got {bar.text()}{hint}"
            )
        turns = bar.turns(count, along=draw.along, open_is_trade=open_is_trade)
        if turns is None:
            raise DataError(
                f"bars: market {market.name}, row {row}: count: {count} trades cannot have printed {bar.text()}"
            )
        times = draw.times(start, length, len(turns))
        shares = _shares(count, times)
        for time, price, share in zip(times, turns, shares, strict=True):
            anchors.append((time, exact_text(price), None if volumes is None else float(typical * share)))
            upto.append(share)
    if not anchors:
        raise DataError(f"bars: market {market.name}: expected a bar with trades")
    spec = {
        "name": market.name,
        "kind": market.kind,
        "contract_size": exact_text(market.contract_size),
        "price_decimals": price_decimals,
        "size_decimals": size_decimals,
        "settlement": market.settlement,
        "index": market.index,
    }
    units = None if volumes is None else [int(volume * 10**size_decimals) for volume in volumes]
    for row, (volume, count) in enumerate(zip(units or (), counts, strict=False)):
        if volume < count:
            what = f"{volume} units of size for {count} trades; size_decimals is {size_decimals}"
            raise DataError(f"bars: market {market.name}, row {row}: volume: {what}")
    return _Path(spec, anchors, upto, counts, units, typical)


@dataclass(frozen=True)
class _Bar:
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction

    def possible(self, *, open_is_trade: bool) -> bool:
        """Whether the prices fit together."""
        inside = self.low <= self.open <= self.high or not open_is_trade
        return 0 < self.low <= self.close <= self.high and inside

    def turns(self, count: int, *, along: bool, open_is_trade: bool) -> list[Fraction] | None:
        """The prices between which the path goes, first to last; None if so few trades cannot have printed them."""
        rising = self.close >= self.open
        first, second = (self.low, self.high) if rising == along else (self.high, self.low)
        opens = [self.open] if open_is_trade else [min(max(self.open, self.low), self.high), None]
        for start in opens:
            for one, other in ((first, second), (second, first)):
                turns = [one] if start is None else [start] + [one] * (one != start)
                turns += [other] * (other not in (turns[-1], self.close))
                if turns[-1] != self.close or (count > 1 and len(turns) == 1):
                    turns.append(self.close)
                if len(turns) <= count and {self.low, self.high} <= set(turns):
                    return turns
        return None

    def text(self) -> str:
        return ", ".join(f"{name} {exact_text(getattr(self, name))}" for name in _PRICES)


class _Draw:
    """What is drawn for a bar: it depends on seed, market and time alone."""

    def __init__(self, seed: int, market: str, start: int) -> None:
        digest = blake2b(json.dumps([METHOD, seed, market, start]).encode(), digest_size=20).digest()
        self._numbers = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 20, 4)]

    @property
    def along(self) -> bool:
        """Whether the extreme behind comes first: the low of a rising bar."""
        return self._numbers[0] * 100 >> _BITS < _ALONG

    def times(self, start: int, length: int, turns: int) -> list[int]:
        """Times of the turning points, whole milliseconds inside the bar, not descending."""
        _, opens, closes, one, other = self._numbers
        unit = 1 << _BITS
        first = _FIRST * opens // 100
        last = unit - 1 - _LAST * closes // 100
        # Powers of uniform numbers, for their means: the fifth of one, the root of the other.
        turn = first + ((last - first) * (one**5 >> 4 * _BITS) >> _BITS)
        back = turn + ((last - turn) * isqrt(other << _BITS) >> _BITS)
        chosen = {1: [first], 2: [first, last], 3: [first, (turn + back) // 2, last], 4: [first, turn, back, last]}[
            turns
        ]
        return [start + (length * at >> _BITS) // _STAMP * _STAMP for at in chosen]


def _shares(count: int, times: Sequence[int]) -> list[int]:
    """Ticks up to each turning point: one, and what is left by time."""
    spare, span = count - len(times), times[-1] - times[0]
    shares, given = [1], 0
    for time in times[1:]:
        due = spare * (time - times[0]) // span if span else spare
        shares.append(1 + due - given)
        given = due
    shares[-1] += spare - given
    return shares


def _with_volumes(table: pa.Table, paths: dict[str, _Path]) -> pa.Table:
    """The ticks with sizes that add up to each bar's volume: one unit each, and what is left in the generator's proportions."""
    if all(path.volumes is None for path in paths.values()):
        return table
    ticks = pl.DataFrame(table).with_row_index("row")
    column = int(table.schema.field("size").metadata[b"decimals"])
    parts = []
    for name, path in paths.items():
        if path.volumes is None:
            continue
        unit = 10 ** (column - path.spec["size_decimals"])
        counts = pl.Series(path.per_bar, dtype=pl.Int64)
        bar = pl.int_range(len(counts), eager=True).repeat_by(counts).list.explode(empty_as_null=False)
        spare = pl.DataFrame({"bar": range(len(counts)), "spare": pl.Series(path.volumes, dtype=pl.Int128) - counts})
        own = ticks.filter(pl.col("market") == name).select("row", "size", bar.alias("bar"))
        own = own.join(spare, on="bar", how="left", maintain_order="left")
        upto, total = (
            pl.col("size").cast(pl.Int128).cum_sum().over("bar"),
            pl.col("size").cast(pl.Int128).sum().over("bar"),
        )
        due = pl.col("spare") * upto // total
        size = 1 + due - due.shift(1, fill_value=0).over("bar")
        parts.append(own.select("row", (size * unit).cast(pl.Int64).alias("size")))
    sized = ticks.update(pl.concat(parts), on="row", how="left", maintain_order="left")
    at = table.schema.get_field_index("size")
    return table.set_column(at, table.schema.field("size"), sized["size"].to_arrow())


def _has_volume(bars: pl.DataFrame) -> bool:
    """Trades that are counted in bars without any volume are samples of a price."""
    if "volume" not in bars.columns:
        return False
    none = bars["volume"].cast(pl.Float64, strict=False).fill_null(0.0).eq(0.0).all()
    return not ("count" in bars.columns and none and bars["count"].cast(pl.Int64, strict=False).sum() > 0)


def _counts(market: str, bars: pl.DataFrame, volumes: list[Fraction] | None, per_bar: int) -> list[int]:
    if "count" in bars.columns:
        counts = bars["count"].cast(pl.Int64, strict=False).to_list()
        for row, count in enumerate(counts):
            if count is None or not 0 <= count < 1 << 32:
                count = bars["count"][row] if count is None else count
                raise DataError(f"bars: market {market}, row {row}: count: expected a number of trades, got {count}")
    elif volumes is None:
        counts = [per_bar] * len(bars)
    else:
        total = sum(volumes, Fraction(0)) or Fraction(1)
        counts = [max(4, int(per_bar * len(bars) * volume / total)) if volume else 0 for volume in volumes]
    return counts


def _usd(market: Market, volumes: list[Fraction] | None, closes: list[Fraction], count: int) -> float:
    """About the mean USD of a trade: what the generator draws its proportions from."""
    if volumes is None or not count:
        return 1.0
    inverse = market.kind == "inverse"
    worth = sum((v * (1 if inverse else p) for v, p in zip(volumes, closes, strict=True)), Fraction(0))
    return float(worth * market.contract_size / count) or 1.0


def _read(bars: Any, markets: Sequence[Market], stamp: str, length: int) -> pl.DataFrame:
    """The bars in one form: ts the open in nanoseconds, market as text."""
    rows = frame(as_arrow(bars, "bars", DataError))
    own, other = (f"{stamp}_ts", "open_ts" if stamp == "close" else "close_ts")
    if "ts" not in rows.columns and (name := next((n for n in (own, other) if n in rows.columns), None)):
        rows, stamp = rows.rename({name: "ts"}), name.removesuffix("_ts")
    for name in ("ts", *_PRICES):
        if name not in rows.columns:
            raise DataError(f"bars: expected a column {name!r}, got {', '.join(rows.columns)}")
    if not isinstance(rows["ts"].dtype, pl.Datetime):
        raise DataError(f"bars: column 'ts': expected a timestamp, got {rows['ts'].dtype}")
    if "market" not in rows.columns:
        if len(markets) != 1:
            raise DataError("bars: expected a column 'market', or the definition of one market")
        rows = rows.with_columns(market=pl.lit(markets[0].name))
    if not len(rows):
        raise DataError("bars: expected at least one")
    ts = pl.col("ts").dt.epoch("ns") - (length if stamp == "close" else 0)
    return rows.with_columns(ts, pl.col("market").cast(pl.String))


def _exact(market: str, column: str, values: pl.Series) -> list[Fraction]:
    found = []
    for row, value in enumerate(values.to_list()):
        try:
            found.append(parse_exact(value))
        except PydanticCustomError as error:
            raise DataError(f"bars: market {market}, row {row}: {column}: {error.message()}") from None
        if found[-1] < 0:
            raise DataError(f"bars: market {market}, row {row}: {column}: expected no negative number, got {value}")
    return found


def _decimals(market: Market, field: str, values: Sequence[Fraction]) -> int:
    """The market's decimals, or the fewest that fit."""
    given: int | None = getattr(market, field)
    most = 18 if given is None else given
    needed = 0
    for value in set(values):
        while needed <= most and 10**needed % value.denominator:
            needed += 1
    if needed > most:
        raise DataError(f"bars: market {market.name}: {field}: a value has more than {most} decimals")
    return needed if given is None else given


def _defined(given: Sequence[Market], paths: Sequence[_Path]) -> list[Market]:
    """The definitions with the decimals that were used."""
    names = {market.name: market for market in given}
    made = {
        path.spec["name"]: names.get(path.spec["name"], Market(name=path.spec["name"])).with_(
            price_decimals=path.spec["price_decimals"], size_decimals=path.spec["size_decimals"]
        )
        for path in paths
    }
    return list({**names, **made}.values())


def _provenance(rows: pl.DataFrame, paths: Sequence[_Path], length: int, seed: int) -> dict[str, Any]:
    known = ["volume"] * any(path.volumes is not None for path in paths) + ["count"] * ("count" in rows.columns)
    return {
        "kind": "reconstructed",
        "real": f"as far as the bars are: open, high, low, close{''.join(f', {name}' for name in known)} of each bar",
        "reconstructed": "everything within a bar: path, times, sizes, sides"
        + ("" if "count" in known else ", number of ticks"),
        "bars": len(rows),
        "interval": duration_text(length),
        "seed": seed,
        "method": f"{METHOD} {_core.RECONSTRUCTION}",
    }


def _duration(interval: object) -> int:
    try:
        length = parse_duration(interval)
    except PydanticCustomError as error:
        raise ConfigError(f"bars: interval: {error.message()}") from None
    if length < _STAMP or length % _STAMP:
        raise ConfigError(f"bars: interval: expected whole milliseconds, got {interval!r}")
    return length


def _whole(field: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"bars.to_ticks: {field}: expected an integer from {least} to {most}, got {value!r}")
