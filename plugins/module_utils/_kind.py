# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about a kind cluster, decided from what is there; without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


@dataclass(frozen=True)
class Plan:
    """What to do: ``none``, ``create``, ``recreate``, ``start`` or ``delete``, and why."""

    action: str
    reason: str

    @property
    def changes(self) -> bool:
        return self.action != "none"


def plan_present(nodes: Mapping[str, str], recorded: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> Plan:
    """Decide what a cluster needs.

    ``nodes`` is container name -> state, ``recorded`` the configuration that a complete
    cluster was made with. Raises CoursehubError for a configuration that a living cluster
    can't take on: to make it anew is to lose what is in it, and only a person decides that.
    """
    if not nodes:
        return Plan("create", "there is no cluster")
    if recorded is None:
        return Plan("recreate", "an earlier creation was interrupted")
    if dict(recorded) != dict(wanted):
        changed = sorted(key for key in {*recorded, *wanted} if recorded.get(key) != wanted.get(key))
        raise CoursehubError(
            f"the cluster was made with other settings ({', '.join(changed)} differ), and kind can't change them:"
            " undo the change, or remove the cluster with its disks by playbooks/teardown.yml and make it anew"
        )
    stopped = sorted(name for name, state in nodes.items() if state != "running")
    if stopped:
        return Plan("start", f"stopped: {', '.join(stopped)}")
    return Plan("none", "it runs")


def plan_absent(nodes: Mapping[str, str]) -> Plan:
    """Decide what is left to remove."""
    return Plan("delete", f"{len(nodes)} nodes") if nodes else Plan("none", "there is no cluster")


def not_ready(nodes: list[dict[str, Any]], wanted: int, since: str = "") -> str:
    """Return which nodes are missing or not ready, or an empty string.

    ``since`` is a moment as the API writes it. What a node last said before it does not count: for
    some 40 seconds after a cluster's end, its API still has every node ready.
    """
    if len(nodes) < wanted:
        return f"{len(nodes)} of {wanted} nodes have joined"
    lacking = [
        node["metadata"]["name"]
        for node in nodes
        if not any(
            c["type"] == "Ready" and c["status"] == "True" and c.get("lastHeartbeatTime", since) >= since
            for c in node["status"].get("conditions", [])
        )
    ]
    return f"not ready: {', '.join(sorted(lacking))}" if lacking else ""
