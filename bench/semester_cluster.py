"""A cluster that follows its students, second by second but only where something happens.

Seats are planned, and servers resized, by the very functions that the collection runs (``_seats``, ``_packing``). What
stands for Kubernetes and an engine here is small: a scheduler that fills nodes or spreads over them, and an engine that
orders nodes for what fits nowhere and removes those that are empty.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count, islice
from math import ceil

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._calendar import Meeting

from .semester_trace import HOUR_S, Parameters, Session, at, group_of, lessons, meetings

MIB = _packing.MIB
# How often the planner runs, as its CronJob does, and the engine looks for empty nodes.
TICK_S = 60.0
# After that a kernel has loaded what it works with.
GROWN_AFTER_S = 120.0
# What a server takes before that: JupyterLab and a kernel.
FRESH_MIB = 150
NO_LIMITS = _seats.Limits(nodes=10**6, spend=1e12, core=1)


@dataclass(frozen=True)
class Design:
    """How a cluster is run. A default engine has none of the three."""

    planned: bool
    packed: bool
    resized: bool
    decide_s: float
    remove_s: float
    # In the place of the engine's own buffer.
    placeholders: bool = False


@dataclass(eq=False)
class Server:
    """A student's server. It has no node while it waits for one, and when it is gone."""

    student: int
    started: float
    used: int
    busy_until: float
    memory: int
    cpu: float
    node: Node | None = None
    idle: bool = False
    grown: bool = False


@dataclass(eq=False)
class Node:
    """A node; ``servers`` is empty and ``ready`` false while it boots. ``free`` is in seats."""

    ordered: float
    ready: bool = False
    memory: int = 0
    cpu: float = 0.0
    used: int = 0
    free: int = 0
    empty_since: float = 0.0
    servers: set[Server] = field(default_factory=set)


@dataclass
class Told:
    """What a semester came to: costs in dollars, hours, waits in seconds."""

    nodes_cost: float = 0.0
    floor_cost: float = 0.0
    promised_cost: float = 0.0
    server_hours: float = 0.0
    node_hours: float = 0.0
    peak_servers: int = 0
    peak_nodes: int = 0
    # Of starts at a class, and of all others.
    class_waits: list[float] = field(default_factory=list)
    home_waits: list[float] = field(default_factory=list)
    # Hours in which a server had to do with less than it asked for, and times that a node's memory was used up.
    deferred_hours: float = 0.0
    overfull: int = 0
    # The most that was used of a node's memory, as a part of it.
    fullest: float = 0.0
    # Nodes and servers every ten minutes of the first week.
    week: list[tuple[float, int, int]] = field(default_factory=list)


