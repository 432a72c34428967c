"""Drills: snapshots restored into scratch disks, read, and compared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk_drill import RESULT, Run

from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE, claim, pod, snapshot
from tests.unit.plugins.modules.students import CHOICE, Students
from tests.unit.plugins.storage import SHOTS, VOLUMES

PROVEN = {"failed": "", "verdict": "proven", "files": 3, "compared": 2}


@pytest.fixture
def course(api: Api, kube: Kube) -> Students:
    students = Students(api, kube)
    for student, idle_at in (("ann", "2026-11-24T10:00:00+00:00"), ("bob", "")):
        item = snapshot(student, "2026-11-24T10:00:00Z", idle_at=idle_at)
        api.put(f"{SHOTS}/{item['metadata']['name']}", item)
        students.storage.snapshots[item["metadata"]["name"]] = "old"
    return students


def run(course: Students, *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    parameters = {**CHOICE, "all_students": True, "sample": 0, "image": None, "wait_timeout": 60, **more}
    return Run(course.course, parameters, check_mode)()


def result(course: Students) -> dict[str, str]:
    return dict(course.api.objects[f"/api/v1/namespaces/{NAMESPACE}/configmaps/{RESULT}"]["data"])


def test_a_disk_that_is_only_called_as_a_scratch_disk_is_left_alone(course: Students) -> None:
    course.storage.work = lambda _pod: PROVEN
    other = claim("ann")
    other["metadata"].update(name="scratch-disk-ann", labels={})
    course.storage.add(other, "precious")
    failed = {one["student"]: one["failed"] for one in run(course)["students"]}
    assert "there is a disk scratch-disk-ann that no run has made to read from" in failed["ann"]
    assert (failed["bob"], course.storage.content_of("scratch-disk-ann")) == ("", "precious")


def test_each_is_compared_and_nothing_is_left(course: Students) -> None:
    asked: dict[str, dict[str, Any]] = {}

    def work(item: dict[str, Any]) -> dict[str, Any]:
        asked[item["metadata"]["name"]] = item["spec"]
        return PROVEN

    course.storage.work = work
    told = run(course)
    assert [(one["student"], one["verdict"], one["files"]) for one in told["students"]] == [
        ("ann", "proven", 3),
        ("bob", "proven", 3),
    ]
    assert (told["changed"], course.left_over()) == (False, [])
    assert len([path for path in course.api.objects if path.startswith(VOLUMES)]) == 2
    requests = {name: json.loads(spec["containers"][0]["env"][0]["value"]) for name, spec in asked.items()}
    # Nobody has had Ann's since; of Bob's that is not known.
    assert {name: one["untouched"] for name, one in requests.items()} == {
        "compare-disk-ann": True,
        "compare-disk-bob": False,
    }
    for spec in asked.values():
        assert [m["readOnly"] for m in spec["containers"][0]["volumeMounts"] if m["name"] == "disk"] == [True]
    assert {key: result(course)[key] for key in ("proven", "readable", "failed", "unprotected")} == {
        "proven": "2",
        "readable": "0",
        "failed": "0",
        "unprotected": "0",
    }


def test_one_that_differs_is_named_and_kept_for_monitoring(course: Students) -> None:
    course.storage.work = lambda item: (
        {"failed": "2 files differ"} if item["metadata"]["name"].endswith("ann") else PROVEN
    )
    told = run(course)
    assert {one["student"]: one["failed"] for one in told["students"]} == {"ann": "2 files differ", "bob": ""}
    assert (result(course)["failed"], result(course)["proven"], course.left_over()) == ("1", "1", [])


def test_as_many_as_are_asked_for_are_drawn(course: Students) -> None:
    course.storage.work = lambda _pod: PROVEN
    drawn = {run(course, sample=1)["students"][0]["student"] for _round in range(40)}
    assert drawn == {"ann", "bob"}


def test_those_without_a_snapshot_are_told(course: Students) -> None:
    course.storage.work = lambda _pod: PROVEN
    course.storage.add(claim("cleo"), "new")
    assert run(course)["unprotected"] == ["cleo"]
    assert result(course)["unprotected"] == "1"


def test_a_server_that_runs_has_its_worker_on_the_same_node(course: Students) -> None:
    item = pod("jupyter-ann", "disk-ann")
    item["spec"]["nodeName"] = "n7"
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-ann"
    course.api.put(path, item)
    nodes = []

    def work(worker: dict[str, Any]) -> dict[str, Any]:
        nodes.append(worker["spec"]["nodeSelector"]["kubernetes.io/hostname"])
        return PROVEN

    course.storage.work = work
    run(course, students=["ann"], all_students=False)
    assert nodes == ["n7"]
    assert course.left_over() == [path]


def test_a_dry_run_draws_and_does_nothing(course: Students) -> None:
    before = dict(course.api.objects)
    assert len(run(course, check_mode=True)["students"]) == 2
    assert course.api.objects == before


def test_without_an_image_nothing_is_begun(course: Students) -> None:
    del course.api.objects[f"/api/v1/namespaces/{NAMESPACE}/configmaps/disk-tools"]
    with pytest.raises(CoursehubError, match="run the playbook site, which makes it, or set image"):
        run(course)
