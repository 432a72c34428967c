"""The guard, with a cluster that is made of lists, and servers that answer or do not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from coursehub_hub.node_guard import guard
from coursehub_hub.node_guard.plan import Remove

from tests.unit.images.hub.node_guard.test_plan import DRIVER, THREE, node, pod


class Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Something that takes connections, as a kernel does for processes that are frozen, and says nothing."""
    monkeypatch.setattr(guard, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_refusal_is_an_answer(refusing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "ANSWER_S", 120)
    assert asyncio.run(guard.answering(["a", "b"], {"b": [f"127.0.0.1:{refusing}"]})) == {"b"}


def test_a_connection_alone_is_none(frozen: int) -> None:
    assert asyncio.run(guard.answering(["b"], {"b": [f"127.0.0.1:{frozen}"]})) == set()


def test_a_node_without_servers_answers_nothing() -> None:
    assert asyncio.run(guard.answering(["b"], {})) == set()


class Cluster:
    def __init__(self, nodes: list[Any], pods: list[Any]) -> None:
        self.list = nodes
        self.pod_list = pods
        self.done: list[Any] = []

    async def nodes(self) -> list[Any]:
        return self.list

    async def renewed(self) -> dict[str, str]:
        return {}

    async def pods(self) -> list[Any]:
        return self.pod_list

    async def drivers(self) -> dict[tuple[str, str], str]:
        return {("students", f"disk-{one['metadata']['name']}"): DRIVER for one in self.pod_list}

    async def taint(self, node: str, *, out: bool) -> None:
        self.done.append((node, out))

    async def remove(self, pod: Remove) -> None:
        self.done.append(pod.name)


def look(cluster: Any, times: int = 1, fencing: str = DRIVER) -> None:
    async def several() -> None:
        one = guard.Guard(cluster, frozenset({fencing}))
        for _time in range(times):
            await one.look()

    asyncio.run(several())


def test_what_is_planned_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Cluster(THREE, [pod("ann", "b")])
    monkeypatch.setattr(guard, "answering", _nobody)
    look(nobody)
    assert nobody.done == [("b", True), "ann"]


def test_a_node_that_is_back_is_in_service_again() -> None:
    cluster = Cluster([node("a"), node("b", taint="coursehub")], [])
    look(cluster)
    assert cluster.done == [("b", False)]


def test_a_guard_that_was_frozen_meanwhile_decides_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(THREE, [pod("ann", "b")])
    monkeypatch.setattr(guard, "answering", _nobody)
    monkeypatch.setattr(guard, "STALE_S", -1)
    look(cluster)
    assert cluster.done == []


def test_why_a_node_stays_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(THREE, [pod("ann", "b")])
    monkeypatch.setattr(guard, "answering", _nobody)
    look(cluster, times=3, fencing="another")
    assert cluster.done == []
    assert caplog.text.count("Node b is silent, and stays as it is: the disks' driver disk.example") == 1


async def _nobody(*_arguments: Any) -> set[str]:
    return set()
