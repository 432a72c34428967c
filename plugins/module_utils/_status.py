# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs, what does not and why, from the objects of a cluster; without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _kept
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kind import not_ready as nodes_not_ready
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import not_ready, pod_trouble
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]
NEARLY_FULL_PERCENT = 85
_ZONE = "topology.kubernetes.io/zone"
# They are counted once a minute. Ten without are no accident, and a class is soon.
SEATS_LATE = timedelta(minutes=10)
# A placeholder waits for a node that boots; one that waits for so long will have none.
PLACEHOLDER_LATE = timedelta(minutes=15)
# Of a pod that has its place on a node: by then even a large image is there.
UNPACKED_LATE = timedelta(minutes=10)
# A server that runs for so long has kept its node over a night.
HELD = timedelta(hours=24)

# As the hub's image has it in coursehub_hub/database_watch/verdict.py.
NOT_WRITABLE = "DatabaseNotWritable"
_DATABASE_REASONS = (NOT_WRITABLE, "DatabaseWritable")
# Of the pods of kubeadm's CoreDNS, and of the clouds' own.
DNS = {"k8s-app": "kube-dns"}
HUB_EVENTS = "app.kubernetes.io/name=hub"


@dataclass(frozen=True)
class Line:
    """One thing of the hub: its name, whether it is well, and what there is to say."""

    name: str
    well: bool
    detail: str


@dataclass
class Report:
    """All things of the hub, in the order in which they stand on one another."""

    lines: list[Line] = field(default_factory=list)

    def add(self, name: str, well: bool, detail: str) -> None:
        self.lines.append(Line(name, well, detail))

    @property
    def well(self) -> bool:
        return all(line.well for line in self.lines)

    def text(self) -> str:
        """Return one line a thing, those that are not well marked."""
        width = max((len(line.name) for line in self.lines), default=0)
        return "\n".join(
            f"{'  ok ' if line.well else 'DOWN '} {line.name:<{width}}  {line.detail}" for line in self.lines
        )


def add_nodes(report: Report, nodes: Sequence[Object]) -> None:
    """Report the cluster's nodes."""
    reason = nodes_not_ready(list(nodes), 1)
    versions = ", ".join(sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}))
    report.add("cluster", not reason, reason or f"{len(nodes)} of {len(nodes)} nodes ready, Kubernetes {versions}")


def add_workloads(report: Report, workloads: Sequence[Object], pods: Sequence[Object]) -> None:
    """Report each workload; of one that is not ready, what its pods say."""
    for item in sorted(workloads, key=lambda item: (item["metadata"]["namespace"], item["metadata"]["name"])):
        metadata, status = item["metadata"], item.get("status", {})
        reason = not_ready(item)
        if reason:
            labels = item["spec"]["selector"]["matchLabels"].items()
            own = [
                pod
                for pod in pods
                if pod["metadata"]["namespace"] == metadata["namespace"]
                and labels <= (pod["metadata"].get("labels") or {}).items()
            ]
            troubles = sorted({pod_trouble(pod) for pod in own} - {""})
            reason += f": {'; '.join(troubles)}" if troubles else ""
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        report.add(f"{metadata['namespace']}/{metadata['name']}", not reason, reason or f"{ready} ready")


def add_own_disks(report: Report, claims: Sequence[Object], used_bytes: Mapping[tuple[str, str], int | None]) -> None:
    """Report the disks that the hub itself has, such as its database's: a full one stops logins and starts."""
    for claim in claims:
        metadata = claim["metadata"]
        used = used_bytes.get((metadata["namespace"], metadata["name"]))
        size = str(claim.get("status", {}).get("capacity", {}).get("storage", ""))
        if used is None or not size:
            continue
        percent = round(100 * used / parse_quantity(size))
        full = percent >= NEARLY_FULL_PERCENT
        report.add(
            f"{metadata['namespace']}/{metadata['name']}",
            not full,
            f"{percent} % of {size} used"
            + (
                "; it is nearly full: set coursehub_hub_database_size to more, and run the playbook site again"
                if full
                else ""
            ),
        )


