"""Files appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; it becomes `target` if the block ends well, and is removed if it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        part = work / target.name
        yield part
        if target.is_dir():
            target.rename(work / "replaced")
        part.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
