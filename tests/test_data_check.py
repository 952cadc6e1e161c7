"""What a check finds, that it finds it whatever the chunks, its picture, and repairs that count."""

import random
import re

import polars as pl
import pytest
from archive_files import MS, agg_trades, write

import underwater as uw
from underwater.cli import main


def tape(rows, market="X", **more):
    """Ticks of (second, price) of one market."""
    return pl.DataFrame(
        {
            "ts": pl.from_epoch(pl.Series([row[0] * 1000 for row in rows]), "ms").dt.replace_time_zone("UTC"),
            "market": market,
            "price": [float(row[1]) for row in rows],
            **more,
        }
    )


def kinds(found):
    return found.findings.select("kind", "market", pl.col("ts").dt.epoch("s"), pl.col("until").dt.epoch("s")).rows()


def test_a_clean_tape():
    found = uw.data.check(uw.Ticks(tape([(i, 100 + i % 3) for i in range(500)])))
    assert found.clean
    assert len(found.findings) == 0
    row = found.summary.row(0, named=True)
    assert (row["ticks"], row["instants"], row["price_decimals"], row["price_step"]) == (500, 500, 0, 1.0)


def test_a_gap_is_more_than_the_limit():
    ticks = uw.Ticks(tape([(0, 1), (60, 2), (121, 3)]))
    assert kinds(uw.data.check(ticks)) == [("gap", "X", 60, 121)]
    assert uw.data.check(ticks, uw.data.Limits(gap="61s")).clean


def test_a_frozen_feed_looks_valid_and_is_found():
    moving = [(i, 100 + i % 2) for i in range(60)]
    frozen = [(60 + 10 * i, 105) for i in range(40)]  # 390 s
    after = [(500 + i, 103 + i % 2) for i in range(10)]
    found = uw.data.check(uw.Ticks(tape([*moving, *frozen, *after])))
    assert kinds(found) == [("stale", "X", 60, 450)]
    assert found.findings["ticks"].to_list() == [40]
    assert found.summary["longest_stale"].dt.total_seconds().to_list() == [390]


def test_a_frozen_depth_is_found(run, tmp_path):
    """As on 2025-10-10: rows went on, each band's depth did not change."""
    lines = ["timestamp,percentage,depth,notional"]
    for row in range(60):
        at = f"2025-10-10 21:{row // 2:02}:{row % 2 * 30:02}"
        lines += [f"{at},{band},{100 * abs(band) + min(row, 20) % 3}.5,{row}" for band in (-5, -1, 1, 5)]
    write(tmp_path / "X-bookDepth-2025-10-10.zip", "\n".join([*lines, ""]))
    columns = ("--columns", "ts=timestamp,price=depth,market=percentage")
    assert run("import", "X-bookDepth-2025-10-10.zip", "--out", "depth.parquet", *columns)[0] == 0
    found = uw.data.check(uw.Ticks.scan(tmp_path / "depth.parquet"))
    stale = found.findings.filter(kind="stale")
    assert stale["market"].to_list() == ["-1", "-5", "1", "5"]
    assert stale["ts"].dt.strftime("%T").unique().to_list() == ["21:10:00"]
    assert stale["until"].dt.strftime("%T").unique().to_list() == ["21:29:30"]


def test_silence_is_a_gap_and_staleness_too_only_if_the_price_is_the_same_after():
    assert [row[0] for row in kinds(uw.data.check(uw.Ticks(tape([(0, 1), (1000, 1), (1001, 2)]))))] == ["gap", "stale"]
    found = uw.data.check(uw.Ticks(tape([(0, 1), (1, 2), (1001, 3)])))
    assert [row[0] for row in kinds(found)] == ["gap"]


def test_an_outlier_stands_alone():
    found = uw.data.check(uw.Ticks(tape([(0, 100), (1, 106), (2, 100.5), (3, 90), (4, 89), (5, 80)])))
    assert kinds(found) == [("outlier", "X", 1, 1)], "a fall that goes on is none"
    assert found.findings.select("price", "expected").rows() == [(106, 100.25)]


