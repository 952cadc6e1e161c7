"""Bundled crash days: real turning points of real days, with the ticks between them reconstructed.

`list` and `markets` show what there is, `load` gives the ticks. What is real and what is not is in `data/README.md` of
the repository and in `.provenance` of the ticks; a report prints it.
"""

import builtins
import functools
import hashlib
import io
import json
import tomllib
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from underwater import _core
from underwater._files import atomic_directory, cache_directory
from underwater._progress import ProgressCallback, callback
from underwater.errors import ConfigError, DataError
from underwater.ticks import Ticks

_MANIFEST = "manifest.json"
_STAMP_NS = 1_000_000
"""All bundled venues stamp their prints in milliseconds."""


def list() -> pl.DataFrame:  # noqa: A001  # reads as crash_days.list()
    """One row per day: `day`, `title`, `start`, `end`, `markets`, and the market with the deepest fall: `deepest`, its
    `high` and `low`, and the `fall` (relative, negative).

    >>> import underwater as uw
    >>> uw.crash_days.list()["day"].to_list()
    ['2020-03-12', '2021-05-19', '2022-05-11', '2022-11-08', '2025-10-10']
    """
    deepest = markets().group_by("day", maintain_order=True).agg(pl.all().sort_by("fall").first())
    days = pl.DataFrame(
        {
            "day": [day["day"] for day in _days().values()],
            "title": [day["title"] for day in _days().values()],
            "start": [day["start"] for day in _days().values()],
            "end": [day["end"] for day in _days().values()],
            "markets": [[market["name"] for market in day["market"]] for day in _days().values()],
        }
    )
    columns = ["day", pl.col("market").alias("deepest"), "high", "low", "fall"]
    return days.join(deepest.select(columns), on="day", how="left", maintain_order="left")


def markets(day: str | None = None) -> pl.DataFrame:
    """One row per day and market: `day`, `market`, `venue`, `kind`, `settlement`, `series` (trades or an index), `from`
    (what the anchors are taken from), `anchors` (their number), `open`, `high`, `low`, `close`, `fall` (the largest
    fall from a high to a later low, relative, negative), and `volume_usd` (null where unknown). All figures are those
    of the anchors, which are real.

    Args:
        day: only this day; None: all.

    Raises:
        ConfigError: there is no such day.
    """
    chosen = _days() if day is None else {day: _day(day)}
    rows = []
    for name, facts in chosen.items():
        for market in facts["market"]:
            anchors = _anchors(name, market["name"])
            prices, volumes = anchors["price"].cast(pl.Float64), anchors["volume_usd"]
            rows.append(
                {
                    "day": name,
                    "market": market["name"],
                    "venue": market["venue"],
                    "kind": market["kind"],
                    "settlement": market["settlement"],
                    "series": market["series"],
                    "from": market["anchors"],
                    "anchors": len(anchors),
                    "open": prices[0],
                    "high": prices.max(),
                    "low": prices.min(),
                    "close": prices[-1],
                    "fall": (prices / prices.cum_max()).min() - 1,  # type: ignore[operator]
                    "volume_usd": None if volumes.has_nulls() else volumes.sum(),
                }
            )
    return pl.DataFrame(rows, schema_overrides={"volume_usd": pl.Float64})


def anchors(day: str, market: str) -> pl.DataFrame:
    """The real price anchors of a market: `ts`, `price` (text, exactly as in the source), `volume_usd` (traded since
    the previous anchor; null where unknown).

    Raises:
        ConfigError: there is no such day or market.
    """
    names = [facts["name"] for facts in _day(day)["market"]]
    if market not in names:
        raise ConfigError(f"crash day {day}: market: expected one of {', '.join(names)}, got {market!r}")
    return _anchors(day, market).select("ts", "price", "volume_usd")


def about(day: str) -> dict[str, Any]:
    """What happened that day: `title`, `start`, `end`, `summary`, and `events` with their sources.

    Raises:
        ConfigError: there is no such day.
    """
    facts = _day(day)
    return {key: facts[key] for key in ("title", "start", "end", "summary", "events")}


