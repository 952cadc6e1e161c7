"""Long calls answer to Ctrl-C at once, tell how far they are, and stop when their callback raises."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import polars as pl
import pytest

import underwater as uw

HERE = Path(__file__).parent
PROMPT = 0.3
"""Seconds from the signal to the exception."""


def slide(rows: int) -> pl.DataFrame:
    """One market that falls by a half in small steps, a tick a millisecond."""
    at = pl.int_range(rows, eager=True).alias("at").to_frame()
    price = 1000 - 500 * pl.col("at") / rows + (pl.col("at") * 7919 % 100) / 100
    return at.select(pl.from_epoch("at", "ms").alias("ts"), market=pl.lit("ETH-PERP"), price=price.round(2))


def load_job():
    frame = slide(12_000_000)
    return lambda: uw.Ticks(frame).load()


def replay_job(accounts, rows, **protocol):
    ticks = uw.Ticks(slide(rows)).load()
    book = uw.Book.synthetic(ticks, accounts=accounts, leverage_median=5, leverage_p95=30)
    made = uw.Protocol.from_dict(protocol)
    return lambda **options: uw.replay(ticks, book, made, **options)


def synthetic_job():
    ticks = uw.Ticks(slide(1000)).load()
    return lambda: uw.Book.synthetic(ticks, accounts=1_000_000)


def streamed_job():
    path = Path(tempfile.mkdtemp()) / "slide.parquet"
    slide(1_000_000).write_parquet(path, row_group_size=100_000)
    book = uw.Book.synthetic(uw.Ticks.scan(path), accounts=50_000, leverage_median=5, leverage_p95=30)
    made = uw.Protocol.from_dict({"keeper": {"latency": "1s"}, "socialised": {}})
    return lambda: uw.replay(uw.Ticks.scan(path), book, made, chunk_ticks=300_000)


def feeds_job():
    """Feeds and indices are made anew: the ticks are new each time."""
    frame = slide(2_000_000)
    book = uw.Book.synthetic(uw.Ticks(frame.head(1000)), accounts=1000)
    oracle = {"kind": "push", "deviation": "0.001", "heartbeat": "1h"}
    made = uw.Protocol.from_dict({"feeds": {"oracle": oracle}, "trigger_feed": "oracle"})
    return lambda: uw.replay(uw.Ticks(frame), book, made)


def book_job():
    book = uw.Book.synthetic(uw.Ticks(slide(1000)), accounts=1_000_000)
    return lambda: uw.Book.from_frames(book.positions, book.accounts)


def frames_job():
    result = replay_job(200_000, 100_000)()
    return lambda: [result._frame(name) for name in uw.result.FRAMES] and result.state_hash


def reconstruction_job():
    return lambda: uw.crash_days.load("2020-03-12", ticks_per_market=500_000, cache_dir=tempfile.mkdtemp())


JOBS = {
    "synthetic book": synthetic_job,
    "load": load_job,
    "book": book_job,
    "feeds and index": feeds_job,
    "streamed replay": streamed_job,
    "frames": frames_job,
    "reconstruction": reconstruction_job,
    "replay": lambda: replay_job(100_000, 1_000_000, keeper={"latency": "1s"}),
    "replay with ADL": lambda: replay_job(15_000, 200_000, keeper={"latency": "30s"}, adl={}),
}

# Times a job, then sends itself SIGINT early, later and halfway, twice each. Prints the shorter delay of each pair from
# the signal to the exception; a call that was over before has none.
SCRIPT = """
import json, os, signal, sys, threading, time
from test_interrupt import JOBS

job = JOBS[sys.argv[1]]()

def timed():
    start = time.monotonic()
    job()
    return time.monotonic() - start

def interrupted(after):
    sent, finished = [], False
    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(after, send)
    try:
        timer.start()
        job()
        finished = True
        timer.join()
        time.sleep(1)
    except KeyboardInterrupt:
        return [] if finished else [time.monotonic() - sent[0]]

whole = min(timed(), timed())
delays = []
for share in (0.1, 0.3, 0.5):
    pair = interrupted(whole * share) + interrupted(whole * share)
    delays += [min(pair)] if pair else []
job()  # nothing of the interrupted calls lingers
print(json.dumps(delays))
"""


@pytest.mark.parametrize("name", JOBS)
def test_ctrl_c_stops_a_long_call_at_once(name, tmp_path):
    paths = os.pathsep.join([str(HERE), str(Path(uw.__file__).parents[1])])
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    delays = json.loads(done.stdout)
    assert len(delays) >= 2
    assert max(delays) < PROMPT, delays


@pytest.fixture(scope="module")
def replay():
    return replay_job(20_000, 200_000, keeper={"latency": "1s"})


def calls_of(job):
    """What a callback is told: (phase, done, total)."""
    calls = []

    def note(*call):
        assert threading.current_thread() is threading.main_thread()
        calls.append(call)

    job(progress=note)
    return calls


def check(calls, known):
    assert calls
    phases = list(dict.fromkeys(phase for phase, _, _ in calls))
    assert phases == [phase for phase in known if phase in phases]  # in their order, none comes back
    assert [phase for phase, _, _ in calls] == sorted((phase for phase, _, _ in calls), key=phases.index)
    for phase in phases:
        done = [done for name, done, _ in calls if name == phase]
        assert done == sorted(done)
        assert all(0 <= n <= total for name, n, total in calls if name == phase)
        assert len({total for name, _, total in calls if name == phase}) == 1


def test_progress_of_a_replay(replay):
    check(calls_of(replay), ["feeds", "book", "opening", "index", "triggers", "paths", "replay", "closing"])


def test_progress_of_loading(tmp_path):
    path = tmp_path / "slide.parquet"
    slide(1_000_000).write_parquet(path, row_group_size=50_000)
    calls = calls_of(uw.Ticks.scan(path).load)
    check(calls, list(dict.fromkeys(phase for phase, _, _ in calls)))
    phase, done, total = calls[-1]
    assert (done, total) == (1_000_000, 1_000_000), phase


class Enough(BaseException):
    """What no handler of ordinary errors takes."""


@pytest.mark.parametrize("raised", [TimeoutError("enough"), KeyboardInterrupt(), Enough()])
def test_what_the_callback_raises_comes_out(replay, raised):
    def stop(*_):
        raise raised

    for call in (replay, uw.Ticks(slide(1000)).load):
        with pytest.raises(type(raised)) as caught:
            call(progress=stop)
        assert caught.value is raised


def test_a_stopped_replay_leaves_no_trace(replay):
    expected = replay().state_hash

    def stop_when_it_has_begun(phase, *_):
        if phase != "feeds":
            raise TimeoutError

    with pytest.raises(TimeoutError):
        replay(progress=stop_when_it_has_begun)
    assert replay().state_hash == expected


def test_loading_that_was_stopped_can_be_done_again():
    ticks = uw.Ticks(slide(100_000))

    def stop(*_):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        ticks.load(progress=stop)
    assert ticks.load().rows == 100_000
