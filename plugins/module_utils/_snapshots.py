# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots of students' disks: what to take and what to remove; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _retention
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import (
    STUDENT_ANNOTATION,
    STUDENT_LABEL,
    Disk,
    parse_time,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

API_VERSION = "snapshot.storage.k8s.io/v1"
KIND = "VolumeSnapshot"
# On a snapshot of a disk that no pod had: when that was looked at, before the snapshot was taken.
IDLE_ANNOTATION = "coursehub.jupyterhub/idle-at"
# On a snapshot that was recovered into another cluster: the claim that it is of, which its source no longer names, and
# when it was taken, which not every driver can tell of a snapshot that it is only shown.
CLAIM_ANNOTATION = "coursehub.jupyterhub/claim"
TAKEN_ANNOTATION = "coursehub.jupyterhub/taken"
# On a snapshot that a restore took of what it replaced.
SAFETY_ANNOTATION = "coursehub.jupyterhub/safety"
# How long a policy leaves those alone, and doesn't count them.
SAFETY_KEPT = timedelta(days=30)
# How far the clocks of the hub and of the machine that takes snapshots may be apart.
CLOCKS_APART = timedelta(minutes=1)


@dataclass(frozen=True)
class Shot:
    """A snapshot; ``state`` is ready, pending, failed or going (it is being deleted)."""

    name: str
    claim: str
    student: str
    taken: datetime
    state: str
    error: str
    size: int
    idle_at: datetime | None = None
    safety: bool = False

    @property
    def good(self) -> bool:
        return self.state == "ready"


def shot(item: Object, now: datetime, patience: float) -> Shot:
    """Return the snapshot that an object is.

    One that isn't ready ``patience`` seconds after it was asked for has failed: its controllers would try for ever.
    """
    metadata, status = item["metadata"], item.get("status") or {}
    asked = parse_time(metadata["creationTimestamp"])
    if metadata.get("deletionTimestamp"):
        state = "going"
    elif status.get("readyToUse"):
        state = "ready"
    else:
        state = "pending" if now - asked < timedelta(seconds=patience) else "failed"
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return Shot(
        name=metadata["name"],
        claim=claim_of(item),
        student=annotations.get(STUDENT_ANNOTATION) or labels.get(STUDENT_LABEL, ""),
        taken=parse_time(taken_at(item)),
        state=state,
        error=(status.get("error") or {}).get("message", ""),
        size=int(parse_quantity(str(status.get("restoreSize") or "0"))),
        idle_at=parse_time(annotations[IDLE_ANNOTATION]) if annotations.get(IDLE_ANNOTATION) else None,
        safety=SAFETY_ANNOTATION in annotations,
    )


def claim_of(item: Object) -> str:
    """Return the claim that a snapshot is of, an empty string where that isn't known."""
    annotations = item["metadata"].get("annotations") or {}
    source = item["spec"].get("source", {})
    return str(source.get("persistentVolumeClaimName") or annotations.get(CLAIM_ANNOTATION, ""))


def taken_at(item: Object) -> str:
    """Return when a snapshot was taken, as the API writes it; until that is known, when it was asked for."""
    metadata, status = item["metadata"], item.get("status") or {}
    noted = (metadata.get("annotations") or {}).get(TAKEN_ANNOTATION)
    return str(noted or status.get("creationTime") or metadata["creationTimestamp"])


def owned(item: Object) -> bool:
    """Tell whether a snapshot is one of this collection: no other is ever removed."""
    labels = item["metadata"].get("labels") or {}
    return STUDENT_LABEL in labels and MANAGED_BY.items() <= labels.items()


def manifest(disk: Disk, snapshot_class: str, now: datetime, in_use: bool, *, safety: bool = False) -> Object:
    """Return the object that asks for a snapshot of a disk; ``now`` is when the pods were looked at.

    Its name has the second in it: of two runs in the same second only one takes it.
    """
    notes = {} if in_use else {IDLE_ANNOTATION: now.isoformat(timespec="seconds")}
    notes.update({SAFETY_ANNOTATION: "true"} if safety else {})
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": f"{disk.claim}-{now:%Y%m%d-%H%M%S}",
            "namespace": disk.namespace,
            "labels": {**MANAGED_BY, STUDENT_LABEL: disk.label},
            "annotations": {STUDENT_ANNOTATION: disk.student, **notes},
        },
        "spec": {
            "volumeSnapshotClassName": snapshot_class,
            "source": {"persistentVolumeClaimName": disk.claim},
        },
    }


