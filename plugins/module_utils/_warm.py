# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster has of seats, and the objects that keep seats warm; without I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

PART = "seats"
NAME = "seats"
BUFFER = ("autoscaling.x-k8s.io/v1beta1", "CapacityBuffer")
# On the nodes for students, and what keeps everything else off them; the role autoscaler makes both.
POOL = {"coursehub.jupyterhub/pool": "students"}
TOLERATION = {"key": "coursehub.jupyterhub/pool", "operator": "Equal", "value": "students", "effect": "NoSchedule"}
# Below all that is real, so that a student's server takes its place at once.
PRIORITY_CLASS = "coursehub-placeholder"
_PLACEHOLDER = {"app.kubernetes.io/name": "seats-placeholder"}
_SERVER = ("app.kubernetes.io/component", "singleuser-server")
# A run that was longer ago says nothing of the money that was spent since; the nodes may have been away.
_LONGEST = timedelta(minutes=15)
# Longer than the seats of a class are warm, and than a rate is taken of.
_REMEMBERED = timedelta(hours=1)


def started(pods: Iterable[Object]) -> list[datetime]:
    """Return when the students' servers were made that are there."""
    return sorted(
        datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get(_SERVER[0]) == _SERVER[1]
    )


def came(kept: Mapping[str, str], pods: Iterable[Object], now: datetime) -> list[datetime]:
    """Return when servers started: those that are there, and those that runs of the last hour saw.

    A student who came and went has come. Else the seats of a class would be warm again for everyone who leaves it: on
    the real engine 18 nodes were, when a class left after six minutes.
    """
    since = (now - _REMEMBERED).timestamp()
    before = Counter(one for one in map(int, kept.get("came", "").split()) if one > since)
    # Of a second, the more of both: who is there now has been seen before.
    seen = before | Counter(int(one.timestamp()) for one in started(pods))
    return [datetime.fromtimestamp(one, UTC) for one in sorted(seen.elements())]


def free(nodes: Iterable[Object], pods: Iterable[Object], guarantee: _packing.Guarantee) -> int:
    """Return how many fresh servers the students' nodes have room for. What a placeholder holds is not free."""
    taken: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if node and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            for container in pod["spec"].get("containers", []):
                asked = container.get("resources", {}).get("requests") or {}
                for number, word in enumerate(("cpu", "memory")):
                    taken[node][number] += float(parse_quantity(str(asked.get(word, "0"))))
    seats = 0
    for node in nodes:
        if not _takes_pods(node):
            continue
        has = [float(parse_quantity(str(node["status"]["allocatable"][word]))) for word in ("cpu", "memory")]
        cpu, memory = (each - used for each, used in zip(has, taken[node["metadata"]["name"]], strict=True))
        rooms = []
        if guarantee.cpu:
            rooms.append(int(cpu / guarantee.cpu + 1e-9))
        if guarantee.memory:
            rooms.append(int(memory // guarantee.memory))
        seats += max(0, min(rooms, default=0))
    return seats


def _takes_pods(node: Object) -> bool:
    if node.get("spec", {}).get("unschedulable"):
        return False
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions") or [])


def nodes_without_placeholder(nodes: Iterable[Object], pods: Iterable[Object]) -> int:
    """Return how many of the nodes are there for students, and not for a placeholder alone."""
    held = {
        pod.get("spec", {}).get("nodeName")
        for pod in pods
        if _PLACEHOLDER.items() <= (pod["metadata"].get("labels") or {}).items()
    }
    return sum(node["metadata"]["name"] not in held for node in nodes)


def spent(kept: Mapping[str, str], now: datetime, nodes: int, price: float) -> float:
    """Return the money of today (UTC), from what the last run kept and the nodes that are there now.

    ``price`` is of a node an hour. Where the last run was too long ago, that time counts for a quarter of an hour.
    """
    if not kept:
        return 0.0
    last = datetime.fromisoformat(kept["at"])
    since = max(last, now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    before = float(kept["spent"]) if last.astimezone(UTC).date() == now.astimezone(UTC).date() else 0.0
    return before + min(now - since, _LONGEST) / timedelta(hours=1) * nodes * price


def buffer(namespace: str, seats: int, guarantee: _packing.Guarantee, image: str) -> list[Object]:
    """Return the objects with which an engine keeps seats warm by itself; no pod is ever made of the template.

    https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/apis/capacitybuffer
    """
    return [
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": NAME, "namespace": namespace},
            "template": {"spec": _pod(guarantee, image)},
        },
        {
            "apiVersion": BUFFER[0],
            "kind": BUFFER[1],
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {
                "provisioningStrategy": "buffer.x-k8s.io/active-capacity",
                "podTemplateRef": {"name": NAME},
                "replicas": seats,
            },
        },
    ]


def placeholder(
    namespace: str, replicas: int, seats_per_node: int, guarantee: _packing.Guarantee, image: str
) -> list[Object]:
    """Return a Deployment whose pods take a node each, and give way to students' servers.

    A pod is as large as all seats of a node: one of one seat each would be moved one by one, and block each other.
    """
    whole = _packing.Guarantee(guarantee.cpu * seats_per_node, guarantee.memory * seats_per_node)
    labels = dict(_PLACEHOLDER)
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "seats-placeholder", "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {**_pod(whole, image), "priorityClassName": PRIORITY_CLASS},
                },
            },
        }
    ]


def _pod(size: _packing.Guarantee, image: str) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # It has nothing to end.
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": dict(POOL),
        "tolerations": [dict(TOLERATION)],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "seat",
                "image": image,
                "command": ["sleep", "infinity"],
                "resources": {"requests": {"cpu": f"{round(size.cpu * 1000)}m", "memory": str(size.memory)}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }


def record(namespace: str, seen: _seats.Now, calendar: str, plan: _seats.Plan) -> Object:
    """Return what the next run, and whoever is on duty, is to find: the last good calendar, the money, the alerts."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": namespace},
        "data": {
            "at": seen.at.astimezone(UTC).isoformat(timespec="seconds"),
            "spent": f"{seen.spent:.4f}",
            "came": " ".join(str(int(one.timestamp())) for one in seen.started),
            "calendar": calendar,
            "seats": str(plan.seats),
            "said": "\n".join(_said(plan)),
        },
    }


def _said(plan: _seats.Plan) -> Sequence[str]:
    return [*(f"alert: {one}" for one in plan.alerts), *(f"warning: {one}" for one in plan.warnings)]
