"""The way back: new disks, filled by Jobs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.drive_import import Run

from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE, claim
from tests.unit.plugins.drive import JOBS, SECRETS, Jobs, told
from tests.unit.plugins.modules.students import CHOICE, Students
from tests.unit.plugins.storage import CLAIMS, VOLUMES

Object = dict[str, Any]
PARAMETERS = {
    **CHOICE,
    "students": ["ann", "bob"],
    "owner": "shared_drive",
    "credentials_secret": "drive-credentials",
    "folder": "0A",
    "subject": None,
    "name": "{student}",
    "workload_identity_audience": "",
    "api_address": "",
    "new_disk": "back",
    "size": None,
    "storage_class": None,
    "partial": False,
    "gone": False,
    "acknowledge_abuse": False,
    "project_units_per_minute": 1_000_000.0,
    "identity_units_per_minute": 300_000.0,
    "students_per_job": 5,
    "concurrency": 2,
    "priority_class": "",
    "image": None,
    "wait_timeout": 120,
}


class Course:
    """Ann and Bob, and a stand-in for the exporter."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.students = Students(api, kube)
        self.jobs = Jobs(api, self.students.storage)
        self.jobs.answer = answer
        secret = {"metadata": {"name": "drive-credentials"}, "data": {"key.json": "e30="}}
        api.put(f"{SECRETS}/drive-credentials", secret)

    def run(self, *, check_mode: bool = False, **more: Any) -> Object:
        return Run(self.students.course, {**PARAMETERS, **more}, check_mode)()


def answer(command: str, asked: Object) -> Object:
    return told(command, asked) | {"files": 3, "bytes": 30, "taken": "2026-11-24T10:00:00+00:00"}


@pytest.fixture
def course(api: Api, kube: Kube) -> Course:
    return Course(api, kube)


def test_each_gets_a_new_disk_like_the_own(course: Course) -> None:
    result = course.run()
    assert [(one["disk"], one["files"], one["failed"]) for one in result["students"]] == [
        ("back-disk-ann", 3, ""),
        ("back-disk-bob", 3, ""),
    ]
    new, own = course.api.objects[f"{CLAIMS}/back-disk-ann"], course.students.claim("ann")
    assert new["spec"]["storageClassName"] == own["spec"]["storageClassName"]
    assert course.students.storage.content_of("disk-ann") == "work of ann"
    assert [path for path in course.api.objects if path.startswith(JOBS)] == []
    (asked,) = course.jobs.requests("import")
    assert [one["disk"] for one in asked["students"]] == ["/homes/0", "/homes/1"]


def test_a_second_run_changes_nothing_and_one_that_failed_is_tried_again(course: Course) -> None:
    course.jobs.answer = lambda command, asked: (
        answer(command, asked)
        | ({"outcome": "stopped", "failed": "bob: no list of an export"} if asked["student"] == "bob" else {})
    )
    assert [one["failed"] for one in course.run()["students"]] == ["", "no list of an export"]
    course.jobs.answer = answer
    course.jobs.made.clear()
    assert [one["changed"] for one in course.run()["students"]] == [False, True]
    assert course.jobs.students("import") == ["bob"]
    assert course.run()["changed"] is False


def test_what_stayed_in_drive_is_named_and_no_failure(course: Course) -> None:
    withheld = {"problems": ["'a.exe': it is in Drive"], "problems_count": 1}
    course.jobs.answer = lambda command, asked: answer(command, asked) | withheld
    result = course.run(acknowledge_abuse=True)
    assert [(one["problems"], one["problems_count"], one["failed"]) for one in result["students"]] == [
        (["'a.exe': it is in Drive"], 1, "")
    ] * 2
    (asked,) = course.jobs.requests("import")
    assert asked["acknowledge_abuse"] is True
    # All that Drive gives is there: another run is no other one.
    assert course.run()["changed"] is False


@pytest.mark.parametrize("new_disk", ["export", "Back"])
def test_a_name_that_does_not_do_is_refused(course: Course, new_disk: str) -> None:
    with pytest.raises(CoursehubError, match=f"new_disk is '{new_disk}'"):
        course.run(new_disk=new_disk)
    assert course.api.asked == []


def test_a_dry_run_makes_nothing(course: Course) -> None:
    before = dict(course.api.objects)
    assert course.run(check_mode=True)["diff"]["after"] == "back-disk-ann\nback-disk-bob\n"
    assert course.api.objects == before


def test_one_whose_disk_is_gone_gets_one_too(course: Course) -> None:
    with pytest.raises(CoursehubError, match="zoe has no disk to take size and storage_class from: set both"):
        course.run(students=["zoe"])
    result = course.run(students=["zoe"], size="2Gi", storage_class="coursehub-disk")
    assert (result["students"][0]["disk"], result["students"][0]["failed"]) == ("back-disk-zoe", "")


def test_somebody_elses_claim_is_not_written_to(course: Course) -> None:
    other = claim("ann")
    other["metadata"].update(name="back-disk-ann", labels={})
    course.students.storage.add(other, "precious")
    with pytest.raises(CoursehubError, match="that no import has made: set another new_disk"):
        course.run()
    assert course.jobs.made == []


def test_the_jobs_share_what_drive_lets_one_identity_ask_for(course: Course) -> None:
    course.run(students_per_job=1)
    asked = course.jobs.requests("import")
    assert [one["identity_units_per_minute"] for one in asked] == [150_000.0, 150_000.0]
    assert [one["project_units_per_minute"] for one in asked] == [500_000.0, 500_000.0]


def ready(name: str) -> Object:
    conditions = [{"type": "Ready", "status": "True"}]
    metadata = {"name": name, "labels": {"zone": name}}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": conditions}}


def test_disks_of_different_zones_share_no_job(course: Course) -> None:
    course.jobs.answer = lambda command, asked: answer(command, asked) | {"outcome": "stopped", "failed": "no"}
    course.run()
    for student, zone in (("ann", "a"), ("bob", "b")):
        course.api.put(f"/api/v1/nodes/{zone}", ready(zone))
        volume = course.api.objects[f"{CLAIMS}/back-disk-{student}"]["spec"]["volumeName"]
        term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
        affinity = {"required": {"nodeSelectorTerms": [term]}}
        course.api.objects[f"{VOLUMES}/{volume}"]["spec"]["nodeAffinity"] = affinity
    course.jobs.answer = answer
    course.jobs.made.clear()
    assert [one["failed"] for one in course.run()["students"]] == ["", ""]
    assert [len(one["students"]) for one in course.jobs.requests("import")] == [1, 1]


def test_with_workload_identity_the_job_has_the_token(course: Course) -> None:
    audience = "https://iam.example/pool"
    with pytest.raises(CoursehubError, match="there is no ServiceAccount drive-exporter in students"):
        course.run(workload_identity_audience=audience)
    assert course.jobs.made == []
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{_exporter.ACCOUNT}"
    course.api.put(path, {"metadata": {"name": _exporter.ACCOUNT}})
    course.run(workload_identity_audience=audience)
    (job,) = course.jobs.made
    (volume,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "token")
    assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == audience


def test_no_disk_is_made_where_no_node_is_ready(course: Course) -> None:
    course.api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {}})
    failed = [one["failed"] for one in course.run()["students"]]
    assert failed == ["no node is ready that the disk could be used on"] * 2
    assert f"{CLAIMS}/back-disk-ann" not in course.api.objects
