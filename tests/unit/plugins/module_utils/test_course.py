"""What is told of bulk work on a course; what it does is tested by the modules."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import Progress, State

from tests.unit.plugins.api import Answer, Api, Request, now, refused
from tests.unit.plugins.disks import NAMESPACE, snapshot

SHOTS = f"/apis/snapshot.storage.k8s.io/v1/namespaces/{NAMESPACE}/volumesnapshots"
STUDENTS = ("ann", "bob", "cat", "dan")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "progress"
    path.touch()
    return path


@pytest.fixture
def course(kube: Kube, file: Path) -> Course:
    return Course(kube, NAMESPACE, Progress(str(file)))


def states(file: Path) -> list[State]:
    found = map(_progress.read, file.read_text(encoding="utf-8").splitlines())
    return [state for state in found if state is not None]


def bodies() -> dict[str, dict[str, object]]:
    items = {f"disk-{student}": snapshot(student, now()) for student in STUDENTS}
    return {claim: {key: value for key, value in item.items() if key != "status"} for claim, item in items.items()}


def test_a_snapshot_is_done_when_it_is_ready_and_not_when_it_was_asked_for(
    course: Course, api: Api, file: Path
) -> None:
    api.answer_next("POST", SHOTS, refused(403, "exceeded quota"))
    wanted = bodies()
    seen: list[tuple[int, int, int]] = []
    phase_done = _progress.Phase.done

    def note(phase: _progress.Phase, item: object) -> None:
        phase_done(phase, str(item))
        if phase._name == "taking snapshots":
            seen.append((len(phase._done), len(phase._running), len(phase._failed)))

    def control() -> None:
        """Make one ready each time that it is looked at."""
        for path, item in sorted(api.objects.items()):
            if path.startswith(SHOTS) and not item.get("status"):
                api.put(path, {**item, "status": {"readyToUse": True, "creationTime": now(), "restoreSize": "1Gi"}})
                return

    handle = api.handle

    def look(request: Request) -> Answer:
        if (request.method, request.path) == ("GET", SHOTS):
            control()
        return handle(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "handle", look)
        patch.setattr(_progress.Phase, "done", note)
        good, failed = course.take(wanted, 5, time.monotonic() + 120)
    assert (len(good), len(failed)) == (3, 1)
    assert seen == [(1, 2, 1), (2, 1, 1), (3, 0, 1)]
    last = states(file)[-1]
    assert last == State("taking snapshots", 4, 3, 0, 1, last.seconds, True)


def test_a_snapshot_that_is_not_ready_in_time_has_failed(course: Course, file: Path) -> None:
    _good, failed = course.take(bodies(), 0, time.monotonic())
    assert len(failed) == 4
    assert (states(file)[-1].failed, states(file)[-1].running) == (4, 0)


def test_nothing_to_take_is_not_told(course: Course, file: Path) -> None:
    assert course.take({}, 5, 0) == ({}, {})
    assert course.remove([]) == {}
    assert states(file) == []


def test_removals(course: Course, api: Api, file: Path) -> None:
    names = []
    for student in STUDENTS:
        item = snapshot(student, "2026-11-24T10:00:00Z")
        names.append(item["metadata"]["name"])
        api.put(f"{SHOTS}/{names[-1]}", item)
    api.answer_next("DELETE", f"{SHOTS}/{names[0]}", refused(403, "forbidden"))
    # From an iterable that can be gone through once.
    assert list(course.remove(iter(names))) == names[:1]
    last = states(file)[-1]
    assert last == State("removing snapshots", 4, 3, 0, 1, last.seconds, True)


def test_a_course_without_progress_tells_nothing(kube: Kube) -> None:
    results, errors = Course(kube, NAMESPACE).each("counting", "abc", len)
    assert (results, errors) == ({"a": 1, "b": 1, "c": 1}, {})
