"""How large a disk is to be."""

from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _growth
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30
RULE = _growth.Rule(above=80, step=GIB, limit=10 * GIB)


@pytest.mark.parametrize(
    ("size", "used", "wanted"),
    [
        (GIB, GIB * 80 // 100, GIB),
        (GIB, GIB * 80 // 100 + 1, 2 * GIB),
        (GIB, GIB, 2 * GIB),
        # One step would be full again at once.
        (2 * GIB, 4 * GIB, 5 * GIB),
        (9 * GIB + 1, 9 * GIB, 10 * GIB),
        (10 * GIB, 10 * GIB, 10 * GIB),
        # Made larger by hand: none ever shrinks.
        (20 * GIB, 20 * GIB, 20 * GIB),
    ],
)
def test_by_steps_until_there_is_room_up_to_the_limit(size: int, used: int, wanted: int) -> None:
    assert _growth.grown(size, used, RULE) == wanted


sizes = st.integers(min_value=1, max_value=1 << 44)
rules = st.builds(_growth.Rule, st.integers(1, 99), sizes, sizes)


@given(sizes, sizes, rules)
def test_never_smaller_never_beyond_the_limit_and_a_second_time_changes_nothing(
    size: int, used: int, rule: _growth.Rule
) -> None:
    grown = _growth.grown(size, used, rule)
    assert size <= grown <= max(size, rule.limit)
    assert _growth.grown(grown, used, rule) == grown
    assert not _growth.crowded(grown, used, rule) or grown >= rule.limit


@given(sizes, sizes, rules)
def test_no_step_too_many(size: int, used: int, rule: _growth.Rule) -> None:
    grown = _growth.grown(size, used, rule)
    if grown > size and grown - rule.step > size:
        assert _growth.crowded(grown - rule.step, used, rule)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"above": 0}, "above is 0"),
        ({"above": 100}, "above is 100"),
        ({"step": "much"}, "step: 'much' is no Kubernetes quantity"),
        ({"step": "0"}, "step is '0'"),
        ({"limit": "-1Gi"}, "limit is '-1Gi'"),
    ],
)
def test_a_rule_that_is_none_is_refused(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _growth.parse_rule({"above": 80, "step": "1Gi", "limit": "10Gi", **changed})
