# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which running servers are to ask for more or less, from what they use; without I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kept, _packing
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

# What is kept from run to run.
NAME = "resize"
SELECTOR = "app.kubernetes.io/component=singleuser-server"
# Of the single container of a student's pod, as KubeSpawner has it.
CONTAINER = "notebook"
# Below it nobody computes: an open page alone takes 2 to 5 thousandths of a core.
IDLE_CORES = 0.02


@dataclass(frozen=True)
class Use:
    """What a server takes at a moment: bytes that can't be taken back, and cores."""

    memory: int
    cpu: float


@dataclass(frozen=True)
class Rule:
    """What servers may ask for: memory between bounds; cores as promised, and as idle ones ask for.

    Idle is who has computed nothing for ``idle_s``: who reads for twenty seconds goes on.
    """

    bounds: _packing.Bounds
    cpu: float
    idle_cpu: float
    idle_s: float


def uses(summary: Object, namespace: str) -> dict[str, Use]:
    """Return pod -> use from a kubelet's ``/stats/summary``; without those of which it does not know both."""
    found = {}
    for pod in summary.get("pods", []):
        memory, cpu = pod.get("memory", {}).get("workingSetBytes"), pod.get("cpu", {}).get("usageNanoCores")
        if pod["podRef"]["namespace"] == namespace and memory is not None and cpu is not None:
            found[pod["podRef"]["name"]] = Use(int(memory), cpu / 1e9)
    return found


def uses_of_metrics(answer: Object) -> dict[str, Use]:
    """Return pod -> use from a list of ``PodMetrics``.

    They have the same two numbers, which metrics-server reads of the kubelets several times a minute:
    https://github.com/kubernetes/metrics/blob/master/pkg/apis/metrics/v1beta1/types.go
    """
    found = {}
    for item in answer.get("items", []):
        usage = [one.get("usage") or {} for one in item.get("containers", [])]
        if usage and all("memory" in one and "cpu" in one for one in usage):
            memory, cpu = (sum(parse_quantity(str(one[word])) for one in usage) for word in ("memory", "cpu"))
            found[item["metadata"]["name"]] = Use(int(memory), float(cpu))
    return found


def quiet_since(
    pods: Iterable[Object], used: Mapping[str, Use], before: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """Return uid -> since when nobody computes there, as far as was seen; ``before`` is what the last look returned."""
    uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}
    quiet = [uids[name] for name, use in used.items() if name in uids and use.cpu < IDLE_CORES]
    fresh = now.isoformat(timespec="seconds")
    return {uid: before[uid] if _kept.moment(before.get(uid)) else fresh for uid in quiet}


def record(namespace: str, quiet: Mapping[str, str], used: Iterable[Use], now: datetime) -> Object:
    """Return what the next run is to find, and who tells what the cluster is used for."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": namespace},
        "data": {
            "at": now.isoformat(timespec="seconds"),
            "quiet": json.dumps(quiet),
            "used_mib": str(sum(use.memory for use in used) // _packing.MIB),
        },
    }


def plan(
    pods: Iterable[Object], used: Mapping[str, Use], quiet: Mapping[str, str], rule: Rule, now: datetime
) -> dict[str, dict[str, str]]:
    """Return pod -> requests, of those that are to ask for something else. ``quiet`` is of ``quiet_since``.

    A server of which nothing is known, and one whose last change is not done, is left alone.
    """
    changes = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        container = _container(pod)
        if container is None or name not in used or _resizing(pod) or pod.get("status", {}).get("phase") != "Running":
            continue
        resources = container.get("resources", {})
        asked, limits = resources.get("requests") or {}, resources.get("limits") or {}
        if "memory" not in asked or "cpu" not in asked:
            continue
        use, before = used[name], int(parse_quantity(asked["memory"]))
        since = quiet.get(pod["metadata"]["uid"])
        idle = since is not None and now - datetime.fromisoformat(since) >= timedelta(seconds=rule.idle_s)
        memory = _packing.memory_request(use.memory, before, rule.bounds, idle=idle)
        if "memory" in limits:
            # The API refuses a request above the limit, which the last step may be.
            memory = min(memory, int(parse_quantity(limits["memory"])))
        cpu = f"{round(_packing.cpu_request(rule.cpu, rule.idle_cpu, idle=idle) * 1000)}m"
        if memory != before or parse_quantity(cpu) != parse_quantity(asked["cpu"]):
            changes[name] = {"memory": str(memory), "cpu": cpu}
    return changes


def patch(pod: Object, requests: Mapping[str, str]) -> Object:
    """Return the body for the subresource ``resize``: all containers, as a merge patch replaces a list as a whole."""
    containers = [
        {**one, "resources": {**one.get("resources", {}), "requests": {**one["resources"]["requests"], **requests}}}
        if one["name"] == CONTAINER
        else one
        for one in pod["spec"]["containers"]
    ]
    return {"spec": {"containers": containers}}


def _container(pod: Object) -> Object | None:
    return next((one for one in pod["spec"]["containers"] if one["name"] == CONTAINER), None)


def _resizing(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "PodResizeInProgress" and one["status"] == "True" for one in conditions)
