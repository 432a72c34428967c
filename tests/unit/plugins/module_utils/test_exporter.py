"""The exporter's Jobs, and what they tell."""

from __future__ import annotations

import json

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _exporter
from hypothesis import given
from hypothesis import strategies as st

ANN = _accounts.Account("ann", "drive-consent-ann", "", "ann")
BOB = _accounts.Account("bob", "drive-consent-bob", "", "bob")


def task(command: str = "export", **more: str) -> _exporter.Task:
    people = [_exporter.Person(ANN, "export-disk-ann"), _exporter.Person(BOB, "export-disk-bob")]
    return _exporter.Task("j", command, people, {"folder": ""}, "drive-state-0", **more)


def test_each_students_key_is_a_file_and_each_clone_may_be_written() -> None:
    """Files that their owner can't read are no less theirs."""
    spec = _exporter.job(task(), "n", "tools:1", 60)["spec"]["template"]["spec"]
    sources = next(one for one in spec["volumes"] if one["name"] == "keys")["projected"]["sources"]
    assert [one["secret"]["name"] for one in sources] == ["drive-consent-ann", "drive-consent-bob"]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/keys": True, "/tmp": False, "/homes/0": False, "/homes/1": False, "/state": False}
    asked = _exporter.request(task())["students"]
    assert [(one["credentials"], one["source"]) for one in asked] == [
        ("/keys/0.json", "/homes/0"),
        ("/keys/1.json", "/homes/1"),
    ]


def test_an_import_writes_and_has_no_state() -> None:
    asked = _exporter.Task("j", "import", [_exporter.Person(ANN, "new-disk-ann")], {"folder": ""})
    spec = _exporter.job(asked, "n", "tools:1", 60)["spec"]["template"]["spec"]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/keys": True, "/tmp": False, "/homes/0": False}
    assert _exporter.request(asked)["students"][0]["disk"] == "/homes/0"


def test_a_job_goes_on_after_a_kill_and_not_after_a_failure() -> None:
    spec = _exporter.job(task(api_address="http://d", priority_class="low"), "n", "tools:1", 0)["spec"]
    rules = {one["action"]: one for one in spec["podFailurePolicy"]["rules"]}
    assert rules["FailJob"]["onExitCodes"]["values"] == [1]
    assert list(rules) == ["Ignore", "FailJob"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (_exporter.TRIES, 1)
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["args"][-2:] == ["--drive-address", "http://d"]
    assert (pod["priorityClassName"], pod["restartPolicy"]) == ("low", "Never")


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
    assert _exporter.results("\n".join(lines), ["ann", "bob"]) == {"ann": {"student": "ann", "outcome": "complete"}}


def test_a_line_ends_where_the_exporter_ends_it() -> None:
    told = {"student": "a\u2028b", "outcome": "complete"}
    assert _exporter.results(json.dumps(told, ensure_ascii=False) + "\n", ["a\u2028b"]) == {"a\u2028b": told}


@given(log=st.text())
def test_no_log_is_an_error(log: str) -> None:
    assert set(_exporter.results(log, ["ann"])) <= {"ann"}


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
    assert _exporter.ended({"status": {"conditions": conditions}}) == why


def pod(created: str, code: int | None) -> dict[str, object]:
    state = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
    return {"metadata": {"creationTimestamp": created}, "status": {"containerStatuses": [{"state": state}]}}


def test_a_pod_that_was_killed_has_not_told_of_all() -> None:
    killed, told, late = pod("1", 143), pod("2", 0), pod("3", 137)
    assert _exporter.last_pod([killed, told, late]) == told
    assert _exporter.last_pod([killed, pod("4", None)]) is None


def test_a_pod_that_will_never_start_is_not_waited_for() -> None:
    waiting = {"reason": "ErrImageNeverPull", "message": "no such image"}
    item = {"status": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    assert _exporter.hopeless([pod("1", 0), item]) == "its pod can't start: no such image"
    assert _exporter.hopeless([pod("1", 0)]) == ""


def test_a_check_is_not_patient() -> None:
    def words(command: str) -> list[str]:
        found: list[str] = _exporter.job(task(command), "n", "t", 60)["spec"]["template"]["spec"]["containers"][0][
            "args"
        ]
        return found

    assert words("check")[-2:] == words("count")[-2:] == ["--drive-patience", "60"]
    assert "--drive-patience" not in words("export")
