"""Bytes of a vendor's file, decompressed as they are read, in blocks of whole lines.

Guarantees: a block ends with a line feed, except the last of a file; a file that is cut off or damaged is an error that names
it. Memory: two blocks.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from underwater.errors import DataError, MissingFileError

BLOCK_BYTES = 1 << 25
"""Bytes of text that are parsed at a time."""
_CODECS = {".gz": "gzip", ".lz4": "lz4", ".zst": "zstd"}

OnBytes = Callable[[int], object]
"""Called with the bytes of the file on disk that have been read so far."""


def suffix(path: Path) -> str:
    """The suffix of the content: `.csv` of `x.csv.gz` and of `x.zip`."""
    if path.suffix == ".zip":
        return Path(_member_of(path)).suffix
    return Path(path.stem).suffix if path.suffix in _CODECS else path.suffix


@contextmanager
def opened(path: Path, on_bytes: OnBytes | None = None) -> Iterator[IO[bytes]]:
    """The decompressed file. Damage that is met while reading is a `DataError`."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    try:
        with path.open("rb") as raw:
            counted: Any = _Counted(raw, on_bytes) if on_bytes else raw
            if path.suffix == ".zip":
                with zipfile.ZipFile(counted) as archive, archive.open(_member(path, archive)) as member:
                    yield member
            elif path.suffix in _CODECS:
                with pa.CompressedInputStream(pa.PythonFile(counted, "r"), _CODECS[path.suffix]) as stream:
                    yield stream
            else:
                yield counted
    except (zipfile.BadZipFile, zlib.error, EOFError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: damaged or cut off: {error}") from error
    except OSError as error:
        if error.errno is None:  # of the codec; of the system otherwise
            raise DataError(f"{path}: damaged or cut off: {error}") from error
        raise


def blocks(path: Path, on_bytes: OnBytes | None = None, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Stretches of whole lines; the next is decompressed while the caller parses the last."""
    with opened(path, on_bytes) as file, ThreadPoolExecutor(1) as ahead:
        rest = b""
        following = ahead.submit(file.read, size)
        while data := following.result():
            following = ahead.submit(file.read, size)
            end = data.rfind(b"\n") + 1
            if end:
                yield rest + data[:end]
                rest = data[end:]
            else:
                rest += data
        if rest and not rest.isspace():
            yield rest


def first_line(path: Path) -> str:
    """The first line, without its end and without a byte order mark; UTF-8, or else GBK, in which OKX wrote headers."""
    with opened(path) as file:
        line = file.read(1 << 16).split(b"\n", 1)[0]
    for encoding in ("utf-8-sig", "gbk"):
        try:
            return line.decode(encoding).rstrip("\r")
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: expected text, got {line[:16]!r}")


def _member_of(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: damaged or cut off: {error}") from error


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise DataError(f"{path}: expected one file in the archive, got {len(names)}: {', '.join(names[:5])}")
    return names[0]


class _Counted(io.RawIOBase):
    """A file that says how far it has been read."""

    def __init__(self, raw: IO[bytes], on_bytes: OnBytes) -> None:
        self._raw, self._on_bytes = raw, on_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        data = self._raw.read(-1 if size is None else size)
        self._on_bytes(self._raw.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()
