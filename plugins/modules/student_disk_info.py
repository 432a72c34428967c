#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_info
short_description: Tell of students' disks how full they are, who has them, and how old their newest snapshot is
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Never changes anything. How full a disk is, only the node that has it mounted can tell; of the others it is not
    known.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
  - coursehub.jupyterhub.students
options:
  patience:
    description: Seconds after which a snapshot that isn't ready counts as failed.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Look at all disks
  coursehub.jupyterhub.student_disk_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
  register: disks

- name: Show them
  coursehub.jupyterhub.tell:
    text: "{{ disks.text }}"
"""

RETURN = r"""
students:
  description: Each student's disk. What is not known is null.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    claim:
      description: The claim that is the disk.
      type: str
    phase:
      description: The claim's phase.
      type: str
    size_bytes:
      description: The disk's size.
      type: int
    used_bytes:
      description: How much of it is used.
      type: int
    used_inodes:
      description: How many inodes are used, where the driver counts them.
      type: int
    node:
      description: The node that has it mounted.
      type: str
    pod:
      description: The pod that has it, or is about to.
      type: str
    last_start:
      description: When the hub last started the student's server.
      type: str
    newest_snapshot:
      description: The newest snapshot that can be restored.
      type: str
    newest_snapshot_age_s:
      description: Its age in seconds.
      type: int
    snapshots:
      description: How many snapshots can be restored.
      type: int
    failed_snapshots:
      description: How many can't.
      type: int
  sample:
    - student: alice
      claim: disk-alice
      phase: Bound
      size_bytes: 1073741824
      used_bytes: 52428800
      used_inodes: null
      node: coursehub-worker
      pod: jupyter-alice
      last_start: "2026-11-24T08:00:00+00:00"
      newest_snapshot: disk-alice-20261124-020000
      newest_snapshot_age_s: 25200
      snapshots: 9
      failed_snapshots: 0
without_disk:
  description: The students of the roster who have no disk yet.
  type: list
  elements: str
  returned: success
  sample: []
text:
  description: The same for a person to read.
  type: str
  returned: success
  sample: "student  disk   used    of       server               last start  newest snapshot  snapshots"
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _course,
    _disk_module,
    _disk_table,
)


def run(course: _course.Course, parameters: dict[str, Any]) -> dict[str, Any]:
    """Look, and tell."""
    state = course.look(parameters, parameters["patience"])
    used = course.usages()
    rows = [
        _disk_table.row(
            disk,
            state.shots.get(disk.claim, []),
            state.in_use.get(disk.claim, ""),
            used.get(disk.claim),
            state.looked_at,
        )
        for disk in state.choice.disks
    ]
    return {
        "changed": False,
        "students": rows,
        "without_disk": list(state.choice.without_disk),
        "text": _disk_table.table(rows, state.looked_at),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.LOOK_ARGUMENTS,
            "patience": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    _disk_module.run(module, lambda course: partial(run, course, module.params))


if __name__ == "__main__":
    main()
