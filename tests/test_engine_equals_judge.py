"""The engine against the judge, on random days: every frame equal to the last unit."""

import os
import sys

import pytest
from bridge import all_differences, run_judge
from hypothesis import HealthCheck, given, settings, strategies
from known_days import DAYS, SHAPES
from richness import Tally
from strategies import deleveraged, pooled, scenarios
from strategies_days import Scenario
from strategies_failing import failing
from strategies_funded import funded, prepaying
from strategies_venues import refused, vaulted

EXAMPLES = os.environ.get("UNDERWATER_EXAMPLES")
"""How many random days of each kind to look at, at length."""

KINDS = {
    "any": (scenarios(), 300, 2500),
    "against a pool": (pooled(), 150, 1000),
    "where ADL comes first": (deleveraged(), 100, 1000),
    "where funds are divided and filled": (funded(), 100, 1000),
    "where payers refuse fills": (refused(), 100, 1000),
    "where a vault is deleveraged": (vaulted(), 100, 1000),
    "where layers fail": (failing(), 100, 1000),
    "where a fund pays ahead": (prepaying(), 50, 500),
}
"""Days, and how many of them are compared, always and at length."""

TUNING = strategies.fixed_dictionaries(
    {"chunk_ticks": strategies.sampled_from([None, 1, 2, 7, 60]), "block_ticks": strategies.sampled_from([1, 8, 128])}
)
"""How the engine goes about its work; the result must not depend on it."""

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.fixture(autouse=True, scope="module")
def _records_leave_memory():
    """Of a day that is read in chunks, all but one or two records of a kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("underwater.run._ROWS_TOGETHER", 2)
        yield


@pytest.mark.parametrize("name", DAYS)
def test_engine_equals_judge_on_known_days(name: str):
    differences = all_differences(DAYS[name])
    assert not differences, differences


@pytest.mark.parametrize("tuning", [{}, {"block_ticks": 1}, {"chunk_ticks": 7, "block_ticks": 8}], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_engine_equals_judge_on_tapes_of_awkward_shape(name: str, tuning: dict):
    differences = all_differences(SHAPES[name], **tuning)
    assert not differences, differences


def compare(kind: str, days: int, tally: Tally | None = None) -> None:
    """Compares so many days of a kind."""

    @settings(max_examples=days, deadline=None, suppress_health_check=QUIET)
    @given(KINDS[kind][0], TUNING)
    def both(scenario: Scenario, tuning: dict) -> None:
        judged = run_judge(scenario)
        if tally is not None:
            tally.note(kind, scenario, judged)
        differences = all_differences(scenario, judged, **tuning)
        assert not differences, differences

    both()


@pytest.mark.parametrize("kind", KINDS)
def test_engine_equals_judge(kind: str):
    compare(kind, KINDS[kind][1])


@pytest.fixture(scope="module")
def tally() -> Tally:
    return Tally()


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", KINDS)
def test_engine_equals_judge_at_length(kind: str, tally: Tally):
    compare(kind, int(EXAMPLES or KINDS[kind][2]), tally)


@pytest.mark.slow
def test_the_days_compared_at_length_are_rich(tally: Tally):
    """Each branch is on one in two hundred of the days of some kind. Prints the shares with `-s`."""
    if not tally.days.keys() >= KINDS.keys():
        pytest.skip("days of all kinds must have been compared at length before")
    shares = tally.shares()
    lines = [f"{share:7.1%} {branch}\n" for branch, share in sorted(shares.items(), key=lambda x: -x[1])]
    sys.stdout.write("".join(lines))
    assert not {branch: share for branch, share in shares.items() if share < 0.005}
    assert len(shares) > 80
