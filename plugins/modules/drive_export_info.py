#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drive_export_info
short_description: Tell of students' exports to Google Drive
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Tells of each student's last good export, from what M(coursehub.jupyterhub.drive_export) has written on the disks'
    claims. Drive is not asked.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
  - coursehub.jupyterhub.students
"""

EXAMPLES = r"""
- name: Tell who has no export
  coursehub.jupyterhub.drive_export_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    all_students: true
  register: exports
"""

RETURN = r"""
students:
  description: Each student's last good export. What isn't known is none.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    claim:
      description: The disk's claim.
      type: str
    exported:
      description: Whether there is an export.
      type: bool
    exported_at:
      description: When it came to its end.
      type: str
    taken:
      description: When the snapshot was taken that it has.
      type: str
    age_s:
      description: The seconds since then.
      type: int
    snapshot:
      description: The snapshot, none where the next run exports it again; a proof has failed, or a problem may pass.
      type: str
    account:
      description: The account in Drive, or the Secret that it was made by.
      type: str
    name:
      description: The name of the student's folder in Drive.
      type: str
    folder:
      description: The id of the folder or shared drive that it is in.
      type: str
    files:
      description: Files in it.
      type: int
    bytes:
      description: Bytes in it.
      type: int
    problems:
      description: Files that could not be exported.
      type: int
    verified_at:
      description: When it was proven.
      type: str
  sample:
    - student: alice
      claim: disk-alice
      exported: true
      exported_at: "2026-11-26T02:31:00+00:00"
      taken: "2026-11-26T02:00:11+00:00"
      age_s: 30649
      snapshot: disk-alice-20261126-020011
      account: drive-credentials
      name: alice
      folder: 0AAbCdEfGhIjKUk9PVA
      files: 312
      bytes: 48210331
      problems: 0
      verified_at: "2026-11-26T02:32:00+00:00"
never_exported:
  description: The chosen students who have a disk and no export.
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

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _course, _disk_module, _exports


class Run:
    """One look at the disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any]) -> None:
        self._course = course
        self._parameters = parameters

    def __call__(self) -> dict[str, Any]:
        choice = self._course.look(self._parameters, 0).choice
        rows = [_exports.row(disk, datetime.now(UTC)) for disk in choice.disks]
        return {
            "changed": False,
            "students": rows,
            "never_exported": [one["student"] for one in rows if not one["exported"]],
            "without_disk": list(choice.without_disk),
        }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=_disk_module.LOOK_ARGUMENTS, supports_check_mode=True)
    _disk_module.run(module, lambda course: Run(course, module.params))


if __name__ == "__main__":
    main()
