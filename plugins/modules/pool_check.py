#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pool_check
short_description: Check that a pool of nodes can hold students, its limits and prices, and the classes that it follows
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Fails with one sentence where a machine can't hold one student, a price is missing, a limit leaves nothing to grow
    or is looked at too rarely, or a calendar or a list of classes can't be used. Asks no cluster, and never changes
    anything.
  - Warns of the address of a calendar that does not answer here, as it may answer the cluster, of a limit of spend
    that all nodes together reach within a day, and of nodes that nothing fills one after the other.
extends_documentation_fragment:
  - coursehub.jupyterhub.classes
  - coursehub.jupyterhub.classes.pool
  - coursehub.jupyterhub.classes.server
options:
  spend_ends_growth:
    description: Whether no node is added when O(limit_spend) is reached. Without it only warm seats end.
    type: bool
    default: false
  packed:
    description: Whether a scheduler fills nodes one after the other. It is warned of if not.
    type: bool
    default: true
  boot_s:
    description: Seconds from the order of a node until a server can start on it.
    type: int
    default: 0
  schedule:
    description: When M(coursehub.jupyterhub.seats) is run, as cron writes it. It must be every five minutes at least.
    type: str
    default: "* * * * *"
  floor:
    description: The least memory that a server asks for that is resized. Without it none is.
    type: str
    default: ""
  ceiling:
    description: The most memory that such a server asks for; a machine must hold one that does. Goes with O(floor).
    type: str
    default: ""
  server_limit:
    description: How much memory a server may take at most; O(ceiling) without.
    type: str
    default: ""
  zones:
    description: The zones that nodes may be in. Without any, all are.
    type: list
    elements: str
    default: []
  regional_disks:
    description: Whether a student's disk can be attached in each of O(zones). More than one is warned of if not.
    type: bool
    default: false
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
unpacked_memory:
  description: How many bytes of a node's memory are kept free.
  type: int
  returned: success
  sample: 1395654656
warned:
  description: What may be meant otherwise.
  type: list
  elements: str
  returned: success
  sample: []
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _calendar, _classes, _cron, _packing, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

SPREAD = (
    "nothing fills nodes one after the other: Kubernetes' own scheduler spreads students over all of them, and a node"
    " goes when nobody is on it, so that nodes cost up to twice as much; set coursehub_autoscaler_scheduler_image to"
    " kube-scheduler of the cluster's version, and coursehub_hub_server_scheduler to coursehub-packing"
)


def run(parameters: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Check. Raises CoursehubError for what is wrong."""
    machine = _packing.parse_machine(parameters["machine"], parameters["prices"])
    memory, cpu = (parse_quantity(parameters[word]) for word in ("memory", "cpu"))
    seats = _packing.seats_of(machine, _packing.Guarantee(float(cpu), int(memory)))
    if parameters["floor"]:
        ceiling = parameters["ceiling"]
        bounds = _packing.parse_bounds(parameters["floor"], ceiling, parameters["server_limit"] or ceiling)
        # A server that has grown must still fit on a node.
        _packing.seats_of(machine, _packing.Guarantee(float(cpu), bounds.ceiling))
    limits = _seats.Limits(parameters["limit_nodes"], parameters["limit_spend"], parameters["core_nodes"])
    _seats.check_limits(limits, machine.price)
    _seats.check_policy(_seats.Policy(*(parameters[word] for word in ("boot_s", "early_s", "peak_s", "share"))))
    _cron.check_frequent(parameters["schedule"])
    zones = parameters["zones"]
    apart = [] if len(zones) == 1 or parameters["regional_disks"] else [_apart(zones)]
    warned = [
        *apart,
        *([] if parameters["packed"] else [SPREAD]),
        *_seats.of_spend(limits, machine.price, ends_growth=parameters["spend_ends_growth"]),
        *_classes_away(parameters, now),
    ]
    unpacked = _packing.unpacked_of(parameters["machine"])
    return {"changed": False, "seats_per_node": seats, "unpacked_memory": unpacked, "warned": warned}


def _apart(zones: list[str]) -> str:
    return (
        f"nodes may be in {', '.join(zones) or 'any zone'}, and seats are not counted by zone: a student whose disk"
        " is in another zone than the free seats waits for a node there; name one zone, or say that disks are regional"
    )


def _classes_away(parameters: dict[str, Any], now: datetime) -> list[str]:
    _calendar.zone_of(parameters["time_zone"])
    try:
        _classes.meetings_of(parameters, now)
    except _classes.AwayError as error:
        return [f"{error}; from here, at least: see what the first run in the cluster says"]
    return []


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_classes.ARGUMENTS,
            **_packing.ARGUMENTS,
            **_seats.ARGUMENTS,
            "spend_ends_growth": {"type": "bool", "default": False},
            "packed": {"type": "bool", "default": True},
            "boot_s": {"type": "int", "default": 0},
            "schedule": {"type": "str", "default": "* * * * *"},
            "zones": {"type": "list", "elements": "str", "default": []},
            "regional_disks": {"type": "bool", "default": False},
            **{word: {"type": "str", "default": ""} for word in ("floor", "ceiling", "server_limit")},
        },
        required_together=[("floor", "ceiling")],
        supports_check_mode=True,
    )
    if not _calendar.HAS_CALENDAR:
        module.fail_json(msg=missing_required_lib("icalendar"), exception=_calendar.CALENDAR_IMPORT_ERROR)
    try:
        result = run(module.params, datetime.now(UTC))
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    for sentence in result["warned"]:
        module.warn(sentence)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
