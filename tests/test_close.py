"""How much of which position is closed, in numbers that can be checked by hand, through the public API.

The account: long 10 ETH from 2,000 with a margin of 2,000, so that its equity at a price p is 10 p - 18,000 (bankrupt
at 1,800), and 5 % of the notional to keep. At 1,880 it has 800 and needs 940; at 1,850 it has 500 and needs 925.
"""

from decimal import Decimal

import polars as pl
import pytest
from cases import ETH, closing, cross, dollars, flat, fund, isolated, only, run, size_at_end, status

import underwater as uw

TEN = isolated("long", 10, 2000, 2000)
FIVE_PERCENT = flat("0.05")
WHOLE = {"name": ETH, "size_decimals": 0}
"""In whole ETH."""


def still(price, seconds):
    """2,000, then so many seconds at a price."""
    return [2000] + [price] * seconds


def closed(path, policy, positions=(TEN,), **protocol):
    """Replays, with the close policy as given."""
    close = {"policy": policy} | protocol.pop("close", {})
    return run(list(positions), path, **{"margin": FIVE_PERCENT, "close": close, "markets": [WHOLE]} | protocol)


def actions(result):
    """(second, size, price) of every fill."""
    rows = result.liquidations.with_columns(pl.col("ts").dt.epoch("s"))
    return [(ts, int(size), float(price)) for ts, size, price in rows.select("ts", "size", "price").rows()]


def test_a_fraction_goes_on_until_the_account_is_healthy():
    result = closed(still(1880, 9), {"kind": "fraction", "share": "0.1"})
    # 9 left need 846, 8 left need 752
    assert actions(result) == [(1, 1, 1880), (2, 1, 1880)]
    assert status(result) == {"long": "open"}
    row = only(result.accounts)
    assert row["closing_equity_usd"] == 800
    assert row["closed_ts"] is None
    assert dollars(result) == {}
    assert size_at_end(result, "long") == 8
    # the entry value of what is left: 16,000
    assert only(result.positions.filter(holder="long"))["closing_entry_value"] == 16_000


@pytest.mark.parametrize(
    ("more", "size"),
    [({"minimum": 3000}, 2), ({"minimum": 18_000}, 10), ({"cap": 2000}, 1), ({"share": 1, "cap": 9400}, 5)],
)
def test_a_fraction_has_a_minimum_and_a_cap(more, size):
    result = closed(still(1880, 1), {"kind": "fraction", "share": "0.1"} | more)
    assert actions(result) == [(1, size, 1880)]


def test_who_fails_at_maintenance_may_have_to_reach_the_initial_requirement():
    margin = FIVE_PERCENT | {"initial_rate": "0.1"}
    stop = {"stop": {"requirement": "initial"}}
    result = closed(still(1880, 9), {"kind": "fraction", "share": "0.1"}, close=stop, margin=margin)
    # 800 carry 4.25 ETH at 188 each
    assert [ts for ts, _, _ in actions(result)] == [1, 2, 3, 4, 5, 6]
    assert size_at_end(result, "long") == 4
    # twice the maintenance requirement is the same
    twice = closed(still(1880, 9), {"kind": "fraction", "share": "0.1"}, close={"stop": {"factor": 2}})
    assert actions(twice) == actions(result)


SPLIT = {"kind": "split", "threshold": 10_000, "share": "0.2"}


def test_a_split_closes_the_rest_after_the_pause():
    result = closed([2000, 1850, (31, 1840)], SPLIT, close={"pause": "30s"})
    assert actions(result) == [(1, 2, 1850), (31, 8, 1840)]
    # detected once
    assert result.liquidations["trigger_ts"].dt.epoch("s").to_list() == [1, 1]
    assert status(result) == {"long": "liquidated"}
    assert only(result.accounts)["closing_equity_usd"] == 500 - 80


def test_who_recovers_in_the_pause_is_left_alone_and_a_small_position_is_not_split():
    result = closed([2000, 1850, (10, 1900), (40, 1900)], SPLIT, close={"pause": "30s"})
    assert actions(result) == [(1, 2, 1850)]
    assert status(result) == {"long": "open"}
    whole = closed([2000, 1850, 1850], SPLIT | {"threshold": 18_500})
    assert actions(whole) == [(1, 10, 1850)]


