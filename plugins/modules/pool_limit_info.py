#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pool_limit_info
short_description: Tell how many nodes the students' pool may have now
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - As M(coursehub.jupyterhub.seats) sets it. Up to O(limit_nodes), or, of a day whose O(limit_spend) is spent, as many
    as there are. Who applies the pool with that opens none that is shut.
  - What was spent is counted on from the ConfigMap C(seats) in O(namespace), which the last run of that module left.
  - Changes nothing.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.info
  - coursehub.jupyterhub.classes.pool
options:
  namespace:
    description: The students' namespace.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Know what the pool may have
  coursehub.jupyterhub.pool_limit_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    machine: {type: n2-highmem-2, cpu: 1930m, memory: 13Gi, disks: 127}
    prices: {n2-highmem-2: 0.137}
    core_nodes: 2
    limit_nodes: 40
    limit_spend: 100
  register: pool
"""

RETURN = r"""
nodes:
  description: How many nodes the pool may have, without the core pool's.
  type: int
  returned: success
  sample: 38
spent:
  description: The money of today so far.
  type: float
  returned: success
  sample: 12.4
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _edge,
    _kube,
    _packing,
    _seats,
    _spend,
    _warm,
)


def run(kube: _kube.Kube, parameters: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Look, and tell. Raises CoursehubError for a machine that can't be read or has no price."""
    machine = _packing.parse_machine(parameters["machine"], parameters["prices"])
    limits = _seats.Limits(parameters["limit_nodes"], parameters["limit_spend"], parameters["core_nodes"])
    kept = (kube.get("v1", "ConfigMap", _warm.NAME, parameters["namespace"]) or {}).get("data") or {}
    nodes = kube.list("v1", "Node", labelSelector=_warm.POOL_SELECTOR)
    money = _warm.spent(kept, now, nodes, limits.core, machine.price)
    return {"changed": False, "nodes": _spend.most_nodes(limits, len(nodes), money), "spent": round(money, 2)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "namespace": {"type": "str", "required": True},
            **_packing.MACHINE_ARGUMENTS,
            **_seats.LIMIT_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    parameters = module.params

    def work() -> dict[str, Any]:
        return run(_kube.Kube(parameters["kubeconfig"], parameters["context"]), parameters, datetime.now(UTC))

    _edge.run(module, work)


if __name__ == "__main__":
    main()
