"""The inputs of the benchmarks: tapes and books drawn from seeds, written once and reused.

A tape is one day of asynchronous, bursty markets. All markets follow a common factor, times a beta, and walk on their own
besides. Their shares of the ticks fall as 1, 1/2, 1/3, ...; timestamps are whole milliseconds, so that many ticks share
one. From 85 % to 89 % of the day ticks come 20 times as often: first the factor falls by about 16 %, an eighth of it in
sudden steps (where accounts become insolvent between a trigger and the keeper), then half of that is regained.

A book is isolated (one position an account) or cross (several legs over markets chosen like the ticks' shares). Sides are
60 % long, notionals and leverages lognormal; the leverage decides how many accounts the day liquidates.

No market data of anyone are used. The same recipe gives the same files; `UNDERWATER_BENCH_CACHE` names another directory
than `.benchmarks/workloads`, `UNDERWATER_BENCH_SCALE` multiplies all ticks and accounts (for trying the benchmarks out).
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import underwater as uw

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

VERSION = 1
"""Of the recipes; a change of what they draw needs a new number, so that old files are not taken for new ones."""

CACHE = Path(os.environ.get("UNDERWATER_BENCH_CACHE", Path(__file__).parent.parent / ".benchmarks" / "workloads"))
"""Where the files are."""

SCALE = float(os.environ.get("UNDERWATER_BENCH_SCALE", "1"))
"""Factor of all ticks and accounts."""

MAINTENANCE = "0.005"
"""Flat maintenance rate that the leverages of the books are made for."""

KEEPER = uw.Keeper(latency="1s")
"""The keeper of all runs in which one comes."""

NEVER = uw.Keeper(latency="1000d")
"""A keeper that comes after the end of the tape: a run ends with the first triggers."""

_DAY_MS = 86_400_000
_START_MS = 1_760_054_400_000
_CRASH, _TURN, _CALM = 0.85, 0.87, 0.89
_BURST = 20.0
_STEPS = 864_000
_PRICES = (60_000.0, 3_000.0, 150.0, 20.0, 0.8)
_PRICE_DECIMALS = (1, 2, 3, 4, 5)
_DECIMALS = 5
_SIZE_DECIMALS = (5, 4, 3, 2, 0)
_CHUNK = 1 << 22


def protocol(keeper: uw.Keeper = KEEPER) -> uw.Protocol:
    """Flat maintenance and a keeper; whatever an account cannot pay stays uncovered."""
    return uw.Protocol(margin=uw.Margin(maintenance=uw.FlatMargin(rate=MAINTENANCE)), keeper=keeper)


def with_adl(recipe: "BookRecipe") -> uw.Protocol:
    """The same with ADL, after a fund that covers part of the bad debt."""
    return protocol().with_(insurance_fund=fund(recipe), adl=uw.Adl())


def fund(recipe: "BookRecipe") -> uw.InsuranceFund:
    """About half of what the accounts of the book cannot pay; found by trial, so that the heavy book of 20 markets has some
    35 k ADL fills with 1 M accounts."""
    per_account = {(True, False): 0.005, (True, True): 0.024, (False, False): 0.04, (False, True): 0.18}
    return uw.InsuranceFund(balance=round(per_account[recipe.isolated, recipe.leverage > 4] * recipe.accounts))


def scaled(number: int) -> int:
    """A number of ticks or accounts, times `UNDERWATER_BENCH_SCALE`."""
    return max(1, round(number * SCALE))


@dataclass(frozen=True)
class Tape:
    """Recipe of a tape."""

    markets: int
    """How many."""
    ticks: int
    """Of all markets together."""
    days: int = 1
    """Days, one file each; every day has so many ticks and its own crash."""
    seed: int = 20

    @property
    def name(self) -> str:
        """Part of the file names."""
        return f"v{VERSION}-{self.markets}m-{self.ticks}t-s{self.seed}"

    def market(self, number: int) -> str:
        """Name of a market."""
        return f"M{number:04}-PERP"

    @property
    def definitions(self) -> list[uw.Market]:
        """The markets; needed where a file has no column `market`."""
        return [
            uw.Market(
                name=self.market(j),
                price_decimals=_PRICE_DECIMALS[j % len(_PRICES)],
                size_decimals=_SIZE_DECIMALS[j % len(_PRICES)],
            )
            for j in range(self.markets)
        ]

    def files(self) -> list[Path]:
        """The canonical files (delta-packed integers, zstd, page index), written if they are not there."""
        return [self._file(day) for day in range(self.days)]

    def file(self) -> Path:
        """The canonical file of a tape of one day."""
        (path,) = self.files()
        return path

    def scan(self) -> uw.Ticks:
        """The ticks, not decoded."""
        return uw.Ticks.scan(self.files(), markets=self.definitions)

    def as_written_by_polars(self) -> Path:
        """The same rows and types as `file()`, in the encodings that polars chooses."""
        path = CACHE / f"ticks-{self.name}-polars.parquet"
        if not path.exists():
            schema = pq.read_schema(self.file())
            with _whole(path) as part:
                pl.read_parquet(self.file()).write_parquet(part, arrow_schema=schema.remove_metadata())
        return path

    def _file(self, day: int) -> Path:
        path = CACHE / f"ticks-{self.name}-d{day}.parquet"
        if not path.exists():
            print(f"writing {path.name} ...", file=sys.stderr, flush=True)  # noqa: T201
            write(path, self, day)
        return path


@dataclass(frozen=True)
class BookRecipe:
    """Recipe of a book."""

    tape: Tape
    accounts: int
    leverage: float
    """Median leverage of an account."""
    legs: tuple[int, int] = (1, 6)
    """Fewest and most legs of an account; those that meet in a market are one."""
    isolated: bool = False
    """One position with its own collateral, instead of cross legs."""
    seed: int = 7

    @property
    def name(self) -> str:
        """Part of the file names."""
        mode = "isolated" if self.isolated else f"{self.legs[0]}to{self.legs[1]}legs"
        return f"{self.tape.name}-{self.accounts}a-{mode}-x{self.leverage:g}-s{self.seed}"

    def files(self) -> tuple[Path, Path | None]:
        """Positions and, for a cross book, cash of the accounts; written if they are not there."""
        positions = CACHE / f"book-{self.name}-positions.parquet"
        accounts = None if self.isolated else CACHE / f"book-{self.name}-accounts.parquet"
        if not positions.exists() or (accounts is not None and not accounts.exists()):
            frames = draw_book(self)
            for frame, path in zip(frames, (positions, accounts), strict=True):
                if path is not None:
                    with _whole(path) as part:
                        frame.write_parquet(part)
        return positions, accounts

    def load(self) -> uw.Book:
        """The book."""
        positions, accounts = self.files()
        return uw.Book.from_frames(pl.read_parquet(positions), None if accounts is None else pl.read_parquet(accounts))


def single(ticks: int = 20_000_000) -> Tape:
    """One market; its file has no column `market`."""
    return Tape(markets=1, ticks=scaled(ticks))


def bursty(markets: int = 20, ticks: int = 20_000_000) -> Tape:
    """Many markets."""
    return Tape(markets=markets, ticks=scaled(ticks))


def long_tape(days: int, ticks: int = 10_000_000) -> Tape:
    """Several days of 20 markets, one file a day."""
    return Tape(markets=20, ticks=scaled(ticks), days=days)


def mild(tape: Tape, accounts: int = 1_000_000) -> BookRecipe:
    """A book of which the day liquidates a few per cent."""
    return BookRecipe(tape, scaled(accounts), leverage=2.6 if tape.markets == 1 else 2.2, isolated=tape.markets == 1)


def heavy(tape: Tape, accounts: int = 1_000_000) -> BookRecipe:
    """A book of which the day liquidates about a third."""
    return BookRecipe(tape, scaled(accounts), leverage=7.0, isolated=tape.markets == 1)


RESIDENT = {"resident": bursty(), "resident 300 markets": bursty(markets=300, ticks=150_000_000)}
"""Tapes of which Rust measures index and first triggers."""

EXPONENTS: dict[str, list[tuple[int, BookRecipe]]] = {
    "accounts": [
        (n, replace(heavy(Tape(markets=20, ticks=1_000_000)), accounts=n)) for n in (1_000, 10_000, 100_000, 1_000_000)
    ],
    "ticks": [
        (n, replace(heavy(Tape(markets=20, ticks=n)), accounts=10_000))
        for n in (20_000, 200_000, 2_000_000, 20_000_000)
    ],
    "markets per account": [
        (n, replace(heavy(Tape(markets=1_000, ticks=2_000_000)), accounts=200, legs=(n, n)))
        for n in (1, 10, 100, 1_000)
    ],
}
"""Three decades of each, the rest fixed: what is varied, and the book with its tape."""


def draw_tape(tape: Tape, day: int) -> Iterator[tuple[Ints, Ints, npt.NDArray[np.int32]]]:
    """Times (ns), prices (in `_DECIMALS`) and markets of a day, in order of time, in chunks."""
    factor = _factor(np.random.default_rng([tape.seed, day]))
    shares = _shares(tape.markets)
    counts = np.maximum(2, np.floor(shares * tape.ticks)).astype(np.int64)
    counts[0] += max(0, tape.ticks - int(counts.sum()))
    times, prices = [], []
    for j, n in enumerate(counts):
        ts, price = _market(np.random.default_rng([tape.seed, day, j]), factor, j, int(n))
        times.append(ts)
        prices.append(price)
    sample = np.sort(np.concatenate([ts[::1024] for ts in times]))
    edges = [*np.unique(sample[:: max(1, _CHUNK // 1024)])[1:], np.iinfo(np.int64).max]
    begins = [0] * tape.markets
    for edge in edges:
        ends = [int(np.searchsorted(ts, edge)) for ts in times]
        ts = np.concatenate([t[a:b] for t, a, b in zip(times, begins, ends, strict=True)])
        price = np.concatenate([p[a:b] for p, a, b in zip(prices, begins, ends, strict=True)])
        market = np.repeat(np.arange(tape.markets, dtype=np.int32), np.subtract(ends, begins))
        order = np.argsort(ts, kind="stable") if tape.markets > 1 else slice(None)
        yield (ts[order] + _START_MS + day * _DAY_MS) * 1_000_000, price[order], market[order]
        begins = ends


def write(path: Path, tape: Tape, day: int) -> None:
    """Writes a day as canonical Parquet."""
    fields = [pa.field("ts", pa.timestamp("ns", "UTC"))]
    if tape.markets > 1:
        fields.append(pa.field("market", pa.dictionary(pa.int32(), pa.string())))
    fields.append(pa.field("price", pa.int64(), metadata={"decimals": str(_DECIMALS)}))
    schema = pa.schema(fields)
    names = pa.array([tape.market(j) for j in range(tape.markets)])
    with (
        _whole(path) as part,
        pq.ParquetWriter(
            part,
            schema,
            compression="zstd",
            data_page_size=1 << 17,
            use_dictionary=["market"] if tape.markets > 1 else False,
            column_encoding={"ts": "DELTA_BINARY_PACKED", "price": "DELTA_BINARY_PACKED"},
            write_page_index=True,
        ) as writer,
    ):
        for ts, price, market in draw_tape(tape, day):
            columns: dict[str, pa.Array] = {"ts": pa.array(ts).cast(fields[0].type), "price": pa.array(price)}
            if tape.markets > 1:
                columns["market"] = pa.DictionaryArray.from_arrays(pa.array(market), names)
            table = pa.table([columns[field.name] for field in schema], schema=schema)
            writer.write_table(table, row_group_size=1 << 20)


def draw_book(recipe: BookRecipe) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Positions, and cash of the accounts."""
    rng = np.random.default_rng([recipe.seed, recipe.accounts, recipe.tape.markets])
    markets = recipe.tape.markets
    low, high = recipe.legs if not recipe.isolated else (1, 1)
    legs = rng.integers(low, high, size=recipe.accounts, endpoint=True)
    account = np.repeat(np.arange(recipe.accounts), legs)
    if low >= markets:
        market = np.tile(np.arange(markets), recipe.accounts)
        account = np.repeat(np.arange(recipe.accounts), markets)
    elif low == high and not recipe.isolated:
        # A fixed number of legs: so many different markets, all equally likely.
        market = np.concatenate([rng.permutation(markets)[:n] for n in legs])
    else:
        market = rng.choice(markets, size=len(account), p=_shares(markets))
        _, first = np.unique(account * markets + market, return_index=True)
        account, market = account[first], market[first]
    n = len(account)
    kind = market % len(_PRICES)
    opening = np.round(_opening(market), 5)
    notional = np.clip(np.exp(rng.normal(np.log(1_000.0), 1.5, n)), 10.0, 1e7)
    decimals = np.take(_SIZE_DECIMALS, kind)
    units = np.maximum(1, np.round(notional / opening * 10.0**decimals))
    side = np.where(rng.random(n) < 0.6, 1.0, -1.0)
    size = side * units / 10.0**decimals
    held = np.bincount(account, weights=np.abs(size) * opening, minlength=recipe.accounts)
    leverage = np.clip(np.exp(rng.normal(np.log(recipe.leverage), 0.8, recipe.accounts)), 1.0, 50.0)
    collateral = np.ceil(held / leverage * 1e6) / 1e6
    names = pl.Series("account", np.arange(recipe.accounts)).cast(pl.String).str.zfill(7)
    market_names = pl.Series("market", [recipe.tape.market(j) for j in range(markets)])
    columns: dict[str, Any] = {
        "account": names.gather(account),
        "market": market_names.gather(market),
        "size": size,
        "entry_price": opening,
    }
    if recipe.isolated:
        return pl.DataFrame({**columns, "collateral": collateral[account]}), pl.DataFrame()
    positions = pl.DataFrame(columns).with_columns(margin_mode=pl.lit("cross"))
    return positions, pl.DataFrame({"account": names, "asset": "USD", "collateral": collateral})


