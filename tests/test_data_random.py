"""Imports of files drawn at random equal a plain reading: order, values, decimals, counts; whatever blocks and stretches."""

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from archive_files import BITMEX, MS, write

import underwater as uw

SIDES = {"Buy": 1, "Sell": -1, "": 0}


@dataclass(frozen=True)
class Row:
    ms: int
    market: str
    price: Decimal
    size: Decimal
    side: str

    def text(self) -> str:
        stamp = datetime.fromtimestamp(self.ms / 1000, UTC).strftime("%Y-%m-%dD%H:%M:%S.%f")
        return f"{stamp},{self.market},{self.side},{self.size},{self.price},x,x,0,0,0\n"


def drawn_file(draw: random.Random, places: dict[str, tuple[int, int]], later: int) -> list[Row]:
    """Rows in the order of time, against it, or in none."""
    times = [MS + later + draw.randint(0, 50) * 1000 for _ in range(draw.randint(1, 60))]
    if (order := draw.choice(["up", "down", "any"])) != "any":
        times.sort(reverse=order == "down")
    rows = []
    for ms in times:
        market = draw.choice(sorted(places))
        of_price, of_size = places[market]
        price, size = draw.randint(1, 10**6), draw.randint(0, 10**4)
        side = draw.choice(sorted(SIDES))
        rows.append(Row(ms, market, Decimal(price).scaleb(-of_price), Decimal(size).scaleb(-of_size), side))
    return rows


def plain(files: list[list[Row]], only: list[str] | None) -> dict[str, list[Row]]:
    """The ticks of each market: files by their first time, those that descend turned round, ties in file order."""
    kept = [[row for row in rows if only is None or row.market in only] for rows in files]
    turned = []
    for rows in kept:
        steps = [b.ms - a.ms for a, b in pairwise(rows)]
        turned.append(rows[::-1] if steps and max(steps) <= 0 and min(steps) < 0 else rows)
    turned.sort(key=lambda rows: min((row.ms for row in rows), default=0))
    found = defaultdict(list)
    for row in sorted((row for rows in turned for row in rows), key=lambda row: row.ms):
        found[row.market].append(row)
    return found


def needed(values: list[Decimal]) -> int:
    return max(max(0, -int(value.normalize().as_tuple().exponent)) for value in values)


@pytest.mark.parametrize("seed", range(60))
def test_any_import_equals_a_plain_reading(seed, tmp_path, monkeypatch):
    draw = random.Random(seed)  # noqa: S311  # a test
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", draw.choice([1 << 25, 90, 300, 1000]))
    monkeypatch.setattr("underwater.data._parts.STRETCH", draw.choice([1 << 22, 7, 50]))
    names = draw.sample(["A", "B", "C", "XBTUSD"], draw.randint(1, 4))
    places = {name: (draw.randint(0, 6), 0 if name == "XBTUSD" else draw.randint(0, 4)) for name in names}
    files = [drawn_file(draw, places, day * draw.choice([0, 60_000])) for day in range(draw.randint(1, 3))]
    for day, rows in enumerate(files):
        write(tmp_path / f"2020031{day}.csv.gz", BITMEX + "".join(row.text() for row in rows))
    only = draw.choice([None, draw.sample(names, draw.randint(1, len(names)))])
    expected = plain(files, only)
    others = [uw.Market(name=name) for name in names if name != "XBTUSD"]

    def job() -> uw.data.Imported:
        return uw.data.import_ticks(tmp_path / "*.gz", tmp_path / "x.parquet", only=only, markets=others)

    if not expected:
        with pytest.raises(uw.DataError, match="no ticks among"):
            job()
        return
    done = job()
    ticks = done.ticks.load()
    assert (done.rows, done.written) == (sum(map(len, files)), sum(map(len, expected.values())))
    assert done.not_ticks == done.rows - done.written
    markets = {market.name: market for market in ticks.markets}
    assert markets.keys() == expected.keys()
    frame = ticks.to_polars().with_columns(pl.col("ts").dt.epoch("ms"), pl.col("market").cast(pl.String))
    unit = {name: 10 ** max(getattr(m, f"{name}_decimals") for m in markets.values()) for name in ("price", "size")}
    for name, rows in expected.items():
        own = frame.filter(market=name).select("ts", "price", "size", "side").rows()
        whole = [
            (row.ms, int(row.price * unit["price"]), int(row.size * unit["size"]), SIDES[row.side]) for row in rows
        ]
        assert own == whole
        assert markets[name].price_decimals == needed([row.price for row in rows])
        if name != "XBTUSD":
            assert markets[name].size_decimals == needed([row.size for row in rows])
