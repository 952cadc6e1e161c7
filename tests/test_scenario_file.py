"""Scenario files: what is done to ticks and books, through the command line, and errors that name file and field."""

import datetime as dt

import polars as pl
import pytest

import underwater as uw
from underwater.scenario import Scenario


@pytest.fixture
def scenario(ticks, book, tmp_path):
    """Writes a scenario of the textbook case with these lines under `[ticks]` and `[book]`."""
    ticks.write(tmp_path / "ticks.parquet")
    book.positions.write_parquet(tmp_path / "positions.parquet")

    def write(ticks='files = "ticks.parquet"', book='positions = "positions.parquet"'):
        path = tmp_path / "textbook.toml"
        path.write_text(
            f"[protocol]\nadl = {{}}\ninsurance_fund = {{ balance = 300 }}\n[ticks]\n{ticks}\n[book]\n{book}\n"
        )
        return path

    return write


FILES = 'files = "ticks.parquet"\n'
EVERY_STEP = """
[[ticks.steps]]
step = "amplify"
factor = "1/2"
markets = "ETH-PERP"
end = 1970-01-02T00:00:00Z
[[ticks.steps]]
step = "speed"
factor = 0.5
[[ticks.steps]]
step = "shift"
time = "10s"
level = "1.1"
[[ticks.steps]]
step = "jump"
size = -0.1
at = "1s"
until = "1h"
[[ticks.steps]]
step = "splice"
parts = [{ files = "ticks.parquet", steps = [{ step = "cut", end = "1s" }] }]
gap = "5s"
level = "keep"
[[ticks.steps]]
step = "outage"
start = "1m"
end = "2m"
[[ticks.steps]]
step = "index"
name = "ETH-INDEX"
sources = { ETH-PERP = 2 }
cadence = "1s"
of = ["ETH-PERP"]
[[ticks.steps]]
step = "cut"
start = "0s"
"""


def test_steps_are_those_of_the_functions(scenario, ticks, tmp_path):
    read = Scenario.read(scenario(FILES + EVERY_STEP)).ticks.open(tmp_path)
    s = uw.scenarios
    made = s.amplify(ticks, "1/2", markets="ETH-PERP", end=dt.datetime(1970, 1, 2, tzinfo=dt.UTC))
    made = s.jump(s.shift(s.speed(made, 0.5), time="10s", level="1.1"), -0.1, at="1s", until="1h")
    made = s.splice(made, s.cut(ticks, end="1s"), gap="5s", level="keep")
    made = uw.index(s.outage(made, start="1m", end="2m"), "ETH-INDEX", {"ETH-PERP": 2}, cadence="1s", of=["ETH-PERP"])
    made = s.cut(made, start="0s")
    assert [step["step"] for step in read.provenance["steps"]] == ["splice", "outage", "index", "cut"]
    assert read.provenance["steps"][1:] == made.provenance["steps"][1:]
    assert read.to_polars().equals(made.to_polars())
    assert read.definitions == made.definitions


def test_a_worse_day_is_replayed(run, scenario):
    assert run("replay", scenario())[0] == 0
    assert run("replay", scenario(FILES + '[[ticks.steps]]\nstep = "amplify"\nfactor = 2'), "--out", "worse")[0] == 0
    plain, worse = (
        uw.Result.read(f"out/{name}") if name == "textbook" else uw.Result.read(name) for name in ("textbook", "worse")
    )
    # ADL at the bankruptcy price gives up what the fund does not pay: 5 x (1,800 - 1,445) - 300.
    assert plain.who_pays().filter(line="adl")["amount_usd"].to_list() == [200]
    assert float(worse.who_pays().filter(line="adl")["amount_usd"].item()) == pytest.approx(1475, abs=1e-5)


