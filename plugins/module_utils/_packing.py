# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many students a machine holds, and what a running server is to ask for; without I/O.

Memory is in bytes, processors in cores, prices are for an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

GIB = 1 << 30
MIB = 1 << 20
# What GKE keeps of a machine's memory, by slices of GiB, and below which free memory it evicts:
# https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
_GKE_MEMORY = ((4, 0.25), (8, 0.20), (16, 0.10), (128, 0.06), (float("inf"), 0.02))
_GKE_EVICTION = 100 * MIB
# And of its cores.
_GKE_CORES = ((1, 0.06), (2, 0.01), (4, 0.005), (float("inf"), 0.0025))
# Requests change by whole steps: each change is a call to the kubelet, and a new layout for the scheduler.
STEP = 64 * MIB
# A server asks for so much of what it uses: the next dataframe comes before the next look, and where a node's memory is
# used up, the kubelet evicts first who uses more than they asked for.
HEADROOM = 1.25
# More of a node that is kept free is another machine's worth.
MOST_UNPACKED = 0.5

# A kubelet takes 110 pods unless it is told otherwise, and has some of the cluster's own.
PODS = 100

MACHINE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "machine": {"type": "dict", "required": True},
    "prices": {"type": "dict", "required": True},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **MACHINE_ARGUMENTS,
    "memory": {"type": "str", "required": True},
    "cpu": {"type": "str", "required": True},
}


@dataclass(frozen=True)
class Machine:
    """A type of machine: what servers may take of it, how many disks it attaches, its price an hour, and how many pods
    it takes beside the cluster's own.
    """

    name: str
    cpu: float
    memory: int
    disks: int
    price: float
    pods: int = PODS


@dataclass(frozen=True)
class Guarantee:
    """What one server is promised."""

    cpu: float
    memory: int


@dataclass(frozen=True)
class Bounds:
    """Between what the request for memory of a running server may move. They are the institution's."""

    floor: int
    ceiling: int


def gke_allocatable(cores: int, memory: int) -> tuple[float, int]:
    """Return what pods may take of a machine of Google's, cores and bytes, by its published formula."""
    kept = _slices(memory / GIB, _GKE_MEMORY) * GIB + _GKE_EVICTION
    return cores - _slices(cores, _GKE_CORES), int(memory - kept)


def _slices(amount: float, slices: Iterable[tuple[float, float]]) -> float:
    kept, below = 0.0, 0.0
    for upto, part in slices:
        kept += max(0.0, min(amount, upto) - below) * part
        below = upto
    return kept


def parse_machine(entry: Mapping[str, Any], prices: Mapping[str, Any]) -> Machine:
    """Return a machine of ``type``, ``cpu``, ``memory`` (both allocatable) and ``disks``.

    It may have ``system_cpu`` and ``system_memory``, what the cluster's own pods ask for on each node, which are taken
    off: a placeholder of all seats would else be larger than any node. So is ``unpacked``, the part of ``memory`` that
    is kept free on each, by a pod. And it may have ``pods``.

    Raises CoursehubError for what can't be read, and where the price list lacks the type.
    """
    name = str(entry.get("type") or "")
    if not name:
        raise CoursehubError("a pool's machine has no type: write it as in n2-highmem-4")
    if name not in prices:
        known = ", ".join(sorted(prices)) or "none"
        raise CoursehubError(f"the price list lacks the type {name}, which a pool uses (it has {known}): add its price")
    try:
        price = float(prices[name])
        disks = int(entry["disks"])
        pods = int(entry.get("pods", PODS))
    except (KeyError, TypeError, ValueError) as error:
        raise CoursehubError(
            f"{name}: it needs disks, how many it attaches, as 127, and a price an hour, as 0.27; pods is a number"
        ) from error
    cpu, memory = (
        parse_quantity(str(entry.get(word, ""))) - parse_quantity(str(entry.get(f"system_{word}", "0")))
        for word in ("cpu", "memory")
    )
    unpacked = unpacked_of(entry)
    memory -= unpacked
    # What is kept free is kept by a pod.
    pods -= unpacked > 0
    if price < 0 or disks < 1 or pods < 1 or cpu <= 0 or memory <= 0:
        raise CoursehubError(
            f"{name}: disks, pods, and cpu and memory without what the system takes and what is kept free are above"
            " zero, its price is not below: see the vendor's list, and an empty node"
        )
    return Machine(name, float(cpu), int(memory), disks, price, pods)


