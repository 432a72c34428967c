from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules import student_disk_info, student_disk_snapshot_info

from tests.unit.plugins.api import Answer, Api, refused
from tests.unit.plugins.disks import NAMESPACE, claim, pod, snapshot

PARAMETERS = {"students": None, "roster": None, "pattern": None, "selector": None, "all_students": True, "patience": 60}


@pytest.fixture
def course(api: Api, kube: Kube) -> Course:
    for student in ("ann", "bob"):
        api.put(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/disk-{student}", claim(student))
    api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-ann", pod("jupyter-ann", "disk-ann"))
    for day in ("22", "23"):
        item = snapshot("ann", f"2026-11-{day}T12:00:00Z")
        path = f"/apis/snapshot.storage.k8s.io/v1/namespaces/{NAMESPACE}/volumesnapshots/{item['metadata']['name']}"
        api.put(path, item)
    for node in ("n1", "n2"):
        api.put(f"/api/v1/nodes/{node}", {"metadata": {"name": node}})
    return Course(kube, NAMESPACE)


def summary(used: int) -> Answer:
    volume: dict[str, Any] = {"pvcRef": {"name": "disk-ann", "namespace": NAMESPACE}, "usedBytes": used}
    return Answer(body={"pods": [{"volume": [volume]}]})


def test_each_disk_is_told_with_what_its_node_says(course: Course, api: Api) -> None:
    api.answer_next("GET", "/api/v1/nodes/n1/proxy/stats/summary", refused(503, "the node is away"))
    api.answer_next("GET", "/api/v1/nodes/n2/proxy/stats/summary", summary(5))
    result = student_disk_info.run(course, PARAMETERS)
    ann, bob = result["students"]
    assert (ann["used_bytes"], ann["node"], ann["pod"], ann["snapshots"]) == (5, "n2", "jupyter-ann", 2)
    assert ann["newest_snapshot"] == "disk-ann-20261123-120000"
    assert (bob["used_bytes"], bob["node"], bob["pod"], bob["snapshots"]) == (None, "", "", 0)
    assert not result["changed"]
    assert len(result["text"].splitlines()) == 3


def test_nothing_is_asked_but_by_get(course: Course, api: Api) -> None:
    student_disk_info.run(course, PARAMETERS)
    student_disk_snapshot_info.run(course, PARAMETERS)
    assert {request.method for request in api.asked} == {"GET"}


def test_a_students_snapshots_the_newest_first(course: Course) -> None:
    result = student_disk_snapshot_info.run(course, {**PARAMETERS, "students": ["ann"], "all_students": False})
    assert [one["name"] for one in result["snapshots"]] == ["disk-ann-20261123-120000", "disk-ann-20261122-120000"]
    assert result["snapshots"][0] == {
        "student": "ann",
        "name": "disk-ann-20261123-120000",
        "taken": "2026-11-23T12:00:00+00:00",
        "state": "ready",
        "error": "",
        "safety": False,
    }
