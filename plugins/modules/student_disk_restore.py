#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_restore
short_description: Put a student's disk back from a snapshot
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - In place, the disk is swapped and not copied. What it held goes into a safety snapshot first, which policies leave
    alone for 30 days. The hub starts no server of the student meanwhile.
  - A run that was killed at any step is finished by the next one, whatever snapshot that one is told to restore.
  - With O(new_disk), the student's disk is left alone and the snapshot becomes a disk of its own beside it.
  - With O(paths), files and folders are put into a folder of their own in the home, named by the time that they are of
    as V(restored-20261124T020000Z). Nothing is overwritten, and the server may run meanwhile.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.students
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
  - coursehub.jupyterhub.students.servers
  - coursehub.jupyterhub.students.workers
attributes:
  diff_mode:
    details: Shows the snapshot that each disk was restored from.
options:
  snapshot:
    description:
      - The snapshot's name, or V(latest). What an earlier restore replaced is taken by its name only.
    type: str
  at:
    description: A time with its zone as in V(2026-11-24T18:00:00+01:00). The newest snapshot up to it is taken.
    type: str
  new_disk:
    description:
      - The beginning of the new disks' names, which end with the name of the student's own. It carries no student's
        label, so no other run touches it; it is removed as any claim is.
    type: str
  paths:
    description:
      - Files and folders in the home, as it was. Their owner, mode and times are kept.
    type: list
    elements: str
  snapshot_class:
    description: The VolumeSnapshotClass of the safety snapshot.
    type: str
    required: true
  wait_timeout:
    description: Seconds for all of it.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Put Alice's disk back as it was on Tuesday evening
  coursehub.jupyterhub.student_disk_restore:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    students: [alice]
    at: "2026-11-24T18:00:00+01:00"
    snapshot_class: coursehub-snapshot

- name: Look at what she had, beside what she has
  coursehub.jupyterhub.student_disk_restore:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    students: [alice]
    snapshot: latest
    new_disk: look
    snapshot_class: coursehub-snapshot

- name: Give the class back what it handed in, as of the deadline
  coursehub.jupyterhub.student_disk_restore:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    roster: class.csv
    at: "2026-11-24T18:00:00+01:00"
    paths: [homework/week3.ipynb]
    snapshot_class: coursehub-snapshot
"""

RETURN = r"""
students:
  description: What was done, or would be, for each student.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    snapshot:
      description: The snapshot that the disk was restored from.
      type: str
    safety:
      description: The snapshot of what was there before, empty with O(new_disk).
      type: str
    disk:
      description: The claim that has the restored files.
      type: str
    folder:
      description: The folder in the home that has them, with O(paths).
      type: str
    stopped:
      description: Whether the student's server was stopped, or would be.
      type: bool
    changed:
      description: Whether something was done.
      type: bool
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      snapshot: disk-alice-20261124-020000
      safety: disk-alice-20261124-183012
      disk: disk-alice
      folder: ""
      stopped: false
      changed: true
      failed: ""
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _course,
    _disk_module,
    _disks,
    _hub,
    _lock,
    _names,
    _paths,
    _restore,
    _servers,
    _snapshots,
    _swap,
    _worker,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


@dataclass
class Outcome:
    """What was done, or would be, for one student."""

    student: str
    snapshot: str = ""
    safety: str = ""
    disk: str = ""
    folder: str = ""
    stopped: bool = False
    changed: bool = False
    failed: str = ""


