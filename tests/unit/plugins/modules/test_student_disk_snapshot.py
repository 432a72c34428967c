from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk_snapshot import Run

from tests.unit.plugins.api import Answer, Api, Request, now, refused
from tests.unit.plugins.disks import NAMESPACE, claim, pod, snapshot

Object = dict[str, Any]
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SHOTS = f"/apis/snapshot.storage.k8s.io/v1/namespaces/{NAMESPACE}/volumesnapshots"


class Students:
    """Students with disks, and a snapshot controller; ``broken`` are those whose snapshots never become ready."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.kube = kube
        self.broken: dict[str, str] = {}
        api.on_create = self._control

    def _control(self, path: str, item: Object) -> None:
        if "/volumesnapshots/" not in path:
            return
        source = item["spec"]["source"]["persistentVolumeClaimName"]
        if source in self.broken:
            status: Object = {"readyToUse": False, "error": {"message": self.broken[source]}}
        else:
            status = {"readyToUse": True, "creationTime": now(), "restoreSize": "1Gi"}
        self.api.put(path, {**item, "status": status})

    def enrol(self, *students: str, **more: Any) -> None:
        for student in students:
            self.api.put(f"{CLAIMS}/disk-{student}", claim(student, **more))

    def had(self, student: str, hours_ago: float, **more: Any) -> str:
        """Give a student a snapshot from before; return its name."""
        item = snapshot(student, ago(hours_ago), **more)
        name = str(item["metadata"]["name"])
        self.api.put(f"{SHOTS}/{name}", item)
        return name

    def run(self, *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        parameters = {
            "namespace": NAMESPACE,
            "students": None,
            "roster": None,
            "pattern": None,
            "selector": None,
            "all_students": True,
            "snapshot_class": "fast",
            "take": True,
            "keep": None,
            "time_zone": "UTC",
            "skip_unchanged": False,
            "wait_timeout": 600,
            **more,
        }
        return Run(Course(self.kube, NAMESPACE), parameters, check_mode)()

    @property
    def snapshots(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.api.objects if "/volumesnapshots/" in path)


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def course(api: Api, kube: Kube) -> Students:
    return Students(api, kube)


def of(result: dict[str, Any], student: str) -> dict[str, Any]:
    return next(one for one in result["students"] if one["student"] == student)


def test_a_snapshot_of_each_student_is_taken(course: Students) -> None:
    course.enrol("ann", "bob")
    result = course.run()
    assert result["changed"]
    assert [one["student"] for one in result["students"]] == ["ann", "bob"]
    assert sorted(one["snapshot"] for one in result["students"]) == course.snapshots
    assert result["diff"]["after"].split() == course.snapshots


def test_only_chosen_students(course: Students) -> None:
    course.enrol("ann", "bob")
    assert [one["student"] for one in course.run(students=["bob"], all_students=False)["students"]] == ["bob"]
    assert len(course.snapshots) == 1


def test_an_unknown_student_is_refused_before_anything_is_taken(course: Students) -> None:
    course.enrol("ann")
    with pytest.raises(CoursehubError, match="have no disk: anne"):
        course.run(students=["ann", "anne"], all_students=False)
    assert course.snapshots == []


def test_a_claim_that_is_no_students_disk_is_left_alone(course: Students) -> None:
    other = claim("database")
    other["metadata"]["labels"] = {}
    course.api.put(f"{CLAIMS}/disk-database", other)
    assert course.run()["students"] == []


def test_a_dry_run_tells_what_it_would_do_and_does_nothing(course: Students) -> None:
    course.enrol("ann")
    old = course.had("ann", 48)
    result = course.run(check_mode=True, keep={"last": 1})
    assert result["changed"]
    assert of(result, "ann")["removed"] == [old]
    assert of(result, "ann")["snapshot"].startswith("disk-ann-")
    assert course.snapshots == [old]
    assert {request.method for request in course.api.asked} == {"GET"}


# Thinning out.


def test_old_snapshots_go_after_the_new_one_is_ready(course: Students) -> None:
    course.enrol("ann", "bob")
    old = [course.had("ann", 72), course.had("ann", 48)]
    course.had("bob", 48)
    result = course.run(keep={"last": 2})
    assert of(result, "ann")["removed"] == old[:1]
    assert of(result, "bob")["removed"] == []
    methods = [request.method for request in course.api.asked]
    assert methods.index("DELETE") > len(methods) - 1 - methods[::-1].index("POST")


def test_without_keep_nothing_goes(course: Students) -> None:
    course.enrol("ann")
    old = course.had("ann", 24 * 365)
    course.run()
    assert old in course.snapshots


def test_thinning_out_alone_never_removes_the_newest(course: Students) -> None:
    course.enrol("ann")
    newest = course.had("ann", 24 * 365)
    failed = course.had("ann", 24, ready=False)
    result = course.run(take=False, keep={"last": 1})
    assert of(result, "ann")["removed"] == [failed]
    assert course.snapshots == [newest]


def test_a_snapshot_by_hand_is_never_removed(course: Students) -> None:
    course.enrol("ann")
    item = snapshot("ann", ago(1000))
    item["metadata"]["labels"] = {"coursehub.jupyterhub/student": "ann"}
    item["metadata"]["name"] = "by-hand"
    course.api.put(f"{SHOTS}/by-hand", item)
    course.run(keep={"last": 1})
    assert "by-hand" in course.snapshots


def test_a_second_run_thins_out_no_more(course: Students) -> None:
    course.enrol("ann")
    for hours in range(10, 500, 10):
        course.had("ann", hours)
    first = course.run(take=False, keep={"daily": 3, "weekly": 2})
    assert first["changed"]
    assert not course.run(take=False, keep={"daily": 3, "weekly": 2})["changed"]


# Leaving out what is unchanged.


def test_an_unchanged_disk_is_left_out(course: Students) -> None:
    course.enrol("ann", "bob", last_start=ago(20))
    course.had("ann", 5, idle_at=ago(5))
    course.had("bob", 5, idle_at=ago(5))
    course.api.put(f"{PODS}/jupyter-bob", pod("jupyter-bob", "disk-bob"))
    result = course.run(skip_unchanged=True)
    assert of(result, "ann")["skipped"] == "unchanged"
    assert of(result, "bob")["snapshot"]


def test_a_second_run_in_a_quiet_night_takes_nothing(course: Students) -> None:
    course.enrol("ann", last_start=ago(20))
    assert course.run(skip_unchanged=True)["changed"]
    assert not course.run(skip_unchanged=True)["changed"]


# What fails.


def test_those_that_fail_are_named_and_the_others_are_done(course: Students) -> None:
    students = [f"student-{number:02}" for number in range(20)]
    course.enrol(*students)
    course.broken = {"disk-student-03": "no room", "disk-student-07": "no room"}
    old = course.had("student-03", 48)
    course.had("student-03", 72)
    course.api.answer_next("POST", SHOTS, refused(403, "exceeded quota"))
    result = course.run(wait_timeout=0, keep={"last": 1})
    failed = {one["student"]: one["failed"] for one in result["students"] if one["failed"]}
    assert len(failed) == 3
    assert failed["student-03"].endswith("was not ready after 0 s: no room")
    assert sum("the snapshot was refused: exceeded quota" in reason for reason in failed.values()) == 1
    # Of a student whose snapshot failed nothing goes.
    assert old in course.snapshots
    assert of(result, "student-03")["removed"] == []
    assert sum(bool(one["snapshot"]) for one in result["students"]) == 17


def test_a_snapshot_that_nobody_works_on_is_a_failure(course: Students) -> None:
    course.enrol("ann")
    course.api.on_create = lambda _path, _item: None
    result = course.run(wait_timeout=0)
    assert of(result, "ann")["failed"].endswith("was not ready after 0 s, and its controller says nothing about it")


def test_a_snapshot_that_someone_removes_at_once_is_a_failure(course: Students) -> None:
    course.enrol("ann")
    nothing = Answer(body={"items": [], "metadata": {"resourceVersion": "1"}})
    course.api.answer_next("GET", SHOTS, nothing, nothing)
    assert of(course.run(wait_timeout=0), "ann")["failed"].endswith("was not ready after 0 s: it is gone")


def test_two_runs_in_the_same_second_take_one(course: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.now(UTC)

    class Stopped:
        @staticmethod
        def now(_zone: object) -> datetime:
            return moment

    monkeypatch.setattr(_course, "datetime", Stopped)
    course.enrol("ann")
    first, second = course.run(), course.run()
    assert of(second, "ann") == of(first, "ann")
    assert len(course.snapshots) == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_stumbles_costs_nobody_the_snapshot(
    course: Students, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0.01)
    course.enrol(*"abcdefgh")
    course.api.answer_next("POST", SHOTS, *[refused(status, "later", Retry_After="0.01")] * 5)
    result = course.run()
    assert [one["failed"] for one in result["students"] if one["failed"]] == []
    assert sorted(one["snapshot"] for one in result["students"]) == course.snapshots


def test_a_snapshot_that_was_made_though_the_server_said_it_stumbled(
    course: Students, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0.01)
    course.enrol("ann")

    def made_all_the_same(request: Request) -> bool:
        if request.method != "POST" or request.path != SHOTS or request.body is None:
            return False
        path = f"{SHOTS}/{request.body['metadata']['name']}"
        item = course.api.put(
            path, {**request.body, "metadata": {"creationTimestamp": now(), **request.body["metadata"]}}
        )
        course.api.on_create(path, item)
        return True

    course.api.script.append((made_all_the_same, refused(500, "the answer was lost")))
    (one,) = course.run()["students"]
    assert (one["failed"], [one["snapshot"]]) == ("", course.snapshots)


def test_what_can_not_be_removed_is_named(course: Students) -> None:
    course.enrol("ann")
    old = course.had("ann", 48)
    course.api.answer_next("DELETE", f"{SHOTS}/{old}", refused(403, "forbidden"))
    assert of(course.run(keep={"last": 1}), "ann")["failed"] == f"the snapshot {old} can't be removed: forbidden"


def test_what_is_gone_already_counts_as_removed(course: Students) -> None:
    course.enrol("ann")
    old = course.had("ann", 48)
    course.api.answer_next("DELETE", f"{SHOTS}/{old}", refused(404, "not found"))
    assert of(course.run(keep={"last": 1}), "ann")["removed"] == [old]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"keep": {"last": 0}}, "keep would keep nothing"),
        ({"keep": {"last": 1}, "time_zone": "Mars"}, "there is no time zone 'Mars'"),
    ],
)
def test_a_policy_that_is_none_is_refused_before_anything_is_taken(
    course: Students, more: dict[str, Any], sentence: str
) -> None:
    course.enrol("ann")
    with pytest.raises(CoursehubError, match=sentence):
        course.run(**more)
    assert course.api.asked == []
