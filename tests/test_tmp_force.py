import os
import pytest
from bridge import all_differences
from hypothesis import HealthCheck, given, settings, strategies as st
from strategies import deleveraged
from test_engine_equals_judge import TUNING

@st.composite
def bounded(draw):
    s = draw(deleveraged())
    s.protocol.setdefault("execution", {})["bound"] = {"kind": draw(st.sampled_from(["bankruptcy","fillable"])), "adjustment": "1", "spread": draw(st.sampled_from(["0.1","1/3","1.5"])), "remainder": "adl"}
    if draw(st.booleans()):
        s.protocol["waterfall"] = []
    return s

@pytest.mark.timeout(0)
@settings(max_examples=int(os.environ.get("N","300")), deadline=None, suppress_health_check=list(HealthCheck))
@given(bounded(), TUNING)
def test_forced(s, tuning):
    d = all_differences(s, **tuning)
    assert not d, d
