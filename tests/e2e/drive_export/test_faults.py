"""What goes wrong while homes are exported: a pod at each of its steps, Drive, a node; and the schedule.

About ten minutes. Eight students with one Job, so one pod has all of them side by side. The first test is of first
exports; the others need those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import HUB, STORAGE, STUDENTS, Cluster
from tests.e2e.disks.bare import Bare, bare_disks
from tests.e2e.drive_export.conftest import Module
from tests.e2e.drive_export.drive import Drive, account
from tests.e2e.drive_export.homes import FILES, FOLDERS, IN_DRIVE, Homes, consenting
from tests.e2e.drive_export.runs import (
    CLAIM,
    Background,
    exporting,
    failed,
    kill_pods,
    nothing_left_over,
    told_in_logs,
)
from tests.e2e.faults.nodes import CONTROL_PLANE, STORAGE_CONTROLLER, closed, lost, move_away_from
from tests.e2e.playbook import module
from tests.e2e.schedules import run_now

pytestmark = pytest.mark.slow
Object = dict[str, Any]
# One pod has all eight side by side. No pace is kept: what is to wait is held.
TOGETHER = {"bundle": "never", "concurrency": 1, "students_per_job": 8, "writes_per_second": 50}
# As long as an answer is held: longer than the exporter waits for one, which is 60 s, so that it is never done.
HELD_S = 120
# Drive that takes 5 s for each new file: six files of each take a pod 15 s at least.
SLOW = {"method": "drive.files.create", "times": 0, "delay_s": 5}
NEW_FILES = 6
DRIVE_AWAY_S = 180
# More than two chunks of an upload, which have 8 MiB each.
CHUNK, LARGE = 8 << 20, 20 << 20
# What a first export makes: its own folder, the folders, the files, and last its list.
FIRST_FILE, LIST = 1 + FOLDERS + 1, 1 + FOLDERS + FILES + 1
MAKES = "drive.files.create"


def held(method: str, nth: int = 1) -> Object:
    return {"method": method, "nth": nth, "times": 0, "delay_s": HELD_S}


# Where the exports of the students are when their pod is killed; the first one's has come to its end. Of the last one
# the list is in Drive, and the answer that says so was lost.
STEPS: dict[str, list[Object]] = {
    "done": [],
    "looks what there is": [held("drive.files.list")],
    "makes its own folder": [held(MAKES)],
    "makes a folder": [held(MAKES, 3)],
    "sends its first file": [held(MAKES, FIRST_FILE)],
    "in the middle of a large file": [held("media.chunk", 2)],
    "before its list": [held(MAKES, LIST)],
    "after its list": [{"method": MAKES, "nth": LIST, "cut_after_bytes": CHUNK}, held(MAKES, LIST + 1)],
}


@pytest.fixture(scope="module")
def disks(cluster: Cluster) -> Iterator[Bare]:
    with bare_disks(cluster, "drive-fault", len(STEPS)) as made:
        yield made


@pytest.fixture(scope="module")
def homes(cluster: Cluster, disks: Bare, drive: Drive) -> Iterator[Homes]:
    # A call that Drive refuses for its pace would be one more, and the steps go by the numbers of calls.
    drive.admin("PATCH", "/limits", user_writes_per_second=0, listing_delay_s=1)
    with consenting(cluster, drive, disks.students) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, drive: Drive, disks: Bare, arguments: Object) -> Callable[[], Background]:
    """Start an export of all in a process of its own."""
    return lambda: Background(tmp_path, drive, {**arguments, "students": disks.students, **TOGETHER})


@pytest.fixture
def complete(cluster: Cluster, drive: Drive, export: Module) -> Callable[[int], None]:
    """Check that Drive has all, proven, none of it twice, and so many things in all; and that nothing is left over."""

    def check(files: int) -> None:
        nothing_left_over(cluster)
        told = export(**TOGETHER, look=True, verify=True)
        assert (failed(told), told["uploaded_files"]) == ([], 0)
        assert drive.files() == files
        nothing_left_over(cluster)

    return check


def test_a_pod_that_is_killed_at_any_step_is_followed_by_one_that_goes_on(
    cluster: Cluster,
    disks: Bare,
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    start: Callable[[], Background],
    complete: Callable[[int], None],
) -> None:
    at = dict(zip(STEPS, disks.students, strict=True))
    large = at["in the middle of a large file"]
    homes.add_large(large, LARGE)
    snapshot()
    before = drive.files()
    rules = [{**rule, "identity": account(at[step])} for step, rules in STEPS.items() for rule in rules]

    def has_told() -> bool:
        return at["done"] in told_in_logs(cluster, disks.students)

    with ExitStack() as until_killed:
        until_killed.enter_context(drive.faults(*rules))
        with start() as run:
            run.still("each is where it is to be", lambda: drive.have_struck() and has_told())
            # All of them at once: what the first one told is lost with its pod's log.
            kill_pods(cluster)
            until_killed.close()
            told = run.ended()
    assert (failed(told), told["unchanged"], told["exported"]) == ([], 1, len(STEPS) - 1)
    # The large file went on in its middle: not one chunk of it came twice.
    assert LARGE <= drive.received(large) < LARGE + CHUNK
    complete(before + len(STEPS) * IN_DRIVE + 1)


def test_drive_that_answers_nothing_for_three_minutes_is_waited_for(
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    start: Callable[[], Background],
    complete: Callable[[int], None],
) -> None:
    homes.add("before Drive is away")
    snapshot()
    before = drive.files()
    with drive.faults(SLOW), start() as run:
        run.sends()
        with drive.frozen():
            time.sleep(DRIVE_AWAY_S)
            assert run.at_work()
        told = run.ended()
    assert (failed(told), told["exported"]) == ([], len(STEPS))
    complete(before + len(STEPS) * NEW_FILES)


def test_a_node_that_is_lost_is_no_end_of_a_run(
    cluster: Cluster,
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    start: Callable[[], Background],
    complete: Callable[[int], None],
) -> None:
    """With the node its pod's log is lost, and its disks stay with it until somebody says that it is off.

    Then another pod goes on in the same run. What was frozen with the node wakes up in the end, and makes nothing more.
    """
    nodes = {str(one["metadata"]["name"]) for one in cluster.kube.list("v1", "Node")}
    node = min(nodes - {CONTROL_PLANE, drive.node})
    move_away_from(cluster, node, STORAGE, STORAGE_CONTROLLER)
    homes.add("before a node is lost")
    snapshot()
    before = drive.files()
    with drive.faults(SLOW), start() as run:
        with closed(cluster, nodes - {node}):
            run.sends()
        with lost(cluster, node):
            assert {pod["spec"]["nodeName"] for pod in exporting(cluster)} <= {node}
            told = run.ended()
    assert (failed(told), told.get("warnings", [])) == ([], [])
    complete(before + len(STEPS) * NEW_FILES)


def test_the_schedule_exports_by_an_account_that_may_do_no_more(
    cluster: Cluster,
    disks: Bare,
    homes: Homes,
    drive: Drive,
    place: Object,
    snapshot: Callable[[], None],
    complete: Callable[[int], None],
) -> None:
    homes.add("before the night")
    snapshot()
    before = drive.files()
    pod, said = run_now(cluster, "drive-export", 600)
    assert pod["status"]["phase"] == "Succeeded", said[-4000:]
    assert f"{len(STEPS)} of {len(STEPS)} homes were exported" in said, said[-4000:]
    assert pod["spec"]["serviceAccountName"] == "drive-export"
    # A right that it lacks there would be a warning alone.
    assert "drive-pace" not in said, said[-4000:]
    assert "can't be told to go faster" not in said, said[-4000:]
    assert drive.files() - before == len(STEPS) * NEW_FILES, said[-4000:]
    told = module("drive_export_info", **place, students=disks.students)
    assert told["never_exported"] == []
    # It proves what it has sent.
    assert all(one["verified_at"] for one in told["students"])
    user = f"system:serviceaccount:{HUB}:drive-export"
    path = cluster.kube.path(*CLAIM, STUDENTS, f"disk-{disks.students[0]}")
    assert "exports remove their own scratch disks alone" in cluster.delete_as(user, path)
    complete(before + len(STEPS) * NEW_FILES)