def unpacked_of(entry: Mapping[str, Any]) -> int:
    """Return how much of a machine's memory is kept free, in whole MiB: servers use more than they ask for, between two
    looks at them, and where nothing is left the kubelet evicts one. Raises CoursehubError for a part that is none.
    """
    try:
        part = float(entry.get("unpacked", 0))
    except (TypeError, ValueError):
        part = -1.0
    if not 0 <= part <= MOST_UNPACKED:
        raise CoursehubError(
            f"unpacked is '{entry['unpacked']}': write the part of a node's memory that is kept free, from 0 to"
            f" {MOST_UNPACKED:g}, as 0.1"
        )
    return int(parse_quantity(str(entry.get("memory", ""))) * Decimal(str(part))) // MIB * MIB


def seats_of(machine: Machine, guarantee: Guarantee) -> int:
    """Return how many servers a machine holds: whichever of memory, cores, disks and pods runs out first.

    Raises CoursehubError for a machine that holds none.
    """
    by = {
        "memory": machine.memory // guarantee.memory if guarantee.memory else machine.disks,
        "cpu": int(machine.cpu / guarantee.cpu + 1e-9) if guarantee.cpu else machine.disks,
        "disks": machine.disks,
        "pods": machine.pods,
    }
    seats = min(by.values())
    if seats < 1:
        short = min(by, key=lambda word: by[word])
        raise CoursehubError(
            f"the machine {machine.name} can't hold one student: a server is promised {guarantee.cpu:g} cores and"
            f" {guarantee.memory / GIB:.3g} GiB, all servers may take {machine.cpu:g} cores and"
            f" {machine.memory / GIB:.3g} GiB of it; choose one with more {short}, or promise less"
        )
    return seats


def memory_request(used: int, request: int, bounds: Bounds, *, idle: bool) -> int:
    """Return what a running server is to ask for: more than it uses, and when it is idle no more than that.

    Never below what is in use, whatever the bounds say: the kernel would be killed. A busy server's request does not
    shrink, since what it used a minute ago it will use again. A server that started since is not idle.
    """
    wanted = _up(int(used * HEADROOM)) if idle else max(request, _up(int(used * HEADROOM)))
    bounded = max(_up(used), min(max(_up(wanted), bounds.floor), bounds.ceiling))
    # A request that differs by less than a step is left alone, if what is in use still fits into it.
    return request if request >= used and abs(bounded - request) < STEP else bounded


def _up(size: int) -> int:
    return -(-size // STEP) * STEP


def parse_bounds(floor: str, ceiling: str, limit: str) -> Bounds:
    """Return the bounds. Raises CoursehubError where they are none, or beyond the limit of a server."""
    low, high, most = (int(parse_quantity(text)) for text in (floor, ceiling, limit))
    if not 0 < low <= high:
        raise CoursehubError(f"the floor {floor} is not between zero and the ceiling {ceiling}: exchange them")
    if high > most:
        raise CoursehubError(
            f"the ceiling {ceiling} is above a server's limit {limit}: lower it, or let servers have more"
        )
    return Bounds(low, high)


def cpu_request(guarantee: float, floor: float, *, idle: bool) -> float:
    """Return the cores that a running server is to ask for: what it is promised, and an idle one next to nothing.

    Not by what it uses: cores that are asked for are a share when they are short, and take nothing when they are not.
    """
    return min(guarantee, floor) if idle else guarantee
