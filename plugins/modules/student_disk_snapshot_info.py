#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk_snapshot_info
short_description: List the snapshots of students' disks
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Never changes anything.
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
- name: List what Alice can have back
  coursehub.jupyterhub.student_disk_snapshot_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    students: [alice]
"""

RETURN = r"""
snapshots:
  description: The snapshots of the chosen students, of each student the newest first.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    name:
      description: The snapshot.
      type: str
    taken:
      description: When it was taken.
      type: str
    state:
      description: Whether it is C(ready), C(pending), C(failed), or C(going), which is on its way out.
      type: str
    error:
      description: What its controller says is wrong.
      type: str
    safety:
      description: Whether a restore took it of what it replaced.
      type: bool
  sample:
    - student: alice
      name: disk-alice-20261124-020000
      taken: "2026-11-24T02:00:00+00:00"
      state: ready
      error: ""
      safety: false
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _disk_module


def run(course: _course.Course, parameters: dict[str, Any]) -> dict[str, Any]:
    """Look, and tell."""
    state = course.look(parameters, parameters["patience"])
    return {
        "changed": False,
        "snapshots": [
            {
                "student": disk.student,
                "name": one.name,
                "taken": one.taken.isoformat(),
                "state": one.state,
                "error": one.error,
                "safety": one.safety,
            }
            for disk in state.choice.disks
            for one in sorted(state.shots.get(disk.claim, []), key=lambda shot: (shot.taken, shot.name), reverse=True)
        ],
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
