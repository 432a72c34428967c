#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pool_check
short_description: Check that a pool of nodes can hold students, within its limits and with its prices
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Fails with one sentence where a machine can't hold one student, a price is missing, or a limit leaves nothing to
    grow. Asks no cluster, and never changes anything.
options:
  machine:
    description: The machine, by O(coursehub.jupyterhub.seats#module:machine).
    type: dict
    required: true
  prices:
    description: The price of an hour of a node, by type.
    type: dict
    required: true
  memory:
    description: The memory that a server asks for when it starts.
    type: str
    required: true
  cpu:
    description: The cores that a server asks for when it starts.
    type: str
    required: true
  core_nodes:
    description: How many nodes the core pool has.
    type: int
    required: true
  limit_nodes:
    description: How many nodes there may be at most, the core pool's among them.
    type: int
    required: true
  limit_spend:
    description: How much a day may cost at most.
    type: float
    required: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Check a pool
  coursehub.jupyterhub.pool_check:
    machine: {type: n2-highmem-2, cpu: 1930m, memory: 13Gi, disks: 127}
    prices: {n2-highmem-2: 0.137}
    memory: 256Mi
    cpu: 100m
    core_nodes: 2
    limit_nodes: 40
    limit_spend: 200
"""

RETURN = r"""
seats_per_node:
  description: How many servers a node holds when they start.
  type: int
  returned: success
  sample: 19
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Check. Raises CoursehubError for what is wrong."""
    machine = _packing.parse_machine(parameters["machine"], parameters["prices"])
    memory, cpu = (parse_quantity(parameters[word]) for word in ("memory", "cpu"))
    seats = _packing.seats_of(machine, _packing.Guarantee(float(cpu), int(memory)))
    limits = _seats.Limits(parameters["limit_nodes"], parameters["limit_spend"], parameters["core_nodes"])
    _seats.check_limits(limits, machine.price)
    return {"changed": False, "seats_per_node": seats}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "machine": {"type": "dict", "required": True},
            "prices": {"type": "dict", "required": True},
            "memory": {"type": "str", "required": True},
            "cpu": {"type": "str", "required": True},
            "core_nodes": {"type": "int", "required": True},
            "limit_nodes": {"type": "int", "required": True},
            "limit_spend": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
