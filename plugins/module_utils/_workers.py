# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs workers, and makes the scratch disks that they read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _claims,
    _course,
    _disks,
    _restore,
    _snapshots,
    _worker,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

Object = dict[str, Any]

POD = ("v1", "Pod")
# Workers at once. Each has one disk or two attached, and a cloud attaches to a node a few at a time.
AT_ONCE = 8
# The ConfigMap in which the role has written the image.
IMAGE = "disk-tools"
# What a run that ran out of time may still take to remove what it made.
CLEANING_S = 60


def image(course: _course.Course, parameters: Mapping[str, Any]) -> str:
    """Return the image that workers run. Raises CoursehubError where it is neither given nor known in the cluster."""
    if parameters["image"]:
        return str(parameters["image"])
    found = course.kube.get("v1", "ConfigMap", IMAGE, course.namespace)
    if found is None:
        raise CoursehubError(
            f"there is no ConfigMap {IMAGE} in {course.namespace}, which names the tools image: run the playbook site,"
            " which makes it, or set image"
        )
    return str(found["data"]["image"])


class Workers:
    """The workers of a namespace. ``deadline`` is in ``time.monotonic`` seconds.

    Whoever uses it is alone in the namespace (``_lock``): what it finds of other workers is of a run that was killed.
    """

    def __init__(self, kube: Kube, namespace: str, image: str, deadline: float) -> None:
        self._kube = kube
        self._namespace = namespace
        self._image = image
        self._deadline = deadline
        self._claims = _claims.Claims(kube, namespace, deadline)
        self._cleaning = _claims.Claims(kube, namespace, deadline + CLEANING_S)

    def sweep(self) -> None:
        """Remove what a run that was killed has left: its workers, its scratch disks, and their volumes."""
        pods = self._kube.list(*POD, self._namespace, labelSelector=_worker.WORKER_LABEL)
        self._each([item["metadata"]["name"] for item in pods], self._remove)
        claims = self._kube.list(*_claims.CLAIM, self._namespace, labelSelector=_restore.SCRATCH_LABEL)
        self._each([item["metadata"]["name"] for item in claims], self._cleaning.release)

    def _each(self, names: list[str], work: Any) -> None:
        _results, errors = _bulk.each(names, work)
        for name, error in errors.items():
            raise CoursehubError(f"{name}, which an earlier run left, can't be removed: {error}") from error

    @contextmanager
    def scratch(self, disk: _disks.Disk, snapshot: _snapshots.Shot, node: str = "") -> Iterator[str]:
        """Make a disk from a student's snapshot; give its claim's name; remove it with its volume at the end."""
        own = self._claims.get(disk.claim)
        if own is None:
            raise CoursehubError("the disk is gone")
        name = _restore.scratch_name(disk.claim)
        size = str(max(snapshot.size, disk.size))
        body = _restore.scratch_claim(own, size, snapshot.name, node or self._claims.node_for(own))
        self._claims.create(body)
        there = self._claims.get(name)
        if there is None or _restore.SCRATCH_LABEL not in (there["metadata"].get("labels") or {}):
            raise CoursehubError(
                f"there is a disk {name} that no run has made to read from: remove it, or bring what is on it to a disk"
                " whose name does not begin so"
            )
        try:
            found = self._claims.await_bound(name, f"no disk could be made from the snapshot {snapshot.name}")
            # At once: a run that is killed from here on leaves nothing that costs.
            self._claims.let_go(found["spec"]["volumeName"])
            yield name
        finally:
            self._cleaning.release(name)

    def run(self, task: _worker.Task, claim: str) -> Object:
        """Do a task for the student whose disk the claim is; return what the worker told.

        Raises CoursehubError for what failed, in the worker's own words.
        """
        name = _worker.pod_name(task.command, claim)
        # One that is there is ours: all others were swept.
        self._kube.create(_worker.pod(task, name, self._namespace, self._image))
        try:
            told = self._await(name)
        finally:
            self._remove(name)
        if told["failed"]:
            raise CoursehubError(told["failed"])
        return told

    def _await(self, name: str) -> Object:
        def ended(found: list[Object]) -> bool:
            return not found or _worker.outcome(found[0]) is not None

        selector = f"metadata.name={name}"
        found = self._kube.wait(*POD, self._namespace, ended, self._deadline, fieldSelector=selector)
        told = _worker.outcome(found[0]) if found else None
        if told is None:
            reason = _worker.why_waiting(found[0] if found else None)
            raise CoursehubError(f"its worker did not end before the timeout: {reason}")
        return told

    def _remove(self, name: str) -> None:
        """Remove a worker and wait until it is gone: its claims can't go before."""
        self._kube.delete(*POD, name, self._namespace)
        selector = f"metadata.name={name}"
        left = self._kube.wait(*POD, self._namespace, lambda found: not found, self._deadline, fieldSelector=selector)
        if left:
            raise CoursehubError(f"its worker {name} did not go before the timeout")
