"""What a pool may have when the day's money is spent."""

from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _seats, _spend
from hypothesis import given
from hypothesis import strategies as st

LIMITS = _seats.Limits(20, 100.0, 2)


@given(st.integers(0, 40), st.floats(0, 300))
def test_the_limit_of_nodes_holds_always_and_that_of_spend_lets_none_be_added(there: int, spent: float) -> None:
    most = _spend.most_nodes(LIMITS, there, spent)
    assert most <= LIMITS.nodes - LIMITS.core
    assert most <= there if spent >= LIMITS.spend else most == LIMITS.nodes - LIMITS.core


@pytest.mark.parametrize(("spent", "warned", "alerted"), [(79, 0, 0), (80, 1, 0), (99.9, 1, 0), (100, 0, 1)])
def test_who_is_on_duty_is_told_before_and_at_the_limit(spent: float, warned: int, alerted: int) -> None:
    assert len(_spend.warnings(LIMITS, spent)) == warned
    for ends_growth in (True, False):
        assert len(_spend.alerts(LIMITS, 7, spent, ends_growth=ends_growth)) == alerted


def test_what_the_alert_says_is_what_happens() -> None:
    (ends,) = _spend.alerts(LIMITS, 7, 101.5, ends_growth=True)
    assert "101.50 of 100 are spent today: no node is added to the 7" in ends
    (goes_on,) = _spend.alerts(LIMITS, 7, 101.5, ends_growth=False)
    assert "students' servers start all the same" in goes_on


@pytest.mark.parametrize(("nodes", "cores", "cpu"), [(18, "1930m", 36), (3, "4", 12), (0, "2", 0)])
def test_limits_are_of_whole_cores(nodes: int, cores: str, cpu: int) -> None:
    limits = _spend.pool_limits(nodes, cores)
    assert limits == {"nodes": nodes, "cpu": cpu}
    # As an API server may tell them.
    told = {"spec": {"limits": {"nodes": str(nodes), "cpu": f"{cpu}000m"}}}
    assert not _spend.differs(told, limits)
    # A merge would never take it away, so each run would set the same again.
    assert not _spend.differs({"spec": {"limits": {**limits, "memory": "1Gi"}}}, limits)
    assert _spend.differs({"spec": {"limits": {"nodes": nodes, "memory": "1Gi"}}}, limits)
    assert _spend.differs({"spec": {"limits": {**limits, "nodes": nodes + 1}}}, limits)
    assert _spend.differs({"spec": {}}, limits)
