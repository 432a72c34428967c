# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of exports: see whether Drive will take them, then a slot after the other makes and proves them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _bulk,
    _course,
    _disks,
    _export_asking,
    _export_door,
    _export_outcomes,
    _export_pace,
    _export_report,
    _export_slot,
    _export_tasks,
    _exporter,
    _exporting,
    _exports,
    _slots,
    _snapshots,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

# What snapshots may take: their controllers are held to one in two seconds at worst.
SNAPSHOTS_S, SNAPSHOT_S = 600, 2


@dataclass(frozen=True)
class _Todo:
    """Disks, their accounts, and the snapshots that there are, by claim; and the disks of which one is to be taken."""

    disks: Mapping[str, _disks.Disk]
    accounts: Mapping[str, _accounts.Account]
    shots: Mapping[str, _snapshots.Shot]
    fresh: Sequence[_disks.Disk]


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        _accounts.check(parameters)
        self._columns_wanted = _accounts.wanted_columns(parameters)
        _exporter.check(parameters)
        if parameters["snapshot"] == _exports.FRESH and not parameters["snapshot_class"]:
            raise CoursehubError("snapshot: fresh needs snapshot_class, the VolumeSnapshotClass: set it")
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._deadline = 0.0

    def __call__(self) -> Object:
        parameters = self._parameters
        # From here, not from before the wait for the lock.
        self._deadline = time.monotonic() + parameters["wait_timeout"]
        state = self._course.look(parameters, 0)
        roster = parameters["roster"]
        columns = _disks.read_lines(roster, sorted(self._columns_wanted)) if roster else {}
        students = [disk.student for disk in state.choice.disks]
        accounts = _accounts.accounts(students, parameters, columns)
        _export_door.check_priority(self._course, parameters["priority_class"], parameters["concurrency"])
        _export_door.check_account(self._course, parameters["workload_identity_audience"])
        disks, without_consent, problems = _export_door.with_credentials(
            self._course, parameters, state.choice.disks, accounts
        )
        shots, fresh, empty = _exports.choose(disks.values(), state.shots, state.in_use, parameters["snapshot"])
        problems = empty | problems
        if problems and parameters["students"]:
            raise CoursehubError("; ".join(f"{disks[claim].student}: {why}" for claim, why in problems.items()))
        by_claim = {claim: accounts[disk.student] for claim, disk in disks.items()}
        outcomes = _export_outcomes.Outcomes(parameters, by_claim)
        outcomes.plan(disks, shots)
        # Of a whole course somebody always logs in for the first time between the snapshots and the exports.
        outcomes.fail(problems)
        left = {claim: disk for claim, disk in disks.items() if outcomes[claim].done}
        more: Object = {"items_left": None}
        if left and not self._check_mode:
            image = _workers.image(self._course, parameters)
            exporter = _exporting.Exporter(self._course, image, self._deadline)
            exporter.sweep()
            more = self._work(exporter, outcomes, _Todo(left, by_claim, shots, fresh), state)
        if parameters["report"] and not self._check_mode:
            _export_report.write(parameters["report"], outcomes.all())
        return {
            **_exports.result(outcomes.all()),
            **more,
            "without_disk": list(state.choice.without_disk),
            "without_consent": without_consent,
            "report": parameters["report"] or "",
        }

    def _work(
        self, exporter: _exporting.Exporter, outcomes: _export_outcomes.Outcomes, todo: _Todo, state: _course.State
    ) -> Object:
        disks, accounts = todo.disks, todo.accounts
        volumes = {item["metadata"]["name"]: item for item in self._course.kube.list("v1", "PersistentVolume")}
        slots = _slots.divide(
            {claim: _slots.topology(volumes.get(disk.volume)) for claim, disk in disks.items()},
            self._parameters["concurrency"],
        )
        # Fewer slots with work than may run at once: each goes faster.
        at_once = min(self._parameters["concurrency"], len(slots))
        identities = [accounts[claim].identity for claim in disks]
        shares = _slots.Shares(_slots.rates(self._parameters), at_once, identities)
        pace = _export_pace.Pace(self._course, exporter, shares, len(slots))
        new = {claim: disk.uid for claim, disk in disks.items() if not disk.drive_export}
        tasks = _export_tasks.Tasks(self._parameters, accounts, new, pace.first, pace.key)
        _export_asking.let_in(self._course, exporter.jobs, tasks, outcomes, disks, at_once)
        good, items_left = outcomes.good(disks), None
        if good and self._parameters["owner"] == _accounts.SHARED_DRIVE:
            items_left = _export_asking.items_left(exporter.jobs, tasks, good)
        taken = self._take([disk for disk in todo.fresh if disk.claim in good], outcomes, state)
        work = _export_slot.Work(self._course, exporter, tasks, outcomes, disks, {**todo.shots, **taken})
        left = {slot: outcomes.good(claims) for slot, claims in slots.items()}
        with pace, self._course.progress.phase("exporting homes", sum(map(len, left.values()))) as phase:

            def one(slot: _slots.Slot) -> None:
                try:
                    work.do(slot, left[slot], phase)
                finally:
                    pace.ended(slot)

            _results, errors = _bulk.each(left, one, at_once)
        for slot, error in errors.items():
            outcomes.fail_others(left[slot], error)
        exporter.disks.forget_volumes()
        warnings = _exports.few(items_left) + exporter.warnings
        return {"items_left": items_left, **({"warnings": warnings} if warnings else {})}

    def _take(
        self, disks: Sequence[_disks.Disk], outcomes: _export_outcomes.Outcomes, state: _course.State
    ) -> dict[str, _snapshots.Shot]:
        """Take a snapshot of each of these disks; return those that are good, by claim."""
        snapshot_class = self._parameters["snapshot_class"]
        bodies = {
            disk.claim: _snapshots.manifest(disk, snapshot_class, state.looked_at, in_use=disk.claim in state.in_use)
            for disk in disks
        }
        limit = min(self._parameters["wait_timeout"], SNAPSHOTS_S + SNAPSHOT_S * len(bodies))
        taken, failed = self._course.take(bodies, limit, min(self._deadline, time.monotonic() + limit))
        outcomes.fail(failed)
        outcomes.took(taken)
        return taken