def test_the_pause_holds_for_the_next_liquidation_too():
    # healthy again at once: 2 sold at 1,880 leave 8 that need 752; below 1,885.. 5 seconds later
    result = closed([2000, 1880, (6, 1860), (40, 1860)], SPLIT, close={"pause": "30s"})
    # at 1,860: 800 - 160 = 640 against 744; above the threshold, and a new liquidation: split again
    assert actions(result) == [(1, 2, 1880), (31, 2, 1860)]
    assert result.liquidations["trigger_ts"].dt.epoch("s").to_list() == [1, 6]


@pytest.mark.parametrize("positions", ["all", "market"])
def test_a_target_is_the_least_that_heals(positions):
    close = {"positions": positions}
    result = closed(still(1880, 3), {"kind": "target"}, close=close)
    assert actions(result) == [(1, 2, 1880)]
    initial = closed(
        still(1880, 3),
        {"kind": "target"},
        close=close | {"stop": {"requirement": "initial"}},
        margin=FIVE_PERCENT | {"initial_rate": "0.1"},
    )
    assert actions(initial) == [(1, 6, 1880)]


def test_a_target_counts_the_penalty_in():
    # each ETH frees 94 and costs 47: 140 are missing
    result = closed(still(1880, 3), {"kind": "target"}, penalty={"rate": "0.025"}, insurance_fund=fund(0))
    assert actions(result) == [(1, 3, 1880)]
    assert closing(result, "insurance_fund") == 141
    # a penalty as large as the requirement: closing does not help, and all is closed
    whole = closed(still(1880, 3), {"kind": "target"}, penalty={"rate": "0.05"}, insurance_fund=fund(0))
    assert actions(whole) == [(1, 10, 1880)]
    assert closing(whole, "insurance_fund") == 800


@pytest.mark.parametrize(("penalty", "size"), [("0", "1"), ("0.01", "1.1112"), ("0.02", "1.25")])
def test_a_target_is_what_drift_computes(penalty, size):
    # a shortage of 10 at a price of 100 and a margin ratio of 10 %: 10 / (100 * (0.1 - fees)) base, here rounded up
    account = isolated("long", 10, 100, 90)
    close = {"policy": {"kind": "target"}, "positions": "market"}
    four = [{"name": ETH, "size_decimals": 4}]
    more = {"margin": flat("0.1"), "penalty": {"rate": penalty}, "insurance_fund": fund(0), "markets": four}
    result = run([account], [100, 100], close=close, **more)
    assert result.liquidations["size"].to_list() == [Decimal(size)]


def test_a_ramp_remembers():
    result = closed(still(1850, 9), {"kind": "ramp", "initial": "0.1", "duration": "10s"})
    # a tenth of the 10 more every second; 5 left need 462.50 of the 500
    assert [ts for ts, _, _ in actions(result)] == [1, 2, 3, 4, 5]
    assert {size for _, size, _ in actions(result)} == {1}
    # of the 5 that are needed: 1, then 40 % of (4 + 1) less that 1, ...
    needed = closed(still(1850, 9), {"kind": "ramp", "initial": "0.2", "duration": "5s", "of": "target"})
    assert actions(needed) == actions(result)


def test_a_tier_down_leaves_the_position_in_the_lower_bracket():
    tiers = [{"lower": 0, "rate": "0.05"}, {"lower": 10_000, "rate": "0.1"}]
    margin = {"maintenance": {"kind": "brackets", "tiers": tiers}}
    result = closed(still(1880, 3), {"kind": "tier"}, margin=margin)
    # 1,380 needed; 5 ETH are 9,400, 6 would be 11,280
    assert actions(result) == [(1, 5, 1880)]
    assert status(result) == {"long": "open"}
    # at 1,815 the 5 that were left are closed whole: 800 - 5 * 65 = 475 against 453.75, then at 1,809 445 against 452.25
    result = closed([2000, 1880, 1815, 1809], {"kind": "tier"}, margin=margin)
    assert actions(result) == [(1, 5, 1880), (3, 5, 1809)]


def test_steps_by_size_are_tiers_and_other_rules_have_none():
    steps = [{"lower": 0, "rate": "0.05"}, {"lower": 6, "rate": "0.1"}]
    result = closed(still(1880, 3), {"kind": "tier"}, margin={"maintenance": {"kind": "size_steps", "steps": steps}})
    assert actions(result) == [(1, 5, 1880)]
    rule = {"kind": "linear_size", "base": "0.05", "slope": 0}
    assert actions(closed(still(1880, 3), {"kind": "tier"}, margin={"maintenance": rule})) == [(1, 10, 1880)]


