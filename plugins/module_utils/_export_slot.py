# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exports the students of a slot, some in each Job, one Job after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _course,
    _disks,
    _export_door,
    _export_tasks,
    _exporting,
    _exports,
    _progress,
    _slots,
    _snapshots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._export_outcomes import (
    EXPORTED,
    VERIFIED,
    Outcomes,
)


@dataclass(frozen=True)
class Work:
    """The work on any slot of a run; the slots share it. Disks and snapshots are by claim."""

    course: _course.Course
    exporter: _exporting.Exporter
    tasks: _export_tasks.Tasks
    outcomes: Outcomes
    disks: Mapping[str, _disks.Disk]
    shots: Mapping[str, _snapshots.Shot]

    def do(self, slot: _slots.Slot, claims: Sequence[str], phase: _progress.Phase) -> None:
        """Export these. Raises CoursehubError where the slot has no claim for states."""
        if claims:
            self.exporter.disks.keep_state(slot, self.disks[claims[0]])
        size = self.tasks.parameters["students_per_job"]
        for number, batch in enumerate(_slots.batches(claims, size)):
            for claim in batch:
                phase.started(claim)
            if not self.outcomes.leave_out(batch, claims):
                try:
                    self.exporter.jobs.see_going(slot.claim)
                    self._export(slot, f"{slot.claim}-{number}", batch)
                    self._verify(slot, f"{slot.claim}-{number}", batch)
                except CoursehubError as error:
                    # It is of this batch alone: those before it are in Drive.
                    self.outcomes.fail_others(batch, error)
            for claim in batch:
                (phase.failed if self.outcomes[claim].failed else phase.done)(claim)

    def _export(self, slot: _slots.Slot, name: str, batch: Sequence[str]) -> None:
        # A consent may be gone since: a pod would wait for its Secret, and the others of the batch with it.
        self._see_secrets(batch)
        todo = {claim: self.disks[claim] for claim in self.outcomes.to_do(EXPORTED, batch)}
        if not todo:
            return
        with self.exporter.disks.clones(todo, self.shots) as (clones, errors):
            self.outcomes.fail(errors)
            if not clones:
                return
            good = [claim for claim in todo if claim in clones]
            told = self.exporter.jobs.run(self.tasks.task(f"{name}-export", "export", good, slot.claim, clones))
        for claim in good:
            disk = self.disks[claim]
            record = self.outcomes.exported(disk, self.shots[claim], told[disk.student], datetime.now(UTC))
            if record is not None:
                self._keep(disk, record)

    def _see_secrets(self, batch: Sequence[str]) -> None:
        accounts = {claim: self.tasks.accounts[claim] for claim in batch}
        absent, wrong = _export_door.secrets(self.course, accounts.values())
        bad = {secret: f"{why}: put it there, then {_bulk.AGAIN}" for secret, why in absent.items()} | wrong
        self.outcomes.fail({claim: bad[one.secret] for claim, one in accounts.items() if one.secret in bad})

    def _verify(self, slot: _slots.Slot, name: str, batch: Sequence[str]) -> None:
        todo = self.outcomes.to_do(VERIFIED, batch)
        if not todo:
            return
        told = self.exporter.jobs.run(self.tasks.task(f"{name}-verify", "verify", todo, slot.claim))
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        for claim in todo:
            disk = self.disks[claim]
            answer = told[disk.student]
            proven = self.outcomes.verified(disk, answer)
            record = _exports.record_of(self._disk_now(disk))
            if record is not None and proven:
                self._keep(disk, replace(record, verified_at=moment))
            elif record is not None and answer.get("outcome") == "failed":
                # It is not what its list says. What Drive refuses, or a lost pod, says nothing of it.
                self._keep(disk, replace(record, snapshot="", verified_at=""))

    def _disk_now(self, disk: _disks.Disk) -> _disks.Disk:
        found = self.course.kube.get("v1", "PersistentVolumeClaim", disk.claim, disk.namespace)
        return _disks.disk(found) if found is not None and _disks.is_disk(found) else disk

    def _keep(self, disk: _disks.Disk, record: _exports.Record) -> None:
        try:
            path = self.course.kube.path("v1", "PersistentVolumeClaim", disk.namespace, disk.claim)
            self.course.kube.merge(path, record.annotation())
        except CoursehubError as error:
            what = self.outcomes[disk.claim].failed or "it is in Drive"
            self.outcomes.fail({disk.claim: f"{what}, and that can't be noted on the disk: {error}"})
