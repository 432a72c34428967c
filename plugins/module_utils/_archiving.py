# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives students' disks: a snapshot, a scratch disk of it, one compressed file, read back and compared."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _archives,
    _course,
    _disks,
    _outcomes,
    _restore,
    _servers,
    _snapshots,
    _worker,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._target = _worker.Target(**parameters["target"])
        if not (self._target.claim or ":" in self._target.path):
            raise CoursehubError(
                f"target.path is '{self._target.path}': name a remote as in bucket:course/2026, or set target.claim"
            )
        self._outcomes: dict[str, _outcomes.Outcome] = {}

    def __call__(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._parameters["wait_timeout"]
        state = self._course.look(self._parameters, self._parameters["wait_timeout"])
        disks = {disk.claim: disk for disk in state.choice.disks}
        self._outcomes = {c: _outcomes.Outcome(d.student, c, size_bytes=d.size) for c, d in disks.items()}
        todo = self._todo(state, disks)
        if not self._check_mode and todo:
            running = {claim: disks[claim].student for claim in todo if claim in state.in_use}
            self._fail(_servers.stop(self._course, running, self._parameters, deadline))
            state = self._course.look(self._parameters, self._parameters["wait_timeout"])
            disks = {disk.claim: disk for disk in state.choice.disks}
            self._archive(state, {claim: disks[claim] for claim in todo if not self._outcomes[claim].failed}, deadline)
        return _outcomes.result(self._outcomes.values())

    def _todo(self, state: _course.State, disks: Mapping[str, _disks.Disk]) -> list[str]:
        """Return the disks whose archive lacks something. Raises CoursehubError before anything is done."""
        todo, problems = [], []
        for claim, disk in disks.items():
            record = _archives.current(disk)
            if record is not None and record.target == self._target and claim not in state.in_use:
                self._outcomes[claim].archive = record.name
                continue
            if disk.phase != "Bound":
                problems.append(f"{disk.student}: the disk is {disk.phase.lower()}, there is nothing on it to archive")
            if claim in state.in_use:
                problem = _servers.why_not(disk.student, state.in_use[claim], self._parameters)
                problems += [problem] if problem else []
            self._outcomes[claim].done.append("archived")
            todo.append(claim)
        if problems:
            raise CoursehubError("; ".join(problems))
        return todo

    def _archive(self, state: _course.State, disks: Mapping[str, _disks.Disk], deadline: float) -> None:
        kube = self._course.kube
        workers = _workers.Workers(
            kube, self._course.namespace, _workers.image(self._course, self._parameters), deadline
        )
        workers.sweep()
        good, bodies = {}, {}
        for claim, disk in disks.items():
            newest = _snapshots.newest_good(state.shots.get(claim, []))
            if newest is not None and _snapshots.unchanged(disk, newest):
                good[claim] = newest
            else:
                bodies[claim] = _snapshots.manifest(
                    disk, self._parameters["snapshot_class"], state.looked_at, in_use=claim in state.in_use
                )
        taken, failed = self._course.take(bodies, self._parameters["wait_timeout"], deadline)
        self._fail(failed)
        good.update(taken)
        # A claim that one node at a time can have is written to from one node.
        node = _restore.choose_node(kube.list("v1", "Node"), None) if self._target.claim else ""
        _done, errors = self._course.each(
            "archiving disks", good, lambda claim: self._one(workers, disks[claim], good[claim], node), _workers.AT_ONCE
        )
        self._fail(errors)

    def _one(self, workers: _workers.Workers, disk: _disks.Disk, one: _snapshots.Shot, node: str) -> None:
        request = {
            "student": disk.student,
            "name": disk.label,
            "target": self._target.inside,
            "snapshot": one.name,
            "taken": one.taken.isoformat(timespec="seconds"),
        }
        with workers.scratch(disk, one, node) as source:
            task = _worker.Task("archive", request, source=source, node=node, target=self._target)
            told = workers.run(task, disk.claim)
        record = _archives.Record(
            name=disk.label,
            target=self._target,
            sha256=told["sha256"],
            archive_bytes=told["archive_bytes"],
            files=told["files"],
            snapshot=one.name,
            archived_at=datetime.now(UTC).isoformat(timespec="seconds"),
            state=_archives.state_of(disk),
        )
        path = self._course.kube.path("v1", "PersistentVolumeClaim", self._course.namespace, disk.claim)
        self._course.kube.merge(path, record.annotation())
        self._outcomes[disk.claim].archive = record.name

    def _fail(self, errors: Mapping[str, CoursehubError | str]) -> None:
        _outcomes.fail(self._outcomes, errors)
