"""How far a long call has come."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

ProgressCallback = Callable[[str, int, int], object]
"""Called as `progress(phase, done, total)`, at most 20 times a second, on the calling thread."""


@contextmanager
def callback(progress: bool | ProgressCallback, title: str) -> Iterator[ProgressCallback | None]:
    """What to hand to the engine: the caller's callable, a bar on stderr that vanishes at the end, or nothing."""
    if callable(progress):
        yield progress
    elif not progress:
        yield None
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(title, total=None)

            def show(phase: str, done: int, total: int) -> None:
                bar.update(task, description=f"{title}: {phase}", completed=done, total=total)

            yield show
