#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_grow
short_description: Let students' disks grow before they are full
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Looks at how full the disks are that pods have mounted, and lets those grow that are fuller than O(above). The
    servers run on meanwhile. A disk that no pod has can't become fuller, and is looked at when it is used again.
  - A disk that is nearly full and as large as O(limit) is marked, so that the hub tells its student at the next start.
  - No disk ever shrinks.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
  - coursehub.jupyterhub.students
options:
  above:
    description: Percent of its size that a disk may be used to.
    type: int
    default: 80
  step:
    description: By how much a disk grows, as a Kubernetes quantity; by several steps where one is not enough.
    type: str
    default: 1Gi
  limit:
    description: The largest size that a disk grows to.
    type: str
    required: true
  wait_timeout:
    description: Seconds until all disks must have grown.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Let disks grow in steps of 2 GiB, to 20 GiB at most
  coursehub.jupyterhub.student_disk_grow:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
    step: 2Gi
    limit: 20Gi
"""

RETURN = r"""
students:
  description: The students whose disks grew or would grow, are full, or failed.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    used_bytes:
      description: How much of the disk is used.
      type: int
    size_bytes:
      description: The size that it had.
      type: int
    new_size_bytes:
      description: The size that it has now.
      type: int
    full:
      description: Whether it is nearly full and may not grow any more.
      type: bool
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      used_bytes: 966367641
      size_bytes: 1073741824
      new_size_bytes: 2147483648
      full: false
      failed: ""
looked_at:
  description: How many disks have a pod and told how full they are.
  type: int
  returned: success
  sample: 212
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _course,
    _disk_module,
    _disks,
    _growth,
    _lock,
    _sizes,
)


@dataclass
class Outcome:
    """What was found and done, or would be, for one student."""

    student: str
    used_bytes: int
    size_bytes: int
    new_size_bytes: int
    full: bool
    failed: str = ""


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._rule = _growth.parse_rule(parameters)

    def __call__(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._parameters["wait_timeout"]
        state = self._course.look(self._parameters, 0)
        usages = self._course.usages()
        disks = {disk.claim: disk for disk in state.choice.disks if disk.phase == "Bound"}
        outcomes = {
            claim: self._planned(disks[claim], usages[claim].used_bytes or 0)
            for claim in disks.keys() & usages.keys()
            if usages[claim].used_bytes is not None
        }
        growing = {c: one.new_size_bytes for c, one in outcomes.items() if one.new_size_bytes > one.size_bytes}
        marks = {c: one.full for c, one in outcomes.items() if one.full != disks[c].full}
        if not self._check_mode:
            failed = _sizes.grow(self._course, growing, deadline)
            _done, errors = _bulk.each(marks, lambda claim: self._mark(claim, marks[claim]))
            for claim, reason in {**failed, **{claim: str(error) for claim, error in errors.items()}}.items():
                outcomes[claim].failed = reason
        told = [outcomes[c] for c in sorted(outcomes) if outcomes[c].full or c in growing or outcomes[c].failed]
        return {
            "changed": bool(growing or marks),
            "students": [vars(one) for one in told],
            "looked_at": len(outcomes),
            "without_disk": list(state.choice.without_disk),
            "diff": {
                "before": "".join(f"{claim} {outcomes[claim].size_bytes}\n" for claim in sorted(growing)),
                "after": "".join(f"{claim} {size}\n" for claim, size in sorted(growing.items())),
            },
        }

    def _planned(self, disk: _disks.Disk, used: int) -> Outcome:
        size = _growth.grown(disk.size, used, self._rule)
        return Outcome(disk.student, used, disk.size, size, full=_growth.crowded(size, used, self._rule))

    def _mark(self, claim: str, full: bool) -> None:
        path = self._course.kube.path("v1", "PersistentVolumeClaim", self._course.namespace, claim)
        value = "true" if full else None
        self._course.kube.merge(path, {"metadata": {"annotations": {_disks.FULL_ANNOTATION: value}}})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            "above": {"type": "int", "default": 80},
            "step": {"type": "str", "default": "1Gi"},
            "limit": {"type": "str", "required": True},
            "wait_timeout": {"type": "int", "default": 300},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: Run(course, module.params, module.check_mode))


if __name__ == "__main__":
    main()
