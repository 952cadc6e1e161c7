"""Runs one streamed replay and prints its peak memory as JSON. A process of its own: a peak never falls again.

    python benches/peak.py DAYS

`VmHWM` counts file pages that are mapped besides; the peak of anonymous memory is sampled every 10 ms.
"""

import json
import sys
import threading
from pathlib import Path

from workloads import heavy, long_tape, protocol, scaled

import underwater as uw


def status(key: str) -> int:
    """Bytes of a line of `/proc/self/status`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def main(days: int) -> None:
    """Replays so many days."""
    anonymous, done = 0, threading.Event()

    def sample() -> None:
        nonlocal anonymous
        while not done.wait(0.01):
            anonymous = max(anonymous, status("RssAnon"))

    tape = long_tape(days)
    book = heavy(long_tape(1), accounts=100_000).load()
    thread = threading.Thread(target=sample)
    thread.start()
    result = uw.replay(tape.scan(), book, protocol(), chunk_ticks=scaled(4_000_000))
    summary = result.summary()
    done.set()
    thread.join()
    print(json.dumps({"peak": status("VmHWM"), "anonymous": anonymous, "summary": summary}))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
