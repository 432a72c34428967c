"""What the exporter's Jobs tell, and when they are given up."""

from __future__ import annotations

import json

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _exporter_pods
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


def pending(created: str, scheduled: str) -> dict[str, object]:
    conditions = [{"type": "PodScheduled", "status": scheduled}]
    return {
        "metadata": {"name": "p", "creationTimestamp": created},
        "status": {"phase": "Pending", "conditions": conditions},
    }


def test_of_several_pods_the_newest_tells_whether_the_job_is_at_work() -> None:
    assert "it has no pod" in _exporter_pods.why_not_started([])
    assert "waits for its disks or its image" in _exporter_pods.why_not_started([pending("2", "True"), pod("1", 137)])
    assert _exporter_pods.why_not_started([pending("1", "True"), pod("2", None)]) == ""
    assert _exporter_pods.why_not_started([pending("1", "False")]) == ""


def test_a_node_that_is_not_ready_or_gone_is_named() -> None:
    ready = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    away = {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    pods = [{"spec": {"nodeName": name}} for name in ("a", "b")]
    assert _exporter_pods.node_away(pods, [ready, away]) == "b"
    assert _exporter_pods.node_away(pods, [ready]) == "b"
    assert _exporter_pods.node_away([pods[0], {"spec": {}}], [ready]) == ""


def test_a_pod_is_on_its_way_out_from_when_it_should_have_ended() -> None:
    now = _disks.parse_time("2026-11-24T10:05:00Z")
    assert _exporter_pods.going_s({"metadata": {"deletionTimestamp": "2026-11-24T10:00:00Z"}}, now) == 300
    assert _exporter_pods.going_s({"metadata": {}}, now) == 0


def told(name: str) -> str:
    return json.dumps({"student": name, "outcome": "complete"}) + "\n"


def named(name: str, created: str, code: int | None, **terminated: object) -> dict[str, object]:
    state = {"terminated": {"exitCode": code, **terminated}} if code is not None else {"running": {}}
    metadata = {"name": name, "creationTimestamp": created}
    return {"metadata": metadata, "status": {"containerStatuses": [{"state": state}]}}


def test_what_each_pod_of_a_job_told_counts() -> None:
    pods = [named("second", "2", 0), named("first", "1", 137)]
    end = _exporter_pods.end(pods, {"first": told("ann"), "second": told("bob")}, ["ann", "bob"], "")
    assert sorted(end.told) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("pods", "why", "reason", "again"),
    [
        # It ended, and its log is lost: another Job tells it again.
        ([named("one", "1", 0)], "", "the log of its pod is lost", True),
        ([], "", "the log of its pod is lost", True),
        # It refused all of its request: another Job would too.
        ([named("one", "1", 1, message='{"failed": "no such folder"}')], "it failed", "no such folder", False),
        # It was killed again and again: perhaps for one of them.
        ([named("one", "1", 137, reason="OOMKilled")], "too often", "takes more memory than the 512Mi", True),
    ],
)
def test_why_a_job_told_of_nobody(pods: list[dict[str, object]], why: str, reason: str, again: bool) -> None:
    end = _exporter_pods.end(pods, {}, ["ann", "bob"], why)
    assert (end.told, end.again) == ({}, again)
    assert reason in end.reason


def test_one_who_was_alone_in_a_job_that_was_killed_has_no_other() -> None:
    assert not _exporter_pods.end([named("one", "1", 137)], {}, ["ann"], "too often").again


def test_why_a_pod_was_evicted_is_told() -> None:
    message = 'Usage of EmptyDir volume "scratch" exceeds the limit "2Gi". '
    one = {**named("one", "1", 137), "status": {"reason": "Evicted", "message": message}}
    end = _exporter_pods.end([one], {}, ["ann", "bob"], "too often")
    assert 'its pod was evicted (Usage of EmptyDir volume "scratch" exceeds the limit "2Gi")' in end.reason
    assert end.again
