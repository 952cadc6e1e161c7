"""The judge against itself, on random days: what must hold whatever the protocol is."""

import copy
from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from judge import Result, judge
from strategies import scenarios
from strategies_days import Scenario

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
PAYERS = [
    "insurance_fund_usd", "pool_usd", "socialised_usd", "treasury_usd", "token_usd", "adl_give_up_usd", "uncovered_usd",
]  # fmt: skip
PAID = ["bad_debt_usd", "adl_overshoot_usd", "subsidy_usd", "change_of_prepaid_usd"]


def run(s: Scenario) -> Result:
    return judge(s.definitions, s.ticks, s.positions, s.accounts, s.events, s.protocol, s.options)


WHOLE = 2772 * 10**15
"""A multiple of every interval of a schedule."""


def later(s: Scenario, by: int) -> Scenario:
    s = copy.deepcopy(s)
    s.rows = [(ts + by, market, price) for ts, market, price in s.rows]
    s.events = [event | {"ts": event["ts"] + by} for event in s.events]
    for accrual in ("funding", "borrow"):
        for points in s.protocol.get(accrual, {}).get("rates", {}).values():
            for point in points:
                point["ts"] += by
    s.protocol = moved_times(s.protocol, by)
    return s


def moved_times(value: object, by: int) -> object:
    """The same with every time of the day moved; those that count from its first tick stay."""
    match value:
        case dict():
            return {key: moved_times(one, by) for key, one in value.items()}
        case ["ts", int(ts)]:
            return type(value)(("ts", ts + by))
        case list() | tuple():
            return type(value)(moved_times(one, by) for one in value)
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(scenarios())
def test_every_identity_holds(scenario: Scenario):
    before = copy.deepcopy(scenario)
    result = run(scenario)
    assert scenario == before

    # conservation, at the open and at the end
    for column in ("opening", "closing"):
        by_asset, by_market = defaultdict(int), defaultdict(int)
        for row in result.balances:
            by_asset[row["asset"]] += row[column]
        for row in result.positions:
            by_market[row["market"]] += row[f"{column}_size"]
        assert not any(by_asset.values())
        assert not any(by_market.values())

    # the postings lead from the opening to the closing balances
    moved = defaultdict(int)
    for row in result.postings:
        assert row["amount"] != 0
        moved[row["from"], row["from_market"], row["asset"]] -= row["amount"]
        moved[row["to"], row["to_market"], row["asset"]] += row["amount"]
    for row in result.balances:
        moved[row["holder"], row["market"], row["asset"]] -= row["closing"] - row["opening"]
    assert not any(moved.values())

    # every line foots, and so does the whole
    for row in result.bad_debt:
        if row["status"] == "realised":
            borne = sum(row[column] for column in PAYERS)
            assert borne == sum(row[column] for column in PAID)
        parts = [row[f"{part}_usd"] for part in ("principal", "funding_borrow", "third_party_fees", "assessments")]
        assert row["bad_debt_usd"] == sum(parts)
    sections = defaultdict(int)
    for row in result.who_pays:
        sections[row["section"]] += row["amount_usd"]
    assert sections["loss"] == sections["payer"]

    # states
    closed = {"liquidated", "defaulted"}
    for row in result.accounts:
        assert (row["closed_ts"] is not None) == (row["status"] in closed)
        # Who is settled with a delisted market need not have failed.
        if row["closed_ts"] is not None and row["trigger_ts"] is not None:
            assert row["trigger_ts"] <= row["closed_ts"]
    ends = {row["holder"]: row for row in result.balances if row["holder"] in ("insurance_fund", "treasury")}
    assert all(row["closing"] >= 0 for row in ends.values())


@settings(max_examples=50, deadline=None, suppress_health_check=QUIET)
@given(scenarios())
def test_the_same_day_gives_the_same_result(scenario: Scenario):
    assert run(scenario) == run(copy.deepcopy(scenario))


@settings(max_examples=50, deadline=None, suppress_health_check=QUIET)
@given(scenarios())
def test_only_differences_of_time_count(scenario: Scenario):
    first, second = run(scenario), run(later(scenario, WHOLE))
    assert first.who_pays == second.who_pays
    assert first.balances == second.balances
    assert first.positions == second.positions
