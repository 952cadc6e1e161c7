"""Ticks as a stream of frames: what scenarios and indices read and write, so that a tape need not fit in memory.

A frame holds whole instants, in the order of time: `ts` (Int64, ns), `market` (Enum), `price` (Int64), and, if a market has
them, `size` (Int64) and `side` (Int8). Numbers have the decimals that the stream states. No instant lies in two frames.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import polars as pl
import pyarrow as pa

from underwater.errors import DataError
from underwater.market import Definitions, Market, parse_definitions

ROWS = 1 << 22
"""Ticks of a frame, or somewhat more."""
DEFINITIONS = b"underwater"
_DECIMALS = b"decimals"
_LIMIT = 1 << 63
_WIDE = "prices or sizes of different markets have no common number of decimals within 64 bits"


@dataclass(frozen=True)
class Stream:
    """Ticks in the order of time, to be read once."""

    definitions: Definitions
    """Markets, with their decimals, and assets."""
    price_decimals: int
    """Decimals of the column `price`."""
    size_decimals: int
    """Decimals of the column `size`."""
    frames: Iterator[pl.DataFrame]
    """The ticks."""

    @classmethod
    def of(cls, tables: Iterator[pa.Table]) -> "Stream":
        """The stream of canonical tables. The first is read now.

        Raises:
            DataError: there are no ticks, or their numbers do not fit one column of 64 bits.
        """
        first = next(tables, None)
        if first is None:
            raise DataError("ticks: expected at least one")
        schema: pa.Schema = first.schema
        definitions = parse_definitions(schema.metadata[DEFINITIONS].decode())
        decimals = {
            name: int(schema.field(name).metadata[_DECIMALS])
            for name in ("price", "size")
            if name in schema.names and pa.types.is_int64(schema.field(name).type)
        }
        names = pl.Enum([market.name for market in definitions.markets])

        def frames() -> Iterator[pl.DataFrame]:
            table: pa.Table | None = first
            while table is not None:
                if table.schema.types != schema.types or any(pa.types.is_decimal(t) for t in table.schema.types):
                    raise DataError(f"ticks: {_WIDE}")
                yield pl.DataFrame(table).with_columns(pl.col("ts").to_physical(), pl.col("market").cast(names))
                table = next(tables, None)

        return cls(definitions, decimals.get("price", 0), decimals.get("size", 0), frames())

    def tables(self) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """Canonical tables, all of one schema, and that schema. The first frame is read now."""
        first = next(self.frames, None)
        columns = ("size", "side") if first is None else first.columns
        decimals = {"price": self.price_decimals, "size": self.size_decimals}
        fields = [
            pa.field("ts", pa.timestamp("ns", "UTC"), nullable=False),
            pa.field("market", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("price", pa.int64(), nullable=False, metadata={_DECIMALS: str(decimals["price"])}),
            pa.field("size", pa.int64(), metadata={_DECIMALS: str(decimals["size"])}),
            pa.field("side", pa.int8()),
        ]
        said = {DEFINITIONS: self.definitions.engine_json()}
        schema = pa.schema([f for f in fields if f.name not in ("size", "side") or f.name in columns], said)
        # One dictionary for all tables: a file of several would be refused.
        names = pa.array([market.name for market in self.definitions.markets], pa.string())

        def table(frame: pl.DataFrame) -> pa.Table:
            arrays = []
            for field in schema:
                if field.name == "market":
                    codes = frame["market"].to_physical().cast(pl.Int32).to_arrow()
                    arrays.append(pa.DictionaryArray.from_arrays(codes, names))
                else:
                    arrays.append(frame[field.name].to_arrow().cast(field.type))
            return pa.Table.from_arrays(arrays, schema=schema)

        def tables() -> Iterator[pa.Table]:
            if first is not None:
                yield table(first)
            yield from map(table, self.frames)

        return schema, tables()

    def map(self, frames: Iterable[pl.DataFrame]) -> "Stream":
        """The same markets with other frames."""
        return replace(self, frames=(frame for frame in frames if len(frame)))

    def ahead(self) -> tuple["Stream", int]:
        """The stream and its first time. The first frame is read now."""
        first = next(self.frames, None)
        if first is None:
            return self, 0
        return replace(self, frames=chain([first], self.frames)), int(first["ts"][0])

    def market(self, name: str) -> Market:
        """The definition of a market.

        Raises:
            DataError: there is none of that name.
        """
        found = next((market for market in self.definitions.markets if market.name == name), None)
        if found is None:
            names = ", ".join(market.name for market in self.definitions.markets)
            raise DataError(f"ticks: expected one of the markets {names}, got {name!r}")
        return found

    def chosen(self, markets: Iterable[str] | None) -> list[str]:
        """The names, checked; all if None.

        Raises:
            DataError: a market is not there.
        """
        if markets is None:
            return [market.name for market in self.definitions.markets]
        return [self.market(name).name for name in markets]

    def unit(self, name: str) -> int:
        """The last decimal of a market's price, in units of the column."""
        return int(10 ** (self.price_decimals - (self.market(name).price_decimals or 0)))


def slices(table: pa.Table, rows: int = ROWS) -> Iterator[pa.Table]:
    """The table in pieces of `rows` or somewhat more, no instant in two of them."""
    ts = pl.Series(table["ts"]).to_physical()
    start = 0
    while start < len(table):
        end = len(table)
        if start + rows < len(table):
            end = int(ts.search_sorted(ts[start + rows - 1], side="right"))
        yield table.slice(start, end - start)
        start = end


def reordered(frames: Iterable[tuple[pl.DataFrame, int]]) -> Iterator[pl.DataFrame]:
    """Frames in the order of time again, from frames whose times were changed, each with a time after which all later ones
    lie. Ties keep their order. Holds the ticks that lie beyond that time."""
    held: list[pl.DataFrame] = []
    for frame, horizon in frames:
        held.append(frame)
        whole = pl.concat(held).sort("ts", maintain_order=True)
        due = int(whole["ts"].search_sorted(horizon, side="right"))
        if due:
            yield whole[:due]
        held = [whole[due:]]
    if held and len(held[0]):
        yield held[0]


def scaled(prices: pl.Expr, factor: Fraction, unit: int) -> pl.Expr:
    """The prices times a positive factor, to the nearest multiple of `unit`, half up, at least one; Int128."""
    numerator, denominator = factor.numerator, factor.denominator * unit
    if max(numerator, denominator) >= 1 << 61:
        factor = factor.limit_denominator(1 << 30)
        raise DataError(f"factor: expected a fraction of two numbers below 2^61, such as {factor}")
    wide = prices.cast(pl.Int128)
    whole = (2 * numerator * wide + denominator) // (2 * denominator)
    return pl.max_horizontal(whole, pl.lit(1, pl.Int128)) * unit


def narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its prices in 64 bits again.

    Raises:
        DataError: one does not fit; names the market.
    """
    wide = frame.filter(pl.col("price").cast(pl.Int128) >= _LIMIT) if frame["price"].dtype == pl.Int128 else frame[:0]
    if len(wide):
        raise DataError(f"market {wide['market'][0]}: price: beyond 64 bits after the change")
    return frame.with_columns(pl.col("price").cast(pl.Int64))
