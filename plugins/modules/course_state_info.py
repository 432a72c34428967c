#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: course_state_info
short_description: Tell what another cluster would need to serve the same students
version_added: 0.2.0
author: The coursehub authors (@coursehub)
description:
  - Never changes anything. Returns which disk and which snapshot in the storage is whose, with the hub's own disk, and
    the Secrets that this collection keeps. With that M(coursehub.jupyterhub.course_recover) makes a fresh cluster
    serve the same students from the disks and snapshots that survived.
  - What is returned holds secrets, so it is never shown, whether the task has C(no_log) or not.
  - Only what is whole is in it, claims that are bound and snapshots that can be restored; the rest is named in
    RV(skipped).
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
options:
  namespaces:
    description: The namespaces of the hub and of the students.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Ask for what must be kept outside the cluster
  coursehub.jupyterhub.course_state_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespaces: [coursehub, coursehub-students]
  register: course

- name: Keep it, so that nobody else can read it
  ansible.builtin.copy:
    content: "{{ course.state | to_json | ansible.builtin.vault(passphrase) }}"
    dest: /srv/backups/coursehub.json.vault
    decrypt: false
    mode: "0600"
"""

RETURN = r"""
state:
  description: The state, for O(coursehub.jupyterhub.course_recover#module:state). It holds secrets.
  type: dict
  returned: success
  contains:
    version:
      description: The version of the format.
      type: int
    taken_at:
      description: When it was taken.
      type: str
    namespaces:
      description: The namespaces that it is of.
      type: list
      elements: str
    secrets:
      description: The Secrets.
      type: list
      elements: dict
    disks:
      description: Claims and their volumes, each as another cluster takes it.
      type: list
      elements: dict
    snapshots:
      description: Snapshots and their contents, each as another cluster takes it.
      type: list
      elements: dict
  sample:
    version: 1
    taken_at: "2026-11-25T02:00:00Z"
    namespaces: [coursehub, coursehub-students]
    secrets: []
    disks: []
    snapshots: []
skipped:
  description: What is not in it, and why.
  type: list
  elements: str
  returned: success
  sample: ["PersistentVolumeClaim coursehub-students/disk-alice: it is pending"]
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _edge, _kube, _manifests, _state
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def run(kube: _kube.Kube, namespaces: list[str]) -> dict[str, Any]:
    """Look, and tell."""
    for namespace in namespaces:
        # Of one that isn't there nothing is listed either: that must not look like a course without students.
        if kube.get("v1", "Namespace", namespace) is None:
            raise CoursehubError(f"there is no namespace {namespace}: is it the right cluster?")
    moment = datetime.now(UTC)

    def of_all(kind: tuple[str, str], **query: Any) -> list[dict[str, Any]]:
        return [item for namespace in namespaces for item in kube.list(*kind, namespace, **query)]

    owned = ",".join(f"{key}={value}" for key, value in _manifests.MANAGED_BY.items())
    # What refers comes before what it refers to, or something that was made in between would seem to lack it.
    found = _state.Found(
        secrets=of_all(_state.SECRET, labelSelector=owned),
        claims=of_all(_state.CLAIM),
        volumes=kube.list(*_state.VOLUME),
        snapshots=of_all(_state.SNAPSHOT),
        contents=kube.list(*_state.CONTENT),
    )
    state, skipped = _state.take(found, namespaces, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return {"changed": False, "state": state, "skipped": skipped}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "namespaces": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    _edge.run(
        module,
        lambda: run(_kube.Kube(parameters["kubeconfig"], parameters["context"]), parameters["namespaces"]),
    )


if __name__ == "__main__":
    main()
