from __future__ import annotations

import json
import time
from typing import Any, ClassVar

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _disks,
    _hub,
    _kube,
    _progress,
    _restore,
    _swap,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._course import Course
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk_restore import Run

from tests.unit.plugins.api import Answer, Api, Request, refused
from tests.unit.plugins.disks import NAMESPACE, claim, pod, snapshot
from tests.unit.plugins.storage import CLAIMS, SHOTS, VOLUMES, Storage

MONDAY, TUESDAY = "2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"
# Two fewer than on a real cluster, where claims are waited for.
STEPS = 8


class KilledError(BaseException):
    """The run ends here, as by a power cut."""


class Students:
    """Ann and Bob, who have a disk and a snapshot of Monday and of Tuesday each."""

    def __init__(self, api: Api, kube: Kube) -> None:
        self.api = api
        self.kube = kube
        self.storage = Storage(api)
        conditions = [{"type": "Ready", "status": "True"}]
        api.put("/api/v1/nodes/n", {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": conditions}})
        self.taken: dict[str, list[str]] = {}
        for student in ("ann", "bob"):
            self.storage.add(claim(student, last_start="2026-11-22T10:00:00+00:00"), "today")
            for moment in (MONDAY, TUESDAY):
                item = snapshot(student, moment)
                name = item["metadata"]["name"]
                api.put(f"{SHOTS}/{name}", item)
                self.storage.snapshots[name] = moment
                self.taken.setdefault(student, []).append(name)

    def run(self, *students: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        parameters = {
            "students": list(students) or ["ann"],
            "roster": None,
            "pattern": None,
            "selector": None,
            "all_students": False,
            "snapshot": "latest",
            "at": None,
            "new_disk": None,
            "paths": None,
            "stop_servers": False,
            "snapshot_class": "fast",
            "wait_timeout": 60,
            **more,
        }
        return Run(Course(self.kube, NAMESPACE), parameters, check_mode)()

    def whole(self, student: str, content: str) -> None:
        """Check that a student has one disk with this content, and that nothing is left over."""
        assert self.storage.content_of(f"disk-{student}") == content
        item = self.api.objects[f"{CLAIMS}/disk-{student}"]
        volume = self.api.objects[f"{VOLUMES}/{item['spec']['volumeName']}"]
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert _restore.journal_of(item) is _restore.journal_of(volume) is None
        assert _swap.GIVEN_ANNOTATION not in item["metadata"]["annotations"]
        assert f"{CLAIMS}/restore-disk-{student}" not in self.api.objects
        assert len([path for path in self.api.objects if path.startswith(VOLUMES)]) == 2


@pytest.fixture
def course(api: Api, kube: Kube) -> Students:
    return Students(api, kube)


def test_the_newest_snapshot_takes_the_disks_place(course: Students) -> None:
    result = course.run()
    (outcome,) = result["students"]
    assert (outcome["snapshot"], outcome["failed"], outcome["changed"]) == (course.taken["ann"][1], "", True)
    course.whole("ann", TUESDAY)
    assert course.storage.content_of("disk-bob") == "today"
    # What was there is in the safety snapshot, and can be had back.
    assert course.storage.snapshots[outcome["safety"]] == "today"
    course.run(snapshot=outcome["safety"])
    course.whole("ann", "today")


def test_the_same_once_more_does_nothing(course: Students) -> None:
    course.run()
    before = len(course.api.objects)
    result = course.run()
    assert not result["changed"]
    assert len(course.api.objects) == before


def test_several_students_and_a_time(course: Students) -> None:
    result = course.run("bob", "ann", snapshot=None, at="2026-11-24T09:00:00+00:00")
    assert [one["student"] for one in result["students"]] == ["bob", "ann"]
    course.whole("ann", MONDAY)
    course.whole("bob", MONDAY)


def test_a_new_disk_beside_the_old_one(course: Students) -> None:
    result = course.run(new_disk="look")
    assert result["students"][0]["disk"] == "look-disk-ann"
    assert course.storage.content_of("look-disk-ann") == TUESDAY
    assert course.storage.content_of("disk-ann") == "today"
    assert not course.run(new_disk="look")["changed"]


def test_a_new_disk_is_not_called_as_one_that_is_removed_again(course: Students) -> None:
    with pytest.raises(CoursehubError, match="new_disk is 'scratch'"):
        course.run(new_disk="scratch")


def test_a_dry_run_changes_nothing(course: Students) -> None:
    result = course.run(check_mode=True)
    assert (result["changed"], result["students"][0]["snapshot"]) == (True, course.taken["ann"][1])
    assert {request.method for request in course.api.asked} == {"GET"}


def test_its_phases_are_told(course: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    phase = _progress.Progress.phase

    def note(self: _progress.Progress, name: str, total: int) -> _progress.Phase:
        if total:
            told.append((name, total))
        return phase(self, name, total)

    monkeypatch.setattr(_progress.Progress, "phase", note)
    course.run("ann", "bob")
    assert told == [("taking snapshots", 2), ("asking for new volumes", 2), ("restoring disks", 2)]
    told.clear()
    course.run(new_disk="look")
    assert told == [("making new disks", 1)]
    told.clear()
    # There is nothing to do.
    course.run(new_disk="look")
    assert told == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(STEPS))
def test_a_run_that_was_killed_is_finished_by_the_next(
    course: Students, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    do, done = _swap.Swap._do, []

    def die(self: _swap.Swap, step: str, view: _restore.View) -> None:
        if len(done) == number and not after:
            raise KilledError
        do(self, step, view)
        if len(done) == number:
            raise KilledError
        done.append(step)

    with monkeypatch.context() as patch:
        patch.setattr(_swap.Swap, "_do", die)
        with pytest.raises(KilledError):
            course.run(snapshot=course.taken["ann"][0])
    # Whatever the next run is told to restore, it finishes what was begun: `latest` may be the safety snapshot by now.
    result = course.run(snapshot=course.taken["ann"][0])
    assert result["students"][0]["failed"] == ""
    course.whole("ann", MONDAY)
    safeties = [path for path in course.api.objects if path.startswith(SHOTS)]
    assert len(safeties) == 5


def test_a_run_that_was_killed_before_it_began_takes_no_second_safety_snapshot(
    course: Students, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(_swap.Swap, "begin", die)
        with pytest.raises(KilledError):
            course.run()
    course.run()
    course.whole("ann", TUESDAY)
    assert len([path for path in course.api.objects if path.startswith(SHOTS)]) == 5


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_an_api_server_that_stumbles_at_each_request(
    course: Students, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Each request of a method is done and its answer lost, once."""
    monkeypatch.setattr(_kube, "OUTAGE_INTERVAL_S", 0)
    handle, lost = course.api._handle, set()

    def lose(request: Request) -> Answer:
        answer = handle(request)
        key = (request.path, str(request.body))
        if request.method == method and key not in lost:
            lost.add(key)
            return refused(504, "the answer was lost")
        return answer

    monkeypatch.setattr(course.api, "_handle", lose)
    result = course.run()
    assert lost
    assert result["students"][0]["failed"] == ""
    course.whole("ann", TUESDAY)


# What is refused, and what fails.


def test_a_server_that_runs_is_named_and_nobody_is_touched(course: Students) -> None:
    course.api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-bob", pod("jupyter-bob", "disk-bob"))
    before = dict(course.api.objects)
    with pytest.raises(
        CoursehubError, match=r"^bob: the pod jupyter-bob has the disk, stop the server first or set stop_servers$"
    ):
        course.run("ann", "bob")
    assert course.api.objects == before


def test_a_server_that_starts_meanwhile_is_left_its_disk(course: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = _swap.Swap._mark

    def start(self: _swap.Swap, view: _restore.View) -> None:
        mark(self, view)
        course.api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-ann", pod("jupyter-ann", "disk-ann"))

    with monkeypatch.context() as patch:
        patch.setattr(_swap.Swap, "_mark", start)
        result = course.run()
    assert "the pod jupyter-ann has the disk" in result["students"][0]["failed"]
    assert course.storage.content_of("disk-ann") == "today"
    del course.api.objects[f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-ann"]
    course.run()
    course.whole("ann", TUESDAY)


def test_without_a_safety_snapshot_nothing_is_changed(course: Students) -> None:
    course.api.answer_next("POST", SHOTS, refused(403, "exceeded quota"))
    result = course.run()
    assert result["students"][0]["failed"] == "nothing was changed, for the snapshot was refused: exceeded quota"
    assert course.storage.content_of("disk-ann") == "today"


def test_the_old_volume_stays_where_the_safety_snapshot_can_not_be_used(
    course: Students, monkeypatch: pytest.MonkeyPatch
) -> None:
    give = _swap.Swap._give

    def lose(self: _swap.Swap, view: _restore.View) -> None:
        give(self, view)
        for path in [path for path in course.api.objects if path.startswith(SHOTS)]:
            if path.rpartition("/")[2] not in course.taken["ann"] + course.taken["bob"]:
                del course.api.objects[path]

    with monkeypatch.context() as patch:
        patch.setattr(_swap.Swap, "_give", lose)
        result = course.run()
    assert "the old volume pvc-ann is kept" in result["students"][0]["failed"]
    assert course.storage.contents["pvc-ann"] == "today"
    # The restore itself is done: the hub starts servers again.
    assert course.storage.content_of("disk-ann") == TUESDAY
    assert _restore.journal_of(course.api.objects[f"{CLAIMS}/disk-ann"]) is None


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"snapshot": "other"}, "ann: there is no snapshot other of this student's disk"),
        ({"snapshot": None, "at": "2020-01-01T00:00:00Z"}, "ann: there is no snapshot from before 2020-01-01"),
        ({"snapshot": None, "at": "2999-01-01T00:00:00Z"}, "at is '2999-01-01T00:00:00Z', which is still to come"),
        ({"snapshot": None, "at": "2026-11-24"}, "at is '2026-11-24': write a time with its zone"),
        ({"students": ["zoe"]}, "these students have no disk: zoe"),
    ],
)
def test_bad_input_changes_nothing(course: Students, more: dict[str, Any], sentence: str) -> None:
    before = dict(course.api.objects)
    with pytest.raises(CoursehubError) as refusal:
        course.run(**more)
    assert sentence in str(refusal.value)
    assert course.api.objects == before


def test_a_snapshot_of_another_student_is_not_taken(course: Students) -> None:
    with pytest.raises(CoursehubError, match="ann: there is no snapshot disk-bob-"):
        course.run(snapshot=course.taken["bob"][0])


# Paths beside what is there.


def test_paths_are_put_into_a_folder_of_their_own(course: Students) -> None:
    course.api.put(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/disk-tools",
        {"metadata": {"name": "disk-tools"}, "data": {"image": "tools:1"}},
    )
    asked: list[Any] = []

    def work(item: dict[str, Any]) -> dict[str, Any]:
        asked.append(json.loads(item["spec"]["containers"][0]["env"][0]["value"]))
        return {"failed": "", "folder": "restored-20261123T100000Z", "changed": True}

    course.storage.work = work
    before = course.api.objects[f"{CLAIMS}/disk-ann"]["metadata"]["annotations"][_disks.LAST_START_ANNOTATION]
    (outcome,) = course.run(snapshot=None, at=MONDAY, paths=["a.ipynb", "data/"], image=None)["students"]
    assert (outcome["folder"], outcome["changed"], outcome["failed"]) == ("restored-20261123T100000Z", True, "")
    assert asked == [{"into": "restored-20261123T100000Z", "paths": ["a.ipynb", "data"]}]
    assert course.storage.content_of("disk-ann") == "today"
    assert [path for path in course.api.objects if "scratch" in path or "/pods/" in path] == []
    # What was written to the disk is in no snapshot yet.
    after = course.api.objects[f"{CLAIMS}/disk-ann"]["metadata"]["annotations"][_disks.LAST_START_ANNOTATION]
    assert after > before


def test_a_path_that_leaves_the_home_is_refused(course: Students) -> None:
    with pytest.raises(CoursehubError, match=r"paths has '\.\./bob', which leaves the home"):
        course.run(paths=["../bob"])


# Servers that are stopped.


class FakeHub:
    """Stands in for the hub: stops the servers of those whom it knows."""

    known: ClassVar[set[str]] = {"ann"}
    api: ClassVar[Any] = None

    def __init__(self, _kube: Kube, url: str, namespace: str, deadline: float) -> None:
        assert (url, namespace) == ("http://hub", "coursehub")
        # One that has just died is asked again: another one takes over.
        assert 0 < deadline - time.monotonic() <= 60

    def stop(self, student: str) -> None:
        if student not in self.known:
            raise CoursehubError("the hub did not stop the server (403)")
        self.api.objects.pop(f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-{student}")


def test_a_server_is_stopped_when_that_is_wanted(course: Students, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hub, "Hub", FakeHub)
    FakeHub.api = course.api
    for student in ("ann", "bob"):
        course.api.put(
            f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-{student}", pod(f"jupyter-{student}", f"disk-{student}")
        )
    servers = {"stop_servers": True, "hub_url": "http://hub", "hub_namespace": "coursehub"}
    result = course.run("ann", "bob", **servers)
    told = {one["student"]: (one["stopped"], one["failed"]) for one in result["students"]}
    assert told == {"ann": (True, ""), "bob": (True, "nothing was changed, for the hub did not stop the server (403)")}
    course.whole("ann", TUESDAY)
    assert course.storage.content_of("disk-bob") == "today"