def test_repeats_are_whole():
    rows = [(0, 1), (0, 1), (0, 1), (0, 2), (1, 2)]
    sizes = {"size": [1.0, 1.0, 2.0, 2.0, 2.0]}
    assert kinds(uw.data.check(uw.Ticks(tape(rows, **sizes)))) == [("repeat", "X", 0, 0)]
    assert uw.data.check(uw.Ticks(tape(rows))).summary["repeat"].to_list() == [2]


def crossed_tape():
    rows = [tape([(i, 100) for i in range(0, 100, 10)], "IDX")]
    prices = {15: 99.5, 25: 97, 35: 98.5, 45: 95, 55: 99.5, 65: 103}
    return pl.concat([*rows, tape(list(prices.items()), "PERP")]).sort("ts", maintain_order=True)


def test_markets_that_should_agree():
    """Apart from 2 % on, until within 1 %: at 98.5 they are still apart."""
    index = [uw.Market(name="PERP", index="IDX")]
    for ticks, pairs in [(uw.Ticks(crossed_tape(), index), ()), (uw.Ticks(crossed_tape()), [("PERP", "IDX")])]:
        found = uw.data.check(ticks, pairs=pairs)
        assert kinds(found) == [("crossed", "PERP", 25, 55), ("crossed", "PERP", 65, 90)]
        assert found.findings["price"].to_list() == [95, 103]
        assert found.findings["note"][0] == "-5.0% against IDX at the widest"
    assert uw.data.check(uw.Ticks(crossed_tape())).summary["crossed"].to_list() == [0, 0]
    with pytest.raises(uw.ConfigError, match="pairs: expected markets of the ticks, got 'Y'"):
        uw.data.check(uw.Ticks(crossed_tape()), pairs=[("PERP", "Y")])


