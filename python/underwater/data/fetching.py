"""Downloads from free public archives: verified, resumed, retried, kept, and no faster than is polite.

A file is first `NAME.part`, beside it the archive's version of it, and becomes `NAME` when it is whole and verified: against the
archive's SHA-256 where there is one, else by decompressing it. Its SHA-256 is kept in `NAME.CHECKSUM`, and a copy is used again
only if it still fits.
"""

import hashlib
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from os import PathLike
from pathlib import Path
from typing import IO

from underwater._core import __version__
from underwater._files import cache_directory
from underwater._progress import ProgressCallback, callback
from underwater.data._open import opened
from underwater.data.archives import Archive, get, parse_days
from underwater.errors import ConfigError, DataError, MissingFileError

_PIECE = 1 << 16
_AGENT = f"underwater/{__version__} (research; one request at a time)"
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Manners:
    """How an archive is asked."""

    requests_per_second: float = 4.0
    """At most; one request at a time."""
    timeout: float = 30.0
    """Seconds without a byte after which an answer is given up and resumed."""
    attempts: int = 6
    """Tries for a file, in all."""
    back_off: float = 1.0
    """Seconds before the second try; doubled for each further one, unless the archive says how long."""


@dataclass
class Fetched:
    """What was fetched."""

    paths: list[Path] = field(default_factory=list)
    """The files, in the order of time."""
    missing: list[str] = field(default_factory=list)
    """What the archive does not have."""
    downloaded: int = 0
    """Files that were not there before."""
    bytes_downloaded: int = 0
    """Bytes that came over the wire."""
    resumed: int = 0
    """Times that a download went on where it had stopped."""
    retried: int = 0
    """Times that a try failed and another followed."""


def fetch(
    archive: str,
    symbol: str,
    days: str,
    *,
    kind: str | None = None,
    interval: str = "1m",
    directory: str | PathLike[str] | None = None,
    base_url: str | None = None,
    skip_missing: bool = False,
    manners: Manners = Manners(),  # frozen
    progress: bool | ProgressCallback = False,
) -> Fetched:
    """Fetches files of a free public archive, or takes them from the cache.

    Args:
        archive: binance-um, binance-cm, binance-spot, bybit, bybit-spot, bitmex, okx, or tardis-EXCHANGE (such as
            tardis-bitmex; the first day of each month is free).
        symbol: the archive's name of the market, such as BTCUSDT. A file of bitmex holds all markets.
        days: of UTC: `2020-03-12`, `2020-03-12..13`, `2020-03-12..2020-04-02`, or the month `2020-03`. A day of okx ends at
            16:00 UTC, so the file of the day after the last is fetched too.
        kind: what, such as aggTrades, trades, klines, markPriceKlines, fundingRate, liquidations; None: the archive's trades
            (of binance aggTrades).
        interval: of bars.
        directory: where files are kept, in the archive's own folders; None: `archives` in the cache.
        base_url: another server with the same layout.
        skip_missing: go on where the archive has no file, and list it.
        manners: how fast, how patient.
        progress: True for a bar on stderr, or a callable `(phase, done, total)`.

    Raises:
        ConfigError: no such archive or kind, or the days cannot be read.
        MissingFileError: the archive does not have all files; those that it has were fetched.
        DataError: a file is damaged at its source: it never fits its checksum.
        ConnectionError: the archive cannot be reached, or fails again and again.
    """
    known = get(archive)
    places = known.paths(symbol, kind, interval, parse_days(days))
    root = (Path(directory) if directory is not None else cache_directory() / "archives") / archive
    client = _Client(known, (base_url or known.base_url).rstrip("/"), manners, Fetched())
    with callback(progress, archive) as tell:
        for number, place in enumerate(places):
            client.tell = tell
            if tell:
                tell(f"file {number + 1} of {len(places)}", 0, 0)
            try:
                client.report.paths.append(client.file(place, root / place))
            except _NotThere:
                client.report.missing.append(place)
    if client.report.missing and not skip_missing:
        raise MissingFileError(f"{archive}: the archive has no {', '.join(client.report.missing)}")
    return client.report


class _NotThere(Exception):  # noqa: N818  # an answer
    pass


class _Failed(Exception):  # noqa: N818  # perhaps not the next time
    def __init__(self, said: object, wait: float | None = None, *, damaged: bool = False) -> None:
        super().__init__(str(said))
        self.wait, self.damaged = wait, damaged