@pytest.mark.parametrize(("stamp", "column"), [("open", "open_ts"), ("close", "close_ts")])
def test_bars_are_rebuilt(run, scenario, tmp_path, stamp, column):
    minutes = pl.Series([0, 1]) + (stamp == "close")
    bars = pl.DataFrame(
        {
            column: pl.from_epoch(minutes * 60).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
            "market": "ETH-PERP",
            "open": [2000.0, 1900.0],
            "high": [2010.0, 1900.0],
            "low": [1890.0, 1690.0],
            "close": [1900.0, 1700.0],
            "volume": [100.0, 200.0],
            "count": [20, 40],
            "taker_buy_volume": [1.0, 2.0],
        }
    )
    bars.write_parquet(tmp_path / "bars.parquet")
    path = scenario(f'files = "bars.parquet"\nbars = {{ interval = "1m", stamp = "{stamp}", seed = 3 }}')
    rebuilt = Scenario.read(path).ticks.open(tmp_path)
    frame = bars.rename({column: "ts"}).drop("taker_buy_volume")
    assert rebuilt.to_polars().equals(uw.bars.to_ticks(frame, "1m", seed=3, stamp=stamp).to_polars())
    assert rebuilt.rows == 60
    code, out, _ = run("replay", path)
    assert (code, "reconstructed" in out) == (0, True)


def test_a_snapshot_scaled_and_balanced(run, scenario, ticks, tmp_path):
    pl.DataFrame(
        {
            "acct": ["ann", "bob"],
            "account_value": [1000.0, 500.0],
            "coin": "ETH-PERP",
            "direction": ["Long", "Short"],
            "size": [5.0, 1.0],
            "entry_px": [2000.0, 2100.0],
            "position_value": [10_000.0, 2000.0],
        }
    ).write_parquet(tmp_path / "states.parquet")
    path = scenario(
        book='snapshot = { file = "states.parquet", layout = "hyperliquid" }\n'
        "scaled_to = { ETH-PERP = 10 }\nbalanced = { leverage = 2, accounts = 3 }"
    )
    described = Scenario.read(path).book.open(tmp_path, ticks).describe()
    assert described.select("long", "short", "net", "accounts").row(0) == (10, 10, 0, 5)
    code, out, _ = run("replay", path)
    assert (code, "Book: 5 accounts" in out) == (0, True)


def test_a_generated_book_with_the_marginals_of_a_snapshot(run, scenario, ticks, tmp_path):
    names = ["account", "market", "size", "entry_price", "mark_price", "account_value"]
    rows = [(f"a{i}", "ETH", (-1) ** i * (1 + i % 7), 2000.0, 2000.0, 500.0 + 50 * i) for i in range(40)]
    snapshot = pl.DataFrame(rows, names, orient="row")
    snapshot.write_parquet(tmp_path / "states.parquet")
    lines = 'calibrated = { file = "states.parquet", accounts = 300, seed = 5, markets = { ETH = "ETH-PERP" }'
    made = Scenario.read(scenario(book=lines + " }")).book.open(tmp_path, ticks)
    said = uw.books.calibrate(snapshot, {"ETH": "ETH-PERP"})
    assert made.positions.equals(uw.Book.synthetic(ticks, 300, 5, **said).positions)
    path = scenario(book=lines + ", options = { notional_median = 20_000, notional_p95 = 30_000 } }")
    other = Scenario.read(path).book.open(tmp_path, ticks)
    assert other.positions.equals(
        uw.Book.synthetic(ticks, 300, 5, **{**said, "notional_median": 20_000, "notional_p95": 30_000}).positions
    )
    assert not other.positions.equals(made.positions)
    assert run("replay", path)[0] == 0


