#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: seats
short_description: Keep seats warm before each class, and for who comes meanwhile
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Counts the seats that are to be warm now, of the calendar's classes and of the rate at which students came in the
    last ten minutes, times what a node takes to boot, and tells the engine. To be run once a minute.
  - Where the cluster has the CapacityBuffer API, an engine keeps the seats by itself. Elsewhere pods of low priority
    and of a whole node's size hold nodes, and give way to students' servers.
  - Every five minutes it also keeps a sample of what is there, for M(coursehub.jupyterhub.cluster_usage_info), in
    ConfigMaps V(usage-000) to V(usage-181) in O(namespace), one a day, of which each is begun anew after half a year.
  - A calendar that can't be used changes nothing; the last good one stays, and a warning says so. Without a last good
    one, and where a calendar has no class to come, seats are kept for who comes meanwhile alone. What is kept from run
    to run is in the ConfigMap C(seats) in O(namespace).
  - What is near a limit or wrong is there too, and is told by an Event of that ConfigMap when it begins and when all of
    it is over.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.classes
  - coursehub.jupyterhub.classes.pool
  - coursehub.jupyterhub.classes.server
options:
  namespace:
    description: The students' namespace.
    type: str
    required: true
  boot_s:
    description: Seconds from the order of a node until a server can start on it, as measured.
    type: int
    required: true
  node_pool:
    description:
      - Karpenter's NodePool for students. When O(limit_spend) is reached its limits are set to the nodes that are
        there, so that none is added, and put back when the day ends in UTC or the limit is raised. One that this
        collection has not made is left alone.
      - Without it only warm seats end at O(limit_spend).
    type: str
    default: ""
  mechanism:
    description:
      - How seats are kept; V(auto) takes the buffer where the cluster has its API and an engine reads it. The first run
        makes the buffer, the next ones see whether it is read. What the other mechanism holds is let go.
    type: str
    choices: [auto, buffer, placeholder]
    default: auto
  scheduler:
    description: The scheduler of placeholders, which must be that of the students' servers; the cluster's own without.
    type: str
    default: ""
  course:
    description: The course of servers whose pod has no label C(coursehub.jupyterhub/course), for samples.
    type: str
    default: course
  image:
    description: The image of placeholders; it must have C(sleep).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep seats warm
  coursehub.jupyterhub.seats:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    namespace: coursehub-students
    calendar: https://calendar.example.org/data-8.ics
    time_zone: America/Los_Angeles
    memory: 256Mi
    cpu: 100m
    machine: {type: n2-highmem-2, cpu: 1930m, memory: 13Gi, disks: 127}
    prices: {n2-highmem-2: 0.137}
    boot_s: 90
    core_nodes: 2
    limit_nodes: 40
    limit_spend: 100
    image: registry.example.org/tools:1
"""

RETURN = r"""
seats:
  description: How many seats are to be warm now.
  type: int
  returned: success
  sample: 450
mechanism:
  description: How they are kept, V(buffer) or V(placeholder).
  type: str
  returned: success
  sample: buffer
placeholders:
  description: How many pods of a node's size hold them, where there is no buffer.
  type: int
  returned: success
  sample: 0
spent:
  description: The money of today so far.
  type: float
  returned: success
  sample: 12.4
warned:
  description: What is near a limit, or otherwise than the parameters say.
  type: list
  elements: str
  returned: success
  sample: ["19 of 23 nodes will be there"]
alerts:
  description: Where a limit ends growth, and where students have waited for a node for more than three minutes.
  type: list
  elements: str
  returned: success
  sample: []
calendar_problem:
  description: Why the last good calendar was used, or no class; empty where all is well with the calendar.
  type: str
  returned: success
  sample: ""
