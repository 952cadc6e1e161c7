"""Ctrl-C where it can be answered, while threads are started and scratch files are made and removed.

Python raises `KeyboardInterrupt` between any two steps of the main thread: also between making a directory and noting that it
must be removed, or between starting a thread and noting that it must be waited for. Within `patience` it waits for the next
`check`, which the work calls every fraction of a second; a second Ctrl-C does not wait.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Patience:
    """A Ctrl-C that waits."""

    def __init__(self) -> None:
        self._waits = False

    def check(self) -> None:
        """Here it may be raised."""
        if self._waits:
            self._waits = False
            raise KeyboardInterrupt

    @contextmanager
    def ended(self) -> Iterator[None]:
        """A stretch in which it is raised at once: nothing there needs patience."""
        self.check()
        handler = signal.getsignal(signal.SIGINT)
        ours = handler == self._note
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            if ours:
                signal.signal(signal.SIGINT, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            signal.default_int_handler(number, frame)
        self._waits = True


@contextmanager
def patience() -> Iterator[Patience]:
    """Holds Ctrl-C back in this block; on the main thread, unless somebody else answers it."""
    patient = Patience()
    usual = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if usual:
        signal.signal(signal.SIGINT, patient._note)
    try:
        yield patient
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    patient.check()