def _shares(markets: int) -> Floats:
    shares: Floats = 1.0 / np.arange(1, markets + 1)
    shares /= shares.sum()
    return shares


def _opening(market: npt.NDArray[Any]) -> Floats:
    """Price of a market at the start of the day."""
    prices: Floats = np.array(_PRICES)[market % len(_PRICES)]
    return prices


def _factor(rng: np.random.Generator) -> Floats:
    """Logarithm of the common factor on a grid of 100 ms."""
    at = np.arange(_STEPS) / _STEPS
    crash, recovery = (at >= _CRASH) & (at < _TURN), (at >= _TURN) & (at < _CALM)
    fall = np.log(1 - 0.16)
    step = rng.normal(0.0, 0.02 / np.sqrt(_STEPS), _STEPS)
    step[crash | recovery] *= 3.0
    for mask, total in ((crash, fall), (recovery, -fall / 2)):
        # What the noise of the stretch did is taken out, so that every seed has its crash.
        step[mask] += (total * (7 / 8 if mask is crash else 1) - step[mask].sum()) / mask.sum()
    steps = rng.choice(np.flatnonzero(crash), size=2, replace=False)
    step[steps] += fall / 8 / len(steps)
    return np.concatenate([[0.0], np.cumsum(step)])


def _market(rng: np.random.Generator, factor: Floats, number: int, n: int) -> tuple[Ints, Ints]:
    """Times (ms of the day) and prices of a market."""
    burst = (_CALM - _CRASH) * _BURST
    arrivals = np.cumsum(rng.standard_exponential(n + 1))[:-1]
    arrivals *= (1 + burst - (_CALM - _CRASH)) / (arrivals[-1] * (1 + 1e-9))
    arrivals -= arrivals[0]
    total = 1 + burst - (_CALM - _CRASH)
    at = np.interp(arrivals, [0.0, _CRASH, _CRASH + burst, total], [0.0, _CRASH, _CALM, 1.0])
    beta = 0.8 + 0.8 * (number % 20) / 20
    walk = rng.standard_normal(n, dtype=np.float32).astype(np.float64)
    walk *= 0.02 / np.sqrt(n)
    log_price = np.cumsum(walk) - walk[0]
    log_price += beta * factor[(at * _STEPS).astype(np.int64)]
    kind = number % len(_PRICES)
    price = np.round(_PRICES[kind] * np.exp(log_price) * 10.0 ** _PRICE_DECIMALS[kind]).astype(np.int64)
    return (at * _DAY_MS).astype(np.int64), np.maximum(price, 1) * 10 ** (_DECIMALS - _PRICE_DECIMALS[kind])


