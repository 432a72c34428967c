#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: course_recover
short_description: Give a fresh cluster the disks, snapshots and secrets that a lost one had
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Makes the Secrets, the disks' claims on the volumes that the storage still has, and the snapshots that it still has,
    as M(coursehub.jupyterhub.course_state_info) found them, and waits until claims are bound and snapshots can be
    restored. Everything is tried; what failed is named at the end.
  - What is there already and is the same is left alone, so a run that was killed is finished by the next one. A claim,
    volume or snapshot of the same name that is something else is refused before anything is changed.
  - A Secret that is there is left alone, whatever is in it, since something may run with it; the keys that differ are
    returned.
  - Volumes are made with the policy C(Retain). Whether a disk is still in the storage is seen only when a server mounts
    it; of a snapshot most drivers can tell, so one that is gone is named here.
  - The old cluster must be gone. Two clusters that have one disk destroy what is on it.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.lock
  - coursehub.jupyterhub.progress
options:
  state:
    description: What M(coursehub.jupyterhub.course_state_info) has returned. The values of its Secrets are never shown.
    type: dict
    required: true
    suboptions:
      version:
        description: The version of the format.
        type: int
        required: true
      taken_at:
        description: When it was taken.
        type: str
        required: true
      namespaces:
        description: The namespaces that it is of. They must exist.
        type: list
        elements: str
        required: true
      secrets:
        description: The Secrets.
        type: list
        elements: dict
        required: true
        suboptions:
          apiVersion:
            description: The API's version.
            type: str
            required: true
          kind:
            description: C(Secret).
            type: str
            required: true
          metadata:
            description: Its name, namespace, labels and annotations.
            type: dict
            required: true
          type:
            description: Its type.
            type: str
            required: true
          data:
            description: Its values, encoded as the API has them.
            type: dict
            required: true
      disks:
        description: Claims and their volumes.
        type: list
        elements: dict
        required: true
      snapshots:
        description: Snapshots and their contents.
        type: list
        elements: dict
        required: true
  wait_snapshots:
    description:
      - Whether to wait for the snapshots. Students can work without them, and the controllers take some minutes for
        thousands; a second run waits for what the first one has made.
    type: bool
    default: true
  wait_timeout:
    description: Seconds until claims must be bound and snapshots ready.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Give the cluster what the lost one had
  coursehub.jupyterhub.course_recover:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    state: "{{ course.state }}"
"""

RETURN = r"""
secrets:
  description: The Secrets of the state.
  type: list
  elements: dict
  returned: success
  contains:
    namespace:
      description: The namespace.
      type: str
    name:
      description: The Secret.
      type: str
    changed:
      description: Whether it was made, or would be.
      type: bool
    differing:
      description: The keys that have other values in the cluster. They were left as they are.
      type: list
      elements: str
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample: [{"namespace": "coursehub", "name": "hub", "changed": true, "differing": [], "failed": ""}]
disks:
  description: The disks of the state.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student, empty for a disk that is no student's, as the hub's own.
      type: str
    namespace:
      description: The namespace.
      type: str
    name:
      description: The claim.
      type: str
    volume:
      description: The volume.
      type: str
    changed:
      description: Whether something was made, or would be.
      type: bool
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      namespace: coursehub-students
      name: disk-alice
      volume: pvc-5a2f1b7c-0d3e-4f7a-9b3a-2c1d0e9f8a7b
      changed: true
      failed: ""
snapshots:
  description: The snapshots of the state.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The student.
      type: str
    namespace:
      description: The namespace.
      type: str
    name:
      description: The snapshot.
      type: str
    changed:
      description: Whether something was made, or would be.
      type: bool
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      namespace: coursehub-students
      name: disk-alice-20261124-020000
      changed: true
      failed: ""
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _edge,
    _kube,
    _lock,
    _progress,
    _recovering,
)


def failure(result: dict[str, Any]) -> str:
    """Return one sentence that names what failed, and whose it is; an empty string where nothing did."""
    failed, total = {}, 0
    for part in ("secrets", "disks", "snapshots"):
        total += len(result[part])
        for one in result[part]:
            if one["failed"]:
                name = f"{one['namespace']}/{one['name']}"
                failed[f"{one['student']} ({name})" if one.get("student") else name] = one["failed"]
    return _bulk.summary(failed, total, "secrets, disks and snapshots") if failed else ""


def main() -> None:
    """Run the module."""
    secret = {
        "apiVersion": {"type": "str", "required": True},
        "kind": {"type": "str", "required": True},
        "metadata": {"type": "dict", "required": True},
        "type": {"type": "str", "required": True},
        # Only the values: each text that is not to be logged is blotted out of the result, wherever it stands in it.
        "data": {"type": "dict", "required": True, "no_log": True},
    }
    state = {
        "version": {"type": "int", "required": True},
        "taken_at": {"type": "str", "required": True},
        "namespaces": {"type": "list", "elements": "str", "required": True},
        "secrets": {"type": "list", "elements": "dict", "required": True, "no_log": False, "options": secret},
        "disks": {"type": "list", "elements": "dict", "required": True},
        "snapshots": {"type": "list", "elements": "dict", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            **_progress.ARGUMENTS,
            "state": {"type": "dict", "required": True, "options": state},
            "wait_snapshots": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 600},
            **_lock.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    parameters = module.params

    def work() -> dict[str, Any]:
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        return _recovering.Recovering(kube, parameters, module.check_mode)()

    _edge.run(module, work, failure)


if __name__ == "__main__":
    main()
