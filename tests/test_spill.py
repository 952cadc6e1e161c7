"""Records that leave memory: the same result, no file left behind, errors that name the place."""

import sys
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from test_determinism import ASSETS, MARKETS, PROTOCOL, crash

import underwater as uw
from underwater.result import FRAMES

ROWS = 3


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    ticks = uw.Ticks(crash(), MARKETS, ASSETS)
    return ticks.write(tmp_path_factory.mktemp("spill") / "crash.parquet")


@pytest.fixture(scope="module")
def book(path):
    options = {"leverage_median": 4, "leverage_p95": 20, "cross_share": 0.5, "cross_assets": "any"}
    return uw.Book.synthetic(uw.Ticks.scan(path), accounts=1000, seed=5, **options)


@pytest.fixture(scope="module")
def resident(path, book):
    return uw.replay(uw.Ticks.scan(path).load(), book, PROTOCOL)


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr("underwater.run._ROWS_TOGETHER", ROWS)


def open_files(directory: Path) -> list[str]:
    """Files of this process in a directory, those without a name included."""
    open_now = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            open_now.append(str(descriptor.readlink()))
    return [name for name in open_now if name.startswith(str(directory))]


@pytest.mark.parametrize("chunk", [None, 1000, 100_000])
@pytest.mark.usefixtures("small_groups")
def test_the_result_is_that_of_a_run_in_memory(path, book, resident, tmp_path, chunk):
    assert len(resident.postings) > 100 * ROWS
    assert len(resident.adl) > ROWS
    spilled = uw.replay(uw.Ticks.scan(path), book, PROTOCOL, chunk_ticks=chunk, spill=tmp_path)
    assert spilled.state_hash == resident.state_hash
    assert spilled.summary() == resident.summary()
    for name in FRAMES:
        whole = resident._frame(name)
        assert spilled._frame(name).equals(whole), name
        batches = list(spilled.batches(name))
        assert pl.concat(batches).equals(whole), name
        assert max(map(len, batches)) <= max(ROWS, len(whole) if name not in RECORDED else 0), name


RECORDED = ("liquidations", "adl", "bad_debt", "timeline", "postings")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.usefixtures("small_groups")
def test_the_file_is_gone_with_the_result(path, book, tmp_path):
    result = uw.replay(uw.Ticks.scan(path), book, PROTOCOL, chunk_ticks=1000, spill=tmp_path)
    assert len(open_files(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []  # it has no name: nothing stays even if the process is killed
    del result
    assert open_files(tmp_path) == []


@pytest.mark.usefixtures("small_groups")
def test_what_was_spilled_is_written_and_read(path, book, resident, tmp_path):
    spilled = uw.replay(uw.Ticks.scan(path), book, PROTOCOL, chunk_ticks=1000, spill=tmp_path)
    read = uw.Result.read(spilled.write(tmp_path / "out"))
    for name in FRAMES:
        assert read._frame(name).equals(resident._frame(name)), name
        assert pl.concat(read.batches(name)).equals(resident._frame(name)), name
    assert read.state_hash == resident.state_hash


def test_frames_that_do_not_exist_are_refused(resident):
    with pytest.raises(uw.ConfigError, match="there is no frame 'losses'; there are who_pays, "):
        resident.batches("losses")


@pytest.mark.usefixtures("small_groups")
def test_the_environment_names_a_directory(path, book, resident, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERWATER_SPILL", str(tmp_path))
    result = uw.replay(uw.Ticks.scan(path), book, PROTOCOL)
    assert result.state_hash == resident.state_hash
    if Path("/proc/self/fd").is_dir():
        assert len(open_files(tmp_path)) == 1
    monkeypatch.setenv("UNDERWATER_SPILL", str(tmp_path / "none"))
    with pytest.raises(uw.ConfigError, match=r"UNDERWATER_SPILL: expected a directory, got '.*none'"):
        uw.replay(uw.Ticks.scan(path), book, PROTOCOL)


@pytest.mark.usefixtures("small_groups")
def test_errors_name_the_directory(path, book, tmp_path, monkeypatch):
    with pytest.raises(uw.ConfigError, match=r"spill: expected a directory, got '.*none'"):
        uw.replay(uw.Ticks.scan(path), book, PROTOCOL, spill=tmp_path / "none")
    # It is gone by the time that it is needed.
    gone = tmp_path / "gone"
    monkeypatch.setattr("underwater.run._spill", lambda *_, **__: (gone, ROWS))
    with pytest.raises(uw.EngineError, match=rf"records cannot be written to a temporary file in {gone}: "):
        uw.replay(uw.Ticks.scan(path), book, PROTOCOL)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of processes")
@pytest.mark.usefixtures("small_groups")
def test_a_full_disk_is_an_error(path, book, tmp_path):
    import resource
    import signal

    # A limit on the size of files fails like a full disk, if its signal is ignored.
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(uw.EngineError, match=rf"records cannot be written to a temporary file in {tmp_path}: "):
            uw.replay(uw.Ticks.scan(path), book, PROTOCOL, spill=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
