# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the disks that the exporter's Jobs use, and removes those that go with them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _claims,
    _course,
    _disks,
    _exporter,
    _exporter_jobs,
    _restore,
    _slots,
    _snapshots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

# What a driver may take to make a disk. One student's is not to keep a slot for hours.
BOUND_S = 600


class Disks:
    """Scratch disks and states in a namespace. ``deadline`` is in ``time.monotonic`` seconds.

    ``warnings`` takes what could not be removed, in sentences.
    """

    def __init__(self, course: _course.Course, jobs: _exporter_jobs.Jobs, deadline: float, warnings: list[str]) -> None:
        self._course = course
        self._kube = course.kube
        self._namespace = course.namespace
        self._jobs = jobs
        self._deadline = deadline
        self._claims = _claims.Claims(course.kube, course.namespace, deadline)
        self._warnings = warnings

    def await_bound(self, claim: str, complaint: str) -> Object:
        """Wait some minutes until a claim has its volume; return the claim. Raises CoursehubError."""
        until = min(self._deadline, time.monotonic() + BOUND_S)
        return _claims.Claims(self._kube, self._namespace, until).await_bound(claim, complaint)

    def release_clones(self) -> None:
        """Remove all scratch disks that there are."""
        selector = f"{_exporter.CLAIM_LABEL}={_exporter.CLONE}"
        claims = self._kube.list(*_claims.CLAIM, self._namespace, labelSelector=selector)
        self._release_all([item["metadata"]["name"] for item in claims])

    def forget_volumes(self) -> None:
        """Let volumes go whose clone is gone: one that was removed before it was bound gets its volume all the same.

        The driver finishes what it began, and with Retain the volume would stay for ever.
        """
        self._course.still_alone()
        try:
            volumes = self._kube.list(*_claims.VOLUME)
            # The claims after the volumes: of a volume that is seen the claim is there, or was removed.
            claims = self._kube.list(*_claims.CLAIM, self._namespace)
            lost = _exporter.without_claim(volumes, self._namespace, {item["metadata"]["uid"] for item in claims})
            _results, errors = _bulk.each(lost, self._claims.let_go)
        except CoursehubError as error:
            errors = {"": error}
        self._warnings += [
            f"a volume whose scratch disk is gone can't be removed ({name}): {error}: the next run tries again"
            for name, error in errors.items()
        ]

    def _release(self, name: str) -> None:
        """Remove a scratch disk with its volume; one of that name that no export made is left alone."""
        self._course.still_alone()
        found = self._claims.get(name)
        if found is not None and _exporter.is_clone(found):
            # Also where the time is over.
            _claims.Claims(self._kube, self._namespace, time.monotonic() + _exporter_jobs.CLEANING_S).release(name)

    def _release_all(self, names: Iterable[str]) -> None:
        _results, errors = _bulk.each(names, self._release)
        self._warnings += [
            f"the scratch disk {name} can't be removed: {error}: the next run tries again"
            for name, error in errors.items()
        ]

    @contextmanager
    def clones(
        self, disks: Mapping[str, _disks.Disk], shots: Mapping[str, _snapshots.Shot]
    ) -> Iterator[tuple[dict[str, str], dict[str, CoursehubError]]]:
        """Make a disk from the snapshot of each student's; give the claims and what failed, by the student's own claim.

        They are removed with their volumes at the end. All are made on one node, which the Job's pod can then use.
        """
        node = self._node(disks)
        try:
            yield _bulk.each(disks, lambda claim: self._clone(disks[claim], shots[claim], node))
        finally:
            self._release_all([_exporter.clone_name(claim) for claim in disks])

    def _node(self, disks: Mapping[str, _disks.Disk]) -> str:
        for claim in disks:
            own = self._claims.get(claim)
            if own is not None:
                return self._claims.node_for(own)
        return ""

    def _clone(self, disk: _disks.Disk, shot: _snapshots.Shot, node: str) -> str:
        own = self._own(disk)
        shot = self._still_there(disk, shot)
        body = _exporter.clone(own, str(max(shot.size, disk.size)), shot.name, node)
        name = str(body["metadata"]["name"])
        self._jobs.see_going(name)
        self._claims.create(body)
        there = self._claims.get(name)
        if there is None or there["metadata"].get("deletionTimestamp"):
            raise CoursehubError(f"the scratch disk {name} of an earlier run is not gone yet: {_bulk.AGAIN}")
        if not _exporter.is_clone(there) or _restore.source_of(there) != shot.name:
            raise CoursehubError(
                f"there is a disk {name} that is no copy of the snapshot {shot.name}: remove it, or bring what is on it"
                " to a disk whose name does not begin so"
            )
        complaint = f"no disk could be made from the snapshot {shot.name}: look why (kubectl describe pvc {name})"
        found = self.await_bound(name, complaint)
        # At once: a run that is killed from here on leaves nothing that costs.
        self._claims.let_go(found["spec"]["volumeName"])
        return name

    def _own(self, disk: _disks.Disk) -> Object:
        own = self._claims.get(disk.claim)
        if own is None:
            raise CoursehubError(f"the disk {disk.claim} was removed meanwhile: {_bulk.AGAIN}")
        return own

    def _still_there(self, disk: _disks.Disk, shot: _snapshots.Shot) -> _snapshots.Shot:
        """See that a snapshot was not thinned out while other students were exported, which takes hours."""
        kind = (_snapshots.API_VERSION, _snapshots.KIND)
        found = self._kube.get(*kind, shot.name, self._namespace)
        if found is None or found["metadata"].get("deletionTimestamp"):
            raise CoursehubError(f"the snapshot {shot.name} was removed meanwhile: {_bulk.AGAIN}")
        return shot

    def keep_state(self, slot: _slots.Slot, disk: _disks.Disk) -> None:
        """Make the claim for the states of a slot, where there is none yet."""
        if self._claims.get(slot.claim) is not None:
            return
        node = self._claims.node_for(self._own(disk))
        self._claims.create(_exporter.state_claim(slot, self._namespace, disk.storage_class, node))
        complaint = f"the claim {slot.claim} for the exporter's state got no volume: look why (kubectl describe pvc)"
        found = self.await_bound(slot.claim, complaint)
        # Else its volume would stay, and cost, when somebody removes the claim.
        self._claims.let_go(found["spec"]["volumeName"])