def parse_moment(text: str | None) -> datetime | None:
    """Return the moment that ``at`` names. Raises CoursehubError for one that is none, or is to come."""
    if not text:
        return None
    try:
        moment = _disks.parse_time(text)
    except ValueError as error:
        raise CoursehubError(f"at is '{text}': write a time with its zone, as in 2026-11-24T18:00:00+01:00") from error
    if moment > datetime.now(UTC):
        raise CoursehubError(f"at is '{text}', which is still to come")
    return moment


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        if parameters["new_disk"]:
            _names.check_new_disk(parameters["new_disk"])
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._at = parse_moment(parameters["at"])
        self._paths = _paths.checked(parameters["paths"] or [])
        self._aside = bool(parameters["new_disk"] or self._paths)
        self._deadline = 0.0
        self._outcomes: dict[str, Outcome] = {}

    def __call__(self) -> dict[str, Any]:
        # From here, not from before the wait for the lock.
        self._deadline = time.monotonic() + self._parameters["wait_timeout"]
        state = self._course.look(self._parameters, self._parameters["wait_timeout"])
        disks = {disk.claim: disk for disk in state.choice.disks}
        self._outcomes = {claim: Outcome(disk.student, disk=claim) for claim, disk in disks.items()}
        swaps = {claim: _swap.Swap(self._course.kube, disk, self._deadline) for claim, disk in disks.items()}
        begun = {} if self._aside else self._begun(swaps)
        unknown = {claim for claim, outcome in self._outcomes.items() if outcome.failed}
        fresh = {claim: disk for claim, disk in disks.items() if claim not in begun and claim not in unknown}
        chosen = self._chosen(state, fresh)
        for claim, journal in begun.items():
            self._note(claim, journal.snapshot, journal.safety)
        for claim, one in chosen.items():
            self._note(claim, one.name, "")
        if not self._check_mode:
            if self._paths:
                self._copy_paths(state, disks, chosen)
            elif self._parameters["new_disk"]:
                self._each("making new disks", chosen, lambda claim: self._copy(disks[claim], chosen[claim]))
            else:
                ready = self._begin(self._with_servers_stopped(state), disks, swaps, chosen)
                self._each("restoring disks", [*begun, *ready], lambda claim: swaps[claim].finish())
        outcomes = list(self._outcomes.values())
        return {
            "changed": any(one.changed for one in outcomes),
            "students": [vars(one) for one in outcomes],
            "without_disk": list(state.choice.without_disk),
            "diff": {"before": "", "after": "".join(f"{one.disk} {one.snapshot}\n" for one in outcomes if one.changed)},
        }

    def _begun(self, swaps: dict[str, _swap.Swap]) -> dict[str, _restore.Journal]:
        """Return the restores that earlier runs have begun and not finished, by claim."""
        journals, errors = _bulk.each(swaps, lambda claim: swaps[claim].begun())
        for claim, error in errors.items():
            self._fail(claim, str(error))
        return {claim: journal for claim, journal in journals.items() if journal is not None}

    def _note(self, claim: str, snapshot: str, safety: str) -> None:
        outcome = self._outcomes[claim]
        outcome.snapshot, outcome.safety, outcome.changed = snapshot, safety, True

    def _chosen(self, state: _course.State, disks: dict[str, _disks.Disk]) -> dict[str, _snapshots.Shot]:
        """Return the snapshot of each disk that needs one. Raises CoursehubError before anything is changed."""
        chosen, problems = {}, []
        for claim, disk in disks.items():
            try:
                one = _snapshots.choose(state.shots.get(claim, []), self._parameters["snapshot"] or "", self._at)
            except CoursehubError as error:
                problems.append(f"{disk.student}: {error}")
                continue
            if self._parameters["new_disk"]:
                name = self._new_name(disk)
                self._outcomes[claim].disk = name
                if self._course.kube.get("v1", "PersistentVolumeClaim", name, disk.namespace) is None:
                    chosen[claim] = one
                continue
            chosen[claim] = one
            if self._paths:
                continue
            if disk.restored_from == one.name and not disk.started_since_restore:
                self._outcomes[claim].snapshot = one.name
                del chosen[claim]
            elif claim in state.in_use:
                problem = _servers.why_not(disk.student, state.in_use[claim], self._parameters)
                problems += [problem] if problem else []
                self._outcomes[claim].stopped = not problem
        if problems:
            raise CoursehubError("; ".join(problems))
        return chosen

    def _begin(
        self,
        state: _course.State,
        disks: dict[str, _disks.Disk],
        swaps: dict[str, _swap.Swap],
        chosen: dict[str, _snapshots.Shot],
    ) -> list[str]:
        """Take the safety snapshots and ask for the new volumes; return the claims for which that worked."""
        seconds, moment = self._parameters["wait_timeout"], state.looked_at
        good, bodies = {}, {}
        for claim in chosen:
            if self._outcomes[claim].failed:
                continue
            newest = _snapshots.newest_good(state.shots.get(claim, []))
            # Of a run that was killed after it had taken one.
            if newest is not None and newest.safety and _snapshots.unchanged(disks[claim], newest):
                good[claim] = newest
            else:
                bodies[claim] = _snapshots.manifest(
                    disks[claim], self._parameters["snapshot_class"], moment, in_use=False, safety=True
                )
        taken, failed = self._course.take(bodies, seconds, self._deadline)
        good.update(taken)
        for claim, reason in failed.items():
            self._fail(claim, f"nothing was changed, for {reason}")
        for claim, one in good.items():
            self._outcomes[claim].safety = one.name
        return self._each(
            "asking for new volumes", good, lambda claim: swaps[claim].begin(chosen[claim], good[claim].name)
        )

    def _with_servers_stopped(self, state: _course.State) -> _course.State:
        """Stop the servers that are to be stopped, and look again; a student whose server stays has failed."""
        running = {claim: outcome.student for claim, outcome in self._outcomes.items() if outcome.stopped}
        if not running:
            return state
        for claim, reason in _servers.stop(self._course, running, self._parameters, self._deadline).items():
            self._fail(claim, reason)
        return self._course.look(self._parameters, self._parameters["wait_timeout"])

    def _copy_paths(
        self, state: _course.State, disks: dict[str, _disks.Disk], chosen: dict[str, _snapshots.Shot]
    ) -> None:
        """Have a worker put the paths into each home."""
        course = self._course
        workers = _workers.Workers(
            course.kube, course.namespace, _workers.image(course, self._parameters), self._deadline
        )
        workers.sweep()

        def copy(claim: str) -> None:
            outcome, node = self._outcomes[claim], state.nodes.get(claim, "")
            request = {"paths": self._paths, "into": _paths.folder(chosen[claim].taken)}
            with workers.scratch(disks[claim], chosen[claim], node) as source:
                # What is written to it now is in no snapshot yet.
                course.mark_start(claim)
                told = workers.run(_worker.Task("copy", request, disk=claim, source=source, node=node), claim)
            outcome.folder, outcome.changed = told["folder"], told["changed"]

        self._each("copying files", chosen, copy, _workers.AT_ONCE)

    def _copy(self, disk: _disks.Disk, one: _snapshots.Shot) -> None:
        """Make a disk of its own from a snapshot."""
        swap = _swap.Swap(self._course.kube, disk, self._deadline)
        swap.copy(one, self._new_name(disk))

    def _new_name(self, disk: _disks.Disk) -> str:
        return f"{self._parameters['new_disk']}-{disk.claim}"

    def _each(self, phase: str, claims: Any, work: Any, workers: int = _bulk.WORKERS) -> list[str]:
        """Do the work for each claim, note what failed, return those that worked."""
        _results, errors = self._course.each(phase, claims, work, workers)
        for claim, error in errors.items():
            self._fail(claim, str(error))
        return [claim for claim in claims if claim not in errors]

    def _fail(self, claim: str, reason: str) -> None:
        self._outcomes[claim].failed = reason


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            "snapshot": {"type": "str"},
            "at": {"type": "str"},
            "new_disk": {"type": "str"},
            "paths": {"type": "list", "elements": "str"},
            **_hub.ARGUMENTS,
            "image": {"type": "str"},
            "snapshot_class": {"type": "str", "required": True},
            "wait_timeout": {"type": "int", "default": 600},
            **_lock.ARGUMENTS,
        },
        mutually_exclusive=[("snapshot", "at"), ("new_disk", "paths")],
        required_one_of=[("snapshot", "at")],
        required_if=[("stop_servers", True, ["hub_url", "hub_namespace"])],
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: Run(course, module.params, module.check_mode))


if __name__ == "__main__":
    main()
