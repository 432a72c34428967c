"""Disks that grow before they are full."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk_grow import Run

from tests.unit.plugins.api import Answer, Api
from tests.unit.plugins.disks import NAMESPACE
from tests.unit.plugins.modules.students import CHOICE, Students
from tests.unit.plugins.storage import CLAIMS

GIB = 1 << 30
SUMMARY = "/api/v1/nodes/n/proxy/stats/summary"


@pytest.fixture
def course(api: Api, kube: Kube) -> Students:
    return Students(api, kube)


def run(course: Students, used: dict[str, int | None], *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    volumes = [
        {"pvcRef": {"namespace": NAMESPACE, "name": f"disk-{student}"}, **({} if size is None else {"usedBytes": size})}
        for student, size in used.items()
    ]
    course.api.answer_next("GET", SUMMARY, Answer(body={"pods": [{"volume": volumes}]}))
    parameters = {
        **CHOICE,
        "all_students": True,
        "above": 80,
        "step": "1Gi",
        "limit": "4Gi",
        "wait_timeout": 60,
        **more,
    }
    return Run(course.course, parameters, check_mode)()


def size_of(course: Students, student: str) -> str:
    return str(course.claim(student)["spec"]["resources"]["requests"]["storage"])


def test_one_that_is_nearly_full_grows_and_the_other_does_not(course: Students) -> None:
    result = run(course, {"ann": GIB - 1, "bob": GIB // 2})
    (ann,) = result["students"]
    assert (ann["student"], ann["new_size_bytes"], ann["full"], ann["failed"]) == ("ann", 2 * GIB, False, "")
    assert (result["looked_at"], result["changed"]) == (2, True)
    assert (size_of(course, "ann"), size_of(course, "bob")) == (str(2 * GIB), "1Gi")
    assert not run(course, {"ann": GIB - 1, "bob": GIB // 2})["changed"]


def test_one_at_its_limit_is_marked_until_there_is_room(course: Students) -> None:
    result = run(course, {"ann": GIB}, limit="1Gi")
    assert (result["students"][0]["full"], result["changed"]) == (True, True)
    assert course.claim("ann")["metadata"]["annotations"][_disks.FULL_ANNOTATION] == "true"
    assert not run(course, {"ann": GIB}, limit="1Gi")["changed"]
    assert run(course, {"ann": GIB // 2}, limit="1Gi")["changed"]
    assert _disks.FULL_ANNOTATION not in course.claim("ann")["metadata"]["annotations"]


def test_what_is_not_known_is_left_alone(course: Students) -> None:
    result = run(course, {"ann": None})
    assert (result["looked_at"], result["changed"]) == (0, False)


def test_a_dry_run_changes_nothing(course: Students) -> None:
    before = dict(course.api.objects)
    assert run(course, {"ann": GIB}, check_mode=True)["students"][0]["new_size_bytes"] == 2 * GIB
    assert course.api.objects == before


def test_one_that_does_not_grow_in_time_is_named(course: Students) -> None:
    course.storage.grows = False
    result = run(course, {"ann": GIB}, wait_timeout=1)
    assert result["students"][0]["failed"] == "the disk did not grow before the timeout"


def test_the_rest_at_the_next_start_is_no_failure(course: Students) -> None:
    course.storage.grows = False
    control = course.storage.control

    def pending() -> None:
        control()
        condition = {"type": "FileSystemResizePending", "status": "True"}
        course.api.objects[f"{CLAIMS}/disk-ann"]["status"]["conditions"] = [condition]

    course.api.on_change = pending
    assert run(course, {"ann": GIB})["students"][0]["failed"] == ""


def test_a_limit_that_is_none_is_refused(course: Students) -> None:
    with pytest.raises(CoursehubError, match="limit: 'all' is no Kubernetes quantity"):
        run(course, {}, limit="all")
