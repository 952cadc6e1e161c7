"""Losses socialised by open interest, in small numbers, through the public API.

The textbook: the long of 5 ETH from 2,000 with a margin of 1,000 is short of 500 at 1,700. The layer pays the 500 at
once and charges them to all other positions in the market, long and short, by their size.
"""

from decimal import Decimal

import polars as pl
import pytest
from cases import ETH, LONG, closing, dollars, flat, isolated, only, run, status

import underwater as uw

BY_OPEN_INTEREST = {"socialised": {"by": "open_interest"}}
RICH = 100_000


def charged(result):
    return {row[0]: row[1] for row in result.accounts.select("account", "socialised_usd").rows() if row[1]}


def test_the_loss_is_charged_to_both_sides_by_size():
    short, long = isolated("short", -3, 2000, RICH), isolated("other long", 2, 2000, RICH)
    result = run([LONG, short, long], [2000, 1700], **BY_OPEN_INTEREST)
    assert charged(result) == {"short": 300, "other long": 200}
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "socialised": 500}
    # 100,000 + 3 * 300 - 300; the position itself stays
    assert result.accounts.filter(account="short")["closing_equity_usd"].item() == RICH + 600
    assert closing(result, "socialised") == closing(result, "rounding") == 0
    postings = result.postings.filter(kind="socialised")
    assert postings.select("from", "to", "amount").sort("from").rows() == [
        ("other long", "socialised", 200),
        ("short", "socialised", 300),
    ]


def test_what_is_rounded_up_goes_to_rounding():
    shorts = [isolated(f"short {n}", -1, 2000, RICH) for n in range(3)]
    result = run([LONG, *shorts], [2000, 1700], **BY_OPEN_INTEREST)
    each = Decimal("166.666667")
    assert charged(result) == {f"short {n}": each for n in range(3)}
    assert closing(result, "rounding") == 3 * each - 500
    assert dollars(result)["rounding"] == 3 * each - 500


def test_who_cannot_meet_the_charge_is_closed_and_it_is_charged_again():
    # thin: 1,730 * 2 from 2,000 and a margin of 560 leaves 20 at 1,730; its half of the loss is 175
    thin, rich = isolated("thin", 2, 2000, 560), isolated("rich", 2, 2000, RICH)
    result = run([LONG, thin, rich], [2000, 1730], margin=flat("0"), **BY_OPEN_INTEREST)
    assert status(result) == {"long": "defaulted", "thin": "defaulted", "rich": "open"}
    rows = result.bad_debt.select(
        "account", "bad_debt_usd", "principal_usd", "assessments_usd", "socialised_usd"
    ).rows()
    assert rows == [("long", 350, 350, 0, 350), ("thin", 155, 0, 155, 155)]
    # the same instant, in the round after the charge
    assert result.liquidations["ts"].n_unique() == 1
    assert charged(result) == {"thin": 175, "rich": 330}
    assert dollars(result) == {"bad_debt": 505, "gross": 350, "socialised": 505}


def test_without_rounds_it_waits_for_its_next_instant():
    thin, rich = isolated("thin", 2, 2000, 560), isolated("rich", 2, 2000, RICH)
    late = run([LONG, thin, rich], [2000, 1730, 1730], margin=flat("0"), keeper={"rounds": 0}, **BY_OPEN_INTEREST)
    assert late.liquidations.select(pl.col("ts").dt.epoch("s")).to_series().to_list() == [1, 2]
    assert charged(late) == {"thin": 175, "rich": 330}
    never = run([LONG, thin, rich], [2000, 1730], margin=flat("0"), keeper={"rounds": 0}, **BY_OPEN_INTEREST)
    row = only(never.bad_debt.filter(status="open"))
    assert (row["account"], row["bad_debt_usd"], row["assessments_usd"], row["principal_usd"]) == ("thin", 155, 155, 0)
    assert dollars(never) == {"bad_debt": 350, "open": 155, "gross": 350, "socialised": 350}


def test_where_nobody_else_has_a_position_the_next_layer_pays():
    other = isolated("other", 1, 100, RICH, market="BTC-PERP")
    result = run([LONG, other], {ETH: [2000, 1700], "BTC-PERP": [100]}, treasury={"balance": 450}, **BY_OPEN_INTEREST)
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "treasury": 450, "uncovered": 50}
    assert charged(result) == {}


def test_what_is_owed_counts_and_is_settled_before_a_withdrawal():
    short = isolated("short", -5, 2000, 1000)
    events = [(2, "short", ETH, "withdrawal", amount) for amount in (2001, 2000)]
    result = run([LONG, short], [2000, 1700, 1700], events=events, margin=flat("0"), **BY_OPEN_INTEREST)
    # 1,000 + 5 * 300 - 500
    assert result.rejected_events["amount"].to_list() == [2001]
    assert result.postings.filter(kind="socialised").select(pl.col("ts").dt.epoch("s")).to_series().to_list() == [2]
    assert result.accounts.filter(account="short")["closing_equity_usd"].item() == 0


def test_a_late_deposit_is_not_paid_on_to_those_who_were_charged():
    short = isolated("short", -5, 2000, RICH)
    events = [(2, "long", ETH, "deposit", 100)]
    result = run([LONG, short], [2000, 1700, 1700], events=events, late_deposits="recover", **BY_OPEN_INTEREST)
    assert closing(result, "long") == 100
    assert dollars(result) == {"bad_debt": 500, "gross": 500, "socialised": 500}


@pytest.mark.parametrize("by", ["profit", "open_interest"])
def test_configuration_makes_the_round_trip(by):
    protocol = uw.Protocol(socialised=uw.Socialised(by=by))
    assert uw.Protocol.from_toml(protocol.to_toml()) == uw.Protocol.from_json(protocol.to_json()) == protocol
    with pytest.raises(uw.ConfigError, match="by"):
        uw.Socialised(by="nobody")


def test_windows_and_blocks_do_not_matter():
    ticks = uw.crash_days.load("2025-10-10")
    book = uw.Book.synthetic(ticks, accounts=3_000, seed=7)
    protocol = uw.Protocol.from_dict({"keeper": {"latency": "10s"}, "adl": {}, **BY_OPEN_INTEREST})
    whole = uw.replay(ticks, book, protocol)
    assert charged(whole)
    for tuning in ({"block_ticks": 8}, {"chunk_ticks": 400_000}):
        assert uw.replay(ticks, book, protocol, **tuning).state_hash == whole.state_hash
