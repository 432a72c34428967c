#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_usage_info
short_description: Tell what a cluster was used for, what it cost, and whom
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Reads samples of a cluster and returns hours of nodes, seats and servers, what they cost by a price list, and how
    much of that was for seats that nobody had; by course and by student.
  - The collection itself takes no samples yet; write one a minute by a job of your own.
  - Returns a page with it too, in one file that loads nothing from elsewhere. Never changes anything.
options:
  samples:
    description:
      - A file with one sample a line, as JSON. C(at) is a time with its zone, C(nodes) how many there are of each
        type, C(seats) how many servers they hold, C(servers) the course of each student who has one, and C(waits),
        which may be absent, the seconds that each start took since the sample before.
      - A sample holds until the next one. Of more than a quarter of an hour without one nothing is counted.
    type: path
    required: true
  prices:
    description: The price of an hour of a node, by type.
    type: dict
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
- name: Look at last month
  coursehub.jupyterhub.cluster_usage_info:
    samples: /srv/course/samples.jsonl
    prices:
      n2-highmem-2: 0.137
  register: usage

- name: Keep the page
  ansible.builtin.copy:
    content: "{{ usage.html }}"
    dest: /srv/course/usage.html
    mode: "0644"
"""

RETURN = r"""
usage:
  description: What it comes to.
  type: dict
  returned: success
  contains:
    from:
      description: When the first sample was taken.
      type: str
    until:
      description: When the last sample was taken.
      type: str
    node_hours:
      description: Hours of nodes, by type.
      type: dict
    seat_hours:
      description: Hours of seats.
      type: float
    server_hours:
      description: Hours of servers.
      type: float
    cost:
      description: What the nodes cost.
      type: float
    waste:
      description: How much of that was for seats that nobody had.
      type: float
    static_cost:
      description: What a fleet costs that is always as large as this one was at most.
      type: float
    unseen_hours:
      description: Hours without samples, which are not counted.
      type: float
    wait_p50_s:
      description: Seconds until a server ran, in half of all cases at most.
      type: float
    wait_p95_s:
      description: The same, in 95 of 100 cases.
      type: float
    by_course:
      description: The cost of the servers of each course.
      type: dict
    by_student:
      description: The cost of the servers of each student.
      type: dict
  sample: {"cost": 412.6, "waste": 97.1, "static_cost": 1310.2, "server_hours": 9120.5, "wait_p95_s": 12.4}
html:
  description: The same as a page, with plots of seats and servers, of cost beside a static fleet, and of waits.
  type: str
  returned: success
  sample: <!doctype html>…
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _cost_page
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def prices_of(told: dict[str, Any]) -> dict[str, float]:
    """Return the price list. Raises CoursehubError for a price that is none."""
    prices = {}
    for name, price in told.items():
        try:
            prices[str(name)] = float(price)
        except (TypeError, ValueError):
            prices[str(name)] = -1.0
        if not prices[str(name)] >= 0:
            raise CoursehubError(f"the price of {name} is '{price}': write a number, as 0.137")
    return prices


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Read, count, and show."""
    prices = prices_of(parameters["prices"])
    try:
        with open(parameters["samples"], encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CoursehubError(f"the samples {parameters['samples']} can't be read: {error}") from error
    samples = _cost.parse_samples(text)
    told = _cost.as_result(samples, _cost.usage(samples, prices))
    return {"changed": False, "usage": told, "html": _cost_page.page(samples, told, prices)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "samples": {"type": "path", "required": True},
            "prices": {"type": "dict", "required": True},
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
