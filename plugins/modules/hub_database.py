#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_database
short_description: Put the hub's database back from a snapshot, or remove old snapshots of it
version_added: 0.3.0
author: The coursehub authors (@coursehub)
description:
  - With O(state=restored) ends the hub and its database server, takes a snapshot of their disk as it is, and puts the
    disk back as it was. They stay ended until they are applied again. A run that was interrupted is finished by the
    next one.
  - With O(state=thinned) removes old snapshots of that disk that this collection has taken, and no others.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.hub.namespace
attributes:
  diff_mode:
    support: none
    details: There is nothing to show.
options:
  claim:
    description: The claim of the disk with the database, V(hub-database) for a file or V(hub-postgresql).
    type: str
    required: true
  state:
    description: What is wanted.
    type: str
    required: true
    choices: [restored, thinned]
  snapshot:
    description: The snapshot to put back. Needed with O(state=restored).
    type: str
  snapshot_class:
    description: The class of the snapshot that is taken before. Needed with O(state=restored).
    type: str
  keep:
    description: How many snapshots that can be used stay, one at least. Needed with O(state=thinned).
    type: int
  wait_timeout:
    description: Seconds until the disk must be back.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Put the database back as it was before an upgrade
  coursehub.jupyterhub.hub_database:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub
    claim: hub-database
    state: restored
    snapshot: hub-database-20261125-180000
    snapshot_class: coursehub-snapshot
"""

RETURN = r"""
safety:
  description: The snapshot of what was replaced.
  type: str
  returned: when the disk was put back
  sample: hub-database-20261125-181500
removed:
  description: The snapshots that were removed.
  type: list
  elements: str
  returned: when O(state=thinned)
  sample: [hub-database-20260901-090000]
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _database,
    _edge,
    _kube,
    _manifests,
    _snapshots,
    _swap,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

DEPLOYMENT = ("apps/v1", "Deployment")
CLAIM = ("v1", "PersistentVolumeClaim")
SNAPSHOT = (_snapshots.API_VERSION, _snapshots.KIND)


class Database:
    """The disk with the database, and who has it open."""

    def __init__(self, kube: _kube.Kube, parameters: Mapping[str, Any], check_mode: bool) -> None:
        self._kube = kube
        self._namespace: str = parameters["namespace"]
        self._claim: str = parameters["claim"]
        self._parameters = parameters
        self._check_mode = check_mode
        self._deadline = 0.0

    def __call__(self) -> dict[str, Any]:
        self._deadline = time.monotonic() + self._parameters["wait_timeout"]
        return self._restore() if self._parameters["state"] == "restored" else self._thin()

    def _thin(self) -> dict[str, Any]:
        if self._parameters["keep"] < 1:
            raise CoursehubError(f"keep is {self._parameters['keep']}: write how many snapshots stay, from 1 on")
        removed = _database.superfluous(self._shots(), self._parameters["keep"])
        for name in removed if not self._check_mode else []:
            self._kube.delete(*SNAPSHOT, name, self._namespace)
        return {"changed": bool(removed), "removed": removed}

    def _restore(self) -> dict[str, Any]:
        claim = self._kube.get(*CLAIM, self._claim, self._namespace)
        # One that an interrupted run has removed is not there. Its volume and its journal are.
        bare: Object = {
            "metadata": {"name": self._claim, "namespace": self._namespace},
            "spec": {"resources": {"requests": {"storage": "0"}}},
        }
        swap = _swap.Swap(self._kube, _database.disk(claim or bare), self._deadline)
        journal = swap.begun()
        if journal is None and claim is None:
            raise CoursehubError(f"there is no claim {self._claim} in {self._namespace} to put a database back on")
        shot = _database.chosen(self._shots(), self._parameters["snapshot"]) if journal is None else None
        if self._check_mode:
            return {"changed": True}
        self._end()
        safety = journal.safety if journal else ""
        if shot is not None:
            safety = self._take()
            swap.begin(shot, safety)
        swap.finish()
        asked = self._parameters["snapshot"]
        if journal is not None and journal.snapshot != asked:
            raise CoursehubError(
                f"the database was put back from {journal.snapshot}, as an earlier run had begun to; run this once more"
                f" to put it back from {asked}"
            )
        return {"changed": True, "safety": safety}

    def _shots(self) -> list[_snapshots.Shot]:
        """Return the snapshots of the disk that this collection has taken."""
        listed = self._kube.list(*SNAPSHOT, self._namespace, labelSelector=_manifests.selector(_database.PART))
        now, patience = datetime.now(UTC), self._parameters["wait_timeout"]
        return [_snapshots.shot(item, now, patience) for item in listed if _snapshots.claim_of(item) == self._claim]

    def _end(self) -> None:
        """End who has the database open, one after the other: a server that ends after its clients has written all."""
        for name in _database.WORKLOADS:
            if self._kube.get(*DEPLOYMENT, name, self._namespace) is not None:
                self._kube.merge(self._kube.path(*DEPLOYMENT, self._namespace, name), {"spec": {"replicas": 0}})
            selector = f"app.kubernetes.io/name={name}"
            self._wait(
                ("v1", "Pod"), lambda found: not found, f"the pods of {name} did not end", labelSelector=selector
            )

    def _take(self) -> str:
        body = _database.manifest(self._claim, self._namespace, self._parameters["snapshot_class"], datetime.now(UTC))
        name: str = body["metadata"]["name"]
        self._kube.create(body)

        def ready(found: list[Object]) -> bool:
            return bool(found) and bool((found[0].get("status") or {}).get("readyToUse"))

        complaint = (
            f"the database was not put back, since no snapshot of it as it is could be taken: {name} is not ready"
        )
        self._wait(SNAPSHOT, ready, complaint, fieldSelector=f"metadata.name={name}")
        return name

    def _wait(
        self, kind: tuple[str, str], done: Callable[[list[Object]], bool], complaint: str, **selector: str
    ) -> None:
        if not done(self._kube.wait(*kind, self._namespace, done, self._deadline, **selector)):
            raise CoursehubError(f"{complaint} within {self._parameters['wait_timeout']} s; run this once more")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "namespace": {"type": "str", "required": True},
            "claim": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["restored", "thinned"]},
            "snapshot": {"type": "str"},
            "snapshot_class": {"type": "str"},
            "keep": {"type": "int"},
            "wait_timeout": {"type": "int", "default": 600},
        },
        required_if=[("state", "restored", ["snapshot", "snapshot_class"]), ("state", "thinned", ["keep"])],
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        kube = _kube.Kube(module.params["kubeconfig"], module.params["context"])
        return Database(kube, module.params, module.check_mode)()

    _edge.run(module, work)


if __name__ == "__main__":
    main()
