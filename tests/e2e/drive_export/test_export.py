"""Exports of thirty homes: made, made again, proven, brought back, and interrupted.

The tests build on one another, in this order: a second export needs a first one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.bare import Bare
from tests.e2e.drive_export.conftest import COUNT, Module
from tests.e2e.drive_export.drive import Drive, account
from tests.e2e.drive_export.homes import FILES, IN_DRIVE, Homes
from tests.e2e.drive_export.runs import (
    Background,
    exporting,
    failed,
    kill_pods,
    nothing_left_over,
    remove_restored,
    to_be_seen,
    told_in_logs,
)
from tests.e2e.playbook import module

pytestmark = pytest.mark.slow
IN_BACKGROUND = {"bundle": "never", "concurrency": 3}
# One call in fifty each, and not the same ones: with one seed for all, each would strike where the first one did, whose
# answer is the one that is given. After 100 bytes most files are cut off in their middle, folders when they are made.
_RATE = {"status": 403, "reason": "userRateLimitExceeded", "domain": "usageLimits", "retry_after": 1}
_AWAY = {"status": 503, "reason": "backendError"}
STUMBLES: tuple[dict[str, Any], ...] = (
    {"method": "drive.*", "probability": 0.02, "seed": 1, "times": 0, "error": _RATE},
    {"method": "drive.*", "probability": 0.02, "seed": 3, "times": 0, "error": _AWAY},
    {"method": "drive.files.create", "probability": 0.02, "seed": 5, "times": 0, "cut_after_bytes": 100},
)
STUMBLED = ((403, "userRateLimitExceeded"), (503, "backendError"), (499, "cut"))
# A Drive in which each new file takes so long: of six new ones, four at a time, there is time to look at a pod.
SLOW_S = 20


def test_all_are_exported_and_the_one_whose_drive_is_full_is_named(
    cluster: Cluster, disks: Bare, homes: Homes, drive: Drive, snapshot: Callable[[], None], export: Module
) -> None:
    snapshot()
    before = drive.files()
    drive.admin("DELETE", "/counters")
    with drive.faults(*STUMBLES):
        told = export(verify=True)
    answered = drive.answered()
    assert all(answered[one] for one in STUMBLED), answered
    full = disks.students[-1]
    assert failed(told) == [full]
    assert "the Drive is full" in told["failures"][0]["failed"]
    assert (told["exported"], told["verified"]) == (COUNT - 1, COUNT - 1)
    # Nothing of what was answered by an error is there twice. Of the full one there may be folders.
    extra = drive.files() - before - (COUNT - 1) * IN_DRIVE
    assert 0 <= extra <= IN_DRIVE
    nothing_left_over(cluster)
    drive.admin("POST", "/users", email=account(full))
    assert failed(export(verify=True)) == []
    assert drive.files() - before == COUNT * IN_DRIVE


def test_a_second_run_asks_drive_for_nothing(drive: Drive, export: Module) -> None:
    drive.admin("DELETE", "/counters")
    told = export(verify=True)
    assert (told["changed"], told["unchanged"], told["failures"]) == (False, COUNT, [])
    assert drive.admin("GET", "/counters")["calls"] == []


def test_what_has_changed_is_sent_and_a_rename_is_none(
    homes: Homes, drive: Drive, snapshot: Callable[[], None], export: Module
) -> None:
    homes.change()
    snapshot()
    before = drive.files()
    planned = export("--check")
    assert (planned["changed"], planned["exported"]) == (True, COUNT)
    told = export()
    assert (failed(told), told["exported"], told["uploaded_files"]) == ([], COUNT, COUNT)
    assert drive.files() == before


def test_what_comes_back_is_what_was_there(
    cluster: Cluster, disks: Bare, homes: Homes, arguments: dict[str, Any]
) -> None:
    told = module("drive_import", **arguments, students=disks.students, new_disk="back", size="64Mi")
    try:
        assert "msg" not in told, told["msg"]
        assert all(one["files"] == FILES for one in told["students"])
        assert Homes(cluster, disks.students, "back-disk-").read() == homes.read()
        again = module("drive_import", **arguments, students=disks.students, new_disk="back", size="64Mi")
        assert again["changed"] is False
        nothing_left_over(cluster)
    finally:
        remove_restored(cluster, disks.students, "back")


def test_what_is_known_of_each_export_is_told(place: dict[str, Any], disks: Bare) -> None:
    told = module("drive_export_info", **place, students=disks.students)
    assert told["never_exported"] == []
    assert all((one["files"], one["problems"]) == (FILES, 0) for one in told["students"])


def test_a_pod_that_is_killed_is_followed_by_one_that_goes_on(
    tmp_path: Path,
    cluster: Cluster,
    disks: Bare,
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    arguments: dict[str, Any],
) -> None:
    homes.add("before a pod is killed")
    snapshot()
    with Background(tmp_path, drive, {**arguments, "students": disks.students, **IN_BACKGROUND}) as run:
        run.sends()
        kill_pods(cluster)
        assert failed(run.ended()) == []
    nothing_left_over(cluster)


def test_a_run_that_is_killed_is_gone_on_with_by_the_next(
    tmp_path: Path,
    cluster: Cluster,
    disks: Bare,
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    arguments: dict[str, Any],
    export: Module,
) -> None:
    before = drive.files()
    homes.add("before a run is killed")
    snapshot()
    with Background(tmp_path, drive, {**arguments, "students": disks.students, **IN_BACKGROUND}) as run:
        run.sends()
    # It waits until the killed one's lock has ended, and removes its Jobs and clones.
    assert failed(export(verify=True, look=True)) == []
    # Six files each, and none of them twice.
    assert drive.files() - before == COUNT * 6
    nothing_left_over(cluster)


def test_two_whose_consent_is_revoked_are_named_and_the_others_are_exported(
    cluster: Cluster, disks: Bare, drive: Drive, snapshot: Callable[[], None], export: Module
) -> None:
    revoked = disks.students[3:5]
    for student in revoked:
        drive.admin("POST", "/revoke", user=account(student))
    snapshot()
    told = export()
    assert failed(told) == revoked
    assert all("ask the student to allow the export again" in one["failed"] for one in told["failures"])
    assert told["unchanged"] + told["exported"] == COUNT - len(revoked)
    nothing_left_over(cluster)


def test_a_consent_is_to_be_seen_nowhere_but_in_its_secret(
    tmp_path: Path,
    cluster: Cluster,
    disks: Bare,
    homes: Homes,
    drive: Drive,
    snapshot: Callable[[], None],
    arguments: dict[str, Any],
) -> None:
    """While a pod has told of the first student, and is at work on the second one's files."""
    first, second = students = disks.students[:2]
    secrets: list[str] = []
    for student in students:
        found = cluster.kube.get("v1", "Secret", f"drive-consent-{student}", STUDENTS)
        assert found is not None
        packed = found["data"]["key.json"]
        consent = json.loads(base64.b64decode(packed))
        secrets += [packed, consent["refresh_token"], consent["client_secret"]]
    homes.add("before it is looked for")
    snapshot()
    slow = {"method": "drive.files.create", "identity": account(second), "times": 0, "delay_s": SLOW_S}
    together = {"students": students, "bundle": "never", "concurrency": 1, "students_per_job": len(students)}
    with drive.faults(slow), Background(tmp_path, drive, {**arguments, **together}) as run:
        run.still("the first one is done", lambda: told_in_logs(cluster, students) == {first})
        (pod,) = exporting(cluster)
        keys = cluster.run_in(pod["metadata"]["name"], STUDENTS, "sh", "-c", "cat /keys/*.json")
        seen = to_be_seen(cluster)
        told = run.ended()
    assert failed(told) == []
    # These are what it goes by, and each of the places was looked at where it has something.
    assert all(one in keys for one in secrets[1::3] + secrets[2::3])
    there = {
        "Jobs": f"drive-consent-{second}",
        "pods": f"drive-consent-{second}",
        "logs": f'"student": "{first}"',
        "events": pod["metadata"]["name"],
        "processes": "COURSEHUB_REQUEST=",
    }
    assert [where for where, word in there.items() if word not in seen[where]] == []
    seen["result"] = json.dumps(told)
    assert [where for where, text in seen.items() if any(one in text for one in secrets)] == []


def test_one_who_never_consented_is_refused_before_anything_is_made(
    cluster: Cluster, disks: Bare, export: Module
) -> None:
    cluster.delete("v1", "Secret", f"drive-consent-{disks.students[7]}", STUDENTS)
    told = export()
    assert f"{disks.students[7]}: there is no Secret" in told["msg"]
    nothing_left_over(cluster)
