# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many seats are to be warm at a moment, and what an engine is to be told; without I/O.

A seat is room for one student's server on a node that is there. All times are in UTC, spans in seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, sqrt
from typing import Any, NamedTuple

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._calendar import Meeting
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Of arrivals that come by chance (Poisson), 95 of 100 spans have no more than the mean and this many of its roots.
_P95 = 1.645
# From here on growth is warned of.
WARN_AT = 0.8
# The rate is taken of so long a span before now: two students in it are no rush, and a rush is over soon.
RATE_S = 600.0

LIMIT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "core_nodes": {"type": "int", "required": True},
    "limit_nodes": {"type": "int", "required": True},
    "limit_spend": {"type": "float", "required": True},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "early_s": {"type": "int", "default": 300},
    "peak_s": {"type": "int", "default": 900},
    "share": {"type": "float", "default": 1.0},
    **LIMIT_ARGUMENTS,
}


@dataclass(frozen=True)
class Policy:
    """When seats are warm.

    ``boot_s`` is from the order of a node until a server can start on it, measured. Seats of a class are ready
    ``early_s`` before it begins, and those that nobody took are let go ``peak_s`` after. ``share`` of a class's seats
    are kept: not everybody comes.
    """

    boot_s: float
    early_s: float = 300.0
    peak_s: float = 900.0
    share: float = 1.0


@dataclass(frozen=True)
class Limits:
    """What growth ends at: nodes of all pools, and money a day. ``core`` nodes are always there."""

    nodes: int
    spend: float
    core: int


class Server(NamedTuple):
    """A server that runs: since when, and the hub's groups of its student."""

    started: datetime
    groups: frozenset[str]


@dataclass(frozen=True)
class Now:
    """What is, at a moment: when servers started, free seats, nodes for users, money of today, and who has a server."""

    at: datetime
    started: Sequence[datetime]
    free: int = 0
    nodes: int = 0
    spent: float = 0.0
    running: Sequence[Server] = ()


@dataclass(frozen=True)
class Plan:
    """Warm seats: as replicas of a buffer, or as placeholders of a node's size each; what there is to warn of."""

    seats: int
    placeholders: int
    warnings: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


def check_policy(policy: Policy) -> None:
    """Raise CoursehubError for a policy that can't be followed."""
    for name in ("boot_s", "early_s", "peak_s"):
        if getattr(policy, name) < 0:
            raise CoursehubError(f"{name} is {getattr(policy, name):g}: write seconds, from 0 on")
    if not 0 < policy.share <= 1:
        raise CoursehubError(f"share is {policy.share:g}: write the part of a class that comes, above 0 and up to 1")


def check_limits(limits: Limits, price: float) -> None:
    """Raise CoursehubError for limits that leave nothing to grow. ``price`` is of a node an hour."""
    if limits.core < 1:
        raise CoursehubError(
            f"the core pool has {limits.core} nodes: the hub runs there, so it needs 1; with none, every hub is down"
        )
    if limits.nodes <= limits.core:
        raise CoursehubError(
            f"the limit is {limits.nodes} nodes and the core pool alone has {limits.core}, so no student could ever"
            " start: raise the limit above it"
        )
    if limits.spend <= 24 * price * limits.core:
        raise CoursehubError(
            f"the limit of {limits.spend:g} a day does not pay for the core pool, which costs"
            f" {24 * price * limits.core:.2f}: raise it"
        )


def of_spend(limits: Limits, price: float, *, ends_growth: bool) -> list[str]:
    """Return a sentence where students' own servers can cost more than the limit, which then is reached by day.

    ``ends_growth`` is where the limit ends more than warm seats: no node comes any more.
    """
    most = 24 * price * limits.nodes
    if most <= limits.spend:
        return []
    what = (
        "when it is reached no node is added, and students wait who find no room"
        if ends_growth
        else "that limit ends warm seats and not the starts of students' servers"
    )
    return [
        f"{limits.nodes} nodes for a whole day cost {most:.2f}, more than the limit of {limits.spend:g}: {what};"
        " lower the limit of nodes, or raise that of spend, where that is not meant"
    ]


def rate(started: Iterable[datetime], at: datetime, span_s: float = RATE_S) -> float:
    """Return the arrivals a second over the span before a moment."""
    since = at - timedelta(seconds=span_s)
    return sum(since < one <= at for one in started) / span_s


def base(arrivals_per_s: float, boot_s: float) -> int:
    """Return the seats that arrivals take until a node that is ordered now is ready, in 95 of 100 cases."""
    mean = arrivals_per_s * boot_s
    return ceil(mean + _P95 * sqrt(mean)) if mean > 0 else 0


def of_classes(meetings: Iterable[Meeting], policy: Policy, now: Now) -> int:
    """Return the seats that the classes which begin about now still need.

    Who came since the class's seats were ordered has taken one of them: a buffer that stayed as large would be filled
    up behind each student, and a class paid for twice.
    """
    return _shared(meetings, policy, now)[0]