def test_a_target_knows_what_is_scheduled_and_what_the_positions_cost():
    # a move of 6 % at a base of 0.5 %, capped: three times 94; 800 carry 2
    dynamic = {"sample": "1s", "look_back": "2s", "cadence": "1s", "base": "0.005", "cap": 3}
    result = closed(still(1880, 3), {"kind": "target"}, margin=FIVE_PERCENT | {"dynamic": dynamic})
    assert actions(result) == [(1, 8, 1880)]
    # a twentieth of the 2,000 that each has cost: 800 carry 8
    rule = {"kind": "leverage", "max_leverage": 20}
    result = closed(still(1880, 3), {"kind": "target"}, margin={"maintenance": rule})
    assert actions(result) == [(1, 2, 1880)]
    # a tenth of the collateral of 2,000, of which each loses 181: 190 are above 200 - 18.10
    rule = {"kind": "collateral_share", "lost": "0.9"}
    result = closed(still(1819, 3), {"kind": "target"}, margin={"maintenance": rule})
    assert actions(result) == [(1, 1, 1819)]


def test_an_initial_requirement_by_open_interest_falls_with_what_is_closed():
    ramp = {"kind": "open_interest", "base": "0.05", "lower": 9400, "upper": 18_800, "cap": "0.25"}
    close = {"stop": {"requirement": "initial"}}
    result = closed(still(1880, 3), {"kind": "target"}, close=close, margin=FIVE_PERCENT | {"initial": ramp})
    # alone in the market: 6 are a fifth of the way up, 9 % of 11,280, which is 1,015.20; 5 need 470
    assert actions(result) == [(1, 5, 1880)]


def test_an_account_under_liquidation_pays_funding():
    funding = {"kind": "series", "rates": {ETH: [{"ts": 2 * 10**9, "rate": "0.01"}]}}
    result = closed(still(1880, 9), {"kind": "fraction", "share": "0.1"}, funding=funding)
    # 9 pay 18.80 each: 630.80 are left, which carry 6
    assert actions(result) == [(ts, 1, 1880) for ts in (1, 2, 3, 4)]
    assert only(result.accounts)["closing_equity_usd"] == Decimal("630.8")
    assert only(result.postings.filter(pl.col("kind") == "funding", pl.col("from") == "long"))["amount"] == Decimal(
        "169.2"
    )


@pytest.mark.parametrize(
    ("positions", "market"), [("largest_notional", "BTC"), ("largest_loss", ETH), ("market", "BTC")]
)
def test_a_cross_account_loses_one_position_first(positions, market):
    # ETH: 7,200, lost 2,800; BTC: 18,600, lost 1,400; equity 800 of the 1,290 needed
    legs = [cross("both", 4, 2500), cross("both", 1, 20_000, market="BTC")]
    path = {ETH: [2500, 1800], "BTC": [20_000, 18_600]}
    close = {"positions": positions, "policy": {"kind": "full"}, "pause": "10s"}
    result = run(legs, path, cash=[("both", "USD", 5000)], margin=FIVE_PERCENT, close=close)
    assert result.liquidations["market"].to_list() == [market]


def test_the_insolvent_are_closed_whole_or_by_the_policy():
    half = {"kind": "fraction", "share": "0.5"}
    whole = closed(still(1700, 9), half, insurance_fund=fund(5000))
    assert actions(whole) == [(1, 10, 1700)]
    assert dollars(whole) == {"bad_debt": 1000, "gross": 1000, "insurance_fund": 1000}
    piecemeal = closed(still(1700, 9), half, close={"when_insolvent": "policy"}, insurance_fund=fund(5000))
    assert actions(piecemeal) == [(1, 5, 1700), (2, 3, 1700), (3, 1, 1700), (4, 1, 1700)]
    assert dollars(piecemeal) == dollars(whole)
    row = only(piecemeal.bad_debt)
    assert (row["ts"].second, row["bad_debt_usd"]) == (4, 1000)
    assert status(piecemeal) == {"long": "defaulted"}