def add_dns(report: Report, pods: Sequence[Object], nodes: Sequence[Object]) -> None:
    """Report the cluster's DNS where it does not answer, or where one node that is lost would take it along.

    It is labelled so by kubeadm and by all large clouds; of a cluster that has another one nothing is said.
    """
    own = [pod for pod in pods if DNS.items() <= (pod["metadata"].get("labels") or {}).items()]
    ready = [pod for pod in own if _is(pod, "Ready", "True")]
    on = {pod["spec"].get("nodeName", "") for pod in ready}
    if own and not ready:
        report.add("cluster's DNS", False, "none of its pods is ready: nobody can log in, and students at work go on")
    elif len(on) == 1 and len(nodes) > 1:
        report.add(
            "cluster's DNS",
            True,
            f"it is on {min(on)} alone: without that node nobody could log in for a minute. Have two of its pods, on"
            " different nodes",
        )


def _is(pod: Object, condition: str, status: str) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any((one["type"], one["status"]) == (condition, status) for one in conditions)


def add_database(report: Report, events: Sequence[Object], pods: Sequence[Object]) -> None:
    """Report a database that can't be written to, as the newest Event of a hub that is there says.

    Nothing is said where it can be: of that the address tells. What a pod said that is gone is over.
    """
    there = {pod["metadata"].get("uid") for pod in pods}
    own = [
        event
        for event in events
        if event.get("reason") in _DATABASE_REASONS and event.get("involvedObject", {}).get("uid") in there
    ]
    newest = max(own, key=lambda event: str(event.get("lastTimestamp") or ""), default=None)
    if newest is not None and newest["reason"] == NOT_WRITABLE:
        report.add("hub's database", False, str(newest.get("message", "")))


def add_seats(report: Report, record: Object | None, placeholders: Sequence[Object], now: datetime) -> None:
    """Report the warm seats, where the cluster has a schedule of them, from what its last run has left behind.

    ``placeholders`` are the pods that hold nodes. That they wait for one, or gave theirs to a student, is what they are
    for, and no trouble unless it lasts.
    """
    if record is None:
        return
    data = record.get("data") or {}
    last = _kept.moment(data.get("at"))
    age = now - last if last else None
    said = [line for line in data.get("said", "").splitlines() if line]
    late = []
    if age is None or age > SEATS_LATE:
        span = "" if age is None else f" for {age // timedelta(minutes=1)} minutes"
        late = [f"nobody has counted them{span}"]
    urgent = [line for line in said if not line.startswith("warning: ")]
    waiting = [pod for pod in placeholders if pod["status"].get("phase") != "Running"]
    held = (
        [f"{len(placeholders) - len(waiting)} of {len(placeholders)} placeholders hold a node"] if placeholders else []
    )
    stuck = _stuck(waiting, now)
    detail = [f"{data.get('seats', '?')} wanted", *held, *stuck, *late, *said]
    report.add("warm seats", not late and not urgent and not stuck, "; ".join(detail))


def _stuck(waiting: Sequence[Object], now: datetime) -> list[str]:
    stuck = [
        pod for pod in waiting if now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) > PLACEHOLDER_LATE
    ]
    if not stuck:
        return []
    reasons = "; ".join(sorted({pod_trouble(pod) for pod in stuck} - {""}))
    return [
        f"{len(stuck)} of them have waited for more than {PLACEHOLDER_LATE // timedelta(minutes=1)} minutes"
        + (f": {reasons}" if reasons else "")
    ]


def add_unpacked(report: Report, pods: Sequence[Object], now: datetime) -> None:
    """Report the pods that keep a part of each node free, where there are any.

    One that waits on a node that is full is no trouble. One that has its place and does not run is, if it lasts:
    something is wrong with its image, or with the node.
    """
    if not pods:
        return
    waiting = [pod for pod in pods if unplaced(pod)]
    well = [pod for pod in pods if pod["status"].get("phase") == "Running" and not pod_trouble(pod)]
    troubles = [
        f"{pod['metadata']['name']}: {pod_trouble(pod) or pod['status'].get('phase', 'Unknown')}"
        for pod in pods
        if pod not in waiting and pod not in well and now - _begun(pod) > UNPACKED_LATE
    ]
    wait = [f"{len(waiting)} wait for room"] if waiting else []
    report.add(
        "memory kept free", not troubles, "; ".join([f"on {len(well)} of {len(pods)} nodes", *wait, *troubles[:3]])
    )