def by_claim(shots: Iterable[Shot]) -> dict[str, list[Shot]]:
    """Return the snapshots of each claim."""
    result: dict[str, list[Shot]] = {}
    for one in shots:
        result.setdefault(one.claim, []).append(one)
    return result


def newest_good(shots: Iterable[Shot]) -> Shot | None:
    """Return the newest snapshot that can be restored."""
    return max((one for one in shots if one.good), key=lambda one: (one.taken, one.name), default=None)


def why_not(disk: Disk, shots: Sequence[Shot], in_use: bool, skip_unchanged: bool) -> str:
    """Return why a disk needs no snapshot now, or an empty string."""
    if disk.phase != "Bound":
        return f"the disk is {disk.phase.lower()}"
    if any(one.state == "pending" for one in shots):
        return "a snapshot is being made"
    return "unchanged" if skip_unchanged and not in_use and unchanged(disk, newest_good(shots)) else ""


def unchanged(disk: Disk, newest: Shot | None) -> bool:
    """Tell whether no pod can have had a disk since its newest good snapshot, given that none has it now.

    Where that isn't known the answer is no: a snapshot too many costs less than one too few. A disk that was in use
    while the snapshot was taken may have been written to afterwards.
    """
    if newest is None or newest.idle_at is None or disk.last_start is None:
        return False
    # After a restore the disk is what an older snapshot was, and the newest one is of what was before.
    changed = max(disk.last_start, disk.restored_at or disk.last_start)
    return changed + CLOCKS_APART < newest.idle_at


def not_ready(name: str, one: Shot | None, seconds: float) -> str:
    """Return what is wrong with a snapshot that was waited for, as it was seen last; None where it is gone."""
    said = ": it is gone"
    if one is not None:
        said = f": {one.error}" if one.error else ", and its controller says nothing about it"
    return f"the snapshot {name} was not ready after {seconds} s{said}"


def to_remove(shots: Iterable[Shot], policy: _retention.Policy, now: datetime) -> list[str]:
    """Return the names of the snapshots of one disk that the policy lets go, the oldest first."""
    known = [one for one in shots if one.state != "going" and not (one.safety and now - one.taken < SAFETY_KEPT)]
    history = [_retention.Snapshot(one.name, one.taken, one.good, one.state == "pending") for one in known]
    kept = _retention.reasons(history, policy)
    return [one.name for one in sorted(known, key=lambda one: (one.taken, one.name)) if one.name not in kept]


def choose(shots: Iterable[Shot], snapshot: str, at: datetime | None) -> Shot:
    """Return the snapshot to restore: the one of that name, the newest (``latest``), or the newest up to ``at``.

    What an earlier restore replaced is restored by its name only: after a restore it would be the newest.

    Raises CoursehubError where there is none.
    """
    every = list(shots)
    if snapshot not in ("", "latest"):
        for one in every:
            if one.name == snapshot:
                if not one.good:
                    raise CoursehubError(
                        f"the snapshot {snapshot} can't be restored: it is {one.state} {one.error}".rstrip()
                    )
                return one
        raise CoursehubError(f"there is no snapshot {snapshot} of this student's disk")
    newest = newest_good(one for one in every if not one.safety and (at is None or one.taken <= at))
    if newest is None:
        raise CoursehubError(f"there is no snapshot from before {at.isoformat()}" if at else "there is no snapshot")
    return newest
