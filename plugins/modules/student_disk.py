#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: student_disk
short_description: Make, grow, archive and remove students' disks
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - V(present) makes disks ahead of class for students who are named and have none, under the names that the hub looks
    for; lets disks grow to O(size), and writes O(labels) on them.
  - V(archived) copies each disk into one compressed archive, from a snapshot, reads the archive back and compares every
    file. The disk stays.
  - V(absent) removes a disk and its snapshots, and only one whose archive has all that is on it and was read back a
    moment ago.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
  - coursehub.jupyterhub.students
  - coursehub.jupyterhub.students.servers
  - coursehub.jupyterhub.students.workers
options:
  state:
    description: What is to be.
    type: str
    choices: [present, archived, absent]
    default: present
  size:
    description: The size, as a Kubernetes quantity. A disk that is larger is refused, for none can shrink.
    type: str
  storage_class:
    description: The StorageClass of disks that are made. Needed where a student has none yet.
    type: str
  labels:
    description: Labels for the disks' claims, to choose them by. One whose value is empty is taken away.
    type: dict
    default: {}
  target:
    description: Where archives go. Needed with V(archived).
    type: dict
    suboptions:
      path:
        description:
          - The folder in O(target.claim), or a remote as rclone names it, V(bucket:course/2026), whose settings
            O(target.secret) has.
        type: str
        required: true
      claim:
        description: A claim in O(namespace) that the archives are written to.
        type: str
        default: ""
      secret:
        description: A Secret in O(namespace) with a file C(rclone.conf).
        type: str
        default: ""
  snapshot_class:
    description: The VolumeSnapshotClass that archives are made from. Needed with V(archived).
    type: str
  wait_timeout:
    description: Seconds for all of it.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Make disks before the first class, so that nobody waits for one
  coursehub.jupyterhub.student_disk:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    roster: class.csv
    size: 2Gi
    storage_class: coursehub-disk
    labels: {course: data-8}

- name: Archive the course's disks at the end of term
  coursehub.jupyterhub.student_disk:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    selector: course=data-8
    state: archived
    target: {path: "bucket:data-8/2026", secret: archive-bucket}
    snapshot_class: coursehub-snapshot

- name: Remove those that are archived
  coursehub.jupyterhub.student_disk:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    selector: course=data-8
    state: absent
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
    disk:
      description: The claim.
      type: str
    done:
      description: What was done, as V(made), V(grown), V(labelled), V(archived), V(removed); empty where nothing was.
      type: list
      elements: str
    size_bytes:
      description: The disk's size.
      type: int
    archive:
      description: The archive's name in the target, empty where there is none.
      type: str
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      disk: disk-alice
      done: [grown]
      size_bytes: 2147483648
      archive: ""
      failed: ""
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _archiving,
    _course,
    _disk_module,
    _hub,
    _lock,
    _presence,
    _removal,
)

STATES = {"present": _presence.Run, "archived": _archiving.Run, "absent": _removal.Run}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_disk_module.ARGUMENTS,
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "size": {"type": "str"},
            "storage_class": {"type": "str"},
            "labels": {"type": "dict", "default": {}},
            "target": {
                "type": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "claim": {"type": "str", "default": ""},
                    # A Secret's name, no secret.
                    "secret": {"type": "str", "default": "", "no_log": False},
                },
                "mutually_exclusive": [("claim", "secret")],
            },
            **_hub.ARGUMENTS,
            "image": {"type": "str"},
            "snapshot_class": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 3600},
            **_lock.ARGUMENTS,
        },
        required_if=[
            ("state", "archived", ["target", "snapshot_class"]),
            ("stop_servers", True, ["hub_url", "hub_namespace"]),
        ],
        supports_check_mode=True,
    )
    run = STATES[module.params["state"]]

    def prepare(course: _course.Course) -> Any:
        return run(course, module.params, module.check_mode)

    _disk_module.run(module, prepare)


if __name__ == "__main__":
    main()