def test_times_that_ran_backwards_are_remembered(tmp_path):
    path = write(
        tmp_path / "X-aggTrades-2020-03-12.csv", agg_trades([(1_583_971_200_000 - i % 2, f"{i + 9}") for i in range(9)])
    )
    ticks = uw.data.import_ticks(path, tmp_path / "x.parquet").ticks
    found = uw.data.check(ticks, uw.data.Limits(outlier=9))
    assert found.findings["kind"].to_list() == ["backwards"]
    assert found.summary["backwards"].to_list() == [4]
    assert "4 times lay before the row before in X-aggTrades" in found.findings["note"][0]


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Two markets with everything wrong with them, in many row groups."""
    generator = random.Random(7)  # noqa: S311  # a seed, no secret
    frames = []
    for market in ("A", "B"):
        price, second, rows = 10_000, 0, []
        for _ in range(3000):
            second += generator.choice([0, 0, 1, 1, 2, 30, 200])
            price += generator.choice([0, 0, 0, -1, 1, 5]) * generator.choice([1, 1, 60])
            rows.append((second, round(price * generator.choice([1] * 99 + [1.2]))))
        frames.append(tape(rows, market))
    frame = pl.concat(frames).sort("ts", maintain_order=True)
    path = tmp_path_factory.mktemp("messy") / "messy.parquet"
    frame.write_parquet(path, row_group_size=100)
    return path


@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_the_same_is_found_whatever_the_chunks(messy, monkeypatch, chunk):
    limits = uw.data.Limits(stale="10s", gap="100s", outlier=0.1)
    whole = uw.data.check(uw.Ticks.scan(messy), limits, [("A", "B")])
    assert whole.summary.select(pl.col("gap", "stale", "outlier", "repeat").min()).row(0) > (0, 0, 0, 0)
    assert whole.summary["crossed"].to_list()[0] > 0
    monkeypatch.setattr("underwater.data.quality._CHUNK", chunk if chunk > 1 else 50)
    for ticks in (uw.Ticks.scan(messy), uw.Ticks.scan(messy).load()):
        again = uw.data.check(ticks, limits, [("A", "B")])
        assert again.summary.equals(whole.summary)
        assert again.findings.equals(whole.findings)
        assert again.path.equals(whole.path)


def test_counts_go_on_where_the_list_ends():
    found = uw.data.check(uw.Ticks(tape([(100 * i, i % 2 + 1) for i in range(1500)])), uw.data.Limits(outlier=5))
    assert found.summary["gap"].to_list() == [1499]
    assert len(found.findings) == 1000


def test_prices_wider_than_64_bits():
    """Together they need 18 decimals and 20 digits: the table holds decimals."""
    frame = pl.concat([tape([(0, 1e-18), (1, 3e-18)], "A"), tape([(0, 100.0), (1, 150.0), (2, 100.0)], "B")])
    found = uw.data.check(uw.Ticks(frame.sort("ts", maintain_order=True)))
    assert kinds(found) == [("outlier", "B", 1, 1)]
    assert found.summary["price_step"].to_list() == [1e-18, 50]


def test_quality_tells_how_much(messy):
    ticks = uw.Ticks.scan(messy).load()
    found = uw.data.check(ticks).summary
    for column in ("gap", "stale", "outlier", "backwards", "crossed", "price_decimals"):
        assert ticks.quality[column].to_list() == found[column].to_list()
    assert ticks.quality["duplicates"].to_list() == found["repeat"].to_list()


def test_a_picture_needs_nothing_else(messy, tmp_path):
    target = uw.data.check(uw.Ticks.scan(messy), pairs=[("A", "B")]).plot(tmp_path / "x" / "check.html")
    html = target.read_text()
    assert not re.search(r"<(script|link)[^>]*(src|href)=", html)
    assert all(f'"{word}"' in html for word in ("gap", "outlier", "crossed"))
    assert [path.name for path in target.parent.iterdir()] == ["check.html"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"gap": "x"}, "gap: expected a duration"), ({"outlier": 0}, "outlier: "), ({"crosst": 1}, "crosst")],
)
def test_limits_are_checked(limits, message):
    with pytest.raises(uw.ConfigError, match=message):
        uw.data.Limits.from_dict(limits)


# Repairs


def test_nothing_is_repaired_but_by_name():
    rows = [(0, 100), (0, 100), (1, 106), (2, 100.5), (400, 101)]
    ticks = uw.Ticks(tape(rows), [uw.Market(name="X", index=None)])
    uw.data.check(ticks)
    assert ticks.rows == 5
    first = uw.data.drop_repeats(ticks)
    second = uw.data.drop_outliers(first.ticks)
    third = uw.data.drop_between(second.ticks, "X", "1970-01-01T00:00:02", "1970-01-01T00:01:00")
    assert [step.removed for step in (first, second, third)] == [1, 1, 1]
    assert ticks.rows == 5
    assert third.ticks.to_polars()["price"].to_list() == [1000, 1010]
    assert [repair["repair"] for repair in third.ticks.provenance["repairs"]] == [
        "drop_repeats",
        "drop_outliers",
        "drop_between",
    ]
    assert third.ticks.provenance["repairs"][2]["start"] == "1970-01-01T00:00:02"


def test_repairs_go_by_market():
    """Equal ticks of two markets are no repeats; a neighbour is one of the same market."""
    frame = pl.concat([tape([(0, 100), (1, 100), (2, 100)], "A"), tape([(0, 100), (1, 106), (2, 100)], "B")])
    ticks = uw.Ticks(frame.sort("ts", maintain_order=True))
    assert uw.data.drop_repeats(ticks).removed == 0
    assert uw.data.drop_outliers(ticks).removed == 1


def test_repairs_keep_the_definitions(messy):
    market = uw.Market(name="A", price_decimals=6, index="B")
    ticks = uw.Ticks(pl.read_parquet(messy), [market])
    assert uw.data.drop_repeats(ticks).ticks.markets == ticks.markets


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda ticks: uw.data.drop_outliers(ticks, 0), "limit: expected a ratio above 0"),
        (lambda ticks: uw.data.drop_between(ticks, "Y", "1970-01-01", "1970-01-02"), "market: expected one"),
        (lambda ticks: uw.data.drop_between(ticks, "X", "then", "now"), "start, end: expected times"),
    ],
)
def test_bad_repairs(job, message):
    with pytest.raises(uw.ConfigError, match=message):
        job(uw.Ticks(tape([(0, 1)])))


def test_a_repair_that_leaves_nothing_is_refused():
    with pytest.raises(uw.DataError, match="no tick would be left"):
        uw.data.drop_between(uw.Ticks(tape([(0, 1)])), "X", "1970-01-01T00:00:00", "1970-01-02T00:00:00")


def test_the_worst_of_each_kind_come_first(messy):
    worst = uw.data.check(uw.Ticks.scan(messy)).worst(2)
    assert worst.group_by("kind").len()["len"].max() <= 2
    assert "repeat" not in worst["kind"].to_list()
    gaps = (
        uw.data.check(uw.Ticks.scan(messy))
        .findings.filter(kind="gap")
        .with_columns(lasts=pl.col("until") - pl.col("ts"))
    )
    assert worst.filter(kind="gap")["lasts"].to_list() == gaps["lasts"].sort(descending=True).head(2).to_list()


def test_what_several_files_count_is_added_and_what_they_say_is_kept(tmp_path):
    """A reconstructed file among imported ones does not pass as real, and each file's backwards times count."""
    rows = [(MS, "1"), (MS + 5, "2"), (MS + 1, "3")]
    for name in ("A", "B"):
        write(tmp_path / f"{name}-aggTrades-2020-03-12.csv", agg_trades(rows))
        uw.data.import_ticks(tmp_path / f"{name}-aggTrades-2020-03-12.csv", tmp_path / f"{name}.parquet")
    prices = {"open": 1, "high": 2, "low": 1, "close": 2}
    bars = pl.DataFrame({"ts": pl.from_epoch([0]), **prices, "volume": 9, "count": 5})
    uw.bars.to_ticks(bars, "1m", [uw.Market(name="C")]).write(tmp_path / "C.parquet")
    said = uw.Ticks.scan(tmp_path / "*.parquet").provenance
    assert (said["rows"], said["backwards"], said["kind"]) == (6, 2, "imported; reconstructed")
    assert said["sources"] == ["A-aggTrades-2020-03-12.csv", "B-aggTrades-2020-03-12.csv"]
    found = uw.data.check(uw.Ticks.scan(tmp_path / "*.parquet"))
    assert found.summary["backwards"].sum() == 2


