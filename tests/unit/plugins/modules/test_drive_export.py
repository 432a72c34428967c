"""Exports: Jobs over scratch disks, checked before, told after, and nothing left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _disks,
    _exporter,
    _exporter_disks,
    _exporter_jobs,
    _exports,
    _kube,
    _slots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._export_run import Run
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._exports import failure
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from tests.unit.plugins.api import Answer, Api, refused
from tests.unit.plugins.disks import NAMESPACE, claim, snapshot
from tests.unit.plugins.drive import JOBS, SECRETS, Jobs, command_of, request_of, told
from tests.unit.plugins.modules.students import CHOICE, LAST_START, Students
from tests.unit.plugins.storage import CLAIMS, PODS, SHOTS, VOLUMES

Object = dict[str, Any]
PARAMETERS = {
    **CHOICE,
    "all_students": True,
    "owner": "shared_drive",
    "credentials_secret": "drive-credentials",
    "folder": "0A",
    "subject": None,
    "name": "{student}",
    "workload_identity_audience": "",
    "api_address": "http://drive:8080",
    "snapshot": "latest",
    "snapshot_class": "fast",
    "verify": False,
    "look": False,
    "checksum": False,
    "prune": False,
    "bundle": "auto",
    "exclude": [],
    "students_per_job": 2,
    "concurrency": 1,
    "project_units_per_minute": 1_000_000.0,
    "identity_units_per_minute": 300_000.0,
    "writes_per_second": 2.0,
    "bytes_per_day": 1000.0,
    "priority_class": "",
    "report": None,
    "image": None,
    "wait_timeout": 120,
}


class Course:
    """Students with a snapshot each, the Secret, and stand-ins for controllers and exporter."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.students = Students(api, kube)
        self.jobs = Jobs(api, self.students.storage)
        secret = {"metadata": {"name": "drive-credentials"}, "data": {"key.json": "e30="}}
        api.put(f"{SECRETS}/drive-credentials", secret)
        for student in ("ann", "bob"):
            self.snapshot(student)

    def add(self, student: str) -> None:
        self.students.storage.add(claim(student, last_start=LAST_START), f"work of {student}")
        self.snapshot(student)

    def snapshot(self, student: str, taken: str = "2026-11-24T10:00:00Z") -> str:
        item = snapshot(student, taken)
        name = str(item["metadata"]["name"])
        self.api.put(f"{SHOTS}/{name}", item)
        self.students.storage.snapshots[name] = f"old work of {student}"
        return name

    def run(self, *, check_mode: bool = False, **more: Any) -> Object:
        return Run(self.students.course, {**PARAMETERS, **more}, check_mode)()

    def record(self, student: str) -> _exports.Record | None:
        return _exports.record_of(_disks.disk(self.students.claim(student)))

    def left_over(self) -> list[str]:
        """Return Jobs, their pods and clones that are there."""
        return [
            path for path in self.api.objects if path.startswith((JOBS, PODS, f"{CLAIMS}/{_exporter.CLONE_PREFIX}"))
        ]


@pytest.fixture
def course(api: Api, kube: Kube) -> Course:
    return Course(api, kube)


def refusing(student: str, sentence: str, what: str = "export", **more: Any) -> Any:
    def answer(command: str, asked: Object) -> Object:
        good = told(command, asked)
        if (command, asked["student"]) != (what, student):
            return good
        return good | {"outcome": "stopped", "failed": f"{student}: {sentence}", **more}

    return answer


def test_all_are_exported_from_clones_and_nothing_is_left(course: Course) -> None:
    result = course.run()
    assert (result["exported"], result["unchanged"], result["total"], result["failures"]) == (2, 0, 2, [])
    assert (result["changed"], result["uploaded_bytes"], result["items_left"]) == (True, 60, 400_000)
    assert course.left_over() == []
    # Those of Ann, of Bob and of the states.
    assert len([path for path in course.api.objects if path.startswith(VOLUMES)]) == 3
    (asked,) = course.jobs.requests("export")
    assert [one["source"] for one in asked["students"]] == ["/homes/0", "/homes/1"]
    assert (asked["folder"], asked["state"]) == ("0A", "/state")
    export = next(item for item in course.jobs.made if command_of(item) == "export")
    volumes = {one["name"]: one for one in export["spec"]["template"]["spec"]["volumes"]}
    assert volumes["home-0"]["persistentVolumeClaim"]["claimName"] == "export-disk-ann"
    record = course.record("ann")
    assert record is not None
    assert (record.snapshot, record.files, record.folder) == ("disk-ann-20261124-100000", 3, "0A")