"""

import json
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _applying,
    _calendar,
    _classes,
    _edge,
    _events,
    _kept,
    _kube,
    _manifests,
    _packing,
    _resizing,
    _samples,
    _seats,
    _spend,
    _warm,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

# What a run says that could make no Event of what it said, so that the next one does.
UNTOLD = "no Event could be made of what is said"


class Run:
    """One run. Whatever is wrong with the parameters is said before the cluster is asked."""

    def __init__(self, kube: _kube.Kube, parameters: dict[str, Any], check_mode: bool) -> None:
        self._kube = kube
        self._namespace: str = parameters["namespace"]
        self._parameters = parameters
        self._check_mode = check_mode
        self._machine = _packing.parse_machine(parameters["machine"], parameters["prices"])
        memory, cpu = (parse_quantity(parameters[word]) for word in ("memory", "cpu"))
        self._guarantee = _packing.Guarantee(float(cpu), int(memory))
        self._seats_per_node = _packing.seats_of(self._machine, self._guarantee)
        self._limits = _seats.Limits(parameters["limit_nodes"], parameters["limit_spend"], parameters["core_nodes"])
        self._policy = _seats.Policy(*(parameters[word] for word in ("boot_s", "early_s", "peak_s", "share")))
        _seats.check_limits(self._limits, self._machine.price)
        _seats.check_policy(self._policy)

    def __call__(self, now: datetime) -> dict[str, Any]:
        record = self._kube.get("v1", "ConfigMap", _warm.NAME, self._namespace)
        kept = (record or {}).get("data") or {}
        pods = self._kube.list("v1", "Pod")
        everywhere = self._kube.list("v1", "Node")
        nodes = [node for node in everywhere if _warm.is_for_students(node)]
        money = _warm.spent(kept, now, nodes, self._limits.core, self._machine.price)
        # First of all: whatever fails after it, a pool is shut no longer than it must be.
        pool, unlimited = self._limit_pool(len(nodes), money)
        servers = [pod for pod in pods if pod["metadata"]["namespace"] == self._namespace and _warm.is_server(pod)]
        last_good = _calendar.of_data(_kept.parsed(kept.get("calendar")))
        # Those that are just over too: who came for one is no rate that goes on.
        since = now - _warm.REMEMBERED
        meetings, problem = _calendar.keep_last_good(lambda: _classes.meetings_of(self._parameters, since), last_good)
        seen = _seats.Now(
            now,
            _warm.came(kept, servers, now),
            _warm.free(nodes, pods, self._guarantee, self._machine.disks),
            _warm.in_use(nodes, pods),
            money,
            _warm.running(servers),
        )
        plan = _seats.plan(meetings, self._policy, seen, self._seats_per_node, self._limits, self._machine.price)
        mechanism, unread = "", list[str]()
        before, after = pool
        failure: CoursehubError | None = None
        try:
            mechanism, unread = self._mechanism()
            held = self._apply(self._wanted(mechanism, plan))
            before, after = before + held[0], after + held[1]
        except CoursehubError as error:
            # Not before the record is written, or the money of this minute is never counted.
            failure = error
            unlimited.append(f"seats can't be kept warm: {error}")
        alerts = [*plan.alerts, *unlimited, *_warm.waiting(servers, now)]
        small = _warm.too_small(nodes, pods, self._guarantee, self._machine.disks, self._seats_per_node)
        slow = _warm.slow(nodes, now, self._policy.boot_s)
        short = _warm.core_short(len(everywhere) - len(nodes), self._limits.core)
        many = _seats.of_groups(meetings, self._policy, seen)
        sampled, unkept = self._sample(_kept.moment(kept.get("sampled")), now, nodes, servers)
        # Of money near its end the plan speaks where nothing else ends growth.
        near = _spend.warnings(self._limits, money) if plan.alerts else []
        warned = [*plan.warnings, *near, *unread, *many, *small, *slow, *short, *unkept]
        # The calendar first: what is wrong with it ends seats without a limit being near.
        said = [
            *([f"calendar: {problem}"] if problem else []),
            *(f"alert: {one}" for one in alerts),
            *(f"warning: {one}" for one in warned),
        ]
        # The record has one a line.
        said = [" ".join(one.split()) for one in said]
        untold = self._tell(record, said, now)
        warned += untold
        said += [f"warning: {one}" for one in untold]
        # The record changes with every run, and is no change of what is warm.
        if not self._check_mode:
            calendar = json.dumps(_calendar.as_data(meetings))
            note = _warm.record(self._namespace, seen, calendar, plan.seats, said, sampled)
            _applying.apply(self._kube, _manifests.prepare([note], _warm.PART)[0], False)
        if failure is not None:
            raise failure
        return {
            "changed": before != after,
            "seats": plan.seats,
            "mechanism": mechanism,
            "placeholders": plan.placeholders if mechanism == "placeholder" else 0,
            "spent": round(money, 2),
            "warned": warned,
            "alerts": alerts,
            "calendar_problem": problem,
            "diff": {"before": {"objects": before}, "after": {"objects": after}},
        }

    def _limit_pool(self, there: int, spent: float) -> tuple[tuple[list[Any], list[Any]], list[str]]:
        """Give the pool the limits that it is to have now; return them where they change, as they were and as they are,
        and what there is to alert of.
        """
        name = self._parameters["node_pool"]
        most = _spend.most_nodes(self._limits, there, spent)
        limits = _spend.pool_limits(most, str(self._parameters["machine"]["cpu"]))
        ours, before, after, trouble = False, list[Any](), list[Any](), list[str]()
        try:
            pool = self._kube.get(*_spend.NODE_POOL, name) if name else None
            ours = pool is not None and _spend.is_ours(pool)
            if pool is not None and ours and _spend.differs(pool, limits):
                if not self._check_mode:
                    self._kube.merge(self._kube.path(*_spend.NODE_POOL, None, name), {"spec": {"limits": limits}})
                before.append(_manifests.shown(pool))
                whole = {**(pool["spec"].get("limits") or {}), **limits}
                after.append(_manifests.shown({**pool, "spec": {**pool["spec"], "limits": whole}}))
        except CoursehubError as error:
            trouble.append(f"the limits of NodePool {name} could not be set to {most} nodes: {error}")
        return (before, after), [*_spend.alerts(self._limits, there, spent, ends_growth=ours), *trouble]

    def _sample(
        self, last: datetime | None, now: datetime, nodes: _kube.Objects, servers: _kube.Objects
    ) -> tuple[datetime | None, list[str]]:
        """Keep a sample, if it is time for one; return when the last one was taken, and why this one is not kept.

        Seats are kept warm all the same.
        """
        if self._check_mode or not _samples.due(last, now):
            return last, []
        try:
            name = _samples.name_of(_samples.day_of(now))
            kept = self._kube.get("v1", "ConfigMap", name, self._namespace)
            last = max((one for one in (last, _samples.last_of(kept)) if one), default=None)
            if not _samples.due(last, now):
                return last, []
            used = _samples.used_of(self._kube.get("v1", "ConfigMap", _resizing.NAME, self._namespace), now)
            sample = _samples.take(
                now,
                last,
                nodes,
                servers,
                self._machine,
                self._seats_per_node,
                self._limits.core,
                self._parameters["course"],
                used,
            )
            item = _samples.added(kept, self._namespace, sample)
            _applying.apply(self._kube, _manifests.prepare([item], _samples.PART)[0], False)
        except CoursehubError as error:
            return last, [f"no sample of the cluster's use was kept: {error}"]
        return now, []

    def _tell(self, record: _manifests.Object | None, said: list[str], now: datetime) -> list[str]:
        """Make Events of what is said and was not before; return why they can't be made: the record has it anyway."""
        if self._check_mode:
            return []
        # By its uid kubectl describe finds them; before the first run there is none.
        uid = {"uid": record["metadata"]["uid"]} if record else {}
        about = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": self._namespace, "name": _warm.NAME, **uid}
        before = ((record or {}).get("data") or {}).get("said", "").splitlines()
        untold = [one for one in before if UNTOLD in one]
        try:
            for event in _events.of_change(about, untold or before, said, now):
                self._kube.create(event)
        except CoursehubError as error:
            return [f"{UNTOLD}: {error}"]
        return []

    def _wanted(self, mechanism: str, plan: _seats.Plan) -> list[dict[str, Any]]:
        """Return the objects of a mechanism, and those of the other one, where it was used before, without a seat."""
        image, one = self._parameters["image"], mechanism == "buffer"
        objects = []
        if one or self._kube.get(*_warm.BUFFER, _warm.NAME, self._namespace):
            objects += _warm.buffer(self._namespace, plan.seats if one else 0, self._guarantee, image)
        if not one or self._kube.get(*_warm.PLACEHOLDER, self._namespace):
            count, scheduler = 0 if one else plan.placeholders, self._parameters["scheduler"]
            objects += _warm.placeholder(
                self._namespace, count, self._seats_per_node, self._guarantee, image, scheduler
            )
        return objects

    def _mechanism(self) -> tuple[str, list[str]]:
        """Return how seats are kept, and a sentence where nobody reads the buffer that is there."""
        chosen = self._parameters["mechanism"]
        if chosen == "placeholder":
            return "placeholder", []
        try:
            self._kube.resource(*_warm.BUFFER)
        except _kube.ApiError as error:
            if error.status != 404:
                raise
            if chosen == "buffer":
                raise CoursehubError(
                    f"the cluster has no {_warm.BUFFER[1]} of {_warm.BUFFER[0]}: switch it on in the engine, or set"
                    " mechanism to placeholder"
                ) from error
            return "placeholder", []
        if _warm.is_read(self._kube.get(*_warm.BUFFER, _warm.NAME, self._namespace)):
            return "buffer", []
        unread = f"no engine reads the {_warm.BUFFER[1]}: switch it on (Karpenter: feature gate CapacityBuffer)"
        if chosen == "buffer":
            return "buffer", [f"{unread}, or set mechanism to placeholder; no seat is warm"]
        return "placeholder", [f"{unread}; placeholders are used meanwhile"]

    def _apply(self, wanted: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
        """Apply the objects; return those that changed, as they were and as they are."""
        changed: tuple[list[Any], list[Any]] = ([], [])
        for item in _manifests.prepare(wanted, _warm.PART):
            old, new = _applying.apply(self._kube, item, self._check_mode)
            if _manifests.comparable(old) != _manifests.comparable(new):
                changed[0].append(_manifests.shown(old))
                changed[1].append(_manifests.shown(new))
        return changed


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_kube.CONNECTION_ARGUMENTS,
            "namespace": {"type": "str", "required": True},
            **_classes.ARGUMENTS,
            **_packing.ARGUMENTS,
            **_seats.ARGUMENTS,
            "boot_s": {"type": "int", "required": True},
            "node_pool": {"type": "str", "default": ""},
            "mechanism": {"type": "str", "choices": ["auto", "buffer", "placeholder"], "default": "auto"},
            "scheduler": {"type": "str", "default": ""},
            "course": {"type": "str", "default": "course"},
            "image": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    if not _calendar.HAS_CALENDAR:
        module.fail_json(msg=missing_required_lib("icalendar"), exception=_calendar.CALENDAR_IMPORT_ERROR)

    def work() -> dict[str, Any]:
        kube = _kube.Kube(parameters["kubeconfig"], parameters["context"])
        result = Run(kube, parameters, module.check_mode)(datetime.now(UTC))
        for sentence in (*result["alerts"], *result["warned"], result["calendar_problem"]):
            if sentence:
                module.warn(sentence)
        return result

    _edge.run(module, work)


if __name__ == "__main__":
    main()
