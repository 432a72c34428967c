#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_drill
short_description: Prove that the snapshots of students' disks can be restored
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Draws students at random, makes a scratch disk of the newest snapshot of each, reads every file of it to its end and
    compares it with the student's live disk, then removes the scratch disk. The live disk is mounted for reading only,
    and the server may run meanwhile.
  - Of a disk that no pod has had since the snapshot, all must be equal. Of another, the files that were not touched
    since a minute before the snapshot must be; the rest is read and not compared.
  - The result is kept in the ConfigMap V(disk-drill) in O(namespace), for monitoring to read.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
  - coursehub.jupyterhub.students
  - coursehub.jupyterhub.students.workers
attributes:
  diff_mode:
    details: Shows the snapshots that would be tried.
options:
  sample:
    description: How many of the chosen students are drawn. V(0) takes all.
    type: int
    default: 5
  wait_timeout:
    description: Seconds for all of it.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Try the backups of ten students
  coursehub.jupyterhub.student_disk_drill:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
    sample: 10
"""

RETURN = r"""
students:
  description: What was found for each student that was drawn.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    snapshot:
      description: The snapshot that was tried.
      type: str
    verdict:
      description:
        - V(proven) where files were compared and all were equal, V(readable) where all could be read and none could be
          compared, V(failed) otherwise. Empty in check mode.
      type: str
    files:
      description: How many files were read.
      type: int
    compared:
      description: How many of them were compared with the live disk.
      type: int
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      snapshot: disk-alice-20261124-020000
      verdict: proven
      files: 312
      compared: 308
      failed: ""
unprotected:
  description: The chosen students who have a disk and no snapshot that could be restored.
  type: list
  elements: str
  returned: success
  sample: []
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _course,
    _disk_module,
    _disks,
    _kube,
    _lock,
    _snapshots,
    _worker,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY

RESULT = "disk-drill"


@dataclass
class Outcome:
    """What was found for one student."""

    student: str
    snapshot: str = ""
    verdict: str = ""
    files: int = 0
    compared: int = 0
    failed: str = ""


def report(outcomes: Sequence[Outcome], unprotected: Sequence[str], moment: datetime) -> dict[str, str]:
    """Return what monitoring reads: when, how many of each verdict, and all of it as JSON."""
    counts = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in ("proven", "readable", "failed")}
    return {
        "at": moment.isoformat(timespec="seconds"),
        **{verdict: str(count) for verdict, count in counts.items()},
        "unprotected": str(len(unprotected)),
        "result.json": json.dumps({"students": [vars(one) for one in outcomes], "unprotected": list(unprotected)}),
    }


class Run:
    """One drill."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode

    def __call__(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._parameters["wait_timeout"]
        state = self._course.look(self._parameters, 0)
        newest = {disk.claim: _snapshots.newest_good(state.shots.get(disk.claim, [])) for disk in state.choice.disks}
        disks = {disk.claim: disk for disk in state.choice.disks if disk.phase == "Bound"}
        shots = {claim: one for claim, one in newest.items() if one is not None and claim in disks}
        drawn = self._draw(sorted(shots))
        outcomes = {claim: Outcome(disks[claim].student, shots[claim].name) for claim in drawn}
        unprotected = sorted(disk.student for claim, disk in disks.items() if claim not in shots)
        if not self._check_mode:
            workers = _workers.Workers(
                self._course.kube, self._course.namespace, _workers.image(self._course, self._parameters), deadline
            )
            workers.sweep()
            _results, errors = self._course.each(
                "trying snapshots",
                drawn,
                lambda claim: self._try(workers, state, disks[claim], shots[claim], outcomes[claim]),
                _workers.AT_ONCE,
            )
            for claim, error in errors.items():
                outcomes[claim].verdict, outcomes[claim].failed = "failed", str(error)
            self._keep(report(list(outcomes.values()), unprotected, datetime.now(UTC)))
        return {
            # A drill leaves the disks as they were; what it leaves is its result.
            "changed": False,
            "students": [vars(one) for one in outcomes.values()],
            "unprotected": unprotected,
            "without_disk": list(state.choice.without_disk),
            "diff": {"before": "", "after": "".join(f"{one.snapshot}\n" for one in outcomes.values())},
        }

    def _draw(self, claims: list[str]) -> list[str]:
        sample = self._parameters["sample"] or len(claims)
        # By the system's own chance: a drill that could be foretold would prove less.
        return sorted(random.SystemRandom().sample(claims, min(sample, len(claims))))

    def _try(
        self,
        workers: _workers.Workers,
        state: _course.State,
        disk: _disks.Disk,
        one: _snapshots.Shot,
        outcome: Outcome,
    ) -> None:
        node = state.nodes.get(disk.claim, "")
        untouched = disk.claim not in state.in_use and _snapshots.unchanged(disk, one)
        request = {"taken": one.taken.isoformat(), "untouched": untouched}
        with workers.scratch(disk, one, node) as source:
            task = _worker.Task("compare", request, disk.claim, disk_read_only=True, source=source, node=node)
            told = workers.run(task, disk.claim)
        outcome.verdict, outcome.files, outcome.compared = told["verdict"], told["files"], told["compared"]

    def _keep(self, data: dict[str, str]) -> None:
        path = self._course.kube.path("v1", "ConfigMap", self._course.namespace, RESULT)
        metadata = {"name": RESULT, "namespace": self._course.namespace, "labels": MANAGED_BY}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self._course.kube.request("PATCH", path, body, fieldManager=_kube.FIELD_MANAGER, force="true")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            "sample": {"type": "int", "default": 5},
            "image": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 1800},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: Run(course, module.params, module.check_mode))


if __name__ == "__main__":
    main()