def test_what_a_slice_costs_the_fund_while_the_account_has_equity_is_a_subsidy():
    # sold 5 % below: 14 below the bankruptcy price of 1,800, although the account has 800
    execution = {"ladder": [{"share": "0.1", "offset": "-0.05"}, {"share": "0.9", "offset": 0}]}
    more = {"execution": execution, "loss_unit": "fill", "insurance_fund": fund(300)}
    result = closed(still(1880, 1), {"kind": "fraction", "share": "0.1"}, **more)
    assert dollars(result) == {"subsidy": 14, "insurance_fund": 14, "price_subsidy:outside": -94}
    # 800 - 94 + 14
    assert only(result.accounts)["closing_equity_usd"] == 720
    assert status(result) == {"long": "queued"}


def test_an_account_does_not_pay_for_its_own_slices():
    # the same slice; the other side is charged the 14
    execution = {"ladder": [{"share": "0.1", "offset": "-0.05"}, {"share": "0.9", "offset": 0}]}
    more = {"execution": execution, "loss_unit": "fill", "socialised": {"by": "open_interest"}}
    short = isolated("short", -5, 2000, 100_000)
    result = closed(still(1880, 1), {"kind": "fraction", "share": "0.1"}, [TEN, short], **more)
    assert dollars(result) == {"subsidy": 14, "socialised": 14, "price_subsidy:outside": -94}
    left = dict(result.accounts.select("account", "closing_equity_usd").rows())
    assert left == {"long": 720, "short": 100_000 + 600 - 14}


PENALTIES = [
    ({"rate": "0.01"}, 188),
    ({"rate": "0.01", "cap": 100}, 100),
    ({"rate": "0.1"}, 800),
    ({"rate": "0.1", "equity_share": "0.25"}, 200),
    # three seconds after the detection
    ({"rate": "0.01", "escalation": {"step": "0.01"}}, 752),
    ({"rate": "0.01", "escalation": {"step": "0.01", "after": "2s"}}, 376),
    ({"rate": "0.01", "escalation": {"step": "0.01", "maximum": "0.02"}}, 376),
    # 140 of 940 are missing: 0.094 * 140 / 940 = 0.014
    ({"rate": "0.01", "escalation": {"shortfall": "0.094"}}, Decimal("451.2")),
]


@pytest.mark.parametrize(("penalty", "charged"), PENALTIES)
def test_a_penalty_has_limits_and_escalates(penalty, charged):
    more = {"keeper": {"latency": "3s"}, "penalty": penalty, "insurance_fund": fund(0), "margin": FIVE_PERCENT}
    result = run([TEN], still(1880, 9), **more)
    assert closing(result, "insurance_fund") == charged
    assert only(result.accounts)["closing_equity_usd"] == 800 - charged


def test_the_keeper_is_paid_by_account_by_fill_or_by_notional():
    def keepers(**penalty):
        execution = {"ladder": [{"share": "0.5", "offset": 0}, {"share": "0.5", "offset": 0}]}
        return closing(run([TEN], still(1880, 1), margin=FIVE_PERCENT, execution=execution, penalty=penalty), "keepers")

    assert keepers(keeper_fee=5) == 5
    assert keepers(keeper_fee=5, fee_per="fill") == 10
    assert keepers(keeper_fee=5, keeper_rate="0.001") == Decimal("23.8")


@pytest.mark.parametrize(("balance", "paid"), [(1203, 3), (1205, 5), (9000, 5), (700, 0)])
def test_the_fund_pays_the_keeper_of_the_insolvent_after_everything_else(balance, paid):
    # equity -1,000 at 1,700; not a debt of the account
    penalty = {"keeper_fee": 5, "fund_pays_keeper": True}
    result = run([isolated("long", 10, 2000, 1800)], [2000, 1700], insurance_fund=fund(balance), penalty=penalty)
    assert closing(result, "keepers") == paid
    assert dollars(result)["bad_debt"] == 1200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"close": {"pause": 0}}, "close.pause: expected a duration above 0"),
        ({"close": {"policy": {"kind": "half"}}}, "close.policy: expected kind to be one of"),
        ({"close": {"policy": {"kind": "fraction"}}}, "close.policy.share: missing"),
        ({"close": {"policy": {"kind": "ramp", "initial": 0, "duration": 0}}}, "close.policy.duration"),
        ({"close": {"stop": {"factor": 0}}}, "close.stop.factor: expected a rate above 0"),
        ({"penalty": {"escalation": {"every": 0}}}, "penalty.escalation.every"),
        ({"penalty": {"fund_pays_keeper": True, "paid_if_insolvent": True}}, "fund_pays_keeper"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields, expected):
    with pytest.raises(uw.ConfigError, match=expected):
        uw.Protocol.from_dict(fields)
