# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many nodes a pool may have when the money of a day is spent, and what is said of it; without I/O."""

from __future__ import annotations

from math import ceil
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _manifests, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

NODE_POOL = ("karpenter.sh/v1", "NodePool")


def most_nodes(limits: _seats.Limits, there: int, spent: float) -> int:
    """Return how many nodes the students' pool may have: up to the limit of nodes, or, of a day whose money is spent,
    as many as are ``there``.

    Of what is true now alone, so that whatever an earlier run has set is put right by the next one.
    """
    most = limits.nodes - limits.core
    return min(most, there) if spent >= limits.spend else most


def pool_limits(nodes: int, cores: str) -> dict[str, int]:
    """Return the limits of Karpenter's pool, of machines of so many ``cores``.

    As roles/autoscaler/templates/pool.yaml.j2 has them, which also says why there are two.
    """
    return {"nodes": nodes, "cpu": nodes * ceil(parse_quantity(cores))}


def differs(pool: Object, limits: dict[str, int]) -> bool:
    """Tell whether a pool has other limits of these. One of something else, as memory, is somebody's own, and stays."""
    found = (pool.get("spec") or {}).get("limits") or {}
    return any(word not in found or parse_quantity(str(found[word])) != amount for word, amount in limits.items())


def is_ours(pool: Object) -> bool:
    """Tell whether this collection has made a pool."""
    return _manifests.MANAGED_BY.items() <= (pool["metadata"].get("labels") or {}).items()


def alerts(limits: _seats.Limits, there: int, spent: float, *, ends_growth: bool) -> list[str]:
    """Return a sentence where the day's money is spent."""
    if spent < limits.spend:
        return []
    what = (
        f"no node is added to the {there} that are there until the day ends in UTC, and who finds no room is told so"
        if ends_growth
        else "no seat is kept warm; students' servers start all the same, up to the limit of nodes"
    )
    return [f"{spent:.2f} of {limits.spend:g} are spent today: {what}; raise the limit of spend if that is not meant"]


def warnings(limits: _seats.Limits, spent: float) -> list[str]:
    """Return a sentence where the day's money is nearly spent."""
    if not _seats.WARN_AT * limits.spend <= spent < limits.spend:
        return []
    return [f"{spent:.2f} of {limits.spend:g} are spent today"]
