"""The other two ways to own the files: a course's shared drive, and students' own Drives by delegation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.bare import Bare, bare_disks
from tests.e2e.drive_export.drive import ADDRESS, Drive, account
from tests.e2e.drive_export.homes import FILES, FOLDERS, IN_DRIVE, Homes
from tests.e2e.drive_export.runs import failed, nothing_left_over, remove_restored, take_snapshots
from tests.e2e.playbook import module

pytestmark = pytest.mark.slow
COUNT = 2
KEY = "drive-key"


@pytest.fixture(scope="module")
def disks(cluster: Cluster) -> Iterator[Bare]:
    with bare_disks(cluster, "owner", COUNT) as made:
        yield made


@pytest.fixture(scope="module")
def homes(cluster: Cluster, place: dict[str, Any], disks: Bare, drive: Drive) -> Homes:
    """Homes with files, of which there is a snapshot."""
    drive.admin("PATCH", "/limits", user_writes_per_second=10, listing_delay_s=0)
    made = Homes(cluster, disks.students)
    made.write()
    take_snapshots(place, disks.students)
    return made


@contextmanager
def key(cluster: Cluster, info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Have a service account's key in its Secret meanwhile; yield what says so."""
    metadata = {"name": KEY, "namespace": STUDENTS}
    try:
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key.json": json.dumps(info)}}
        )
        yield {"credentials_secret": KEY}
    finally:
        cluster.delete("v1", "Secret", KEY, STUDENTS)


def exported_and_back(
    cluster: Cluster, place: dict[str, Any], disks: Bare, homes: Homes, **owner: Any
) -> dict[str, Any]:
    """Export all and prove it, again with nothing to do, and bring it back; return what the first run told."""
    common = {**place, "api_address": ADDRESS, "students": disks.students, **owner}
    export = {**common, "bundle": "never", "writes_per_second": 10, "verify": True}
    first = module("drive_export", **export)
    assert failed(first) == [], first
    assert (first["exported"], first["verified"]) == (COUNT, COUNT)
    assert module("drive_export", **export)["changed"] is False
    try:
        back = module("drive_import", **common, new_disk="back", size="64Mi")
        assert [one["files"] for one in back["students"]] == [FILES] * COUNT, back
        assert Homes(cluster, disks.students, "back-disk-").read() == homes.read()
    finally:
        remove_restored(cluster, disks.students, "back")
    nothing_left_over(cluster)
    return first


def test_a_shared_drive_has_them(
    cluster: Cluster, place: dict[str, Any], disks: Bare, homes: Homes, drive: Drive
) -> None:
    info = drive.service_account("exports@course.iam.gserviceaccount.com", app="course")
    with key(cluster, info) as secret:
        told = module(
            "drive_export",
            **place,
            owner="shared_drive",
            folder="nowhere",
            students=disks.students,
            **secret,
            api_address=ADDRESS,
        )
        assert "Drive has no folder" in told["msg"], told
        nothing_left_over(cluster)
        folder = drive.shared_drive("teacher@uni.example", info["client_email"])
        before = drive.files()
        told = exported_and_back(cluster, place, disks, homes, owner="shared_drive", folder=folder, **secret)
    # The folder of each export, what is in it, and its list.
    assert drive.files() - before == COUNT * (FILES + FOLDERS + 2)
    assert info["private_key"] not in json.dumps(told)


def test_delegation_puts_them_into_the_students_own_drives(
    cluster: Cluster, place: dict[str, Any], disks: Bare, homes: Homes, drive: Drive
) -> None:
    email = "delegate@course.iam.gserviceaccount.com"
    with key(cluster, drive.service_account(email, app="course", delegated=["drive.file"])) as secret:
        owner = {"owner": "delegation", "subject": "{student}@uni.example", **secret}
        told = module("drive_export", **place, **owner, students=disks.students, api_address=ADDRESS)
        # Nobody has an account there yet.
        assert failed(told) == disks.students, told
        assert all("account" in one["failed"] for one in told["failures"]), told
        nothing_left_over(cluster)
        for student in disks.students:
            drive.admin("POST", "/users", email=account(student))
        before = drive.files()
        exported_and_back(cluster, place, disks, homes, **owner)
    assert drive.files() - before == COUNT * IN_DRIVE
