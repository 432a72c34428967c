# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a cluster was used for and what it cost, from samples of it; without I/O.

A sample tells what is at a moment, and holds until the next one. Money is in whatever the price list is in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Of a longer time between two samples nothing is known: whoever took them was away.
GAP = timedelta(minutes=15)


@dataclass(frozen=True)
class Sample:
    """What was at a moment: nodes by type, the seats on them, who has a server and for which course.

    ``waits`` are the seconds that each start took since the sample before.
    """

    at: datetime
    nodes: Mapping[str, int]
    seats: int
    servers: Mapping[str, str]
    waits: Sequence[float] = ()


@dataclass
class Usage:
    """Hours and cost of all samples; ``waste`` is the cost of seats that nobody had."""

    node_hours: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    seat_hours: float = 0.0
    server_hours: float = 0.0
    cost: float = 0.0
    waste: float = 0.0
    static_cost: float = 0.0
    unseen_hours: float = 0.0
    by_course: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_student: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def parse_samples(text: str) -> list[Sample]:
    """Return the samples of JSON lines, in order of time.

    Raises CoursehubError, with the line's number, for one that is none; and where there are fewer than two.
    """
    samples = [_sample(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(samples) < 2:
        raise CoursehubError(
            f"there are {len(samples)} samples, and hours lie between two: let some be taken, one a minute or so"
        )
    return sorted(samples, key=lambda one: one.at)


def _sample(number: int, line: str) -> Sample:
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["at"])
        if at.tzinfo is None:
            raise ValueError(f"'{told['at']}' has no time zone")
        nodes = {str(name): int(count) for name, count in told["nodes"].items()}
        servers = {str(student): str(course) for student, course in told["servers"].items()}
        waits = tuple(float(one) for one in told.get("waits", ()))
        seats = int(told["seats"])
        if seats < 0 or min(nodes.values(), default=0) < 0 or min(waits, default=0) < 0:
            raise ValueError("a number is below zero")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CoursehubError(
            f"line {number} is no sample ({type(error).__name__}: {error}): it has at, nodes by type, seats, and"
            " servers, student by course"
        ) from error
    return Sample(at, nodes, seats, servers, waits)


def usage(samples: Sequence[Sample], prices: Mapping[str, float]) -> Usage:
    """Return hours and cost. ``prices`` are for an hour of a node of a type.

    What a moment costs is shared by all seats alike. ``static_cost`` is of a fleet that is always as large as this one
    was at most, for the same time. Raises CoursehubError for a type without a price.
    """
    lacking = sorted({name for one in samples for name in one.nodes} - set(prices))
    if lacking:
        known = ", ".join(sorted(prices)) or "none"
        raise CoursehubError(f"the price list lacks {', '.join(lacking)}, which was used (it has {known}): add it")
    told, seen = Usage(), 0.0
    for one, following in pairwise(samples):
        span = following.at - one.at
        if span > GAP:
            told.unseen_hours += span / timedelta(hours=1)
            continue
        hours = span / timedelta(hours=1)
        seen += hours
        cost = _cost_of(one, prices) * hours
        told.cost += cost
        told.seat_hours += one.seats * hours
        told.server_hours += len(one.servers) * hours
        for name, number in one.nodes.items():
            told.node_hours[name] += number * hours
        # Resized servers can be more than the seats that a node was said to have.
        shares = max(one.seats, len(one.servers))
        if not shares:
            told.waste += cost
            continue
        told.waste += cost * (shares - len(one.servers)) / shares
        for student, course in one.servers.items():
            told.by_student[student] += cost / shares
            told.by_course[course] += cost / shares
    told.static_cost = max(_cost_of(one, prices) for one in samples) * seen
    return told


def _cost_of(sample: Sample, prices: Mapping[str, float]) -> float:
    return sum(prices[name] * number for name, number in sample.nodes.items())


def percentile(values: Iterable[float], percent: int) -> float:
    """Return a percentile by nearest rank; 0 of no values."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else 0.0


def as_result(samples: Sequence[Sample], told: Usage) -> dict[str, Any]:
    """Return what a module returns of it."""
    waits = [wait for one in samples for wait in one.waits]

    def rounded(amounts: Mapping[str, float]) -> dict[str, float]:
        return {name: round(amount, 4) for name, amount in sorted(amounts.items())}

    return {
        "from": samples[0].at.isoformat(),
        "until": samples[-1].at.isoformat(),
        "node_hours": rounded(told.node_hours),
        "seat_hours": round(told.seat_hours, 2),
        "server_hours": round(told.server_hours, 2),
        "cost": round(told.cost, 2),
        "waste": round(told.waste, 2),
        "static_cost": round(told.static_cost, 2),
        "unseen_hours": round(told.unseen_hours, 2),
        "wait_p50_s": round(percentile(waits, 50), 1),
        "wait_p95_s": round(percentile(waits, 95), 1),
        "by_course": rounded(told.by_course),
        "by_student": rounded(told.by_student),
    }
