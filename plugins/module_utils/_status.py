# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs, what does not and why, from the objects of a cluster; without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kind import not_ready as nodes_not_ready
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import not_ready, pod_trouble
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]
NEARLY_FULL_PERCENT = 85
# They are counted once a minute. Ten without are no accident, and a class is soon.
SEATS_LATE = timedelta(minutes=10)
# A placeholder waits for a node that boots; one that waits for so long will have none.
PLACEHOLDER_LATE = timedelta(minutes=15)


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


def add_seats(report: Report, record: Object | None, placeholders: Sequence[Object], now: datetime) -> None:
    """Report the warm seats, where the cluster has a schedule of them, from what its last run has left behind.

    ``placeholders`` are the pods that hold nodes. That they wait for one, or gave theirs to a student, is what they are
    for, and no trouble unless it lasts.
    """
    if record is None:
        return
    data = record.get("data") or {}
    age = now - datetime.fromisoformat(data["at"])
    said = [line for line in data.get("said", "").splitlines() if line]
    late = [f"nobody has counted them for {age // timedelta(minutes=1)} minutes"] if age > SEATS_LATE else []
    urgent = [line for line in said if not line.startswith("warning: ")]
    waiting = [pod for pod in placeholders if pod["status"].get("phase") != "Running"]
    held = (
        [f"{len(placeholders) - len(waiting)} of {len(placeholders)} placeholders hold a node"] if placeholders else []
    )
    stuck = _stuck(waiting, now)
    detail = [f"{data['seats']} wanted", *held, *stuck, *late, *said]
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


def add_students(report: Report, pods: Sequence[Object], disks: Sequence[Object]) -> None:
    """Report the students' servers and disks."""
    phases = Counter(pod["status"].get("phase", "Unknown") for pod in pods)
    troubles = [
        f"{pod['metadata']['name']}: {pod_trouble(pod)}"
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
