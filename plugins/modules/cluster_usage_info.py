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
  - The module M(coursehub.jupyterhub.seats) takes a sample every five minutes, and keeps those of half a year in the
    cluster.
  - Returns a page with it too, in one file that loads nothing from elsewhere. Never changes anything.
requirements:
  - kubernetes (Python library)
options:
  kubeconfig:
    description: The kubeconfig file of the cluster that has the samples. No environment variable is read.
    type: path
  context:
    description: The context in O(kubeconfig). The file's current context is never used.
    type: str
  namespace:
    description: The students' namespace, in which the samples are.
    type: str
  samples:
    description:
      - A file with one sample a line, as JSON, in the place of those in a cluster. C(at) is a time with its zone,
        C(nodes) how many there are of each type, C(seats) how many servers they hold, C(servers) the course of each
        student who has one. It may have C(waits), the seconds that each start took since the sample before, from when
        its student asked, C(asked_mib) and C(used_mib), the memory that servers ask for and have in use.
      - A sample holds until the next one. Of more than a quarter of an hour without one nothing is counted.
    type: path
  since:
    description: The first day that counts, by the clock of O(time_zone), as V(2026-09-01). Without it all samples do.
    type: str
    default: ""
  until:
    description: The last day that counts, as O(since).
    type: str
    default: ""
  time_zone:
    description: The course's time zone, as V(America/Los_Angeles). Its clock is the page's.
    type: str
    default: UTC
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
- name: Look at what has been since September
  coursehub.jupyterhub.cluster_usage_info:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    since: "2026-09-01"
    time_zone: America/Los_Angeles
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
    asked_gib_hours:
      description: Hours of GiB of memory that servers asked for.
      type: float
    used_gib_hours:
      description: Hours of GiB of memory that they had in use, as far as somebody looked.
      type: float
    wait_p50_s:
      description: Seconds until a server ran, in half of all cases at most. Starts that were given up are none.
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
  description: >-
    The same as a page, with plots of seats, servers and nodes, of memory, of cost beside a static fleet, and of waits.
  type: str
  returned: success
  sample: <!doctype html>…
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _calendar,
    _cost,
    _cost_page,
    _kube,
    _manifests,
    _samples,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

DAY = timedelta(days=1)


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


def span_of(since: str, until: str, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the beginning of a day and the end of one by a zone's clock. Raises CoursehubError for what is none."""
    first, last = _day("since", since), _day("until", until)
    if first and last and last < first:
        raise CoursehubError(f"since is '{since}' and until is '{until}', which is before it: exchange them")
    begin = datetime.combine(first, time(), zone) if first else None
    return begin, datetime.combine(last + DAY, time(), zone) if last else None


def _day(word: str, text: str) -> date | None:
    """Return a day that another one follows."""
    try:
        return date.fromisoformat(text) + DAY - DAY if text else None
    except (OverflowError, ValueError) as error:
        raise CoursehubError(f"{word} is '{text}': write a day, as 2026-09-01") from error


def read(parameters: dict[str, Any], span: tuple[datetime | None, datetime | None]) -> Iterator[_cost.Sample]:
    """Yield the samples of a file or of a cluster, in order of time. Of a cluster one day is in memory at a time."""
    path = parameters["samples"]
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise CoursehubError(f"the samples {path} can't be read: {error}") from error
        yield from _cost.parse_samples(text, *span)
        return
    kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
    selector = _manifests.selector(_samples.PART)
    for item in _samples.by_day(kube.list("v1", "ConfigMap", parameters["namespace"], labelSelector=selector)):
        yield from _cost.parse_samples(_samples.lines(item), *span)


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Read, count, and show."""
    prices, zone = prices_of(parameters["prices"]), _calendar.zone_of(parameters["time_zone"])
    span = span_of(parameters["since"], parameters["until"], zone)
    told = _cost.usage(read(parameters, span), prices)
    result = _cost.as_result(told)
    return {"changed": False, "usage": result, "html": _cost_page.page(told, result, zone)}


def main() -> None:
    """Run the module."""
    cluster = ("kubeconfig", "context", "namespace")
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path"},
            "context": {"type": "str"},
            "namespace": {"type": "str"},
            "samples": {"type": "path"},
            "since": {"type": "str", "default": ""},
            "until": {"type": "str", "default": ""},
            "time_zone": {"type": "str", "default": "UTC"},
            "prices": {"type": "dict", "required": True},
        },
        required_one_of=[("samples", "kubeconfig")],
        required_together=[cluster],
        mutually_exclusive=[("samples", word) for word in cluster],
        supports_check_mode=True,
    )
    if module.params["kubeconfig"] and not _kube.HAS_KUBERNETES:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=_kube.KUBERNETES_IMPORT_ERROR)
    try:
        result = run(module.params)
    except CoursehubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