def test_a_second_run_starts_nothing(course: Course) -> None:
    course.run()
    course.jobs.made.clear()
    result = course.run()
    assert (result["changed"], result["unchanged"], course.jobs.made) == (False, 2, [])
    course.snapshot("bob", "2026-11-25T10:00:00Z")
    assert course.run(check_mode=True)["exported"] == 1
    assert (course.run()["exported"], course.jobs.students("export")) == (1, ["bob"])
    # Other parameters make another export.
    assert course.run(exclude=["*.csv"], check_mode=True)["exported"] == 2


def test_a_dry_run_tells_who_and_does_nothing(course: Course) -> None:
    before = dict(course.api.objects)
    result = course.run(check_mode=True, report="/nowhere/at/all")
    assert (result["changed"], result["exported"]) == (True, 2)
    assert result["diff"]["after"].splitlines()[0] == "ann exported disk-ann-20261124-100000"
    assert course.api.objects == before


def test_one_whom_drive_does_not_let_in_has_no_clone_and_the_others_are_exported(course: Course) -> None:
    for student in ("ann", "bob"):
        name = f"drive-consent-{student}"
        course.api.put(f"{SECRETS}/{name}", {"metadata": {"name": name}, "data": {"key.json": "e30="}})
    course.jobs.answer = refusing("ann", "invalid_grant: ask the student to allow the export again", "check")
    more = {"owner": "consent", "credentials_secret": None, "folder": ""}
    result = course.run(**more)
    assert (result["exported"], course.jobs.students("export")) == (1, ["bob"])
    sentence = failure(result)
    assert sentence.startswith("1 of 2 students failed: ann: invalid_grant: ask the student to allow")
    assert f"{CLAIMS}/export-disk-ann" not in course.api.asked_for("DELETE")
    assert course.record("ann") is None