@dataclass
class _Client:
    archive: Archive
    base: str
    manners: Manners
    report: Fetched
    tell: ProgressCallback | None = None
    _next: float = 0.0

    def __post_init__(self) -> None:
        if not re.match(r"https?://", self.base):
            raise ConfigError(f"base_url: expected http:// or https://, got {self.base!r}")

    def file(self, place: str, target: Path) -> Path:
        """The file, whole and verified."""
        kept = target.with_name(f"{target.name}.CHECKSUM")
        if target.is_file() and kept.is_file() and _first_word(kept.read_text()) == _sha256(target):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        url = f"{self.base}/{place}"
        checksum: str | None = None
        failure = _Failed("not tried")
        for attempt in range(self.manners.attempts):
            if attempt:
                self.report.retried += 1
                wait = self.manners.back_off * 2 ** (attempt - 1) if failure.wait is None else failure.wait
                time.sleep(min(wait, _LONGEST_WAIT))
            try:
                if self.archive.checksums and checksum is None:
                    checksum = self._checksum(url)
                self._download(url, part)
                _verify(part, target.name, checksum)
            except _Failed as failed:
                failure = failed
                if failed.damaged:
                    _forget(part)
                continue
            kept.write_text(f"{_sha256(part)}  {target.name}\n")
            part.replace(target)
            _forget(part)
            self.report.downloaded += 1
            return target
        kind = DataError if failure.damaged else ConnectionError
        raise kind(f"{url}: {failure}, after {self.manners.attempts} tries")

    def _checksum(self, url: str) -> str:
        with self._ask(f"{url}.CHECKSUM", {}) as answer:
            word = _first_word(answer.read(1 << 12).decode("ascii", "replace"))
        if not re.fullmatch(r"[0-9a-f]{64}", word):
            raise _Failed(f"expected a SHA-256 in {url}.CHECKSUM, got {word[:80]!r}")
        return word

    def _download(self, url: str, part: Path) -> None:
        """Fetches what is missing of the part."""
        version = part.with_name(f"{part.name}.version")
        have = part.stat().st_size if part.is_file() and version.is_file() else 0
        headers = {"Range": f"bytes={have}-", "If-Range": version.read_text()} if have else {}
        with self._ask(url, headers) as answer:
            going_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if answer.status == 206 and not going_on:
                raise _Failed(f"expected bytes from {have}, got {answer.headers.get('Content-Range')}", damaged=True)
            if going_on:
                self.report.resumed += 1
            else:
                have = 0
                _forget(part)
                if said := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
                    version.write_text(said)
            length = answer.headers.get("Content-Length")
            with part.open("ab" if going_on else "wb") as file:
                got = self._pour(answer, file, have, have + int(length or 0))
            if length is not None and got != int(length):
                raise _Failed(f"cut off after {have + got} of {have + int(length)} bytes")

    def _pour(self, answer: HTTPResponse, file: IO[bytes], have: int, total: int) -> int:
        got = 0
        # What has arrived, not a whole piece: what a slow answer has sent is kept when it is given up.
        while piece := answer.read1(_PIECE):
            file.write(piece)
            file.flush()
            got += len(piece)
            self.report.bytes_downloaded += len(piece)
            if self.tell:
                self.tell("download", have + got, total)
        return got

    @contextmanager
    def _ask(self, url: str, headers: dict[str, str]) -> Iterator[HTTPResponse]:
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + 1 / self.manners.requests_per_second
        request = urllib.request.Request(url, headers={"User-Agent": _AGENT, **headers})  # noqa: S310  # http(s) only
        try:
            with urllib.request.urlopen(request, timeout=self.manners.timeout) as answer:  # noqa: S310
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise _NotThere from None
                if error.code == 416:  # the part is longer than the file
                    raise _Failed("the archive's file became shorter", 0.0, damaged=True) from None
                if error.code not in _TRY_AGAIN:
                    free = f"; {self.archive.free}" if self.archive.free else ""
                    raise ConnectionError(f"{url}: {error.code} {error.reason}{free}") from None
                after = error.headers.get("Retry-After", "")
                raise _Failed(f"{error.code} {error.reason}", float(after) if after.isdigit() else None) from None
        except (HTTPException, urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise _Failed(getattr(error, "reason", None) or error or type(error).__name__) from None


def _verify(part: Path, name: str, checksum: str | None) -> None:
    """Refuses a download that is not what it should be."""
    if checksum is not None:
        found = _sha256(part)
        if found != checksum:
            raise _Failed(f"expected SHA-256 {checksum}, got {found}", damaged=True)
        return
    whole = part.with_name(f"verify.{name}")  # its suffix says how it is compressed
    part.rename(whole)
    try:
        with opened(whole) as file:
            while file.read(1 << 20):
                pass
    except DataError as error:
        raise _Failed(error, damaged=True) from None
    finally:
        whole.rename(part)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.version").unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_word(text: str) -> str:
    return (text.split() or [""])[0].lower()