def load(
    day: str,
    *,
    ticks_per_market: int = 250_000,
    seed: int = 1,
    cache_dir: str | PathLike[str] | None = None,
    progress: bool | ProgressCallback = False,
) -> Ticks:
    """The ticks of a bundled day, reconstructed between real anchors on first use and kept as Parquet.

    Every anchor is a tick at its time and price, the path never leaves the interval between two anchors, and the volume
    between them is honoured where it is known. The rest is invented, by a seeded generator: the same seed gives the
    same ticks on every machine. `.provenance` says so.

    Args:
        day: a day of `list()`.
        ticks_per_market: about how many ticks to make in each market. A market whose volume is known gets no more than
            it can have had trades; an index about one a second.
        seed: of the generator.
        cache_dir: where the files are kept; None: `$UNDERWATER_CACHE`, or `underwater` in `$XDG_CACHE_HOME` or
            `~/.cache`. Files that are missing or damaged are made again.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`.

    Raises:
        ConfigError: there is no such day, or an argument is out of range.
        DataError: the cache directory cannot be written.
    """
    facts = _day(day)
    _check("ticks_per_market", ticks_per_market, 1, 1 << 40)
    _check("seed", seed, 0, (1 << 64) - 1)
    requests = {market["name"]: _request(day, market, ticks_per_market, seed) for market in facts["market"]}
    provenance = _provenance(day, facts, ticks_per_market, seed)
    directory = cache_directory(cache_dir) / "crash_days" / f"{day}-{_key(requests, provenance)}"
    paths = [directory / f"{name}.parquet" for name in requests]
    if not _intact(directory, paths):
        try:
            with callback(progress, day) as report, atomic_directory(directory) as part:
                _generate(part, requests, provenance, report)
        except OSError as error:
            hint = "choose another with cache_dir or the environment variable UNDERWATER_CACHE"
            raise DataError(f"crash day {day}: cannot write to {directory.parent}: {error}; {hint}") from error
    return Ticks.scan(paths)


def _generate(
    directory: Path, requests: dict[str, str], provenance: dict[str, Any], report: ProgressCallback | None
) -> None:
    digests = {}
    for done, (name, request) in enumerate(requests.items()):
        if report is not None:
            report("reconstruct", done, len(requests))
        file = directory / f"{name}.parquet"
        Ticks(_core.reconstruct(request), provenance=provenance).write(file)
        digests[file.name] = _digest(file)
    (directory / _MANIFEST).write_text(json.dumps(digests))
    if report is not None:
        report("reconstruct", len(requests), len(requests))


def _intact(directory: Path, paths: builtins.list[Path]) -> bool:
    """Whether all files are there, and byte for byte as they were written."""
    try:
        digests = json.loads((directory / _MANIFEST).read_text())
        return all(_digest(path) == digests[path.name] for path in paths)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _key(requests: dict[str, str], provenance: dict[str, Any]) -> str:
    """Changes with anything that changes the files: versions, seed, number of ticks, figures, definitions."""
    said = json.dumps([_core.__version__, _core.RECONSTRUCTION, requests, provenance])
    return hashlib.blake2b(said.encode()).hexdigest()[:16]


def _check(name: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"crash_days.load: {name}: expected an integer from {least} to {most}, got {value!r}")


def _request(day: str, market: dict[str, Any], ticks_per_market: int, seed: int) -> str:
    """What the engine is asked for, for one market."""
    spec = {
        key: market[key] for key in ("name", "kind", "contract_size", "price_decimals", "size_decimals", "settlement")
    }
    rows = _anchors(day, market["name"]).select(pl.col("ts").dt.epoch("ns"), "price", "volume_usd").rows()
    return json.dumps(
        {
            "day": day,
            "seed": seed,
            "ticks_per_market": ticks_per_market,
            "markets": [
                {
                    "spec": {**spec, "index": market.get("index")},
                    "series": market["series"],
                    "price_step": market["price_step"],
                    "typical_trade_usd": market["typical_trade_usd"],
                    "stamp_ns": _STAMP_NS,
                    "quiet": [[_ns(start), _ns(end)] for start, end in market.get("quiet", [])],
                    "anchors": rows,
                }
            ],
        }
    )


def _provenance(day: str, facts: dict[str, Any], ticks_per_market: int, seed: int) -> dict[str, Any]:
    sources = _profiles().filter(pl.col("event") == day)["source"].unique(maintain_order=True)
    return {
        "kind": "reconstructed",
        "day": day,
        "title": facts["title"],
        "real": "the anchors: turning points of the real paths, with their times (to the bar they are taken from), "
        "their prices, and the volume between them where known",
        "reconstructed": "everything between two anchors: path, number of ticks, times, sizes, sides",
        "sources": "; ".join(sources),
        "ticks_per_market": ticks_per_market,
        "seed": seed,
        "method": _core.RECONSTRUCTION,
    }


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000


def _day(day: str) -> dict[str, Any]:
    try:
        return _days()[day]
    except (KeyError, TypeError):
        raise ConfigError(f"crash day: expected one of {', '.join(_days())}, got {day!r}") from None


@functools.cache
def _days() -> dict[str, dict[str, Any]]:
    return {day["day"]: day for day in tomllib.loads(_core.crash_days_toml())["day"]}


@functools.cache
def _profiles() -> pl.DataFrame:
    text = io.StringIO(_core.crash_profiles())
    return pl.read_csv(text, schema_overrides={"price": pl.String, "volume_usd_since_previous": pl.Float64})


def _anchors(day: str, market: str) -> pl.DataFrame:
    return (
        _profiles()
        .filter(pl.col("event") == day, pl.col("market") == market)
        .with_columns(
            ts=pl.from_epoch("ts_ms", time_unit="ms").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
            volume_usd=pl.col("volume_usd_since_previous"),
        )
    )
