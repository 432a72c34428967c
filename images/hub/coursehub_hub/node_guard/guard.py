"""Looks whether nodes are lost, decides, and acts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import aiohttp

from .plan import Leave, Object, Remove, Taint, Untaint, look_at, plan, silent
from .silence import Silence

LOG = logging.getLogger("coursehub.node_guard")
# A server that is there answers in milliseconds; a node is only called lost when none of these says anything.
ANSWER_S = 4
ASKED = 10
# What was decided so long ago is decided anew: a guard that was frozen in between must not act on what it saw before.
STALE_S = 15


async def answering(nodes: Iterable[str], servers: Mapping[str, list[str]]) -> set[str]:
    """Return the nodes on which a server answers, whatever it answers; all are asked at the same time.

    To be connected is no answer: the kernel of a machine whose processes are frozen still does that.
    """

    async def says_something(session: aiohttp.ClientSession, address: str) -> bool:
        try:
            async with session.get(f"http://{address}/", allow_redirects=False):
                return True
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        asked = [(node, address) for node in nodes for address in servers.get(node, [])[:ASKED]]
        answers = await asyncio.gather(*(says_something(session, address) for _node, address in asked))
        return {node for (node, _address), answer in zip(asked, answers, strict=True) if answer}


class Cluster(Protocol):
    """What the guard asks, and does; see ``cluster``."""

    async def nodes(self) -> list[Object]: ...
    async def renewed(self) -> dict[str, str]: ...
    async def pods(self) -> list[Object]: ...
    async def drivers(self) -> dict[tuple[str, str], str]: ...
    async def taint(self, node: str, *, out: bool) -> None: ...
    async def remove(self, pod: Remove) -> None: ...


class Guard:
    """Looks, decides, acts; says each thing once for as long as it is so."""

    def __init__(self, cluster: Cluster, fencing: frozenset[str]) -> None:
        self._cluster = cluster
        self._fencing = fencing
        self._silence = Silence()
        self._said: set[str] = set()

    async def look(self) -> None:
        """Look once, and do what is to be done. Raises the cluster client's Error."""
        begun = time.monotonic()
        nodes = await self._cluster.nodes()
        lost = silent(nodes, self._silence.look(await self._cluster.renewed(), time.monotonic()))
        pods: list[Object] = await self._cluster.pods() if lost else []
        drivers = await self._cluster.drivers() if lost else {}
        there = await answering(lost, look_at(pods))
        said: set[str] = set()
        for action in plan(nodes, lost, pods, there, drivers, self._fencing, datetime.now(UTC)):
            if time.monotonic() - begun > STALE_S:
                return
            match action:
                case Taint(node):
                    LOG.warning(
                        "Node %s is lost: it goes out of service, and its disks may be attached elsewhere", node
                    )
                    await self._cluster.taint(node, out=True)
                case Untaint(node):
                    LOG.info("Node %s is back in service", node)
                    await self._cluster.taint(node, out=False)
                case Remove():
                    LOG.warning("Removing the pod %s/%s of a lost node", action.namespace, action.name)
                    await self._cluster.remove(action)
                case Leave(node, why):
                    said.add(f"Node {node} is silent, and stays as it is: {why}")
        for text in said - self._said:
            LOG.warning("%s", text)
        self._said = said
