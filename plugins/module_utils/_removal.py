# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removes students' disks and their snapshots, when an archive has all that is on them and can be read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _archives,
    _claims,
    _course,
    _disks,
    _outcomes,
    _restore,
    _worker,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


class Run:
    """One run over the chosen students; one who has no disk is as wanted."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._deadline = 0.0

    def __call__(self) -> dict[str, Any]:
        self._deadline = time.monotonic() + self._parameters["wait_timeout"]
        state = self._course.look(self._parameters, 0, allow_new=True)
        disks = {disk.claim: disk for disk in state.choice.disks}
        records = self._checked(state, disks)
        outcomes = {
            claim: _outcomes.Outcome(disk.student, claim, ["removed"], disk.size, records[claim].name)
            for claim, disk in disks.items()
        }
        if not self._check_mode and disks:
            kube = self._course.kube
            workers = _workers.Workers(
                kube, self._course.namespace, _workers.image(self._course, self._parameters), self._deadline
            )
            workers.sweep()
            node = _restore.choose_node(kube.list("v1", "Node"), None)
            _done, errors = self._course.each(
                "removing disks",
                disks,
                lambda claim: self._remove(workers, disks[claim], records[claim], node, state),
                _workers.AT_ONCE,
            )
            _outcomes.fail(outcomes, errors)
        return _outcomes.result(outcomes.values())

    def _checked(self, state: _course.State, disks: Mapping[str, _disks.Disk]) -> dict[str, _archives.Record]:
        """Return the archives' records. Raises CoursehubError, before anything is done, for a disk that must not go."""
        records, problems = {}, []
        for claim, disk in disks.items():
            record = _archives.current(disk)
            if claim in state.in_use:
                problems.append(
                    f"{disk.student}: the pod {state.in_use[claim]} has the disk, it must be archived again"
                )
            elif record is None:
                has = "an archive that is out of date" if disk.archive else "no archive"
                problems.append(f"{disk.student}: the disk {claim} has {has}, archive it first (state: archived)")
            else:
                records[claim] = record
        if problems:
            raise CoursehubError("; ".join(problems))
        return records

    def _remove(
        self,
        workers: _workers.Workers,
        disk: _disks.Disk,
        record: _archives.Record,
        node: str,
        state: _course.State,
    ) -> None:
        kube, namespace = self._course.kube, self._course.namespace
        request = {"name": record.name, "target": record.target.inside, "sha256": record.sha256}
        task = _worker.Task("check", request, node=node if record.target.claim else "", target=record.target)
        workers.run(task, disk.claim)
        claims = _claims.Claims(kube, namespace, self._deadline)
        # The hub writes when it starts a server, then reads this. Here it is the other way round: one sees the other.
        marked = claims.merge(disk.claim, {"metadata": {"annotations": {_disks.REMOVAL_ANNOTATION: "true"}}})
        pods = _disks.claims_in_use(kube.list("v1", "Pod", namespace))
        if _archives.current(_disks.disk(marked)) is None or disk.claim in pods:
            claims.merge(disk.claim, {"metadata": {"annotations": {_disks.REMOVAL_ANNOTATION: None}}})
            raise CoursehubError("the disk was used while its archive was read back, archive it again")
        # The snapshots first: as long as there is the claim, a run that was killed is done again.
        for one in state.shots.get(disk.claim, []):
            self._course.remove_one(one.name)
        self._course.still_alone()
        claims.release(disk.claim)
