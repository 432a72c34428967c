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
from sys import intern
from typing import Any, NamedTuple

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Of a longer time between two samples nothing is known: whoever took them was away.
GAP = timedelta(minutes=15)


@dataclass(frozen=True)
class Sample:
    """What was at a moment: nodes by type, the seats on them, who has a server and for which course.

    ``waits`` are the seconds that each start took since the sample before, time in line with them. ``asked_mib`` is
    the memory that the servers ask for together, ``used_mib`` what they have in use, where somebody looked.
    """

    at: datetime
    nodes: Mapping[str, int]
    seats: int
    servers: Mapping[str, str]
    waits: Sequence[float] = ()
    asked_mib: int = 0
    used_mib: int | None = None


class Point(NamedTuple):
    """What a plot wants of a sample: numbers alone, as half a year of names is too much to hold."""

    at: datetime
    nodes: int
    cost_an_hour: float
    seats: int
    servers: int
    asked_mib: int
    used_mib: int | None


@dataclass
class Usage:
    """Hours and cost of all samples; ``waste`` is the cost of seats that nobody had."""

    points: list[Point] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    node_hours: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    seat_hours: float = 0.0
    server_hours: float = 0.0
    cost: float = 0.0
    waste: float = 0.0
    static_cost: float = 0.0
    unseen_hours: float = 0.0
    asked_gib_hours: float = 0.0
    used_gib_hours: float = 0.0
    by_course: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_student: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def parse_samples(text: str, since: datetime | None = None, until: datetime | None = None) -> list[Sample]:
    """Return the samples of JSON lines, in order of time; from ``since`` on, and before ``until``.

    Raises CoursehubError, with the line's number, for one that is none.
    """
    samples = [_sample(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    wanted = (one for one in samples if (since is None or one.at >= since) and (until is None or one.at < until))
    return sorted(wanted, key=lambda one: one.at)


def as_line(sample: Sample) -> str:
    """Return a sample as ``parse_samples`` reads it, without the end of the line."""
    told: dict[str, Any] = {
        "at": sample.at.isoformat(timespec="seconds"),
        "nodes": dict(sample.nodes),
        "seats": sample.seats,
        "servers": dict(sample.servers),
        "waits": [round(one, 1) for one in sample.waits],
        "asked_mib": sample.asked_mib,
    }
    if sample.used_mib is not None:
        told["used_mib"] = sample.used_mib
    return json.dumps(told, separators=(",", ":"), sort_keys=True)


def _sample(number: int, line: str) -> Sample:
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["at"])
        if at.tzinfo is None:
            raise ValueError(f"'{told['at']}' has no time zone")
        nodes = {str(name): int(count) for name, count in told["nodes"].items()}
        # Of a semester there are millions of these, of a thousand names.
        servers = {intern(str(student)): intern(str(course)) for student, course in told["servers"].items()}
        waits = tuple(float(one) for one in told.get("waits", ()))
        seats, asked = int(told["seats"]), int(told.get("asked_mib", 0))
        used = None if told.get("used_mib") is None else int(told["used_mib"])
        if min(seats, asked, used or 0, *nodes.values(), *waits) < 0:
            raise ValueError("a number is below zero")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CoursehubError(
            f"line {number} is no sample ({type(error).__name__}: {error}): it has at, nodes by type, seats, and"
            " servers, student by course"
        ) from error
    return Sample(at, nodes, seats, servers, waits, asked, used)


def usage(samples: Iterable[Sample], prices: Mapping[str, float]) -> Usage:
    """Return hours and cost of samples in order of time. ``prices`` are for an hour of a node of a type.

    What a moment costs is shared by all seats alike. ``static_cost`` is of a fleet that is always as large as this one
    was at most, for the same time. Raises CoursehubError for a type without a price, and for fewer than two samples.
    """
    told, seen, lacking = Usage(), 0.0, set[str]()
    before: Sample | None = None
    for one in samples:
        lacking |= set(one.nodes) - set(prices)
        cost = sum(prices.get(name, 0.0) * number for name, number in one.nodes.items())
        if before is not None:
            seen += _count(told, before, one.at - before.at)
        nodes = sum(one.nodes.values())
        told.points.append(Point(one.at, nodes, cost, one.seats, len(one.servers), one.asked_mib, one.used_mib))
        told.waits += one.waits
        before = one
    if lacking:
        names, known = ", ".join(sorted(lacking)), ", ".join(sorted(prices)) or "none"
        raise CoursehubError(f"the price list lacks {names}, which was used (it has {known}): add it")
    if len(told.points) < 2:
        raise CoursehubError(
            f"there are {len(told.points)} samples, and hours lie between two: wait until more have been taken"
        )
    told.static_cost = max(point.cost_an_hour for point in told.points) * seen
    return told


def _count(told: Usage, one: Sample, span: timedelta) -> float:
    """Count a sample, the last of ``told.points``, for the time that it held; return the hours that were seen."""
    hours = span / timedelta(hours=1)
    if span > GAP:
        told.unseen_hours += hours
        return 0.0
    cost = told.points[-1].cost_an_hour * hours
    told.cost += cost
    told.seat_hours += one.seats * hours
    told.server_hours += len(one.servers) * hours
    told.asked_gib_hours += one.asked_mib / 1024 * hours
    told.used_gib_hours += (one.used_mib or 0) / 1024 * hours
    for name, number in one.nodes.items():
        told.node_hours[name] += number * hours
    # Resized servers can be more than the seats that a node was said to have.
    shares = max(one.seats, len(one.servers))
    told.waste += cost * (shares - len(one.servers)) / shares if shares else cost
    for student, course in one.servers.items():
        told.by_student[student] += cost / shares
        told.by_course[course] += cost / shares
    return hours


def percentile(values: Iterable[float], percent: int) -> float:
    """Return a percentile by nearest rank; 0 of no values."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else 0.0


def as_result(told: Usage) -> dict[str, Any]:
    """Return what a module returns of it."""

    def rounded(amounts: Mapping[str, float]) -> dict[str, float]:
        return {name: round(amount, 4) for name, amount in sorted(amounts.items())}

    return {
        "from": told.points[0].at.isoformat(),
        "until": told.points[-1].at.isoformat(),
        "node_hours": rounded(told.node_hours),
        "seat_hours": round(told.seat_hours, 2),
        "server_hours": round(told.server_hours, 2),
        "cost": round(told.cost, 2),
        "waste": round(told.waste, 2),
        "static_cost": round(told.static_cost, 2),
        "unseen_hours": round(told.unseen_hours, 2),
        "asked_gib_hours": round(told.asked_gib_hours, 2),
        "used_gib_hours": round(told.used_gib_hours, 2),
        "wait_p50_s": round(percentile(told.waits, 50), 1),
        "wait_p95_s": round(percentile(told.waits, 95), 1),
        "by_course": rounded(told.by_course),
        "by_student": rounded(told.by_student),
    }
