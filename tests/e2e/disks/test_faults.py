"""What goes wrong while snapshots of many disks are taken, on the real storage.

About eight minutes. Two of them are an outage of the snapshot controller, one is an outage of the API server. That one
comes last: the cluster's controllers and the hub need a while to get over it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import ApiError

from tests.e2e.cluster import HUB, STORAGE, STUDENTS, Cluster, says_ready
from tests.e2e.disks.bare import SNAPSHOT, Bare, is_ready
from tests.e2e.outages import on_control_plane, without_api_server
from tests.e2e.playbook import module, start

# A hundred disks, and parts of the cluster that are away for minutes.
pytestmark = pytest.mark.slow
Object = dict[str, Any]
Take = Callable[..., dict[str, Any]]

CONTROLLER = ("apps/v1", "Deployment", "storage-controller")
# How long the snapshot controller and the API server are away.
CONTROLLER_AWAY_S = 120
API_AWAY_S = 60
# How long a run that was killed keeps its lock.
LOCK_S = 30
NOBODY = "nobody.csi.example.org"
CONTENT = ("snapshot.storage.k8s.io/v1", "VolumeSnapshotContent")
CLASS = ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass")


@pytest.fixture(scope="module", autouse=True)
def _a_hub_that_is_well(url: str, cluster: Cluster) -> Iterator[None]:
    """Leave a hub that works to the tests that come next. Its pods are asked for last of all."""
    yield

    def ready(pods: list[Object]) -> bool:
        hubs = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "hub"]
        return bool(hubs) and all("deletionTimestamp" not in pod["metadata"] and says_ready(pod) for pod in hubs)

    cluster.wait("v1", "Pod", HUB, ready, 180)
    deadline = time.monotonic() + 60
    while not _answers_well(f"{url}/hub/health"):
        assert time.monotonic() < deadline, "the hub does not answer"
        time.sleep(1)


def _answers_well(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture
def disks(hundred: Bare) -> Iterator[Bare]:
    """The disks of 100 students; what a test took of them is removed while the next one runs."""
    yield hundred
    hundred.remove_snapshots()


@pytest.fixture
def take(arguments: dict[str, Any]) -> Take:
    return lambda **more: module("student_disk_snapshot", **{**arguments, **more})


@contextmanager
def meanwhile(take: Take, **arguments: Any) -> Iterator[Future[dict[str, Any]]]:
    """Run the module in the background; it has ended when this has."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(take, **arguments)


