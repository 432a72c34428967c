"""What the exporter's Jobs tell, and when they are given up."""

from __future__ import annotations

import json

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter_pods
from hypothesis import given
from hypothesis import strategies as st


def test_of_a_student_the_last_line_counts() -> None:
    lines = [
        "ann: 3 steps",
        json.dumps({"student": "ann", "outcome": "stopped"}),
        '{"student": "ann", "outcome": half',
        json.dumps({"student": "zoe", "outcome": "complete"}),
        json.dumps({"student": "ann", "outcome": "complete"}),
        json.dumps(["ann"]),
        json.dumps({"students": 1, "failed": ""}),
    ]
    assert _exporter_pods.results("\n".join(lines), ["ann", "bob"]) == {
        "ann": {"student": "ann", "outcome": "complete"}
    }


def test_a_line_ends_where_the_exporter_ends_it() -> None:
    told = {"student": "a\u2028b", "outcome": "complete"}
    assert _exporter_pods.results(json.dumps(told, ensure_ascii=False) + "\n", ["a\u2028b"]) == {"a\u2028b": told}


@given(log=st.text())
def test_no_log_is_an_error(log: str) -> None:
    assert set(_exporter_pods.results(log, ["ann"])) <= {"ann"}


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ([], None),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], None),
        ([{"type": "Failed", "status": "False"}], None),
        ([{"type": "Complete", "status": "True"}], ""),
        ([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}], "DeadlineExceeded"),
    ],
)
def test_a_job_has_ended_when_it_says_so(conditions: list[dict[str, str]], why: str | None) -> None:
    assert _exporter_pods.ended({"status": {"conditions": conditions}}) == why


def pod(created: str, code: int | None) -> dict[str, object]:
    state = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
    return {"metadata": {"creationTimestamp": created}, "status": {"containerStatuses": [{"state": state}]}}


def test_a_pod_that_was_killed_has_not_told_of_all() -> None:
    killed, told, late = pod("1", 143), pod("2", 0), pod("3", 137)
    assert _exporter_pods.last_pod([killed, told, late]) == told
    assert _exporter_pods.last_pod([killed, pod("4", None)]) is None


def test_a_pod_that_will_never_start_is_not_waited_for() -> None:
    waiting = {"reason": "ErrImageNeverPull", "message": "no such image"}
    item = {"status": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    assert _exporter_pods.hopeless([pod("1", 0), item]) == "its pod can't start: no such image"
    assert _exporter_pods.hopeless([pod("1", 0)]) == ""
