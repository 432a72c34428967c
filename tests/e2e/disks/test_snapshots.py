"""Snapshots of students' disks, on the real storage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.cluster import HUB, STUDENTS, Cluster
from tests.e2e.disks.conftest import Home, Module
from tests.e2e.playbook import module
from tests.e2e.schedules import run_now

SNAPSHOTS = ("snapshot.storage.k8s.io/v1", "VolumeSnapshot")


def names(cluster: Cluster, student: str) -> list[str]:
    items = cluster.kube.list(*SNAPSHOTS, STUDENTS)
    claim = f"disk-{student}"
    return sorted(
        item["metadata"]["name"]
        for item in items
        if item["spec"]["source"]["persistentVolumeClaimName"] == claim and "deletionTimestamp" not in item["metadata"]
    )


def test_taken_and_thinned_out(home: Home, cluster: Cluster, snapshot: Module) -> None:
    home.write(work="done")
    name = home.student.name
    taken = [snapshot(name, keep={"last": 2})["students"][0]["snapshot"] for _round in range(4)]
    assert names(cluster, name) == taken[2:]


def test_an_unchanged_disk_is_left_out_and_a_started_one_is_not(home: Home, snapshot: Module) -> None:
    name = home.student.name
    home.write(work="done")
    # The start was less than a minute ago, and clocks may be that much apart.
    first = snapshot(name, skip_unchanged=True)
    assert first["changed"]
    home.student.start()
    running = snapshot(name, skip_unchanged=True)
    assert running["students"][0]["snapshot"], running
    home.stop()
    # Taken while the server ran: what was written afterwards is in none yet.
    assert snapshot(name, skip_unchanged=True)["students"][0]["snapshot"]


def test_a_dry_run_takes_and_removes_nothing(
    home: Home, cluster: Cluster, snapshot: Module, arguments: dict[str, Any]
) -> None:
    home.write(work="done")
    name = home.student.name
    snapshot(name)
    before = names(cluster, name)
    told = module("student_disk_snapshot", "--check", "--diff", **arguments, students=[name], keep={"last": 1})
    assert told["changed"]
    assert told["students"][0]["removed"] == before
    assert names(cluster, name) == before


def test_all_students_in_one_run(home: Home, cluster: Cluster, arguments: dict[str, Any]) -> None:
    home.write(work="done")
    result = module("student_disk_snapshot", **arguments, all_students=True)
    claims = cluster.kube.list("v1", "PersistentVolumeClaim", STUDENTS, labelSelector="coursehub.jupyterhub/student")
    assert len(result["students"]) == len(claims)
    assert all(one["snapshot"] or one["skipped"] for one in result["students"]), result
    found = cluster.kube.list(*SNAPSHOTS, STUDENTS)
    ready = {item["metadata"]["name"] for item in found if item.get("status", {}).get("readyToUse")}
    assert {one["snapshot"] for one in result["students"]} - {""} <= ready


@pytest.mark.parametrize(
    ("schedule_name", "said"),
    [
        ("snapshots", "snapshots taken"),
        ("grow", "disks looked at"),
        ("drill", "students have no snapshot that could be restored"),
    ],
)
def test_each_schedule_runs_in_the_cluster_with_rights_of_its_own(
    home: Home, cluster: Cluster, snapshot: Module, schedule_name: str, said: str
) -> None:
    home.write(work="done")
    if schedule_name == "drill":
        snapshot(home.student.name)
    schedule = cluster.kube.get("batch/v1", "CronJob", schedule_name, HUB)
    assert schedule is not None
    assert schedule["spec"]["concurrencyPolicy"] == "Forbid"
    pod, log = run_now(cluster, schedule_name, 180)
    assert pod["status"]["phase"] == "Succeeded", log
    assert said in log
    assert schedule_name != "snapshots" or names(cluster, home.student.name) != []


def test_the_schedules_account_can_not_touch_a_disk(cluster: Cluster) -> None:
    verbs = ("create", "patch", "update", "delete")
    for resource, group in (("persistentvolumeclaims", ""), ("secrets", ""), ("pods", "")):
        for verb in verbs:
            assert not _may(cluster, verb, resource, group), f"{verb} {resource}"
    # A control: what it is there for, it may.
    assert _may(cluster, "create", "volumesnapshots", "snapshot.storage.k8s.io")


def test_a_drill_can_not_remove_a_students_disk(home: Home, cluster: Cluster) -> None:
    home.write(work="done")
    drill, claims = f"system:serviceaccount:{HUB}:drill", f"/api/v1/namespaces/{STUDENTS}/persistentvolumeclaims"
    refused = cluster.delete_as(drill, f"{claims}/disk-{home.student.name}")
    assert "a drill touches its own scratch disks and workers alone" in refused
    # A control: one of its own it could remove, if there were one.
    assert cluster.delete_as(drill, f"{claims}/scratch-none").startswith("404")


def _may(cluster: Cluster, verb: str, resource: str, group: str) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{HUB}:snapshots",
            "resourceAttributes": {"namespace": STUDENTS, "verb": verb, "resource": resource, "group": group},
        },
    }
    answer = cluster.kube.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