def outcomes(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a run did, by student."""
    assert "students" in result, result.get("msg", result)
    return {one["student"]: one for one in result["students"]}


def succeeded(result: dict[str, Any]) -> None:
    """Check that a run did not fail: one that does says why."""
    assert "msg" not in result, result["msg"]


def all_taken(result: dict[str, Any], disks: Bare, students: list[str]) -> None:
    """Check that a run failed for nobody, and that what it took can be restored."""
    succeeded(result)
    done = outcomes(result)
    assert sorted(done) == sorted(students)
    ready = {
        item["metadata"]["name"] for items in disks.snapshots(students).values() for item in items if is_ready(item)
    }
    assert {one["snapshot"] for one in done.values()} <= ready
    assert len({one["snapshot"] for one in done.values()}) == len(students)


# A snapshot that never becomes ready.


@pytest.fixture
def nobodys_class(cluster: Cluster) -> Iterator[str]:
    """A class of a driver that there is none of, as after a misspelt name: nobody ever makes its snapshots."""
    name = "fault-nobody"
    cluster.apply(
        {
            "apiVersion": CLASS[0],
            "kind": CLASS[1],
            "metadata": {"name": name},
            "driver": NOBODY,
            "deletionPolicy": "Delete",
        }
    )
    yield name
    for item in cluster.kube.list(*SNAPSHOT, STUDENTS):
        if item["spec"].get("volumeSnapshotClassName") == name:
            cluster.delete(*SNAPSHOT, item["metadata"]["name"], STUDENTS)

    def nobodys(found: list[Object]) -> list[Object]:
        return [item for item in found if item["spec"]["driver"] == NOBODY]

    def going(found: list[Object]) -> bool:
        return all("deletionTimestamp" in item["metadata"] for item in nobodys(found))

    # Nobody lets go of what a driver that isn't there should have removed.
    for item in nobodys(cluster.wait(*CONTENT, None, going, 60)):
        path = cluster.kube.path(*CONTENT, None, item["metadata"]["name"])
        cluster.kube.merge(path, {"metadata": {"finalizers": None}})
    cluster.delete(*CLASS, name)


def test_one_that_never_becomes_ready_is_named_and_cleaned_up_by_the_next_run(
    disks: Bare, take: Take, nobodys_class: str
) -> None:
    students = disks.students[:2]
    begun = time.monotonic()
    failed = take(students=students, snapshot_class=nobodys_class, wait_timeout=15)
    assert 15 <= time.monotonic() - begun < 60
    assert all(student in failed["msg"] for student in students)
    asked = {student: items[0]["metadata"]["name"] for student, items in disks.snapshots(students).items()}
    for student, one in outcomes(failed).items():
        assert f"the snapshot {asked[student]} was not ready after 15 s" in one["failed"]
    # By now they are older than the timeout, and so have failed.
    mended = take(students=students, wait_timeout=15, keep={"last": 1})
    all_taken(mended, disks, students)
    assert {student: one["removed"] for student, one in outcomes(mended).items()} == {
        student: [name] for student, name in asked.items()
    }
    left = {
        student: [item["metadata"]["name"] for item in items] for student, items in disks.snapshots(students).items()
    }
    assert left == {student: [one["snapshot"]] for student, one in outcomes(mended).items()}


# Several runs.


def test_two_runs_at_once(disks: Bare, take: Take) -> None:
    students = disks.students[:20]
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(take, students=students, keep={"last": 1}) for _run in range(2)]
    for one in running:
        succeeded(one.result())
    results = [outcomes(one.result()) for one in running]
    taken = [one["snapshot"] for result in results for one in result.values()]
    # One after the other: each took its own of every disk, and the later one removed the earlier one's.
    assert len(set(taken)) == 2 * len(students)
    left = disks.snapshots(students)
    assert [len(items) for items in left.values()] == [1] * len(students)
    (later,) = (result for result in results if any(one["removed"] for one in result.values()))
    assert {student: [items[0]["metadata"]["name"]] for student, items in left.items()} == {
        student: [one["snapshot"]] for student, one in later.items()
    }


def test_a_run_that_was_killed_is_made_up_for_by_the_next_one(
    disks: Bare, cluster: Cluster, take: Take, arguments: dict[str, Any], tmp_path: Path
) -> None:
    students = disks.students[:50]
    killed = start("student_disk_snapshot", tmp_path / "arguments.json", **arguments, students=students)
    try:
        # In the middle of it: some are asked for.
        cluster.wait(*SNAPSHOT, STUDENTS, lambda found: any(disks.sorted_out(found, students).values()), 60)
        assert killed.poll() is None, killed.communicate()[0]
    finally:
        killed.kill()
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    begun = time.monotonic()
    result = take(students=students, skip_unchanged=True, wait_timeout=120)
    seconds = time.monotonic() - begun
    succeeded(result)
    assert sorted(outcomes(result)) == students
    # Nobody gave the lock back. It was taken over as soon as that was sure.
    assert LOCK_S <= seconds < LOCK_S + 60

    def good_ones_only(found: list[Object]) -> bool:
        return all(items and all(map(is_ready, items)) for items in disks.sorted_out(found, students).values())

    cluster.wait(*SNAPSHOT, STUDENTS, good_ones_only, 60)


# What the storage does.


@contextmanager
def lost_records(handles: list[str]) -> Iterator[None]:
    """Let the driver know nothing of some volumes: it refuses to take snapshots of them."""
    records = [f"{os.environ['COURSEHUB_POOL']}/records/volumes/{handle}.json" for handle in handles]
    moved: list[str] = []
    try:
        for record in records:
            on_control_plane("mv", record, f"{record}.aside")
            moved.append(record)
        yield
    finally:
        for record in moved:
            on_control_plane("mv", f"{record}.aside", record)


def test_the_driver_fails_for_three_of_a_hundred(disks: Bare, take: Take) -> None:
    broken = [disks.students[number] for number in (7, 42, 99)]
    handles = {student: disks.volume_handle(student) for student in broken}
    with lost_records(list(handles.values())):
        result = take(pattern="fault-*", wait_timeout=60)
    done = outcomes(result)
    assert sorted(done) == disks.students
    assert sorted(student for student, one in done.items() if one["failed"]) == broken
    for student, handle in handles.items():
        assert student in result["msg"]
        # What the driver said, which is what the staff needs.
        assert f"there is no disk {handle}" in done[student]["failed"]
        assert done[student]["snapshot"] == ""
    ready = {student for student, items in disks.snapshots().items() if any(map(is_ready, items))}
    assert set(disks.students) - set(broken) <= ready
    assert sum(bool(one["snapshot"]) for one in done.values()) == 97


def scale(cluster: Cluster, replicas: int) -> None:
    path = cluster.kube.path(*CONTROLLER[:2], STORAGE, CONTROLLER[2])
    cluster.kube.merge(path, {"spec": {"replicas": replicas}})


@contextmanager
def without_controller(cluster: Cluster) -> Iterator[None]:
    """Stop all that makes snapshots; at the end it is back."""

    def controllers(pods: list[Object]) -> list[Object]:
        return [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/name") == CONTROLLER[2]]

    scale(cluster, 0)
    try:
        for pod in controllers(cluster.kube.list("v1", "Pod", STORAGE)):
            # Told to end, one may take half a minute.
            with suppress(ApiError):
                cluster.delete("v1", "Pod", pod["metadata"]["name"], STORAGE, gracePeriodSeconds=1)
        cluster.wait("v1", "Pod", STORAGE, lambda pods: not controllers(pods), 60)
        yield
    finally:
        scale(cluster, 1)
        cluster.wait(
            *CONTROLLER[:2],
            STORAGE,
            lambda found: any(
                one["metadata"]["name"] == CONTROLLER[2] and one["status"].get("availableReplicas") for one in found
            ),
            120,
        )


def test_a_snapshot_controller_that_is_down_for_two_minutes(disks: Bare, cluster: Cluster, take: Take) -> None:
    students = disks.students[:50]
    # The module's end is waited for after the controller is back.
    with meanwhile(take, students=students, wait_timeout=400) as running:
        with without_controller(cluster):
            time.sleep(CONTROLLER_AWAY_S)
            assert not running.done(), running.result()
            assert not any(is_ready(item) for items in disks.snapshots(students).values() for item in items)
        result = running.result()
    all_taken(result, disks, students)


# What the API server does.


def test_an_api_server_that_is_away_for_a_minute(disks: Bare, cluster: Cluster, take: Take) -> None:
    before = {item["metadata"]["name"] for item in cluster.kube.list(*SNAPSHOT, STUDENTS)}

    def begun(found: list[Object]) -> bool:
        return any(item["metadata"]["name"] not in before for item in found)

    with meanwhile(take, pattern="fault-*", wait_timeout=400) as running:
        cluster.wait(*SNAPSHOT, STUDENTS, begun, 60)
        with without_api_server(cluster, API_AWAY_S):
            assert not running.done(), "the run was over before the API server was gone"
        result = running.result()
    all_taken(result, disks, disks.students)
