"""What an import leaves behind: the whole target or nothing, whatever stops it, and never in the place of a directory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from archive_files import MS, agg_trades, write

import underwater as uw
from underwater.data._patience import patience

NAME = "X-aggTrades-2020-03-12.csv"


def importing(source, target, **how):
    return uw.data.import_ticks(source, target, **how)


def recording(source, target, **how):
    return uw.data.import_records(source, target, **how)


@pytest.mark.parametrize("job", [importing, recording])
def test_a_directory_is_not_replaced(tmp_path, job):
    write(tmp_path / NAME, agg_trades([(MS, "1")]))
    (tmp_path / "ticks").mkdir()
    (tmp_path / "ticks" / "precious").write_text("years of work")
    with pytest.raises(uw.ConfigError, match="ticks: is a directory; expected the name of a file"):
        job(tmp_path / NAME, tmp_path / "ticks")
    assert {path.name for path in tmp_path.rglob("*")} == {NAME, "ticks", "precious"}


def test_nothing_else_replaces_a_directory(run, tmp_path):
    ticks = uw.Ticks(pl.DataFrame({"ts": pl.from_epoch([0, 999]), "market": "X", "price": [1.0, 2.0]}))
    ticks.write(tmp_path / "x.parquet")
    (tmp_path / "kept").mkdir()
    with pytest.raises(uw.ConfigError, match="kept: is a directory"):
        ticks.write(tmp_path / "kept")
    for option in ("--picture", "--findings"):
        code, _, err = run("data", "check", "x.parquet", option, "kept")
        assert (code, "kept: is a directory" in err) == (2, True)
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("suffix", ["csv", "zip", "csv.gz"])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, TimeoutError, ValueError])
@pytest.mark.parametrize("phase", ["read", "sort", "write"])
def test_what_is_stopped_leaves_nothing_half_written(tmp_path, monkeypatch, phase, raised, suffix):
    monkeypatch.setattr("underwater.data._rows.BLOCK_BYTES", 1 << 12)
    source = write(
        tmp_path / f"X-aggTrades-2020-03-12.{suffix}", agg_trades([(MS - i % 7, f"{i + 1}") for i in range(1000)])
    )
    target = tmp_path / "out" / "x.parquet"

    def stop(now, *_):
        if now == phase:
            raise raised

    for before in (None, b"an earlier file"):
        if before is not None:
            target.write_bytes(before)
        with pytest.raises(raised):
            uw.data.import_ticks(source, target, "binance.aggTrades", market="X", progress=stop)
        assert [path.read_bytes() for path in target.parent.iterdir()] == ([] if before is None else [before])


def test_records_that_are_stopped_leave_nothing_half_written(tmp_path):
    source = write(tmp_path / NAME, agg_trades([(MS, "1")]))

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        uw.data.import_records(source, tmp_path / "out" / "x.parquet", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_stops_an_import_on_the_command_line(tmp_path):
    rows = [(MS + i * 20, f"{7000 + i * 7919 % 1000}.{i % 10}") for i in range(600_000)]
    write(tmp_path / NAME, agg_trades(rows))
    (tmp_path / "out").mkdir()
    command = "from underwater.cli import main; main()"
    running = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", command, "data", "import", NAME, "--out", "out/x.parquet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(uw.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not any((tmp_path / "out").iterdir()):  # the scratch files: it has begun
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert list((tmp_path / "out").iterdir()) == []


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def waits(reached):
    with patience() as patient:
        patient.check()
        interrupt()
        reached.append("after the signal")
        patient.check()
        reached.append("after the check")


def waits_to_the_end(reached):
    with patience():
        interrupt()
        reached.append("to the end")


def is_impatient(reached):
    with patience():
        interrupt()
        reached.append("once")
        interrupt()
        reached.append("twice")


def does_not_wait(reached):
    with patience() as patient, patient.ended():
        interrupt()
        reached.append("it waited")


def is_not_forgotten(reached):
    with patience() as patient:
        interrupt()
        with patient.ended():
            reached.append("it was forgotten")


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (waits, ["after the signal"]),
        (waits_to_the_end, ["to the end"]),
        (is_impatient, ["once"]),
        (does_not_wait, []),
        (is_not_forgotten, []),
    ],
)
def test_ctrl_c_waits_for_the_next_check(job, expected):
    reached = []
    with pytest.raises(KeyboardInterrupt):
        job(reached)
    assert reached == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_answers_ctrl_c_himself_goes_on_doing_so():
    told = []
    before = signal.signal(signal.SIGINT, lambda *_: told.append("told"))
    try:
        with patience() as patient:
            interrupt()
            patient.check()
            with patient.ended():
                interrupt()
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["told", "told"]