def test_tables_of_trades(run, scenario, tmp_path):
    early, late = dt.datetime(1969, 12, 31, tzinfo=dt.UTC), dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    one = {"account": ["ann", "ann"], "market": "ETH-PERP"}
    pl.DataFrame({"ts": [early, late], **one, "size": [5.0, -1.0], "price": [2000.0, 1900.0]}).write_parquet(
        tmp_path / "trades.parquet"
    )
    pl.DataFrame({"ts": [early], "account": ["ann"], "asset": ["USD"], "amount": [1000.0]}).write_parquet(
        tmp_path / "transfers.parquet"
    )
    trades = '[book.trades]\ntrades = "trades.parquet"\ntransfers = "transfers.parquet"\nat = '
    for at in ('"1970-01-01T00:00:00Z"', "1970-01-01T00:00:00Z"):
        assert run("replay", scenario(book=trades + at), "--out", "traded")[0] == 0
        assert uw.Result.read("traded").summary()["accounts"] == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            '[[ticks.steps]]\nstep = "amplfy"',
            "textbook.toml: ticks.steps.0: expected step to be one of 'amplify', 'jump'",
        ),
        ("[[ticks.steps]]\nfactor = 2", "textbook.toml: ticks.steps.0: expected a table with a step"),
        ('[[ticks.steps]]\nstep = "speed"', "textbook.toml: ticks.steps.0.factor: missing"),
        (
            '[[ticks.steps]]\nstep = "amplify"\nfator = 2',
            "textbook.toml: ticks.steps.0: unknown field 'fator'; did you mean 'factor'?",
        ),
        (
            '[[ticks.steps]]\nstep = "speed"\nfactor = 2\n[[ticks.steps]]\nstep = "speed"\nfactor = "fast"',
            "textbook.toml: ticks.steps.1: scenarios.speed: factor: expected a number",
        ),
        (
            '[[ticks.steps]]\nstep = "outage"\nstart = "0s"\nend = "1s"\nmarkets = "BTC"',
            "textbook.toml: ticks.steps.0: ticks: expected one of the markets ETH-PERP, got 'BTC'",
        ),
        (
            '[[ticks.steps]]\nstep = "index"\nname = "I"\nsources = ["BTC"]',
            "textbook.toml: ticks.steps.0: ",
        ),
        ('[[ticks.steps]]\nstep = "splice"\nparts = []', "textbook.toml: ticks.steps.0.parts: "),
        (
            '[[ticks.steps]]\nstep = "splice"\nparts = [{ files = "gone.parquet" }]',
            "textbook.toml: ticks.steps.0: ",
        ),
        ('bars = { interval = "1m" }', "ticks.parquet: expected bars with a column 'open', got ts, market, price"),
        ("bars = { seed = 1 }", "textbook.toml: ticks.bars.interval: missing"),
    ],
)
def test_what_is_wrong_with_the_ticks_is_named(run, scenario, lines, message):
    code, _, err = run("replay", scenario(FILES + lines))
    assert (code, message in err, err.count("\n")) == (2, True, 1), err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "textbook.toml: book: expected one of positions, synthetic, calibrated, snapshot and trades"),
        ('calibrated = { file = "gone" }', "textbook.toml: book.calibrated.file: no such file"),
        (
            'calibrated = { file = "positions.parquet" }',
            "textbook.toml: book: snapshot: expected a column 'mark_price'",
        ),
        ('accounts = "a"\n[book.synthetic]', "textbook.toml: book: expected positions with accounts and events"),
        ('snapshot = { file = "gone" }', "textbook.toml: book.snapshot.file: no such file"),
        ('snapshot = { file = "textbook.toml" }', "textbook.toml: book: snapshot.file: "),
        (
            'snapshot = { file = "positions.parquet", layout = "hyperliquid" }',
            "textbook.toml: book: snapshot: expected a column",
        ),
        (
            'snapshot = { file = "positions.parquet", layout = "x" }',
            "textbook.toml: book.snapshot.layout: expected 'columns' or 'hyperliquid', got 'x'",
        ),
        (
            'trades = { trades = "positions.parquet", transfers = "positions.parquet", at = "noon" }',
            "textbook.toml: book: trades.at: expected a time such as",
        ),
        ('positions = "positions.parquet"\nscaled_to = { BTC = 1 }', "open_interest: no position in 'BTC'"),
        (
            'positions = "positions.parquet"\nscaled_to = { ETH-PERP = -1 }',
            "open_interest.ETH-PERP: expected a positive",
        ),
        (
            'positions = "positions.parquet"\nbalanced = { leverage = 0 }',
            "textbook.toml: book: books.balanced: expected a positive leverage",
        ),
        ("[book.synthetic]\nacounts = 3", "textbook.toml: book: "),
    ],
)
def test_what_is_wrong_with_the_book_is_named(run, scenario, lines, message):
    code, _, err = run("replay", scenario(book=lines))
    assert (code, message in err, err.count("\n")) == (2, True, 1), err