class Cluster:
    """One semester of one design."""

    def __init__(self, parameters: Parameters, design: Design, trace: Sequence[Session]) -> None:
        self.p, self.design, self.trace = parameters, design, trace
        self.machine = machine_of(parameters)
        # The role leaves a part of each node's memory unpacked, whoever fills the nodes.
        unpacked = parameters.unpacked if design.planned else 0.0
        self.room = replace(self.machine, memory=int(self.machine.memory * (1 - unpacked)))
        start = parameters.start_mib if design.resized else parameters.guarantee_mib
        self.start = _packing.Guarantee(parameters.guarantee_cores, start * MIB)
        self.bounds = _packing.Bounds(parameters.floor_mib * MIB, parameters.limit_mib * MIB)
        self.seats_per_node = _packing.seats_of(self.room, self.start)
        self.told = Told()
        self.nodes: list[Node] = []
        self.servers: dict[int, Server] = {}
        self.idle: set[Server] = set()
        self.deferred: set[Server] = set()
        self.pending: deque[tuple[float, Session, Server]] = deque()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.now = 0.0
        self.memory, self.cpu = 0, 0.0
        # Seats that a buffer keeps, and nodes that placeholders hold.
        self.warm, self.held = 0, 0
        self.started: deque[float] = deque()
        self.meetings: deque[Meeting] = deque(meetings(parameters))
        self.groups: dict[int, frozenset[str]] = defaultdict(frozenset)
        for students in {lesson.students for lesson in lessons(parameters)}:
            for student in students:
                self.groups[student] |= {group_of(students)}
        self.policy = _seats.Policy(
            parameters.boot_s, early_s=parameters.early_s, peak_s=parameters.peak_s, share=parameters.share
        )

    def run(self) -> Told:
        """Replay the trace to its end, and until the last server is culled."""
        self._at(0.0, self._tick)
        self._at(self.p.cull_every_s, self._cull)
        coming = iter(self.trace)
        session = next(coming, None)
        while session or self.servers or self.nodes:
            if session and session.start <= self.events[0][0]:
                self._pass(session.start)
                self._arrive(session)
                session = next(coming, None)
                continue
            moment, _number, what = heapq.heappop(self.events)
            self._pass(moment)
            what()
        return self.told

    def _at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.numbers), what))

    def _pass(self, moment: float) -> None:
        """Let time pass: what is there is paid for."""
        hours = (moment - self.now) / HOUR_S
        self.now = moment
        servers = len(self.servers) - len(self.pending)
        told = self.told
        told.server_hours += servers * hours
        told.node_hours += len(self.nodes) * hours
        told.nodes_cost += len(self.nodes) * hours * self.machine.price
        told.deferred_hours += len(self.deferred) * hours
        parts = (self.memory / self.machine.memory, self.cpu / self.machine.cpu, servers / self.machine.disks)
        told.floor_cost += max(parts) * hours * self.machine.price
        promised = max(
            self.p.guarantee_mib * MIB / self.machine.memory,
            self.p.guarantee_cores / self.machine.cpu,
            1 / self.machine.disks,
        )
        told.promised_cost += servers * promised * hours * self.machine.price

    # What students do.

    def _arrive(self, session: Session) -> None:
        until = session.start + session.length
        server = self.servers.get(session.student)
        if server:
            server.busy_until = max(server.busy_until, until)
            more = max(0, session.used_mib * MIB - server.used)
            server.used += more
            if server.node and server.grown:
                self._use(server.node, more)
            if server.node and server.idle:
                server.idle = False
                self.idle.discard(server)
                self._at(server.busy_until + self.p.idle_after_s, partial(self._rest, server))
            self._fit(server)
            return
        server = Server(
            session.student, session.start, session.used_mib * MIB, until, self.start.memory, self.start.cpu
        )
        self.servers[session.student] = server
        self.started.append(session.start)
        self.told.peak_servers = max(self.told.peak_servers, len(self.servers))
        self.pending.append((self.now, session, server))
        self._schedule()
        self._scale()

    def _schedule(self) -> None:
        while self.pending:
            asked, session, server = self.pending[0]
            fitting = [node for node in self.nodes if node.ready and node.free > 0]
            if not fitting:
                return
            # MostAllocated and LeastAllocated of the scheduler, by what a server takes most of.
            best = (min if self.design.packed else max)(fitting, key=lambda node: node.free)
            self.pending.popleft()
            waits = self.told.class_waits if session.lesson is not None else self.told.home_waits
            waits.append(self.now - asked + self.p.start_s)
            server.node = best
            best.servers.add(server)
            self._use(best, FRESH_MIB * MIB)
            self._change(server, best, server.memory, server.cpu)
            self._at(self.now + GROWN_AFTER_S, partial(self._grow, server))
            self._at(max(self.now, server.busy_until) + self.p.idle_after_s, partial(self._rest, server))

    def _change(self, server: Server, node: Node, memory: int, cpu: float) -> None:
        """Book what a server takes of its node."""
        node.memory, node.cpu = node.memory + memory, node.cpu + cpu
        self.memory, self.cpu = self.memory + memory, self.cpu + cpu
        self._count(node)

    def _use(self, node: Node, more: int) -> None:
        """Book what a server really takes of its node's memory."""
        node.used += more
        self.told.fullest = max(self.told.fullest, node.used / self.machine.memory)
        if more > 0 and node.used > self.machine.memory:
            self.told.overfull += 1

    def _count(self, node: Node) -> None:
        left = (
            (self.room.memory - node.memory) // self.start.memory,
            int((self.machine.cpu - node.cpu) / self.start.cpu + 1e-9),
            self.machine.disks - len(node.servers),
        )
        node.free = max(0, min(left))

    def _grow(self, server: Server) -> None:
        node = server.node
        if node is None or server.grown:
            return
        server.grown = True
        self._use(node, server.used - FRESH_MIB * MIB)
        self._fit(server)

    def _fit(self, server: Server) -> None:
        """Resize a server in place, where its node has room; where not, it is tried again with the next tick."""
        node = server.node
        if node is None or not self.design.resized:
            return
        used = server.used if server.grown else FRESH_MIB * MIB
        memory = _packing.memory_request(used, server.memory, self.bounds, idle=server.idle)
        cpu = _packing.cpu_request(self.p.guarantee_cores, self.p.idle_cores, idle=server.idle)
        more_memory, more_cpu = memory - server.memory, cpu - server.cpu
        short = more_memory > 0 and node.memory + more_memory > self.room.memory
        if short or (more_cpu > 0 and node.cpu + more_cpu > self.machine.cpu + 1e-9):
            self.deferred.add(server)
            return
        self.deferred.discard(server)
        server.memory, server.cpu = memory, cpu
        self._change(server, node, more_memory, more_cpu)

    def _rest(self, server: Server) -> None:
        if server.node is None or server.idle:
            return
        if server.busy_until + self.p.idle_after_s > self.now:
            self._at(server.busy_until + self.p.idle_after_s, partial(self._rest, server))
            return
        server.idle = True
        self.idle.add(server)
        self._fit(server)
        self._schedule()

    def _cull(self) -> None:
        for server in [one for one in self.idle if self.now - one.busy_until >= self.p.cull_idle_s]:
            node = server.node
            if node is None:
                continue
            server.node = None
            del self.servers[server.student]
            self.idle.discard(server)
            self.deferred.discard(server)
            node.servers.discard(server)
            self._use(node, -(server.used if server.grown else FRESH_MIB * MIB))
            self._change(server, node, -server.memory, -server.cpu)
            if not node.servers:
                node.empty_since = self.now
        self._schedule()
        self._at(self.now + self.p.cull_every_s, self._cull)

    # What the engine does.

    def _tick(self) -> None:
        for server in list(self.deferred):
            self._fit(server)
        self._plan()
        self._scale()
        for node in list(self.nodes):
            empty = node.ready and not node.servers and self.now - node.empty_since >= self.design.remove_s
            if empty and not self.pending and self._spare(node):
                self.nodes.remove(node)
        if self.now <= 7 * 24 * HOUR_S and self.now % 600 == 0:
            self.told.week.append((self.now, len(self.nodes), len(self.servers)))
        self._at(self.now + TICK_S, self._tick)

    def _spare(self, node: Node) -> bool:
        """Tell whether what is kept warm has room without an empty node."""
        rest = [one for one in self.nodes if one is not node]
        if self.design.placeholders:
            return sum(not one.servers for one in rest) >= self.held
        return sum(one.free for one in rest) >= self.warm

    def _plan(self) -> None:
        """Ask the collection's planner how many seats are to be warm."""
        if not self.design.planned:
            return
        while self.started and self.started[0] < self.now - HOUR_S:
            self.started.popleft()
        moment = at(self.now)
        while self.meetings and self.meetings[0].end < moment:
            self.meetings.popleft()
        used = [node for node in self.nodes if node.servers]
        now = _seats.Now(moment, [at(one) for one in self.started], sum(node.free for node in used), len(used))
        # The class that is on, and the one that may follow at once.
        near = list(islice(self.meetings, 2))
        if any(one.groups and abs(one.start - moment) < timedelta(hours=1) for one in near):
            running = [_seats.Server(at(one.started), self.groups[one.student]) for one in self.servers.values()]
            now = replace(now, running=running)
        plan = _seats.plan(near, self.policy, now, self.seats_per_node, NO_LIMITS, self.machine.price)
        self.warm, self.held = plan.seats, plan.placeholders

    def _scale(self) -> None:
        """Order nodes for what fits nowhere, and for the buffer, which stays as large as the engine was told last."""
        for _number in range(self._missing()):
            node = Node(self.now + self.design.decide_s)
            self.nodes.append(node)
            self._at(self.now + self.design.decide_s + self.p.register_s, partial(self._boot, node))
        self.told.peak_nodes = max(self.told.peak_nodes, len(self.nodes))

    def _missing(self) -> int:
        """Return how many nodes are to be ordered: students first, then what is to be warm."""
        if self.design.placeholders:
            # Students displace them; each one that gave way waits for a node of its own until the next tick.
            beside = sum(node.free for node in self.nodes if node.servers)
            empty = sum(not node.servers for node in self.nodes)
            return ceil(max(0, len(self.pending) - beside) / self.seats_per_node) + self.held - empty
        have = sum(node.free if node.ready else self.seats_per_node for node in self.nodes)
        return ceil((len(self.pending) + self.warm - have) / self.seats_per_node)

    def _boot(self, node: Node) -> None:
        node.ready = True
        node.empty_since = self.now
        self._count(node)
        self._schedule()


def machine_of(parameters: Parameters) -> _packing.Machine:
    """Return the machine with what students' pods may take of it."""
    cpu, memory = _packing.gke_allocatable(parameters.cores, parameters.machine_mib * MIB)
    return _packing.Machine(
        parameters.machine,
        cpu - parameters.system_cores,
        memory - parameters.system_mib * MIB,
        parameters.disks,
        parameters.price,
    )
