"""Students' disks made, grown, archived and removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _archives, _disks
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.student_disk import STATES

from tests.unit.plugins.api import Answer, Api, refused
from tests.unit.plugins.disks import NAMESPACE, pod, snapshot
from tests.unit.plugins.modules.students import CHOICE, SERVERS, Students
from tests.unit.plugins.storage import CLAIMS, SHOTS, VOLUMES

TARGET = {"path": "2026", "claim": "archive", "secret": ""}


@pytest.fixture
def course(api: Api, kube: Kube) -> Students:
    return Students(api, kube)


def run(course: Students, state: str, *students: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    parameters = {
        **CHOICE,
        **SERVERS,
        "students": list(students) or None,
        "size": None,
        "storage_class": None,
        "labels": {},
        "target": TARGET,
        "image": None,
        "snapshot_class": "fast",
        "wait_timeout": 60,
        **more,
    }
    return dict(STATES[state](course.course, parameters, check_mode)())


def archiver(course: Students) -> list[dict[str, Any]]:
    """Let workers answer as they do when all goes well; return what they are asked."""
    asked: list[dict[str, Any]] = []

    def work(item: dict[str, Any]) -> dict[str, Any]:
        (container,) = item["spec"]["containers"]
        request = json.loads(container["env"][0]["value"])
        asked.append({"command": container["args"][-1], **request})
        return {"failed": "", "sha256": "ab12", "archive_bytes": 10, "files": 3}

    course.storage.work = work
    return asked


# Present.


def test_disks_are_made_ahead_of_class_as_the_spawner_would(course: Students) -> None:
    result = run(
        course, "present", "ann", "alice@example.org", size="1Gi", storage_class="disk", labels={"course": "data-8"}
    )
    done = {one["student"]: one["done"] for one in result["students"]}
    assert done == {"ann": ["labelled"], "alice@example.org": ["made"]}
    made = course.api.objects[f"{CLAIMS}/disk-alice-example-org---7a64adf2"]
    assert made["status"]["phase"] == "Bound"
    assert made["metadata"]["labels"][_disks.STUDENT_LABEL] == "alice-example-org---7a64adf2"
    assert made["metadata"]["annotations"][_disks.STUDENT_ANNOTATION] == "alice@example.org"
    assert made["metadata"]["labels"]["course"] == course.claim("ann")["metadata"]["labels"]["course"] == "data-8"
    again = run(
        course, "present", "ann", "alice@example.org", size="1Gi", storage_class="disk", labels={"course": "data-8"}
    )
    assert not again["changed"]


def test_disks_grow_and_a_label_goes(course: Students) -> None:
    run(course, "present", "ann", labels={"group": "one"})
    result = run(course, "present", "ann", size="3Gi", labels={"group": ""})
    assert result["students"][0]["done"] == ["grown", "labelled"]
    assert course.claim("ann")["spec"]["resources"]["requests"]["storage"] == str(3 << 30)
    assert "group" not in course.claim("ann")["metadata"]["labels"]
    assert course.storage.content_of("disk-ann") == "work of ann"


def test_a_dry_run_changes_nothing(course: Students) -> None:
    before = dict(course.api.objects)
    result = run(course, "present", "ann", "cleo", size="3Gi", storage_class="disk", check_mode=True)
    assert [one["done"] for one in result["students"]] == [["grown"], ["made"]]
    assert course.api.objects == before


def test_a_disk_that_does_not_grow_is_named_and_the_others_are_done(course: Students) -> None:
    path = f"{CLAIMS}/disk-ann"
    course.api.answer_next("PATCH", path, refused(403, "the class allows no expansion"))
    result = run(course, "present", "ann", "bob", size="3Gi")
    failed = {one["student"]: one["failed"] for one in result["students"]}
    assert failed == {"ann": "the disk can't grow: the class allows no expansion", "bob": ""}


@pytest.mark.parametrize(
    ("students", "more", "sentence"),
    [
        (["ann"], {"size": "512Mi"}, "size is '512Mi', and a disk can't shrink: ann has 1073741824 bytes"),
        (["ann"], {"size": "large"}, "size: 'large' is no Kubernetes quantity"),
        (["cleo"], {}, "these students have no disk: cleo; to make them, set size and storage_class"),
        (["Cleo"], {"size": "1Gi", "storage_class": "disk"}, "the student 'Cleo' has capital letters"),
    ],
)
def test_bad_input_is_refused_before_anything_is_changed(
    course: Students, students: list[str], more: dict[str, Any], sentence: str
) -> None:
    before = dict(course.api.objects)
    with pytest.raises(CoursehubError, match=sentence):
        run(course, "present", *students, **more)
    assert course.api.objects == before


def test_a_claim_of_someone_else_is_not_taken_over(course: Students) -> None:
    foreign = {"metadata": {"name": "disk-cleo", "namespace": NAMESPACE, "labels": {}}, "spec": {}}
    course.api.objects[f"{CLAIMS}/disk-cleo"] = foreign
    with pytest.raises(CoursehubError, match="no students' disks of this collection: disk-cleo"):
        run(course, "present", "cleo", size="1Gi", storage_class="disk")


# Archived.


def test_a_disk_is_archived_once_and_again_when_it_was_used(course: Students) -> None:
    asked = archiver(course)
    result = run(course, "archived", "ann")
    assert (result["students"][0]["done"], result["students"][0]["archive"]) == (["archived"], "ann")
    assert [(one["command"], one["target"], one["name"]) for one in asked] == [("archive", "/target/2026", "ann")]
    assert course.left_over() == []
    assert course.storage.content_of("disk-ann") == "work of ann"
    assert not run(course, "archived", "ann")["changed"]
    course.course.mark_start("disk-ann")
    assert run(course, "archived", "ann")["changed"]


def test_another_target_is_another_archive(course: Students) -> None:
    archiver(course)
    run(course, "archived", "ann")
    assert run(course, "archived", "ann", target={**TARGET, "path": "2027"})["changed"]


def test_a_worker_that_fails_is_told_in_its_own_words_and_nothing_is_left(course: Students) -> None:
    course.storage.work = lambda _pod: {"failed": "the target is full: 10 bytes are missing"}
    result = run(course, "archived", "ann")
    assert result["students"][0]["failed"] == "the target is full: 10 bytes are missing"
    assert (result["changed"], course.left_over()) == (False, [])
    assert _archives.record_of(_disks.disk(course.claim("ann"))) is None


def test_a_disk_in_use_is_refused(course: Students) -> None:
    course.api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/jupyter-ann", {**pod("jupyter-ann", "disk-ann")})
    with pytest.raises(CoursehubError, match="ann: the pod jupyter-ann has the disk, stop the server first"):
        run(course, "archived", "ann", "bob")


def test_a_target_that_is_neither_folder_nor_remote_is_refused(course: Students) -> None:
    with pytest.raises(CoursehubError, match=r"target.path is 'bucket'"):
        run(course, "archived", "ann", target={"path": "bucket", "claim": "", "secret": ""})


# Absent.


def test_only_an_archived_disk_goes_with_its_snapshots(course: Students) -> None:
    asked = archiver(course)
    with pytest.raises(CoursehubError, match="ann: the disk disk-ann has no archive, archive it first"):
        run(course, "absent", "ann")
    run(course, "archived", "ann")
    result = run(course, "absent", "ann")
    assert result["students"][0]["done"] == ["removed"]
    assert asked[-1] == {"command": "check", "name": "ann", "target": "/target/2026", "sha256": "ab12"}
    assert f"{CLAIMS}/disk-ann" not in course.api.objects
    assert [path for path in course.api.objects if path.startswith(SHOTS)] == []
    assert len([path for path in course.api.objects if path.startswith(VOLUMES)]) == 1
    # As wanted already; and nobody else was touched.
    assert not run(course, "absent", "ann")["changed"]
    assert course.storage.content_of("disk-bob") == "work of bob"


def test_a_disk_that_was_used_after_its_archive_stays(course: Students) -> None:
    archiver(course)
    run(course, "archived", "ann")
    course.course.mark_start("disk-ann")
    with pytest.raises(CoursehubError, match="has an archive that is out of date"):
        run(course, "absent", "ann")


def test_a_disk_that_is_used_while_its_archive_is_read_back_stays(course: Students) -> None:
    archiver(course)
    run(course, "archived", "ann")

    def work(_pod: dict[str, Any]) -> dict[str, Any]:
        # As the hub does: from the stand-in's own thread.
        course.claim("ann")["metadata"]["annotations"][_disks.LAST_START_ANNOTATION] = "2026-11-25T10:00:00+00:00"
        return {"failed": ""}

    course.storage.work = work
    result = run(course, "absent", "ann")
    assert "was used while its archive was read back" in result["students"][0]["failed"]
    assert course.storage.content_of("disk-ann") == "work of ann"
    assert _disks.REMOVAL_ANNOTATION not in course.claim("ann")["metadata"]["annotations"]


def test_an_archive_that_can_not_be_read_keeps_the_disk(course: Students) -> None:
    archiver(course)
    run(course, "archived", "ann")
    course.storage.work = lambda _pod: {"failed": "the archive ann is damaged"}
    result = run(course, "absent", "ann")
    assert (result["changed"], result["students"][0]["failed"]) == (False, "the archive ann is damaged")
    assert course.storage.content_of("disk-ann") == "work of ann"


def test_a_record_that_is_damaged_is_none() -> None:
    for text in ("", "{}", "[]", '{"target": 1}', "no json"):
        disk = _disks.Disk("ann", "ann", "disk-ann", NAMESPACE, "v", 1, "Bound", None, "c", archive=text)
        assert _archives.current(disk) is None


# What an earlier run left.


def test_what_a_killed_run_left_is_swept(course: Students) -> None:
    archiver(course)
    item = snapshot("ann", "2026-11-24T10:00:00Z")
    course.api.put(f"{SHOTS}/{item['metadata']['name']}", item)
    course.storage.snapshots[item["metadata"]["name"]] = "old"
    scratch = {
        "metadata": {
            "name": "scratch-disk-bob",
            "namespace": NAMESPACE,
            "labels": {"coursehub.jupyterhub/scratch": "true"},
        },
        "spec": {
            "resources": {"requests": {"storage": "1Gi"}},
            "dataSource": {"name": item["metadata"]["name"]},
        },
    }
    course.kube.request("POST", CLAIMS, scratch)
    volumes = len([path for path in course.api.objects if path.startswith(VOLUMES)])
    assert volumes == 3
    run(course, "archived", "ann")
    assert course.left_over() == []
    assert len([path for path in course.api.objects if path.startswith(VOLUMES)]) == 2


def test_a_roster_may_name_students_without_a_disk(course: Students, tmp_path: Path) -> None:
    roster = tmp_path / "class.csv"
    roster.write_text("student\nann\ncleo\n", encoding="utf-8")
    result = run(course, "present", roster=str(roster), size="1Gi", storage_class="disk")
    assert {one["student"]: one["done"] for one in result["students"]} == {"ann": [], "cleo": ["made"]}


def test_an_answer_that_was_lost_does_no_harm(course: Students) -> None:
    archiver(course)
    course.api.answer_next("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", Answer(cut=True), Answer(cut=True))
    with_error = run(course, "archived", "ann")["students"][0]["failed"]
    assert "broke off its answer" in with_error
    assert run(course, "archived", "ann")["students"][0]["done"] == ["archived"]
    assert course.left_over() == []
