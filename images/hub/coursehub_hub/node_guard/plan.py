"""What is to be done about nodes that have fallen silent; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

TAINT = "node.kubernetes.io/out-of-service"
# Its value, where this set it: only such a one is taken away again.
OURS = "coursehub"
# How long a node that is back must have been ready: by then its kubelet has ended what was taken from it.
BACK_S = 30

# Who answers by HTTP, by a label, and lets the guard ask. A hub with a standby also answers at a port beside its work,
# where it is never busy.
PORTS = {
    ("app.kubernetes.io/component", "singleuser-server"): (8888,),
    ("app.kubernetes.io/name", "proxy"): (8000,),
    ("app.kubernetes.io/name", "hub"): (8082, 8081),
}
# The pods of jobs that are done hold nothing.
ENDED = ("Succeeded", "Failed")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Taint:
    """Say that a node is out of service: its pods go, and its disks may be attached elsewhere."""

    node: str


@dataclass(frozen=True)
class Untaint:
    """Take a node that is back into service."""

    node: str


@dataclass(frozen=True)
class Remove:
    """Remove a pod of a lost node, whose kubelet can't confirm that it has ended."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Leave:
    """Do nothing about a silent node, and say why."""

    node: str
    why: str


Action = Taint | Untaint | Remove | Leave


def silent(nodes: Iterable[Object], unrenewed: Set[str]) -> list[str]:
    """Return the nodes whose kubelet says nothing any more: one that says that it is not well is there.

    ``unrenewed`` are those whose Lease has run out, see ``silence``; Kubernetes says it later.
    """
    return sorted(_name(node) for node in nodes if _ready(node).get("status") == "Unknown" or _name(node) in unrenewed)


def look_at(pods: Iterable[Object]) -> dict[str, list[str]]:
    """Return the addresses of servers, proxies and hubs on each node: where one answers, the node is there."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        address = pod["status"].get("podIP")
        labels = (pod["metadata"].get("labels") or {}).items()
        ports = next((ports for label, ports in PORTS.items() if label in labels), ())
        if address and pod["status"].get("phase") == "Running":
            addresses = [f"{address}:{port}" for port in ports]
            found.setdefault(pod["spec"].get("nodeName", ""), []).extend(addresses)
    return found


def plan(
    nodes: list[Object],
    lost: list[str],
    pods: list[Object],
    answering: Set[str],
    drivers: Mapping[tuple[str, str], str],
    fencing: Set[str],
    now: datetime,
) -> list[Action]:
    """Return what is to be done.

    ``lost`` are the nodes that are silent; ``pods`` those of the hub's and the students' namespaces; ``answering`` the
    silent nodes on which a server still answers; ``drivers`` says for each disk, by namespace and claim, whose it is;
    ``fencing`` are the drivers that cut off the node that they detach a disk from.
    """
    actions: list[Action] = [Untaint(_name(node)) for node in nodes if _name(node) not in lost and _is_back(node, now)]
    if 2 * len(lost) > len(nodes):
        why = f"{len(lost)} of {len(nodes)} nodes are silent: rather this side is cut off than they are lost"
        return [*actions, *(Leave(node, why) for node in lost)]
    for node in lost:
        on_it = [pod for pod in pods if pod["spec"].get("nodeName") == node and pod["status"].get("phase") not in ENDED]
        others = {drivers.get(disk, "") for pod in on_it for disk in _disks(pod)} - fencing
        if node in answering:
            actions.append(Leave(node, "its kubelet is silent, but servers on it answer: what runs there goes on"))
        elif others:
            driver = min(others)
            actions.append(
                Leave(
                    node,
                    f"the disks' driver {driver or '(unknown)'} may let it write on after a disk was taken away. "
                    f"Make sure that it is off, then run: kubectl taint nodes {node} {TAINT}=off:NoExecute",
                )
            )
        elif on_it:
            if not any(taint["key"] == TAINT for taint in _taints(_by_name(nodes, node))):
                actions.append(Taint(node))
            actions.extend(
                Remove(pod["metadata"]["namespace"], pod["metadata"]["name"], pod["metadata"]["uid"]) for pod in on_it
            )
    return actions


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def _by_name(nodes: Iterable[Object], name: str) -> Object:
    return next(node for node in nodes if _name(node) == name)


def _ready(node: Object) -> Object:
    conditions = node.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == "Ready"), {})


def _taints(node: Object) -> list[Object]:
    return list(node["spec"].get("taints") or [])


def _is_back(node: Object, now: datetime) -> bool:
    """Tell whether a node that this put out of service has been well for a while."""
    ours = next((one for one in _taints(node) if one["key"] == TAINT and one.get("value") == OURS), None)
    ready = _ready(node)
    if ours is None or ready.get("status") != "True":
        return False
    # One that was silent for less than 50 s was ready all the time, as Kubernetes has it.
    times = [ready["lastTransitionTime"], ours.get("timeAdded", ready["lastTransitionTime"])]
    return all(now - datetime.fromisoformat(time) >= timedelta(seconds=BACK_S) for time in times)


def _disks(pod: Object) -> list[tuple[str, str]]:
    return [
        (pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
        for volume in pod["spec"].get("volumes") or []
        if volume.get("persistentVolumeClaim")
    ]
