# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster has of seats, and the objects that keep seats warm; without I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from statistics import median_low
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kept, _packing, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

PART = "seats"
NAME = "seats"
BUFFER = ("autoscaling.x-k8s.io/v1beta1", "CapacityBuffer")
PLACEHOLDER = ("apps/v1", "Deployment", "seats-placeholder")
# On the nodes for students, and what keeps everything else off them; the role autoscaler makes both.
POOL = {"coursehub.jupyterhub/pool": "students"}
POOL_SELECTOR = ",".join(f"{key}={value}" for key, value in POOL.items())
TOLERATION = {"key": "coursehub.jupyterhub/pool", "operator": "Equal", "value": "students", "effect": "NoSchedule"}
# Below all that is real, so that a student's server takes its place at once.
PRIORITY_CLASS = "coursehub-placeholder"
_PLACEHOLDER = {"app.kubernetes.io/name": "seats-placeholder"}
# Of templates/unpacked.yaml.j2 of the role.
_UNPACKED = {"app.kubernetes.io/name": "unpacked"}
_SERVER = {"app.kubernetes.io/component": "singleuser-server"}
# Of a server's pod: the hub's groups of its student, as JSON.
GROUPS = "coursehub.jupyterhub/groups"
# A node boots in one or two. The hub gives a start up after five and removes its pod (coursehub_hub_start_timeout), so
# only before that is somebody seen who waits; and runs are a minute apart.
_WAIT_LATE = timedelta(minutes=3)
# Longer than the seats of a class are warm, and than a rate is taken of. A class that is over is known as long, and who
# came. What a node took to boot is looked at as long:
# one that was away since then has a new time at which it became ready.
REMEMBERED = timedelta(hours=1)


def started(pods: Iterable[Object]) -> list[datetime]:
    """Return when the students' servers were made that are there."""
    return sorted(datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) for pod in pods if is_server(pod))


def came(kept: Mapping[str, str], pods: Iterable[Object], now: datetime) -> list[datetime]:
    """Return when servers started: those that are there, and those that runs of the last hour saw.

    A student who came and went has come. Else the seats of a class would be warm again for everyone who leaves it: on
    the real engine 18 nodes were, when a class left after six minutes.
    """
    since = (now - REMEMBERED).timestamp()
    known = map(_kept.number, kept.get("came", "").split())
    before = Counter(int(one) for one in known if one is not None and since < one <= now.timestamp())
    # Of a second, the more of both: who is there now has been seen before.
    seen = before | Counter(int(one.timestamp()) for one in started(pods))
    return [datetime.fromtimestamp(one, UTC) for one in sorted(seen.elements())]