def test_those_who_have_not_consented_are_told_and_one_who_is_named_is_refused(course: Course) -> None:
    more: Object = {"owner": "consent", "credentials_secret": None, "folder": ""}
    assert course.run(**more)["without_consent"] == ["ann", "bob"]
    with pytest.raises(
        CoursehubError, match=r"ann: there is no Secret drive-consent-ann .*: ask the student to consent"
    ):
        course.run(**more, students=["ann"], all_students=False)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(body={"metadata": {"name": "drive-consent-ann"}, "data": {}}), "has no key.json: put what Google gave"),
        (Answer(403, {"message": "no right"}), "can't be looked at: no right: let this account get it"),
    ],
)
def test_a_secret_that_does_not_do_is_no_lacking_consent(course: Course, answer: Answer, why: str) -> None:
    name = "drive-consent-bob"
    course.api.put(f"{SECRETS}/{name}", {"metadata": {"name": name}, "data": {"key.json": "e30="}})
    course.api.answer_next("GET", f"{SECRETS}/drive-consent-ann", answer)
    result = course.run(owner="consent", credentials_secret=None, folder="")
    assert (result["exported"], result["without_consent"]) == (1, [])
    assert f"ann: the Secret drive-consent-ann {why}" in failure(result)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"credentials_secret": None}, "needs credentials_secret"),
        ({"credentials_secret": "other"}, "there is no Secret other in students: put the service account's key there"),
        ({"folder": ""}, "owner shared_drive needs folder"),
        ({"owner": "delegation"}, "owner delegation needs subject"),
        ({"owner": "delegation", "subject": "{email}"}, "choose the students by roster"),
        ({"name": "all"}, "bob: the export would be called 'all' as that of ann is"),
        ({"snapshot": "monday", "students": ["ann"], "all_students": False}, "ann: there is no snapshot monday"),
        ({"snapshot": "fresh", "snapshot_class": None}, "needs snapshot_class"),
        ({"concurrency": 0}, "set it to 1 at least"),
        ({"students_per_job": 101}, "students_per_job is 101: set it to 100 at most"),
        ({"priority_class": "low"}, "there is no PriorityClass low: set coursehub_drive_export_owner"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(course: Course, more: Object, sentence: str) -> None:
    before = dict(course.api.objects)
    with pytest.raises(CoursehubError, match=sentence):
        course.run(**more)
    assert course.api.objects == before


@pytest.mark.parametrize(("phase", "why"), [("Bound", "there is no snapshot"), ("Pending", "the disk is pending")])
def test_one_with_nothing_to_export_keeps_no_other_from_it(course: Course, phase: str, why: str) -> None:
    course.students.storage.add(claim("new"), "work of new")
    item = course.students.claim("new")
    if phase == "Pending":
        del item["spec"]["volumeName"]
        item["status"] = {"phase": phase}
    result = course.run()
    assert (result["exported"], course.jobs.students("export")) == (2, ["ann", "bob"])
    (failed,) = result["failures"]
    assert failed["student"] == "new"
    assert failed["failed"].startswith(why)
    with pytest.raises(CoursehubError, match=f"new: {why}"):
        course.run(students=["new", "ann"], all_students=False)


def test_a_full_shared_drive_is_refused_before_the_first_clone(course: Course) -> None:
    course.jobs.answer = lambda command, asked: told(command, asked) | {"items_left": 3}
    with pytest.raises(CoursehubError, match="has room for 3 items, and 2 students have no export"):
        course.run()
    assert (course.jobs.students("export"), course.left_over()) == ([], [])


def test_a_failure_is_the_students_own(course: Course) -> None:
    course.jobs.answer = refusing("bob", "storageQuotaExceeded: the Drive is full", treatment="student")
    result = course.run()
    assert result["failures"] == [{"student": "bob", "failed": "storageQuotaExceeded: the Drive is full", "until": ""}]
    assert (result["exported"], course.record("bob"), course.left_over()) == (1, None, [])


@pytest.mark.parametrize(
    ("reason", "exported"), [("activeItemCreationLimitExceeded", ["ann", "bob"]), ("accessNotConfigured", ["ann"])]
)
def test_what_one_students_own_drive_refuses_is_not_said_of_the_others(
    course: Course, reason: str, exported: list[str]
) -> None:
    for student in ("ann", "bob"):
        name = f"drive-consent-{student}"
        course.api.put(f"{SECRETS}/{name}", {"metadata": {"name": name}, "data": {"key.json": "e30="}})
    course.jobs.answer = refusing("ann", "refused", treatment="drive", reason=reason)
    result = course.run(owner="consent", credentials_secret=None, folder="", students_per_job=1)
    assert course.jobs.students("export") == exported
    assert len(result["failures"]) == 3 - len(exported)


def test_a_day_s_limit_of_all_ends_the_run_and_tells_until_when(course: Course) -> None:
    course.add("cleo")
    course.jobs.answer = refusing("ann", "sent enough", treatment="day", until="2026-11-27T08:00:00+00:00")
    result = course.run(students_per_job=1)
    assert {one["student"]: one["until"][:10] for one in result["failures"]} == dict.fromkeys(
        ("ann", "bob", "cleo"), "2026-11-27"
    )
    assert course.jobs.students("export") == ["ann"]


@pytest.mark.parametrize(("lost", "failed"), [(1, 0), (2, 1), (3, 2)])
def test_a_log_that_is_lost_makes_one_more_job_a_student(course: Course, lost: int, failed: int) -> None:
    course.jobs.lost = lost
    result = course.run()
    assert (len(course.jobs.requests("export")), len(result["failures"])) == (3, failed)
    assert all("the log of its pod is lost" in one["failed"] for one in result["failures"])
    assert course.left_over() == []


def test_a_kubelet_that_is_away_for_a_moment_makes_no_job_more(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0.01)

    def perform(job: Object, command: str, asked: Object) -> list[Object | None]:
        away = refused(500, "dial tcp 10.0.0.3:10250: connection refused")
        course.api.answer_next("GET", f"{PODS}/{job['metadata']['name']}-abcde/log", *[away] * 10)
        return [told(command, one) for one in asked["students"]]

    course.jobs.perform = perform
    assert (course.run()["failures"], len(course.jobs.requests("export"))) == ([], 1)


def test_a_log_is_waited_for_until_the_run_s_time_is_over(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []
    text = Kube.text

    def noting(self: Kube, path: str, deadline: float) -> str:
        deadlines.append(deadline)
        return text(self, path, deadline)

    monkeypatch.setattr(Kube, "text", noting)
    begun = time.monotonic()
    assert course.run(wait_timeout=30)["failures"] == []
    assert deadlines
    assert all(begun + 30 <= deadline <= time.monotonic() + 30 for deadline in deadlines)


def test_what_the_exporter_says_of_its_whole_request_is_each_students(course: Course) -> None:
    course.jobs.answer = lambda command, asked: None if command == "export" else told(command, asked)
    assert [one["failed"] for one in course.run()["failures"]] == ["some", "some"]
    assert (len(course.jobs.requests("export")), course.left_over()) == (1, [])


def test_what_a_killed_run_left_is_removed_first(course: Course) -> None:
    course.api.put(
        f"{JOBS}/drive-state-0-3-export",
        {"metadata": {"name": "drive-state-0-3-export", "labels": {_exporter.LABEL: "export"}}, "status": {}},
    )
    left = claim("zoe")
    left["metadata"].update(name="export-disk-zoe", labels={_exporter.CLAIM_LABEL: _exporter.CLONE})
    course.students.storage.add(left, "old")
    drill = claim("yan")
    drill["metadata"].update(name="scratch-disk-yan", labels={"coursehub.jupyterhub/scratch": "true"})
    course.students.storage.add(drill, "a drill is at work on it")
    course.run()
    assert course.left_over() == []
    assert f"{CLAIMS}/scratch-disk-yan" in course.api.objects


def test_new_exports_are_proven_when_asked(course: Course) -> None:
    result = course.run(verify=True)
    assert (result["verified"], course.jobs.students("verify")) == (2, ["ann", "bob"])
    record = course.record("bob")
    assert record is not None
    assert record.verified_at
    assert course.run(verify=True)["changed"] is False


@pytest.mark.parametrize(
    ("more", "again"),
    [
        ({"outcome": "failed"}, ["bob"]),
        # Drive refused, or the pod was lost: nobody knows what the export is.
        ({"outcome": "stopped", "treatment": "student"}, []),
        ({"outcome": ""}, []),
    ],
)
def test_an_export_whose_proof_failed_is_made_again(course: Course, more: Object, again: list[str]) -> None:
    """By the same snapshot: a student who has left gets no newer one."""
    course.run()
    course.jobs.answer = refusing("bob", "the export in Drive is not as its list says", "verify", **more)
    assert [one["student"] for one in course.run(verify=True)["failures"]] == ["bob"]
    course.jobs.answer = told
    course.jobs.made.clear()
    result = course.run(verify=True)
    assert (course.jobs.students("export"), course.jobs.students("verify")) == (again, ["bob"])
    assert (result["exported"], result["verified"], result["failures"]) == (len(again), 1, [])
    assert course.run(verify=True)["changed"] is False


def test_a_fresh_snapshot_is_exported_of_one_whose_proof_failed(course: Course) -> None:
    """It has no name while this is planned, and the record has none any more."""
    course.run()
    course.jobs.answer = refusing("bob", "it is not as its list says", "verify", outcome="failed")
    course.run(verify=True)
    course.jobs.answer = told
    course.jobs.made.clear()
    result = course.run(verify=True, snapshot="fresh", students=["bob"], all_students=False)
    assert (result["exported"], result["verified"], course.jobs.students("export")) == (1, 1, ["bob"])


def test_a_failed_proof_that_can_t_be_noted_is_told_all_the_same(course: Course) -> None:
    course.run()
    course.jobs.answer = refusing("bob", "it is not as its list says", "verify", outcome="failed")
    course.api.answer_next("PATCH", f"{CLAIMS}/disk-bob", refused(403, "no right"))
    (failed,) = course.run(verify=True, students=["bob"], all_students=False)["failures"]
    assert failed["failed"] == "it is not as its list says, and that can't be noted on the disk: no right"


def test_problems_have_one_more_try_and_not_one_each_night(course: Course) -> None:
    problems = {"problems": ["'a': it can't be read (Input/output error)"], "problems_count": 1}
    course.jobs.answer = lambda command, asked: (
        told(command, asked) | (problems if (command, asked["student"]) == ("export", "bob") else {})
    )
    course.run()
    course.jobs.made.clear()
    result = course.run()
    assert (course.jobs.students("export"), result["students_with_problems"]) == (["bob"], 1)
    assert course.run()["changed"] is False
    course.snapshot("bob", "2026-11-25T10:00:00Z")
    course.run()
    course.jobs.answer = told
    assert course.run()["exported"] == 1
    assert course.run()["changed"] is False


def test_a_fresh_snapshot_is_taken_of_those_that_may_have_changed(course: Course) -> None:
    result = course.run(snapshot="fresh")
    assert result["exported"] == 2
    taken = [path for path in course.api.asked_for("POST") if path == SHOTS]
    assert len(taken) == 2
    record = course.record("ann")
    assert record is not None
    assert record.snapshot != "disk-ann-20261124-100000"


def test_a_snapshot_that_was_taken_is_a_change_whatever_came_after(course: Course) -> None:
    course.jobs.answer = refusing("ann", "full")
    result = course.run(snapshot="fresh", students=["ann"], all_students=False)
    assert (result["changed"], len(result["failures"])) == (True, 1)


def test_rates_are_shared_by_the_jobs_of_one_identity(course: Course) -> None:
    for number in range(8):
        course.add(f"s{number}")
    course.run(concurrency=4, students_per_job=1)
    asked = course.jobs.requests("export")
    slots = {
        item["metadata"]["name"].split("-")[2] for item in course.jobs.made if "export" in item["metadata"]["name"]
    }
    assert len(asked) == 10
    assert {one["writes_per_second"] for one in asked} == {2.0 / len(slots)}
    assert {one["project_units_per_minute"] for one in asked} == {1_000_000 / len(slots)}


PACE = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{_exporter.PACE}"


def pace_key(job: Object) -> str:
    volumes = {one["name"]: one for one in job["spec"]["template"]["spec"]["volumes"]}
    (item,) = volumes["pace"]["configMap"]["items"]
    return str(item["key"])


def keys(course: Course) -> set[str]:
    """Return what the Jobs of exports take for their pace."""
    return {pace_key(job) for job in course.jobs.made if command_of(job) == "export"}


def paces(course: Course) -> dict[str, Object]:
    """Let the exporter look at its pace; return what it was last, by the name of the Job."""
    seen: dict[str, Object] = {}

    def perform(job: Object, command: str, asked: Object) -> list[Object | None]:
        if command in ("export", "verify"):
            seen[job["metadata"]["name"]] = json.loads(course.api.objects[PACE]["data"][pace_key(job)])
        return [told(command, one) for one in asked["students"]]

    course.jobs.perform = perform
    return seen


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slot after the other, so that it is known which is the last one."""
    each = _bulk.each
    monkeypatch.setattr(_bulk, "each", lambda items, work, *_more: each(items, work, 1))


@pytest.mark.usefixtures("one_by_one")
def test_the_last_slot_has_what_the_others_had(course: Course) -> None:
    for number in range(6):
        course.add(f"s{number}")
    seen = paces(course)
    result = course.run(concurrency=3, students_per_job=20, verify=True)
    assert (result["failures"], result.get("warnings", [])) == ([], [])
    assert [one["writes_per_second"] for one in seen.values()] == [2 / 3, 2 / 3, 1, 1, 2, 2]
    assert [one["project_units_per_minute"] for one in seen.values()][-1] == 1_000_000
    # What a request has is the share of the beginning.
    assert {one["writes_per_second"] for one in course.jobs.requests("export")} == {2 / 3}
    assert PACE not in course.api.objects


@pytest.mark.usefixtures("one_by_one")
def test_a_slot_hands_nothing_on_while_a_job_of_it_is_there(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pod may still ask Drive: on a node that is lost, for somebody who no longer hears of it."""
    for number in range(6):
        course.add(f"s{number}")
    monkeypatch.setattr(_exporter_jobs, "CLEANING_S", 0.2)
    seen = paces(course)

    course.api.script += [
        (lambda asked: asked.method == "DELETE" and asked.path.startswith(JOBS) and "-export-" in asked.path, Answer())
    ]
    result = course.run(concurrency=2, students_per_job=20)
    assert "does not go" in result["warnings"][0]
    assert [one["writes_per_second"] for one in seen.values()] == [1, 1]
    assert PACE not in course.api.objects


def test_without_the_right_to_tell_a_pace_the_run_goes_on(course: Course) -> None:
    course.api.script += [(lambda request: request.path == PACE, refused(403, "no right"))] * 9
    result = course.run()
    assert (result["exported"], result["failures"]) == (2, [])
    assert "can't be told to go faster, and go on at the pace they have" in result["warnings"][1]


def test_a_pace_of_a_killed_run_is_no_pace_of_the_next_one(course: Course) -> None:
    """A kubelet may still have the old one for a moment, and would give it to the next run's pods."""
    seen = paces(course)
    course.run()
    (before,) = keys(course)
    course.api.put(PACE, {"metadata": {"name": _exporter.PACE}, "data": {before: "{}"}})
    course.jobs.made.clear()
    seen.clear()
    course.api.answer_next("DELETE", PACE, refused(403, "no right"))
    assert course.run(look=True)["exported"] == 2
    assert before not in keys(course)
    assert [one["writes_per_second"] for one in seen.values()] == [2]
    assert PACE not in course.api.objects


def test_nothing_of_a_credential_is_in_a_job_or_in_the_result(course: Course, tmp_path: Path) -> None:
    secret = {"metadata": {"name": "drive-credentials"}, "data": {"key.json": "VDBLRU4="}}
    course.api.put(f"{SECRETS}/drive-credentials", secret)
    result = course.run(report=str(tmp_path / "report.json"))
    report = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert [one["student"] for one in json.loads(report)["students"]] == ["ann", "bob"]
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o600
    said = json.dumps([result, course.jobs.made]) + report
    assert "VDBLRU4" not in said
    assert "T0KEN" not in said


def test_a_roster_gives_the_accounts(course: Course, tmp_path: Path) -> None:
    roster = tmp_path / "class.csv"
    roster.write_text("student,email\nann,a@uni.example\nbob,\ncleo,c@uni.example\n", encoding="utf-8")
    more: Object = {"owner": "delegation", "subject": "{email}", "roster": str(roster), "all_students": False}
    with pytest.raises(CoursehubError, match="bob: the roster has no 'email', which subject wants"):
        course.run(**more)
    roster.write_text("student,email\nann,a@uni.example\nbob,b@uni.example\ncleo,c@uni.example\n", encoding="utf-8")
    result = course.run(**more)
    assert (result["exported"], result["without_disk"]) == (2, ["cleo"])
    (asked,) = course.jobs.requests("export")
    assert [one["subject"] for one in asked["students"]] == ["a@uni.example", "b@uni.example"]
    # Each has an identity of their own, so it is not divided.
    assert asked["writes_per_second"] == 2.0
    assert f"/api/v1/namespaces/{NAMESPACE}/secrets/drive-credentials" in course.api.asked_for("GET")


def made(course: Course) -> list[str]:
    """Return the names of the claims that were asked for."""
    return [str(one.body["metadata"]["name"]) for one in course.api.asked if one.body and one.path == CLAIMS]


def test_past_the_timeout_nothing_is_begun(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, late = time.monotonic, [0.0]

    def answer(command: str, asked: Object) -> Object:
        late[0] += 1000.0 if command == "export" else 0.0
        return told(command, asked)

    monkeypatch.setattr(time, "monotonic", lambda: clock() + late[0])
    course.jobs.answer = answer
    result = course.run(students_per_job=1)
    assert result["exported"] == 1
    assert [(one["student"], one["failed"]) for one in result["failures"]] == [("bob", _exporter_jobs.NOT_DONE)]
    assert (made(course), course.left_over()) == (["drive-state-0", "export-disk-ann"], [])


def test_a_volume_that_came_after_its_clone_was_removed_goes(course: Course) -> None:
    held = {"lost": "export-disk-zoe", "being-restored": "restore-disk-zoe", "zoe": "disk-zoe"}
    for name, holder in held.items():
        reference = {"namespace": NAMESPACE, "name": holder, "uid": "gone"}
        spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": reference}
        course.api.put(f"{VOLUMES}/{name}", {"metadata": {"name": name}, "spec": spec})
        course.students.storage.contents[name] = "work"
    course.run()
    assert [name for name in held if f"{VOLUMES}/{name}" in course.api.objects] == ["being-restored", "zoe"]


def test_a_disk_that_is_only_called_as_a_clone_is_left_alone(course: Course) -> None:
    other = claim("ann")
    other["metadata"].update(name="export-disk-ann", labels={})
    course.students.storage.add(other, "precious")
    result = course.run()
    assert result["exported"] == 1
    assert "ann: there is a disk export-disk-ann that is no copy of the snapshot" in failure(result)
    assert course.students.storage.content_of("export-disk-ann") == "precious"
    assert f"{VOLUMES}/{other['spec']['volumeName']}" not in course.api.asked_for("PATCH")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for some minutes in vain is given up at once."""
    for name in ("LOOK_S", "START_S", "CLEANING_S"):
        monkeypatch.setattr(_exporter_jobs, name, 0.05)
    monkeypatch.setattr(_exporter_disks, "BOUND_S", 0.05)


def first(student: str, hold: Object) -> Callable[[Object], Object | None]:
    """Return what holds the exports that are about a student."""

    def held(job: Object) -> Object | None:
        asked = [one["student"] for one in request_of(job)["students"]]
        return hold if command_of(job) == "export" and student in asked else None

    return held


SCHEDULED = [{"type": "PodScheduled", "status": "True"}]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("hold", "why"),
    [
        ({}, "did not start: it has no pod: does a quota or an admission policy refuse it"),
        ({"status": {"phase": "Pending", "conditions": SCHEDULED}}, "its pod waits for its disks or its image"),
    ],
)
def test_a_job_that_does_not_start_keeps_its_slot_for_some_minutes(course: Course, hold: Object, why: str) -> None:
    course.jobs.hold = first("ann", hold)
    result = course.run(students_per_job=1)
    (failed,) = result["failures"]
    assert (result["exported"], failed["student"], course.left_over()) == (1, "ann", [])
    assert why in failed["failed"]


@pytest.mark.usefixtures("impatient")
def test_a_job_that_waits_for_a_node_is_waited_for(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    held = first("ann", {"status": {"phase": "Pending", "conditions": waits}})
    clock, late, step = time.monotonic, [0.0], [0.0]

    def monotonic() -> float:
        late[0] += step[0]
        return clock() + late[0]

    def hold(job: Object) -> Object | None:
        found = held(job)
        # From here on each look at the clock is a second later.
        step[0] = 1.0 if found else step[0]
        return found

    monkeypatch.setattr(time, "monotonic", monotonic)
    course.jobs.hold = hold
    (failed,) = course.run(students_per_job=1, students=["ann"], all_students=False, wait_timeout=100)["failures"]
    assert failed["failed"] == _exporter_jobs.NOT_DONE
    assert late[0] > 90


@pytest.mark.usefixtures("impatient")
def test_what_a_running_pod_told_by_the_end_of_the_time_counts(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an export that is all in Drive would have no record, and its disk be taken for a new one."""
    clock, late, lasts = time.monotonic, [0.0], []

    def hold(job: Object) -> Object | None:
        if command_of(job) != "export":
            return None
        lasts.append(job["spec"]["activeDeadlineSeconds"])
        asked = {one["student"]: one for one in request_of(job)["students"]}
        course.api.logs[f"{PODS}/{job['metadata']['name']}-abcde"] = ({"some": "line"}, told("export", asked["ann"]))
        late[0] = 1000.0
        return {"status": {"phase": "Running", "conditions": SCHEDULED}}

    monkeypatch.setattr(time, "monotonic", lambda: clock() + late[0])
    course.jobs.hold = hold
    result = course.run(wait_timeout=100)
    assert [(one["student"], one["failed"]) for one in result["failures"]] == [("bob", _exporter_jobs.NOT_DONE)]
    assert (result["exported"], course.record("ann") is not None, course.record("bob")) == (1, True, None)
    assert course.left_over() == []
    # A Job that ended by itself before would have taken its log along.
    assert lasts[0] >= 100


@pytest.mark.usefixtures("impatient")
def test_a_clone_that_gets_no_volume_keeps_the_others_for_some_minutes(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = course.students.storage._control_claim

    def bind(path: str, item: Object) -> None:
        if not path.endswith("/export-disk-ann"):
            control(path, item)

    monkeypatch.setattr(course.students.storage, "_control_claim", bind)
    result = course.run()
    (failed,) = result["failures"]
    assert (result["exported"], failed["student"], course.left_over()) == (1, "ann", [])
    assert "no disk could be made from the snapshot disk-ann-20261124-100000: look why" in failed["failed"]


def test_a_consent_that_is_gone_meanwhile_is_that_students(course: Course) -> None:
    for student in ("ann", "bob"):
        name = f"drive-consent-{student}"
        course.api.put(f"{SECRETS}/{name}", {"metadata": {"name": name}, "data": {"key.json": "e30="}})

    def answer(command: str, asked: Object) -> Object:
        course.api.objects.pop(f"{SECRETS}/drive-consent-ann", None)
        return told(command, asked)

    course.jobs.answer = answer
    result = course.run(owner="consent", credentials_secret=None, folder="")
    assert (course.jobs.students("check"), course.jobs.students("export")) == (["ann", "bob"], ["bob"])
    assert "ann: there is no Secret drive-consent-ann" in failure(result)


def lose(course: Course) -> None:
    """Let the only node go, and another one come."""
    course.api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {}})
    conditions = [{"type": "Ready", "status": "True"}]
    course.api.put("/api/v1/nodes/o", {"metadata": {"name": "o"}, "spec": {}, "status": {"conditions": conditions}})


@pytest.mark.usefixtures("impatient")
def test_a_pod_that_is_lost_with_its_node_is_given_up(course: Course) -> None:
    status = {"phase": "Running", "conditions": SCHEDULED}
    held = first("ann", {"status": status, "deletionTimestamp": "2026-11-24T10:00:00Z"})

    def hold(job: Object) -> Object | None:
        found = held(job)
        if found is not None:
            lose(course)
        return found

    course.jobs.hold = hold
    result = course.run(students_per_job=1)
    (failed,) = result["failures"]
    assert (result["exported"], failed["student"]) == (1, "ann")
    assert "on the node n, which is not ready" in failed["failed"]
    assert "out-of-service" in failed["failed"]


@pytest.mark.usefixtures("impatient")
def test_a_job_that_does_not_go_fails_its_slot_alone(course: Course) -> None:
    """The next run is not kept from the other slots by what a lost node has of the last one."""
    for student in ("cleo", "dan"):
        course.add(student)
    slots = {student: _slots.number(f"disk-{student}", 2) for student in ("ann", "bob", "cleo", "dan")}
    assert set(slots.values()) == {0, 1}
    name = "drive-state-0-3-export"
    volumes = [{"name": "state", "persistentVolumeClaim": {"claimName": "drive-state-0"}}]
    spec = {"template": {"spec": {"volumes": volumes}}}
    old = {"metadata": {"name": name, "labels": {_exporter.LABEL: "export"}}, "spec": spec, "status": {}}
    course.api.put(f"{JOBS}/{name}", old)
    pod = {"metadata": {"name": "old", "labels": {_exporter.JOB_NAME_LABEL: name}}, "spec": {"nodeName": "away"}}
    course.api.put(f"{PODS}/old", {**pod, "status": {"phase": "Running"}})
    course.api.answer_next("DELETE", f"{JOBS}/{name}", Answer(body={}))
    result = course.run(concurrency=2)
    struck = sorted(student for student, slot in slots.items() if slot == 0)
    assert [one["student"] for one in result["failures"]] == struck
    assert all(
        f"the Job {name} does not go: its pod is on the node away" in one["failed"] for one in result["failures"]
    )
    assert result["exported"] == 4 - len(struck)
    assert len(result["warnings"]) == 1
    # It goes in the end.
    course.jobs.made.clear()
    assert course.run(concurrency=2)["exported"] == len(struck)


def test_what_a_killed_pod_told_counts_and_the_others_have_a_job_each(course: Course) -> None:
    """One whose home takes too much memory takes no other along."""

    def perform(job: Object, command: str, asked: Object) -> list[Object | None]:
        answers: list[Object | None] = []
        for one in asked["students"]:
            if command == "export" and one["student"] == "bob":
                course.jobs.killed.append(job["metadata"]["name"])
                break
            answers.append(told(command, one))
        return answers

    course.add("cleo")
    course.jobs.perform = perform
    result = course.run(students_per_job=3)
    (failed,) = result["failures"]
    assert (result["exported"], failed["student"]) == (2, "bob")
    assert "takes more memory than the 512Mi of a pod" in failed["failed"]
    students = [[one["student"] for one in asked["students"]] for asked in course.jobs.requests("export")]
    assert students == [["ann", "bob", "cleo"], ["bob"], ["cleo"]]


def test_a_disk_that_was_never_exported_is_told_of(course: Course) -> None:
    course.run(students=["ann"], all_students=False)
    course.run(look=True)
    last = course.jobs.requests("export")[-1]["students"]
    assert {one["student"]: one.get("new", False) for one in last} == {"ann": False, "bob": True}
    uid = course.students.claim("bob")["metadata"]["uid"]
    assert {one["student"]: one.get("disk_uid") for one in last} == {"ann": None, "bob": uid}


def test_homes_are_read_again_where_times_are_not_to_be_believed(course: Course) -> None:
    course.run(verify=True)
    assert course.run(verify=True)["unchanged"] == 2
    result = course.run(verify=True, checksum=True)
    assert (result["exported"], result["verified"]) == (2, 2)
    assert [asked["checksum"] for asked in course.jobs.requests("export")] == [False, True]


def test_a_run_that_has_lost_its_lock_removes_nothing_of_the_next_one(course: Course) -> None:
    lost: list[str] = []

    def still_alone() -> None:
        if lost:
            raise CoursehubError("the lock was lost")

    def answer(command: str, asked: Object) -> Object:
        if command == "export":
            lost.append(command)
            course.api.asked.clear()
        return told(command, asked)

    course.students.course.still_alone = still_alone
    course.jobs.answer = answer
    with pytest.raises(CoursehubError, match="the lock was lost"):
        course.run()
    assert course.api.asked_for("DELETE") == []
    assert not [path for path in course.api.asked_for("PATCH") if path.startswith(VOLUMES)]


AUDIENCE = "https://iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/course/providers/cluster"


def test_with_workload_identity_every_job_has_the_token(course: Course) -> None:
    with pytest.raises(CoursehubError, match="there is no ServiceAccount drive-exporter in students"):
        course.run(workload_identity_audience=AUDIENCE)
    assert course.jobs.made == []
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{_exporter.ACCOUNT}"
    course.api.put(path, {"metadata": {"name": _exporter.ACCOUNT}})
    result = course.run(workload_identity_audience=AUDIENCE, verify=True)
    assert (result["exported"], result["verified"]) == (2, 2)
    assert {command_of(job) for job in course.jobs.made} == {"check", "count", "export", "verify"}
    for job in course.jobs.made:
        (volume,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "token")
        assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == AUDIENCE


def test_more_jobs_than_the_quota_lets_are_refused(course: Course) -> None:
    course.api.put("/apis/scheduling.k8s.io/v1/priorityclasss/low", {"metadata": {"name": "low"}})
    quota = {"metadata": {"name": "drive-export"}, "spec": {"hard": {"pods": "5"}}}
    course.api.put(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/drive-export", quota)
    with pytest.raises(CoursehubError, match="concurrency is 5, and the quota drive-export of students has room for 4"):
        course.run(priority_class="low", concurrency=5)
    assert course.run(priority_class="low", concurrency=4)["exported"] == 2
