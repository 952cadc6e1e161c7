"""Work on the next block while the caller is at the last."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")


@contextmanager
def ahead(items: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """The same items in the same order, each made on another thread while the caller has the one before.

    What making an item raises is raised where the item would have come, so that the first fault of a file is the one told.
    Memory: one item more than is in use.
    """
    with ThreadPoolExecutor(1) as other:

        def made() -> Iterator[_T]:
            end = object()
            following = other.submit(next, items, end)
            while (item := following.result()) is not end:
                following = other.submit(next, items, end)
                yield item  # type: ignore[misc]  # not the end

        try:
            yield made()
        finally:
            other.shutdown(cancel_futures=True)
            items.close()  # type: ignore[attr-defined]  # a generator: what it has open is closed here
