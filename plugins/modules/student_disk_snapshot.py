#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_snapshot
short_description: Take snapshots of students' disks, and thin out the old ones
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Takes a snapshot of each chosen disk, waits until all of them can be restored, then removes those that O(keep) lets
    go. Every disk is tried; those that failed are named at the end.
  - The newest snapshot of a disk that can be restored is never removed, whatever O(keep) says. One that failed counts
    for nothing and is removed.
  - Of a disk whose new snapshot failed nothing is removed.
  - Only snapshots that carry this collection's labels are removed.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.students
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
options:
  snapshot_class:
    description: The VolumeSnapshotClass.
    type: str
    required: true
  take:
    description: Whether to take snapshots. V(false) only thins out.
    type: bool
    default: true
  keep:
    description:
      - How many snapshots to keep of each disk, with the meaning that restic's C(forget) gives these words. V(-1)
        keeps all. Without it nothing is thinned out.
    type: dict
    suboptions:
      last:
        description: The newest ones.
        type: int
      hourly:
        description: Of so many hours, the newest each.
        type: int
      daily:
        description: Of so many days, the newest each.
        type: int
      weekly:
        description: Of so many weeks, the newest each. A week begins on Monday.
        type: int
      monthly:
        description: Of so many months, the newest each.
        type: int
      yearly:
        description: Of so many years, the newest each.
        type: int
      within:
        description: All of a span back from the newest one, as V(1y5m7d2h).
        type: str
  time_zone:
    description: The time zone in which days, weeks, months and years begin.
    type: str
    default: UTC
  skip_unchanged:
    description: Leave out a disk that no pod has had since its newest snapshot that can be restored.
    type: bool
    default: false
  wait_timeout:
    description: Seconds until all snapshots must be ready. One that isn't has failed.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Take tonight's snapshots
  coursehub.jupyterhub.student_disk_snapshot:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
    snapshot_class: coursehub-snapshot
    skip_unchanged: true
    keep: {daily: 7, weekly: 5, monthly: 6}
    time_zone: Europe/Berlin

- name: Take one before an experiment
  coursehub.jupyterhub.student_disk_snapshot:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    students: [alice]
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
      description: The snapshot that was taken, empty where none was.
      type: str
    skipped:
      description: Why none was taken, empty where one was.
      type: str
    removed:
      description: The snapshots that were removed.
      type: list
      elements: str
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - {"student": "alice", "snapshot": "disk-alice-20261124-020000", "skipped": "", "removed": [], "failed": ""}
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _course,
    _disk_module,
    _disks,
    _lock,
    _retention,
    _snapshots,
)


@dataclass
class Outcome:
    """What was done, or would be, for one student."""

    student: str
    snapshot: str = ""
    skipped: str = ""
    removed: list[str] = field(default_factory=list)
    failed: str = ""


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        keep = {word: value for word, value in (parameters["keep"] or {}).items() if value is not None}
        self._policy = _retention.parse_policy(keep, parameters["time_zone"]) if keep else None
        self._outcomes: dict[str, Outcome] = {}

    def __call__(self) -> dict[str, Any]:
        state = self._course.look(self._parameters, self._parameters["wait_timeout"])
        self._outcomes = {disk.claim: Outcome(disk.student) for disk in state.choice.disks}
        wanted = self._wanted(state) if self._parameters["take"] else []
        fresh = self._take(state, wanted)
        if self._policy is not None:
            self._thin_out(state, fresh, self._policy)
        outcomes = list(self._outcomes.values())
        return {
            "changed": any(one.snapshot or one.removed for one in outcomes),
            "students": [vars(one) for one in outcomes],
            "without_disk": list(state.choice.without_disk),
            "diff": {
                "before": "".join(f"{name}\n" for one in outcomes for name in one.removed),
                "after": "".join(f"{one.snapshot}\n" for one in outcomes if one.snapshot),
            },
        }

    def _wanted(self, state: _course.State) -> list[_disks.Disk]:
        wanted = []
        for disk in state.choice.disks:
            shots = state.shots.get(disk.claim, [])
            reason = _snapshots.why_not(disk, shots, disk.claim in state.in_use, self._parameters["skip_unchanged"])
            self._outcomes[disk.claim].skipped = reason
            if not reason:
                wanted.append(disk)
        return wanted

    def _take(self, state: _course.State, wanted: Sequence[_disks.Disk]) -> dict[str, _snapshots.Shot]:
        """Take the snapshots; return those that are good, by claim."""
        moment, seconds = state.looked_at, self._parameters["wait_timeout"]
        bodies = {
            disk.claim: _snapshots.manifest(
                disk, self._parameters["snapshot_class"], moment, in_use=disk.claim in state.in_use
            )
            for disk in wanted
        }
        if self._check_mode:
            good = {
                claim: _snapshots.Shot(body["metadata"]["name"], claim, "", moment, "ready", "", 0)
                for claim, body in bodies.items()
            }
        else:
            good, failed = self._course.take(bodies, seconds, time.monotonic() + seconds)
            for claim, reason in failed.items():
                self._outcomes[claim].failed = reason
        for claim, one in good.items():
            self._outcomes[claim].snapshot = one.name
        return good

    def _thin_out(self, state: _course.State, fresh: dict[str, _snapshots.Shot], policy: _retention.Policy) -> None:
        going = {}
        for claim, outcome in self._outcomes.items():
            if outcome.failed:
                continue
            shots = [*state.shots.get(claim, []), *([fresh[claim]] if claim in fresh else [])]
            for name in _snapshots.to_remove(shots, policy, state.looked_at):
                going[name] = claim
        errors = {} if self._check_mode else self._course.remove(going)
        for name, claim in going.items():
            if name in errors:
                self._outcomes[claim].failed = f"the snapshot {name} can't be removed: {errors[name]}"
            else:
                self._outcomes[claim].removed.append(name)


def main() -> None:
    """Run the module."""
    counts = {word: {"type": "int"} for word in ("last", "hourly", "daily", "weekly", "monthly", "yearly")}
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            "snapshot_class": {"type": "str", "required": True},
            "take": {"type": "bool", "default": True},
            "keep": {"type": "dict", "options": {**counts, "within": {"type": "str"}}},
            "time_zone": {"type": "str", "default": "UTC"},
            "skip_unchanged": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 600},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: Run(course, module.params, module.check_mode))


if __name__ == "__main__":
    main()
