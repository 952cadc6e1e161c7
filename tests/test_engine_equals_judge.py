"""The engine against the judge, on random days: every frame equal to the last unit."""

import os

import pytest
from bridge import all_differences
from hypothesis import HealthCheck, given, settings, strategies
from known_days import DAYS, SHAPES
from strategies import deleveraged, pooled, scenarios
from strategies_days import Scenario
from strategies_funded import funded
from strategies_venues import refused, vaulted

EXAMPLES = os.environ.get("UNDERWATER_EXAMPLES")
"""How many random days to look for differences."""

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


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(scenarios(), TUNING)
def test_engine_equals_judge(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(pooled(), TUNING)
def test_engine_equals_judge_against_a_pool(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
@given(funded(), TUNING)
def test_engine_equals_judge_where_funds_are_divided_and_filled(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
@given(refused(), TUNING)
def test_engine_equals_judge_where_payers_refuse_fills(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
@given(vaulted(), TUNING)
def test_engine_equals_judge_where_a_vault_is_deleveraged(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "2500"), deadline=None, suppress_health_check=QUIET)
@given(scenarios(), TUNING)
def test_engine_equals_judge_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "1000"), deadline=None, suppress_health_check=QUIET)
@given(deleveraged(), TUNING)
def test_engine_equals_judge_in_adl_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "1000"), deadline=None, suppress_health_check=QUIET)
@given(pooled(), TUNING)
def test_engine_equals_judge_against_a_pool_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "1000"), deadline=None, suppress_health_check=QUIET)
@given(refused(), TUNING)
def test_engine_equals_judge_where_payers_refuse_fills_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "1000"), deadline=None, suppress_health_check=QUIET)
@given(vaulted(), TUNING)
def test_engine_equals_judge_where_a_vault_is_deleveraged_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(max_examples=int(EXAMPLES or "1000"), deadline=None, suppress_health_check=QUIET)
@given(funded(), TUNING)
def test_engine_equals_judge_where_funds_are_divided_and_filled_at_length(scenario: Scenario, tuning: dict):
    differences = all_differences(scenario, **tuning)
    assert not differences, differences