def unexpected(meetings: Iterable[Meeting], policy: Policy, now: Now) -> list[datetime]:
    """Return the arrivals that no class had a seat for.

    They alone say how many come by chance. A class of 300 that is there within six minutes is no rate that goes on:
    taken for one, it would keep 45 seats warm for ten minutes more, where a node boots in 70 s.
    """
    return _shared(meetings, policy, now)[1]


def _shared(meetings: Iterable[Meeting], policy: Policy, now: Now) -> tuple[int, list[datetime]]:
    """Give each class those who came for it, the earlier class first; nobody takes a seat of two."""
    wanted, rest = 0, sorted(one for one in now.started if one <= now.at)
    for one in sorted(meetings, key=lambda meeting: meeting.start):
        ordered, let_go = _span(one, policy)
        if now.at < ordered:
            break
        first, last = bisect_right(rest, ordered), bisect_right(rest, let_go)
        expected = _expected(one, ordered, policy, now)
        came = min(expected, last - first)
        del rest[first : first + came]
        if now.at < let_go:
            wanted += expected - came
    return wanted, rest


def _span(meeting: Meeting, policy: Policy) -> tuple[datetime, datetime]:
    """Return when a class's seats are ordered, and when those are let go that nobody took."""
    ordered = meeting.start - timedelta(seconds=policy.early_s + policy.boot_s)
    return ordered, min(meeting.start + timedelta(seconds=policy.peak_s), meeting.end)


def _expected(meeting: Meeting, ordered: datetime, policy: Policy, now: Now) -> int:
    """Return for how many students a class's seats are: for those who come, and are not there from before.

    Whoever has a server is another class's student, unless the class names its groups: a class may follow another
    one's with its students, whose servers run on, or with others, who all have none. More of its groups than it has
    seats are no class of whole groups, so nobody knows which of them come.
    """
    coming, there = ceil(meeting.seats * policy.share), _there(meeting, ordered, now)
    return min(coming, meeting.seats - there) if there <= meeting.seats else coming


def _there(meeting: Meeting, ordered: datetime, now: Now) -> int:
    """Return how many of a class's groups have a server since before its seats were ordered."""
    return sum(one.started <= ordered and not one.groups.isdisjoint(meeting.groups) for one in now.running)


def of_groups(meetings: Iterable[Meeting], policy: Policy, now: Now) -> list[str]:
    """Return a sentence for each class about now of whose groups more have a server than it has seats."""
    told = []
    for one in meetings:
        ordered, let_go = _span(one, policy)
        there = _there(one, ordered, now) if ordered <= now.at < let_go else 0
        if there > one.seats:
            told.append(
                f"{one.name} has {one.seats} seats, and {there} of its groups ({', '.join(one.groups)}) have a server"
                " already, so seats are kept for all of it: name groups that are this class alone, or write as many"
                " seats as students are in them"
            )
    return told


def plan(
    meetings: Iterable[Meeting], policy: Policy, now: Now, seats_per_node: int, limits: Limits, price: float
) -> Plan:
    """Return what is to be warm now. ``price`` is of a node an hour.

    A placeholder takes a whole node, so seats that are free already are taken off first, and as few as do are asked
    for: many small ones are moved one by one, and block each other.
    """
    needed, by_chance = _shared(meetings, policy, now)
    wanted = max(needed, base(rate(by_chance, now.at), policy.boot_s))
    room = _room(limits, now, price)
    most = now.free + room * seats_per_node
    seats = min(wanted, most)
    warnings, alerts = _said(wanted, seats, limits, now, price, seats_per_node)
    return Plan(seats, min(room, ceil(max(0, seats - now.free) / seats_per_node)), warnings, alerts)


def _room(limits: Limits, now: Now, price: float) -> int:
    """Return how many nodes may come: within the limit of nodes, and, for an hour each, within today's spend."""
    nodes = limits.nodes - limits.core - now.nodes
    if price > 0:
        left = limits.spend - now.spent - price * (limits.core + now.nodes)
        nodes = min(nodes, int(left / price))
    return max(0, nodes)


def _said(
    wanted: int, seats: int, limits: Limits, now: Now, price: float, seats_per_node: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    more = ceil(max(0, wanted - now.free) / seats_per_node)
    nodes, spent = limits.core + now.nodes + more, now.spent + price * (limits.core + now.nodes + more)
    warnings, alerts = [], []
    if seats < wanted:
        alerts.append(
            f"growth ends at a limit: {wanted} seats are wanted, {seats} can be had with {limits.nodes} nodes and"
            f" {limits.spend:g} a day; raise the limit that is reached, or the last {wanted - seats} students wait"
        )
    else:
        if nodes >= WARN_AT * limits.nodes:
            warnings.append(f"{nodes} of {limits.nodes} nodes will be there")
        if spent >= WARN_AT * limits.spend:
            warnings.append(f"{spent:.2f} of {limits.spend:g} will be spent today")
    return tuple(warnings), tuple(alerts)