def _begun(pod: Object) -> datetime:
    """Return since when a pod has its place, as its kubelet says, or else is there."""
    return datetime.fromisoformat(pod["status"].get("startTime") or pod["metadata"]["creationTimestamp"])


def unplaced(pod: Object) -> bool:
    """Tell whether a pod waits for a node."""
    return _is(pod, "PodScheduled", "False")


def add_students(
    report: Report, pods: Sequence[Object], disks: Sequence[Object], volumes: Sequence[Object], nodes: Sequence[Object]
) -> None:
    """Report the students' servers and disks. ``volumes`` are those of ``disks``, as far as a pod waits for a node."""
    phases = Counter(pod["status"].get("phase", "Unknown") for pod in pods)
    troubles = [
        "; ".join([f"{pod['metadata']['name']}: {pod_trouble(pod)}", *_elsewhere(pod, disks, volumes, nodes)])
        for pod in pods
        if pod["status"].get("phase") != "Running" and pod_trouble(pod)
    ]
    counted = ", ".join(f"{count} {phase.lower()}" for phase, count in sorted(phases.items())) or "none"
    report.add("students' servers", not troubles, "; ".join([counted, *troubles[:3]]))
    lost = sorted(disk["metadata"]["name"] for disk in disks if disk["status"].get("phase") == "Lost")
    bound = sum(disk["status"].get("phase") == "Bound" for disk in disks)
    report.add(
        "students' disks",
        not lost,
        f"{bound} of {len(disks)} bound" + (f", lost: {', '.join(lost[:5])}" if lost else ""),
    )


def add_held(report: Report, pods: Sequence[Object], now: datetime) -> None:
    """Report the nodes that can't go since a server runs on them for days, where there are any.

    It may well be at work, so that is no trouble.
    """
    old = sorted((pod for pod in pods if _holds(pod) and now - _begun(pod) > HELD), key=_begun)
    if not old:
        return
    nodes = {pod["spec"]["nodeName"] for pod in old}
    servers = [
        f"{pod['metadata']['name']} on {pod['spec']['nodeName']} for {(now - _begun(pod)) // timedelta(hours=1)} hours"
        for pod in old
    ]
    report.add(
        "nodes held",
        True,
        f"{len(nodes)}, by {len(old)} servers that run for more than a day ({', '.join(servers[:3])}"
        f"{', ...' if servers[3:] else ''}): see coursehub_hub_cull_night_everything, coursehub_hub_cull_max_age",
    )


def _holds(pod: Object) -> bool:
    """Tell whether a pod runs on a node."""
    return bool(pod.get("spec", {}).get("nodeName")) and pod["status"].get("phase") == "Running"


def _elsewhere(
    pod: Object, disks: Sequence[Object], volumes: Sequence[Object], nodes: Sequence[Object]
) -> Iterator[str]:
    """Yield where a pod's disk is, if it waits for a node and its disk can't be attached everywhere.

    By what is, not by what the scheduler says: that differs by its version, and names no zone.
    """
    if not unplaced(pod):
        return
    selector = (pod.get("spec", {}).get("nodeSelector") or {}).items()
    zones = Counter(
        labels.get(_ZONE, "")
        for labels in (node["metadata"].get("labels") or {} for node in nodes)
        if selector <= labels.items()
    )
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod.get("spec", {}).get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    names = {disk.get("spec", {}).get("volumeName") for disk in disks if disk["metadata"]["name"] in mounted}
    for volume in volumes:
        own = zones_of(volume) if volume["metadata"]["name"] in names else []
        if not own:
            continue
        there = sum(zones[zone] for zone in own)
        yield f"the disk is in {' or '.join(own)}, where " + (
            f"{there} nodes for it have no room yet"
            if there
            else "no node for it is: see whether the engine gets machines there, and coursehub_autoscaler_zones"
        )


def zones_of(volume: Object) -> list[str]:
    """Return the zones in which a volume can be attached; empty where it does not say."""
    terms = (volume["spec"].get("nodeAffinity") or {}).get("required", {}).get("nodeSelectorTerms") or []
    # Drivers have keys of their own: topology.kubernetes.io/zone, topology.gke.io/zone, topology.ebs.csi.aws.com/zone.
    return sorted(
        {
            zone
            for term in terms
            for one in term.get("matchExpressions") or []
            if one["key"].endswith("/zone") and one["operator"] == "In"
            for zone in one["values"]
        }
    )
