import pytest

import underwater as uw


@pytest.fixture
def scenario(ticks, book, tmp_path):
    """Writes a scenario of the textbook case, with these tables of protocols."""
    ticks.write(tmp_path / "ticks.parquet")
    book.positions.write_parquet(tmp_path / "positions.parquet")

    def write(protocols, source='files = "ticks.parquet"'):
        path = tmp_path / "textbook.toml"
        path.write_text(f'[ticks]\n{source}\n[book]\npositions = "positions.parquet"\n{protocols}')
        return path

    return write


ONE = '[protocol]\nname = "textbook"\nadl = {}\ninsurance_fund = { balance = 300 }\n'
TWO = """
[protocols]
plain = "order_book"
[protocols.thin]
base = "order_book"
with = { "insurance_fund.balance" = 300 }
"""


def test_version_and_help(run):
    assert run("--version") == (0, f"underwater {uw.__version__} ({uw.build_profile})\n", "")
    for command in ("demo", "replay", "compare", "data", "protocols"):
        code, out, _ = run(command, "--help")
        assert (code, "Usage: underwater" in out) == (0, True)


def test_protocols_list(run):
    code, out, err = run("protocols", "list")
    names = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert (code, err) == (0, "")
    assert names == ["dydx_v4", "hyperliquid", "gmx_v1", "order_book", "lp_pool", "no_fund"]


def test_protocols_show(run, monkeypatch):
    code, out, _ = run("protocols", "show", "hyperliquid")
    assert code == 0
    for part in ("Models", "Leaves out", "Sources", "margin.assets.BTC", "unverified", "ours"):
        assert part in out
    for name in ("lp_pool", "dydx_v4"):
        code, out, _ = run("protocols", "show", name, "--toml")
        assert (code, uw.Protocol.from_toml(out)) == (0, uw.protocols.get(name))
    assert run("protocols", "show", "ftx")[0] == 2


def test_demo_writes_results(run):
    code, out, err = run("demo", "--accounts", 500, "--out", "results")
    assert (code, err) == (0, "")
    assert "order book" in out
    assert uw.Result.read("results/lp_pool").protocol == uw.protocols.lp_pool()


def test_replay(run, scenario):
    code, out, err = run("replay", scenario(ONE))
    assert (code, err) == (0, "")
    assert "insurance fund" in out
    assert uw.Result.read("out/textbook").who_pays().filter(line="adl")["amount_usd"].to_list() == [200]


def test_compare(run, scenario):
    code, out, _ = run("compare", scenario(TWO), "--out", "both")
    assert code == 0
    assert "thin" in out
    assert uw.Result.read("both/thin").protocol.insurance_fund.balance == 300


def test_data_info(run, ticks, tmp_path):
    path = ticks.write(tmp_path / "ticks.parquet")
    code, out, _ = run("data", "info", path)
    assert code == 0
    assert "ETH-PERP" in out
    assert "real: nothing" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["protocols", "show", "nonesuch"],
            "error: protocol: expected one of order_book, lp_pool, no_fund, dydx_v4, hyperliquid, gmx_v1, got 'n",
        ),
        (["data", "info", "none.parquet"], "none.parquet"),
        (["demo", "--day", "1929-10-24"], "1929-10-24"),
        (["replay", "none.toml"], "'none.toml' does not exist"),
        (["nonsense"], "No such command 'nonsense'"),
        (["demo", "--accounts", "many"], "'--accounts'"),
    ],
)
def test_bad_usage_exits_with_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("command", "protocols", "source", "message"),
    [
        ("replay", "protocol = {", None, "textbook.toml: not TOML"),
        ("replay", "", None, "protocol: expected a table [protocol]"),
        ("compare", ONE, None, "protocols: expected tables [protocols.NAME]"),
        ("replay", "[protocol]\nadl = { cost = 1 }", None, "error: protocol: adl: unknown field 'cost'"),
        ("replay", '[protocol]\nbase = "order_book"\nwith = { "pool" = 1 }', None, "protocol: pool: expected a table"),
        ("replay", '[protocol]\nbase = "x.toml"', None, "x.toml: no such file"),
        ("replay", ONE, 'files = "none.parquet"', "none.parquet"),
        ("replay", ONE, 'files = "positions.parquet"', "positions.parquet"),
        ("replay", ONE, 'day = "2025-10-10"\nfiles = "x"', "ticks: expected either day or files"),
        ("replay", ONE, 'fils = "x"', "ticks: unknown field 'fils'; did you mean 'files'?"),
    ],
)
def test_bad_input_is_one_line_and_exits_with_2(run, scenario, command, protocols, source, message):
    code, _, err = run(command, scenario(protocols, *([source] if source else [])))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_a_failed_run_exits_with_1(run, scenario, monkeypatch):
    def fail(*_, **__):
        raise uw.EngineError("overflow: value")

    monkeypatch.setattr("underwater.cli.replay", fail)
    code, _, err = run("replay", scenario(ONE))
    assert (code, err) == (1, "error: overflow: value\n")


def test_a_directory_of_something_else_is_left_alone(run, scenario, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    code, _, err = run("replay", scenario(ONE), "--out", "mine")
    assert (code, "not an earlier result" in err) == (2, True)
