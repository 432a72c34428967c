# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which students share a Job of the exporter, and at what pace each Job may go; without I/O.

A slot is a line of Jobs one after the other, with a small claim for their states. A student is always in the same slot
while there are as many of them, so that what the exporter knows of its last run is at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Object = dict[str, Any]
Item = TypeVar("Item")

STATE_PREFIX = "drive-state-"


@dataclass(frozen=True, order=True)
class Slot:
    """A line of Jobs. Disks of different zones never share one: no node could have them all."""

    topology: str
    number: int

    @property
    def claim(self) -> str:
        """The claim with the states."""
        return f"{STATE_PREFIX}{self.topology}{'-' if self.topology else ''}{self.number}"


def topology(volume: Object | None) -> str:
    """Return what stands for the nodes that a volume can be used on, empty where those are all."""
    terms = (volume or {}).get("spec", {}).get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms")
    return hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()[:8] if terms else ""


def number(student: str, slots: int) -> int:
    """Return a student's slot. With one slot more or less, only that one's share of the students moves."""
    return max(range(slots), key=lambda one: hashlib.sha256(f"{one} {student}".encode()).digest())


def divide(topologies: Mapping[str, str], slots: int) -> dict[Slot, list[str]]:
    """Return the students of each slot that has any, in their order. ``topologies`` is of their disks."""
    found: dict[Slot, list[str]] = {}
    for student, where in topologies.items():
        found.setdefault(Slot(where, number(student, slots)), []).append(student)
    return dict(sorted(found.items()))


def batches(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Return the items in lists of ``size`` at most."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


@dataclass(frozen=True)
class Rates:
    """What Drive takes, in the exporter's words: units a minute, writes a second, bytes a day."""

    identity_units_per_minute: float
    project_units_per_minute: float
    writes_per_second: float = 2.0
    bytes_per_day: float = 750.0 * 2**30


def rates(parameters: Mapping[str, Any]) -> Rates:
    """Return the rates that a module was given."""
    names = [field.name for field in fields(Rates)]
    return Rates(**{name: parameters[name] for name in names if name in parameters})


def share(rates: Rates, jobs: int, identities: Iterable[object]) -> Rates:
    """Return the rates of one of several Jobs that run at once.

    The project is one for all. An identity is divided by the Jobs that may have it: by all where all students have the
    same, as in a shared drive, and not where each has their own.
    """
    # A student is in one Job, so an identity is in no more Jobs than it has students.
    shared = min(jobs, max(Counter(identities).values(), default=1))
    return Rates(
        rates.identity_units_per_minute / shared,
        rates.project_units_per_minute / max(1, jobs),
        rates.writes_per_second / shared,
        rates.bytes_per_day / shared,
    )


@dataclass(frozen=True)
class Shares:
    """What each Job of a run may ask Drive for. The students have these identities, one each."""

    whole: Rates
    at_once: int
    identities: Sequence[object]

    def each(self, left: int) -> Rates:
        """Return one Job's rates while so many lines of Jobs have not come to their end.

        No more Jobs than that are at work, and no more than may run at once. So with fewer lines the shares become
        larger, and all together are never more than the whole.
        """
        return share(self.whole, max(1, min(self.at_once, left)), self.identities)
