"""Free public archives: where which file is. Layouts only; `fetch` does the downloading."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from underwater.errors import ConfigError

_SYMBOL = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9]")
_INTERVAL = re.compile(r"\d+(?:s|m|h|d|w|mo)")


@dataclass(frozen=True)
class Archive:
    """A public archive."""

    name: str
    base_url: str
    kinds: tuple[str, ...]
    """What it has, the usual one first."""
    place: Callable[[str, str, str, dt.date], str]
    """Path of a file below the base, from symbol, kind, interval and day."""
    checksums: bool = False
    """Whether each file has its SHA-256 beside it, in a file `.CHECKSUM`."""
    early: bool = False
    """Whether its days begin before those of UTC, so that a day's end is in the file of the next."""
    free: str = ""
    """What of it is free, if not all: told when it refuses."""

    def paths(self, symbol: str, kind: str | None, interval: str, days: list[dt.date]) -> list[str]:
        """Paths of the files that hold these days of UTC, each once, in the order of time.

        Raises:
            ConfigError: the archive has no such kind, or symbol or interval are none.
        """
        kind = kind or self.kinds[0]
        if kind not in self.kinds:
            raise ConfigError(f"kind: {self.name} has {', '.join(self.kinds)}, got {kind!r}")
        if not _SYMBOL.fullmatch(symbol):
            raise ConfigError(f"symbol: expected letters, digits, `-`, `_` and `.`, got {symbol!r}")
        if not _INTERVAL.fullmatch(interval):
            raise ConfigError(f"interval: expected such as 1m, 1h or 1d, got {interval!r}")
        if self.early:
            days = sorted({*days, *(day + dt.timedelta(days=1) for day in days)})
        return list(dict.fromkeys(self.place(symbol, kind, interval, day) for day in days))


def parse_days(text: str) -> list[dt.date]:
    """Days of a text: a day, a month, or two days with `..` between them; of the second the end may do.

    Raises:
        ConfigError: it is none of these.

    >>> [str(day) for day in parse_days("2020-03-12..13")]
    ['2020-03-12', '2020-03-13']
    >>> len(parse_days("2020-02"))
    29
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d", text):
            first = dt.date.fromisoformat(f"{text}-01")
            last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        else:
            start, dots, end = text.partition("..")
            first = dt.date.fromisoformat(start)
            if dots and not re.fullmatch(r"(?:(?:\d{4}-)?\d\d-)?\d\d", end):
                raise ValueError(end)
            last = dt.date.fromisoformat(start[: len(start) - len(end)] + end) if dots else first
    except ValueError:
        raise ConfigError(
            f"days: expected such as 2020-03-12, 2020-03-12..13, 2020-03-12..2020-04-02 or 2020-03, got {text!r}"
        ) from None
    if last < first:
        raise ConfigError(f"days: expected an end that is not before the start, got {text!r}")
    return list(_days(first, last))


def _days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    for number in range((last - first).days + 1):
        yield first + dt.timedelta(days=number)


_BARS = ("klines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines")


def _binance(branch: str) -> Callable[[str, str, str, dt.date], str]:
    def place(symbol: str, kind: str, interval: str, day: dt.date) -> str:
        # Of the funding there are months alone.
        period, date = ("monthly", f"{day:%Y-%m}") if kind == "fundingRate" else ("daily", f"{day}")
        within, word = (f"{interval}/", interval) if kind in _BARS else ("", kind)
        return f"data/{branch}/{period}/{kind}/{symbol}/{within}{symbol}-{word}-{date}.zip"

    return place


_BINANCE = "https://data.binance.vision"
_BYBIT = "https://public.bybit.com"
_FUTURES = ("aggTrades", "trades", *_BARS, "bookTicker", "bookDepth", "metrics", "fundingRate", "liquidationSnapshot")

ARCHIVES = {
    archive.name: archive
    for archive in (
        Archive("binance-um", _BINANCE, _FUTURES, _binance("futures/um"), checksums=True),
        Archive("binance-cm", _BINANCE, _FUTURES, _binance("futures/cm"), checksums=True),
        Archive("binance-spot", _BINANCE, ("aggTrades", "trades", "klines"), _binance("spot"), checksums=True),
        Archive(
            "bybit",
            _BYBIT,
            ("trading",),
            lambda symbol, kind, _, day: f"{kind}/{symbol}/{symbol}{day}.csv.gz",
        ),
        Archive(
            "bybit-spot",
            _BYBIT,
            ("spot",),
            lambda symbol, kind, _, day: f"{kind}/{symbol}/{symbol}_{day}.csv.gz",
        ),
        Archive(
            "bitmex",
            "https://s3-eu-west-1.amazonaws.com/public.bitmex.com",
            ("trade",),
            # One file a day holds all symbols.
            lambda _symbol, kind, _, day: f"data/{kind}/{day:%Y%m%d}.csv.gz",
        ),
        Archive(
            "okx",
            "https://static.okx.com",
            ("trades",),
            lambda symbol, kind, _, day: f"cdn/okex/traderecords/{kind}/daily/{day:%Y%m%d}/{symbol}-{kind}-{day}.zip",
            early=True,  # its days are those of UTC+8
        ),
    )
}
"""By name; besides them there is `tardis-EXCHANGE`."""
_TARDIS = "tardis-"
_TARDIS_KINDS = (
    "trades",
    "derivative_ticker",
    "liquidations",
    "quotes",
    "book_snapshot_5",
    "book_snapshot_25",
    "incremental_book_L2",
)


def _tardis(exchange: str) -> Archive:
    return Archive(
        f"{_TARDIS}{exchange}",
        "https://datasets.tardis.dev/v1",
        _TARDIS_KINDS,
        lambda symbol, kind, _, day: f"{exchange}/{kind}/{day:%Y/%m/%d}/{symbol}.csv.gz",
        free="without a key, the first day of each month is free",
    )


def get(name: str) -> Archive:
    """An archive by name; `tardis-EXCHANGE` by the vendor's name of the exchange, such as `tardis-bitmex`.

    Raises:
        ConfigError: there is none.
    """
    exchange = name.removeprefix(_TARDIS)
    if exchange != name and re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", exchange):
        return _tardis(exchange)
    if name not in ARCHIVES:
        raise ConfigError(f"archive: expected one of {', '.join(ARCHIVES)}, or {_TARDIS}EXCHANGE, got {name!r}")
    return ARCHIVES[name]