class _whole:  # noqa: N801  # reads as a verb: `with _whole(path) as part`
    """A file appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_suffix(".part")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.part

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            self.part.replace(self.path)
        else:
            self.part.unlink(missing_ok=True)


def prepare_rust(slow: bool = False) -> Path:
    """Writes the workloads that the Rust benches read, and a list of them. Returns its path."""

    def entry(axis: str, x: int, recipe: BookRecipe) -> dict[str, Any]:
        positions, accounts = recipe.files()
        return {
            "axis": axis,
            "x": x,
            "ticks": [str(path) for path in recipe.tape.files()],
            "definitions": json.loads(_definitions(recipe.tape)),
            "positions": str(positions),
            "accounts": None if accounts is None else str(accounts),
        }

    entries = [
        *(
            entry(f"{group}: {book} book", 0, recipe(tape))
            for group, tape in RESIDENT.items()
            if slow or tape.markets < 300
            for book, recipe in (("mild", mild), ("heavy", heavy))
        ),
        *(entry(axis, x, recipe) for axis, points in EXPONENTS.items() for x, recipe in points),
    ]
    path = CACHE / "rust.json"
    with _whole(path) as part:
        part.write_text(json.dumps(entries, indent=1))
    return path


def _definitions(tape: Tape) -> str:
    from underwater.market import definitions_json

    return definitions_json(tape.definitions, None) or "{}"


if __name__ == "__main__":
    print(prepare_rust(slow="--slow" in sys.argv[1:]))  # noqa: T201
