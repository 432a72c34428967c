# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How full the disks are that pods have, as the nodes' kubelets tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _kube

Object = dict[str, Any]
Claim = tuple[str, str]


@dataclass(frozen=True)
class Usage:
    """What a mounted disk holds, as its node's kubelet tells: bytes and, where the driver counts them, inodes."""

    node: str
    used_bytes: int | None
    used_inodes: int | None


def usages(node: str, summary: Object) -> dict[Claim, Usage]:
    """Return namespace and claim -> usage from a kubelet's ``/stats/summary``."""
    return {
        (volume["pvcRef"]["namespace"], volume["pvcRef"]["name"]): Usage(
            node, volume.get("usedBytes"), volume.get("inodesUsed") or None
        )
        for pod in summary.get("pods", [])
        for volume in pod.get("volume", [])
        if "pvcRef" in volume
    }


def of_all_disks(kube: _kube.Kube) -> dict[Claim, Usage]:
    """Ask every node's kubelet for its disks' usage; of one that does not answer nothing is known."""
    nodes = [str(node["metadata"]["name"]) for node in kube.list("v1", "Node")]

    def ask(node: str) -> dict[Claim, Usage]:
        return usages(node, kube.ask(f"{kube.path('v1', 'Node', None, node)}/proxy/stats/summary"))

    answers, _errors = _bulk.each(nodes, ask)
    return {claim: usage for answer in answers.values() for claim, usage in answer.items()}
