from decimal import Decimal

import polars as pl
import pytest

import underwater as uw
from underwater.result import FRAMES

COLUMNS = {
    "who_pays": "section line amount_usd share accounts first_ts",
    "liquidations": """ts account market event trigger_ts trigger_price trigger_equity_usd trigger_notional_usd route
        side size price reference_price asset amount notional_usd equity_usd price_subsidy_usd opening""",
    "adl": """ts account market event loser trigger_ts trigger_equity_usd trigger_notional_usd loser_equity_usd side size
        asset amount price mark_price reference_price notional_usd give_up_usd forgone_profit_usd principal_usd
        equity_usd pnl_usd kind rank score""",
    "bad_debt": """ts account market event asset amount bad_debt_usd principal_usd funding_borrow_usd
        third_party_fees_usd assessments_usd waived_usd insurance_fund_usd pool_usd adl_give_up_usd socialised_usd
        treasury_usd token_usd treasury_later_usd token_later_usd uncovered_usd adl_overshoot_usd subsidy_usd
        change_of_prepaid_usd recovered_usd opening status""",
    "timeline": """ts liquidations adl_fills liquidated_usd adl_usd bad_debt_usd uncovered_usd insurance_fund_usd
        pool_usd treasury_usd vault_usd token_usd queue""",
    "accounts": """account market margin_mode owner status trigger_ts closed_ts opening_equity_usd closing_equity_usd
        deposits_usd bad_debt_usd adl_give_up_usd socialised_usd unpaid_profit_usd opening""",
    "balances": "holder market asset opening closing",
    "positions": "holder market opening_size closing_size closing_entry_value",
    "postings": "ts event kind from from_market to to_market asset amount amount_usd",
    "rejected_events": "ts account market kind asset amount size reason",
}


def payers(result: uw.Result) -> dict[str, Decimal]:
    return dict(result.who_pays().filter(section="payer").select("line", "amount_usd").rows())


def test_the_textbook_case(result):
    assert payers(result) == {"insurance_fund": 300, "adl": 200, "uncovered": 0}
    assert result.bad_debt["bad_debt_usd"].to_list() == [500]
    assert result.adl["give_up_usd"].sum() == 200


@pytest.mark.parametrize("name", FRAMES)
def test_frames_have_their_columns(result, name):
    frame = result.who_pays() if name == "who_pays" else getattr(result, name)
    assert frame.columns == COLUMNS[name].split()
    for column, kind in frame.schema.items():
        if column.endswith("_usd"):
            assert kind == pl.Decimal(38, 6), column
        if column in ("ts", "trigger_ts", "closed_ts", "first_ts"):
            assert kind == pl.Datetime("ns", "UTC"), column


def test_who_pays_by_owner(result):
    by_owner = result.who_pays(by="owner")
    assert by_owner["owner"].to_list() == ["bob & co", "ann"]
    assert by_owner["result_usd"].to_list() == [1300, -1000]
    with pytest.raises(ValueError, match="by: expected None or 'owner', got 'market'"):
        result.who_pays(by="market")


def test_equal_inputs_give_equal_results(ticks, book, protocol, result):
    again = uw.replay(ticks, book, protocol)
    assert again.state_hash == result.state_hash
    assert again.postings.equals(result.postings)


def test_written_results_read_back(result, tmp_path):
    directory = result.write(tmp_path / "run")
    read = uw.Result.read(directory)
    for name in FRAMES:
        assert read._frame(name).equals(result._frame(name)), name
        assert read._frame(name).schema == result._frame(name).schema, name
    assert read.state_hash == result.state_hash
    assert read.summary() == result.summary()
    assert (read.protocol, read.options) == (result.protocol, result.options)
    assert read.provenance == result.provenance
    assert result.provenance == {"real": "nothing"}
    assert read.version == uw.__version__


def test_write_replaces_an_earlier_result_only(result, tmp_path):
    result.write(tmp_path / "run")
    result.write(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not an earlier result"):
        result.write(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_read_says_what_is_wrong(tmp_path):
    with pytest.raises(uw.MissingFileError, match=r"manifest\.json: no such file"):
        uw.Result.read(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(uw.DataError, match="not a manifest: KeyError"):
        uw.Result.read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(uw.DataError, match="expected format 1, got 99"):
        uw.Result.read(tmp_path)


def test_compare(ticks, book, protocol):
    frame = uw.compare({"fund": protocol, "nothing": uw.Protocol()}, ticks, book)
    assert frame.columns == ["protocol", *COLUMNS["who_pays"].split()]
    uncovered = frame.filter(line="uncovered").select("protocol", "amount_usd").rows()
    assert uncovered == [("fund", Decimal(0)), ("nothing", Decimal(500))]
    with pytest.raises(ValueError, match="at least one"):
        uw.compare({}, ticks, book)


def test_progress_is_reported_and_can_stop_the_run(ticks, book, protocol):
    calls = []
    uw.replay(ticks, book, protocol, progress=lambda *call: calls.append(call))
    assert calls
    assert all(isinstance(phase, str) and 0 <= done <= total for phase, done, total in calls)

    def stop(*_):
        raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        uw.replay(ticks, book, protocol, progress=stop)