# On the command line


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["data", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


def test_import_check_and_info(run, tmp_path):
    write(
        tmp_path / "X-aggTrades-2020-03-12.zip",
        agg_trades([(1_583_971_200_000 + 100_000 * i, f"{i + 9}") for i in range(9)]),
    )
    code, out, err = run("import", "X-aggTrades-*.zip", "--out", "ticks/x.parquet")
    assert (code, err) == (0, "")
    assert re.search(r"written +│ +9", out)
    code, out, err = run(
        "check", "ticks/x.parquet", "--picture", "check.html", "--findings", "found.parquet", "--outlier", 9
    )
    assert (code, err) == (0, "")
    assert "gap" in out
    assert pl.read_parquet("found.parquet")["kind"].unique().to_list() == ["gap"]
    assert (tmp_path / "check.html").is_file()
    assert run("check", "ticks/x.parquet", "--strict")[0] == 1
    assert run("check", "ticks/x.parquet", "--strict", "--gap", "2m", "--outlier", 9)[0] == 0
    code, out, _ = run("info", "ticks/x.parquet")
    assert (code, "real: every tick, as its source has it" in out) == (0, True)


def test_repairs_on_the_command_line(run, tmp_path):
    """Nothing without a name; each name says how much, and the file says it too."""
    rows = [(0, 100), (0, 100), (1, 106), (2, 100.5), (400, 101), (900, 102)]
    uw.Ticks(tape(rows)).write(tmp_path / "x.parquet")
    code, _, err = run("repair", "x.parquet", "--out", "y.parquet")
    assert (code, "nothing is repaired unasked" in err) == (2, True)
    assert not (tmp_path / "y.parquet").exists()
    stretch = "X,1970-01-01T00:05:00,1970-01-01T00:10:00"
    options = ("--drop-repeats", "--drop-outliers", 0.05, "--drop-between", stretch)
    code, out, _ = run("repair", "x.parquet", "--out", "y.parquet", *options)
    assert code == 0
    assert "6 ticks; 3 to y.parquet" in out
    assert re.findall(r"(drop_\w+) +│ +(\d)", out) == [
        ("drop_repeats", "1"),
        ("drop_outliers", "1"),
        ("drop_between", "1"),
    ]
    mended = uw.Ticks.scan("y.parquet")
    assert mended.to_polars()["price"].to_list() == [1000, 1005, 1020]
    assert [repair["removed"] for repair in mended.provenance["repairs"]] == [1, 1, 1]
    assert uw.Ticks.scan("x.parquet").rows == 6
    code, out, _ = run("repair", "y.parquet", "--out", "y.parquet", "--drop-repeats")
    assert re.findall(r"(drop_\w+) +│ +(\d)", out) == [("drop_repeats", "0")], "only what was done now"
    for wrong in ("X,1970-01-01", "X,a,b,c"):
        code, _, err = run("repair", "x.parquet", "--out", "z.parquet", "--drop-between", wrong)
        assert (code, "drop-between: expected MARKET,START,END" in err) == (2, True)


def test_a_narrow_terminal_cuts_nothing_off(run, tmp_path, monkeypatch):
    write(
        tmp_path / "LONGNAMEUSDT-aggTrades-2020-03-12.zip",
        agg_trades([(1_583_971_200_000, "1"), (1_583_971_400_000, "2")]),
    )
    assert run("import", "LONGNAMEUSDT-aggTrades-2020-03-12.zip", "--out", "x.parquet")[0] == 0
    monkeypatch.setenv("COLUMNS", "80")
    for command, titles in (("check", ("step", "stale", "crossed")), ("info", ("first", "crossed"))):
        code, out, _ = run(command, "x.parquet")
        assert (code, "…" in out, max(map(len, out.splitlines())) <= 80) == (0, False, True), out
        assert all(title in out for title in titles), out


def test_import_by_columns_and_to_records(run, tmp_path):
    write(tmp_path / "mine.csv", "when,px\n1583971200,1.5\n")
    inverse = ("--market", "MINE", "--contract-size", 10, "--settlement", "BTC")
    code, _, err = run("import", "mine.csv", "--out", "x.parquet", "--columns", "ts=when,price=px", *inverse)
    assert (code, err) == (0, "")
    market = uw.Ticks.scan("x.parquet").markets[0]
    assert (market.kind, market.contract_size, market.settlement) == ("inverse", 10, "BTC")
    write(tmp_path / "X-1m-2020-03-12.csv", "1583971200000,1,2,0.5,1.5,0,1583971259999,0,60,0,0,0\n")
    assert run("import", "X-1m-2020-03-12.csv", "--out", "bars.parquet", "--records")[0] == 0
    assert pl.read_parquet("bars.parquet")["market"].to_list() == ["X"]


@pytest.mark.parametrize("width", ["80", "250"])
def test_formats_are_listed(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = run("formats")
    assert (code, all(f"{name} " in out for name in uw.data.formats()["format"])) == (0, True)
    code, out, _ = run("formats", "tardis.derivative_ticker")
    assert (code, "Price of a tick: mark_price or index_price or last_price" in out) == (0, True)
    assert re.search(r"funding_ts +│ time +│ funding_timestamp +│ yes", out)
    code, _, err = run("formats", "tardis.orders")
    assert (code, "format: expected one of binance.aggTrades, " in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "none.zip", "--out", "x.parquet"], "none.zip: no such file"),
        (["import", "x", "--out", "y", "--columns", "price=a"], "columns: expected ts=COLUMN,price=COLUMN"),
        (["fetch", "kraken", "X", "2020-01-01"], "archive: expected one of"),
        (["fetch", "bitmex", "X", "then"], "days: expected"),
        (["check", "none.parquet"], "none.parquet"),
        (["check", "x.parquet", "--gap", "long"], "gap: expected a duration"),
    ],
)
def test_bad_usage_is_one_line_and_exits_with_2(run, tmp_path, arguments, message):
    uw.Ticks(tape([(0, 1)])).write(tmp_path / "x.parquet")
    code, _, err = run(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def test_an_archive_that_is_not_there_exits_with_1(run, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise ConnectionError("https://example.org/x: timed out, after 6 tries")

    monkeypatch.setattr("underwater.data.fetch", fail)
    code, _, err = run("fetch", "bitmex", "XBTUSD", "2020-03-12")
    assert (code, err) == (1, "error: https://example.org/x: timed out, after 6 tries\n")
