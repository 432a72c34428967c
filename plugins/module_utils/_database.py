# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disk with the hub's database, and its snapshots; without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _manifests, _quantity, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

PART = "hub"
# Who has the database open, those who use it before the one that serves it.
WORKLOADS = ("hub", "hub-postgresql")
# As the hub leaves it in its pod's status, in images/hub/coursehub_hub/schema.py.
NEWER = "the hub's database has a newer schema"


def refusal(pods: Iterable[Object]) -> str:
    """Return why a hub ended before its database, of the pods of one that does not answer; empty where it did not."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or []:
            for state in ("state", "lastState"):
                said = str((container.get(state, {}).get("terminated") or {}).get("message", ""))
                if said.startswith(NEWER):
                    return said
    return ""


def disk(claim: Object) -> _disks.Disk:
    """Return the disk that the database's claim is, as a restore takes it."""
    spec, status = claim["spec"], claim.get("status", {})
    capacity = status.get("capacity") or spec["resources"]["requests"]
    return _disks.Disk(
        student="",
        label="",
        claim=claim["metadata"]["name"],
        namespace=claim["metadata"]["namespace"],
        volume=spec.get("volumeName") or "",
        size=int(_quantity.parse_quantity(str(capacity["storage"]))),
        phase=status.get("phase", "Pending"),
        last_start=None,
        storage_class=spec.get("storageClassName") or "",
    )


def manifest(claim: str, namespace: str, snapshot_class: str, now: datetime) -> Object:
    """Return the object that asks for a snapshot of what a restore is to replace."""
    return {
        "apiVersion": _snapshots.API_VERSION,
        "kind": _snapshots.KIND,
        "metadata": {
            "name": f"{claim}-{now:%Y%m%d-%H%M%S}",
            "namespace": namespace,
            "labels": {**_manifests.MANAGED_BY, _manifests.PART_LABEL: PART},
            "annotations": {_snapshots.SAFETY_ANNOTATION: "true"},
        },
        "spec": {"volumeSnapshotClassName": snapshot_class, "source": {"persistentVolumeClaimName": claim}},
    }


def chosen(snapshots: Iterable[_snapshots.Shot], name: str) -> _snapshots.Shot:
    """Return the snapshot to restore. Raises CoursehubError where it is not there or can't be used."""
    found = {one.name: one for one in snapshots}
    if name not in found or not found[name].good:
        good = ", ".join(sorted(one.name for one in found.values() if one.good)) or "none"
        raise CoursehubError(f"the database has no snapshot {name} that can be used; those that can are: {good}")
    return found[name]


def superfluous(snapshots: Iterable[_snapshots.Shot], keep: int) -> list[str]:
    """Return the names of the snapshots that are older than the newest ``keep`` good ones, oldest first."""
    ordered = sorted(snapshots, key=lambda one: (one.taken, one.name))
    good = [one for one in ordered if one.good]
    if len(good) <= keep:
        return []
    oldest_kept = good[-keep]
    return [one.name for one in ordered[: ordered.index(oldest_kept)] if one.state != "going"]