def running(pods: Iterable[Object]) -> list[_seats.Server]:
    """Return the students' servers that are there, with the hub's groups of their students.

    One that ends is none: its student comes anew.
    """
    return [
        _seats.Server(datetime.fromisoformat(pod["metadata"]["creationTimestamp"]), _groups(pod))
        for pod in pods
        if is_server(pod)
        and "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _groups(pod: Object) -> frozenset[str]:
    told = _kept.parsed((pod["metadata"].get("annotations") or {}).get(GROUPS))
    return frozenset(str(one) for one in told) if isinstance(told, list) else frozenset()


def _is(pod: Object, labels: Mapping[str, str]) -> bool:
    return labels.items() <= (pod["metadata"].get("labels") or {}).items()


def is_for_students(node: Object) -> bool:
    """Tell whether a node is of the students' pool."""
    return _is(node, POOL)


def is_server(item: Object) -> bool:
    """Tell whether a pod is a student's server."""
    return _is(item, _SERVER)


def is_placeholder(item: Object) -> bool:
    """Tell whether an object is the Deployment of placeholders, or a pod of it."""
    return _is(item, _PLACEHOLDER)


def is_unpacked(item: Object) -> bool:
    """Tell whether an object keeps a part of each node free: the DaemonSet, or a pod of it."""
    return _is(item, _UNPACKED)


def keeps_room(item: Object) -> bool:
    """Tell whether a workload only holds room on nodes, so that its pods wait where there is none: no trouble."""
    return is_placeholder(item) or is_unpacked(item)


@dataclass
class _Taken:
    """What the pods on a node ask for, how many they are, and how many of them are students' servers."""

    cpu: float = 0.0
    memory: float = 0.0
    pods: int = 0
    servers: int = 0


def _taken(pods: Iterable[Object]) -> dict[str, _Taken]:
    found: dict[str, _Taken] = defaultdict(_Taken)
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if node and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            one = found[node]
            one.pods += 1
            one.servers += is_server(pod)
            for container in pod["spec"].get("containers", []):
                asked = container.get("resources", {}).get("requests") or {}
                one.cpu += float(parse_quantity(str(asked.get("cpu", "0"))))
                one.memory += float(parse_quantity(str(asked.get("memory", "0"))))
    return found


def free(nodes: Iterable[Object], pods: Iterable[Object], guarantee: _packing.Guarantee, disks: int) -> int:
    """Return how many fresh servers have room beside others, where a node attaches so many disks.

    What a placeholder holds is not free. Nor is a node that nobody is on: the engine takes it away, unless a
    placeholder or a buffer keeps it, which so is asked for.
    """
    taken = _taken(pods)
    names = {node["metadata"]["name"]: node for node in nodes if _takes_pods(node)}
    return sum(_room(node, taken[name], guarantee, disks) for name, node in names.items() if taken[name].servers)


def _room(node: Object, taken: _Taken, guarantee: _packing.Guarantee, disks: int) -> int:
    return min(_rooms(node, taken, guarantee, disks).values())


def _rooms(node: Object, taken: _Taken, guarantee: _packing.Guarantee, disks: int) -> dict[str, int]:
    """Return for how many fresh servers each of what a node has is enough."""
    has = _allocatable(node)
    rooms = {"disks": disks - taken.servers, "pods": int(has["pods"]) - taken.pods}
    if guarantee.cpu:
        rooms["cpu"] = int((has["cpu"] - taken.cpu) / guarantee.cpu + 1e-9)
    if guarantee.memory:
        rooms["memory"] = int((has["memory"] - taken.memory) // guarantee.memory)
    return {word: max(0, room) for word, room in rooms.items()}


def _allocatable(node: Object) -> dict[str, float]:
    return {word: float(parse_quantity(str(amount))) for word, amount in node["status"]["allocatable"].items()}


def _takes_pods(node: Object) -> bool:
    if node.get("spec", {}).get("unschedulable"):
        return False
    for taint in node.get("spec", {}).get("taints") or []:
        # As karpenter.sh/disrupted, of a node that is about to go.
        if taint["effect"] != "PreferNoSchedule" and taint["key"] != TOLERATION["key"]:
            return False
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions") or [])


def in_use(nodes: Iterable[Object], pods: Iterable[Object]) -> int:
    """Return how many of the nodes have a student's server. All others may hold a placeholder."""
    taken = _taken(pods)
    return sum(taken[node["metadata"]["name"]].servers > 0 for node in nodes)


def too_small(
    nodes: Iterable[Object], pods: Iterable[Object], guarantee: _packing.Guarantee, disks: int, seats: int
) -> list[str]:
    """Return a sentence where a node holds less seats than are counted with: no placeholder would fit there.

    It names what is short, and what the machine is to be said to have.
    """
    others = [pod for pod in pods if not is_server(pod) and not is_placeholder(pod)]
    # What is kept free counts, and is not the system's: the role knows of it.
    held, own = _taken(others), _taken(pod for pod in others if not is_unpacked(pod))
    for node in nodes:
        name = node["metadata"]["name"]
        rooms = _rooms(node, held[name], guarantee, disks)
        short = min(rooms, key=lambda word: rooms[word])
        if rooms[short] < seats:
            return [
                f"beside the cluster's own pods {name} has room for {rooms[short]} servers, not for {seats}, for"
                f" want of {short}: set {_has(node, own[name], short)} of the machine, or no placeholder fits on a node"
            ]
    return []


def _has(node: Object, own: _Taken, word: str) -> str:
    """Return what a machine is to be said to have of something, as a node has it and the cluster's own pods take it."""
    said = node["status"]["allocatable"]
    return {
        "disks": "disks",
        "pods": f"pods to {int(_allocatable(node)['pods']) - own.pods}",
        "cpu": f"cpu to {said.get('cpu')} and system_cpu to {ceil(own.cpu * 1000 - 1e-6)}m",
        "memory": f"memory to {said.get('memory')} and system_memory to {ceil(own.memory / _packing.MIB)}Mi",
    }[word]


def waiting(servers: Iterable[Object], now: datetime) -> list[str]:
    """Return a sentence where students have waited for a node for longer than any takes, of whatever the reason is:
    a limit, a zone that has no machines, or a disk in a zone that nodes may not be in.
    """
    late = sorted(
        (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"], one.get("message", ""))
        for pod in servers
        for one in pod.get("status", {}).get("conditions") or []
        if one["type"] == "PodScheduled"
        and one["status"] == "False"
        and now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) > _WAIT_LATE
    )
    if not late:
        return []
    _made, first, message = late[0]
    return [
        f"{len(late)} students have waited for a node for more than {_WAIT_LATE // timedelta(minutes=1)} minutes, the"
        f" first is {first}: {message}"
    ]


def core_short(others: int, core: int) -> list[str]:
    """Return a sentence where the cluster has fewer nodes beside the students' than the core pool is said to have.

    Of more nothing is said: they may be another pool's, of which nobody here knows what it is for.
    """
    if others >= core:
        return []
    return [
        f"{others} nodes are not of the students' pool, and core_nodes is {core}: hub and proxy have fewer than they"
        " are to have. Give the core pool a fixed size, never zero and without an autoscaler, or set core_nodes to that"
    ]


def slow(nodes: Iterable[Object], now: datetime, boot_s: float) -> list[str]:
    """Return a sentence where half of the nodes that came within the last hour were not ready within ``boot_s``.

    A node is there when its kubelet registers. What it took to order and to start the machine is before that and not
    seen, so they are at least as late. Half of them, since one that was away for a moment has become ready late too.
    """
    took = []
    for node in nodes:
        made = datetime.fromisoformat(node["metadata"]["creationTimestamp"])
        ready = _ready_since(node)
        seconds = ((ready or now) - made).total_seconds()
        # One that is not ready yet is no answer before it is late.
        if now - made < REMEMBERED and (ready or seconds > boot_s):
            took.append(seconds)
    if not took or median_low(took) <= boot_s:
        return []
    return [
        f"of {len(took)} nodes that came within the last hour half took {median_low(took):.0f} s or more from when they"
        f" registered until they were ready, and boot_s is {boot_s:g}, so seats are warm too late: set it to what a"
        " node takes from its order on, which is more"
    ]


def _ready_since(node: Object) -> datetime | None:
    for one in node["status"].get("conditions") or []:
        if one["type"] == "Ready" and one["status"] == "True" and one.get("lastTransitionTime"):
            return datetime.fromisoformat(one["lastTransitionTime"])
    return None


def spent(kept: Mapping[str, str], now: datetime, nodes: Iterable[Object], core: int, price: float) -> float:
    """Return the money of today (UTC), from what the last run kept and the nodes that are there now.

    ``price`` is of a node an hour. Each of the pool's ``nodes`` counts since the last run, or since it was made; the
    ``core`` nodes were there all the time. So no run that fails makes a day cheap: one node less is counted for each
    that came and went between two runs. Where nothing that can be read was kept, the day begins now.
    """
    last, counted = _kept.moment(kept.get("at")), _kept.number(kept.get("spent"))
    if last is None or counted is None:
        return 0.0
    since = max(last, now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    before = counted if last.astimezone(UTC).date() == now.astimezone(UTC).date() else 0.0
    made = [datetime.fromisoformat(node["metadata"]["creationTimestamp"]) for node in nodes]
    spans = [now - max(since, one) for one in (*made, *[since] * core)]
    return before + sum(max(0.0, span / timedelta(hours=1)) for span in spans) * price


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


def is_read(item: Object | None) -> bool:
    """Tell whether an engine reads a buffer: one that is not there yet, or of which an engine has said that it does.

    Karpenter's chart brings the API and leaves the feature that reads it switched off; the buffer then has no status.
    """
    if item is None:
        return True
    conditions = item.get("status", {}).get("conditions") or []
    return any(one["type"] == "ReadyForProvisioning" and one["status"] == "True" for one in conditions)


def placeholder(
    namespace: str, replicas: int, seats_per_node: int, guarantee: _packing.Guarantee, image: str, scheduler: str = ""
) -> list[Object]:
    """Return a Deployment whose pods take a node each, and give way to students' servers.

    A pod is as large as all seats of a node: one of one seat each would be moved one by one, and block each other. It
    has the servers' scheduler: another one would not see what that has in mind for the room that a placeholder leaves.
    """
    whole = _packing.Guarantee(guarantee.cpu * seats_per_node, guarantee.memory * seats_per_node)
    labels = dict(_PLACEHOLDER)
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": PLACEHOLDER[2], "namespace": namespace, "labels": dict(labels)},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        **_pod(whole, image),
                        "priorityClassName": PRIORITY_CLASS,
                        **({"schedulerName": scheduler} if scheduler else {}),
                    },
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


def record(
    namespace: str, seen: _seats.Now, calendar: str, seats: int, said: Sequence[str], sampled: datetime | None
) -> Object:
    """Return what the next run, and whoever is on duty, is to find: the last good calendar, the money, the alerts, and
    when the last sample was taken.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": namespace},
        "data": {
            "at": seen.at.astimezone(UTC).isoformat(timespec="seconds"),
            "spent": f"{seen.spent:.4f}",
            "came": " ".join(str(int(one.timestamp())) for one in seen.started),
            "calendar": calendar,
            "seats": str(seats),
            "said": "\n".join(said),
            "sampled": sampled.isoformat(timespec="seconds") if sampled else "",
        },
    }
