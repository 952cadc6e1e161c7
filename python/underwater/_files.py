"""Files: which ones are meant, where copies are kept, and that they appear whole or not at all."""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path

from underwater.errors import ConfigError, DataError, MissingFileError


def expand(source: str | PathLike[str] | Sequence[str | PathLike[str]], within: str = "*") -> list[Path]:
    """The files of a path, a directory (those that match `within`), a glob, or a list of these; in order of name each.

    Raises:
        MissingFileError: nothing is there.
        DataError: the list is empty.
    """
    sources = [source] if isinstance(source, str | PathLike) else source
    paths: list[str] = []
    for text in [fspath(path) for path in sources]:
        if Path(text).is_dir():
            found = sorted(str(path) for path in Path(text).glob(within) if not path.name.startswith("."))
        elif Path(text).exists() or not glob.has_magic(text):
            found = [text]
        else:
            found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # Path.glob takes no absolute pattern
        if not found:
            kind = "Parquet file" if within.endswith(".parquet") else "file"
            raise MissingFileError(f"no {kind} matches {text!r}")
        paths += found
    if not paths:
        raise DataError("expected at least one file, got an empty list")
    for path in paths:
        if not Path(path).exists():
            raise MissingFileError(f"{path}: no such file")
    return [Path(path) for path in paths]


def cache_directory(chosen: str | PathLike[str] | None = None) -> Path:
    """Where copies are kept: the one given, or `UNDERWATER_CACHE`, or `underwater` in the user's cache."""
    if chosen is not None:
        return Path(chosen)
    if said := os.environ.get("UNDERWATER_CACHE"):
        return Path(said)
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "underwater"
    return Path.home() / ".cache" / "underwater"


def no_directory(target: Path) -> None:
    """Refuses to write a file where a directory is: what is in it would be gone.

    Raises:
        ConfigError: there is one.
    """
    if target.is_dir():
        raise ConfigError(f"{target}: is a directory; expected the name of a file to write")


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """A path beside `target` to write a file to; it becomes `target` if the block ends well, and is removed if it does not.

    Raises:
        ConfigError: the target is a directory.
    """
    no_directory(target)
    with _beside(target) as work:
        part = work / target.name
        yield part
        part.replace(target)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """The same for a directory, which is made; one that is there already is replaced, if the block ends well."""
    with _beside(target) as work:
        part = work / target.name
        part.mkdir()
        yield part
        if target.is_dir():
            target.rename(work / "replaced")
        part.replace(target)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
