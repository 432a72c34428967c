"""Thirty students with disks, accounts in the lab's Drive and consents, and the modules."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.cluster import STUDENTS, Cluster
from tests.e2e.disks.bare import Bare, bare_disks
from tests.e2e.drive_export.drive import ADDRESS, Drive, account
from tests.e2e.drive_export.homes import Homes, consenting
from tests.e2e.drive_export.runs import take_snapshots
from tests.e2e.playbook import module

Module = Callable[..., dict[str, Any]]
COUNT = 30
WRITES_PER_SECOND = 5


@pytest.fixture(scope="session")
def place() -> dict[str, Any]:
    """The cluster, as every module is told it."""
    return {
        "kubeconfig": os.environ["COURSEHUB_KUBECONFIG"],
        "context": os.environ["COURSEHUB_CONTEXT"],
        "namespace": STUDENTS,
    }


@pytest.fixture(scope="session")
def arguments(place: dict[str, Any]) -> dict[str, Any]:
    """What the modules for Drive are told."""
    return {**place, "owner": "consent", "api_address": ADDRESS}


@pytest.fixture(scope="session")
def drive(cluster: Cluster) -> Drive:
    return Drive(cluster)


@pytest.fixture(scope="module")
def disks(cluster: Cluster) -> Iterator[Bare]:
    with bare_disks(cluster, "drive", COUNT) as made:
        yield made


@pytest.fixture(scope="module")
def homes(cluster: Cluster, disks: Bare, drive: Drive) -> Iterator[Homes]:
    """Homes with files. Each student has a Drive and has consented; the Drive of the last one is full."""
    # A write in a fifth of a second, and not the half that is seen at Google: thirty homes in minutes.
    drive.admin("PATCH", "/limits", user_writes_per_second=WRITES_PER_SECOND, listing_delay_s=1)
    with consenting(cluster, drive, disks.students) as made:
        drive.admin("POST", "/users", email=account(disks.students[-1]), storage_bytes=0)
        yield made


@pytest.fixture(scope="module")
def snapshot(place: dict[str, Any], disks: Bare) -> Callable[[], None]:
    """Take a snapshot of each."""

    return lambda: take_snapshots(place, disks.students)


@pytest.fixture(scope="module")
def export(arguments: dict[str, Any], disks: Bare) -> Module:
    """Export all; no bundles, so that things can be counted."""

    def run(*flags: str, **more: Any) -> dict[str, Any]:
        told = {
            "students": disks.students,
            "bundle": "never",
            "concurrency": 3,
            "writes_per_second": WRITES_PER_SECOND,
            **more,
        }
        return module("drive_export", *flags, **{**arguments, **told})

    return run
