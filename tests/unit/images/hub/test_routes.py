"""Routes in Redis are complete, or all are written anew."""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class RedisError(Exception):
    """Stands in for the client's own, which is in the hub's image only."""


class Redis:
    """As much of Redis as is asked; ``writes`` are whole steps."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.writes: list[dict[str, str]] = []
        self.error: str = ""
        self.silent = False
        # What was there each time that traefik was let read.
        self.read: list[set[str]] = []

    async def eval(self, script: str, _count: int, mark: str, *pairs: str) -> int:
        self._fail()
        if "HSET" in script:
            self.read.append(set(self.data))
            return 0
        if mark not in self.data:
            return 0
        self._write(dict(zip(pairs[::2], pairs[1::2], strict=True)))
        return 1

    async def mset(self, pairs: dict[str, str]) -> None:
        self._fail()
        self._write(pairs)

    async def exists(self, key: str) -> int:
        if self.silent:
            await asyncio.sleep(3600)
        self._fail()
        return int(key in self.data)

    def _write(self, pairs: dict[str, str]) -> None:
        self.writes.append(pairs)
        self.data.update(pairs)

    def _fail(self) -> None:
        if self.error:
            raise RedisError(self.error)


class TraefikRedisProxy:
    """Stands in for jupyterhub-traefik-proxy's own."""

    kv_traefik_prefix, kv_jupyterhub_prefix = "traefik", "jupyterhub"

    def __init__(self) -> None:
        self.redis = Redis()
        self.told: list[str] = []
        self.compared: list[tuple[Any, ...]] = []
        # Whether asking the proxies ends in no answer to their name.
        self.unreachable = False
        self.log = SimpleNamespace(
            info=lambda *_words: None,
            warning=lambda text, *words: self.told.append(text % words),
            error=lambda text, *words: self.told.append(text % words),
        )

    async def get_all_routes(self) -> dict[str, Any]:
        self.redis._fail()
        return {"/": {"target": "http://hub:8081", "data": {"hub": True}}}

    async def _kv_atomic_delete(self, *keys: str) -> None:
        for key in keys:
            del self.redis.data[key]

    async def check_routes(self, *arguments: Any) -> None:
        """Note that routes were compared."""
        if self.unreachable:
            raise socket.gaierror(-2, "Name or service not known")
        await self.get_all_routes()
        self.compared.append(arguments)

    def validate_routespec(self, routespec: str) -> str:
        return routespec

    def _dynamic_config_for_route(self, routespec: str, target: str, data: Any) -> tuple[Any, Any]:
        return {routespec: target}, {routespec: str(data)}

    def flatten_dict_for_kv(self, tree: dict[str, str], prefix: str) -> dict[str, str]:
        return {f"{prefix}{key}": value for key, value in tree.items()}


def server(name: str, *, ready: bool = True, pending: str | None = None) -> Any:
    host = SimpleNamespace(host=f"http://{name}:8888", ip="" if name == "being started" else name)
    return SimpleNamespace(server=host, ready=ready, pending=pending, proxy_spec=f"/user/{name}/")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, classes in {
        "jupyterhub_traefik_proxy": {},
        "jupyterhub_traefik_proxy.redis": {"TraefikRedisProxy": TraefikRedisProxy},
    }.items():
        module = ModuleType(name)
        vars(module).update(classes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "coursehub_hub.routes", raising=False)
    routes = importlib.import_module("coursehub_hub.routes")
    monkeypatch.setattr(routes, "CHECK_S", 0.001)
    monkeypatch.setattr(routes, "TELL_S", 0.02)
    one = routes.CourseProxy()
    one.hub = SimpleNamespace(host="http://hub:8081")
    users = {
        "ann": server("ann"),
        # Found at the hub's start, and not looked at yet.
        "ben": server("ben", ready=False, pending="check"),
        # The hub before died while it was started: nobody knows its address yet.
        "being started": server("being started", ready=False, pending="check"),
        "cleo": server("cleo", ready=False, pending="stop"),
        "dan": SimpleNamespace(server=None, ready=False, pending=None, proxy_spec="/user/dan/"),
    }
    one.app = SimpleNamespace(
        hub=SimpleNamespace(routespec="/"),
        users={name: SimpleNamespace(name=name, spawners={"": spawner}) for name, spawner in users.items()},
        _service_map={
            "cull": SimpleNamespace(name="cull", server=None),
            "page": SimpleNamespace(
                name="page", server=SimpleNamespace(host="http://page"), proxy_spec="/services/page/"
            ),
        },
    )
    yield one
    sys.modules.pop("coursehub_hub.routes", None)


EVERY = {"traefik/", "traefik/user/ann/", "traefik/user/ben/", "traefik/services/page/"}


def routes_of(written: dict[str, str]) -> set[str]:
    return {key for key in written if key.startswith("traefik")}


def test_the_first_route_brings_all_with_it_in_one_step(proxy: Any) -> None:
    asyncio.run(proxy._kv_atomic_set({"traefik/user/eve/": "http://eve"}))
    (written,) = proxy.redis.writes
    assert routes_of(written) == EVERY | {"traefik/user/eve/"}
    assert "jupyterhub/coursehub/complete" in written


def test_a_route_alone_is_written_where_all_others_are(proxy: Any) -> None:
    async def twice() -> None:
        await proxy._kv_atomic_set({"traefik/user/eve/": "http://eve"})
        await proxy._kv_atomic_set({"traefik/user/fay/": "http://fay"})

    asyncio.run(twice())
    assert proxy.redis.writes[1] == {"traefik/user/fay/": "http://fay"}


async def kept(proxy: Any, *steps: Any) -> None:
    await proxy.check_routes()
    for step in steps:
        step()
        await asyncio.sleep(0.05)
    proxy._keeper.cancel()


def test_what_was_wiped_is_written_again_without_anybody_asking(proxy: Any) -> None:
    asyncio.run(kept(proxy, lambda: None, proxy.redis.data.clear))
    assert [routes_of(written) for written in proxy.redis.writes] == [EVERY, EVERY]


def test_a_redis_that_refuses_is_told_of_once_and_written_when_it_takes_routes(proxy: Any) -> None:
    def refuse() -> None:
        proxy.redis.error = "OOM command not allowed when used memory > 'maxmemory'"

    def mend() -> None:
        proxy.redis.error = ""

    asyncio.run(kept(proxy, refuse, mend))
    assert sum("can't be kept: OOM" in text for text in proxy.told) == 1
    assert [routes_of(written) for written in proxy.redis.writes] == [EVERY]


def test_single_routes_are_compared_now_and_then(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.routes"], "COMPARE_S", 0.02)

    async def run() -> None:
        # The first one is JupyterHub's own.
        await proxy.check_routes()
        async with asyncio.timeout(120):
            while not proxy.compared[1:]:
                await asyncio.sleep(0.001)
        proxy._keeper.cancel()

    asyncio.run(run())
    assert all(one == (proxy.app.users, proxy.app._service_map) for one in proxy.compared[1:])


def test_one_keeper_is_enough(proxy: Any) -> None:
    async def checks() -> None:
        await proxy.check_routes()
        first = proxy._keeper
        await proxy.check_routes()
        assert proxy._keeper is first
        first.cancel()

    asyncio.run(checks())


def go_away(proxy: Any, how: str) -> None:
    proxy.redis.error, proxy.redis.silent = ("", True) if how == "silent" else (how, False)


@pytest.mark.parametrize("how", ["Connection refused", "silent"])
def test_a_hub_starts_while_redis_is_away_and_writes_the_routes_when_it_is_back(
    proxy: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.routes"], "ANSWER_S", 0.01)

    async def start() -> None:
        go_away(proxy, how)
        # As JupyterHub does before it listens, and after.
        async with asyncio.timeout(120):
            assert await proxy.get_all_routes() == {}
            await proxy.check_routes(proxy.app.users, proxy.app._service_map)
        assert proxy.redis.writes == []
        if how != "silent":
            go_away(proxy, "")
            async with asyncio.timeout(120):
                while not proxy.redis.writes:
                    await asyncio.sleep(0.001)
        proxy._keeper.cancel()

    asyncio.run(start())
    assert [routes_of(written) for written in proxy.redis.writes] == ([] if how == "silent" else [EVERY])
    assert any("works without" in text for text in proxy.told)


@pytest.mark.parametrize("at_start", [True, False])
def test_routes_are_compared_as_soon_as_redis_is_back_with_what_it_had(proxy: Any, at_start: bool) -> None:
    async def run() -> None:
        # Those of another time: the mark stands.
        await proxy._write_all({})
        if not at_start:
            await proxy.check_routes("first")
        go_away(proxy, "Connection refused")
        if at_start:
            await proxy.check_routes("first")
        await asyncio.sleep(0.02)
        before = len(proxy.compared)
        go_away(proxy, "")
        async with asyncio.timeout(120):
            while len(proxy.compared) == before:
                await asyncio.sleep(0.001)
        proxy._keeper.cancel()

    asyncio.run(run())
    assert proxy.compared[-1] == (proxy.app.users, proxy.app._service_map)


def test_a_hub_starts_while_no_proxy_can_be_asked_and_compares_later(proxy: Any) -> None:
    async def start() -> None:
        # The base class waits here for an answer of the proxies, and ends the hub without one.
        await proxy._start_external()
        assert proxy._start_future is None
        proxy.unreachable = True
        await proxy._write_all({})
        await proxy.check_routes("first")
        assert proxy.compared == []
        proxy.unreachable = False
        async with asyncio.timeout(120):
            while not proxy.compared:
                await asyncio.sleep(0.001)
        proxy._keeper.cancel()

    asyncio.run(start())
    assert proxy.compared[0] == (proxy.app.users, proxy.app._service_map)
    assert "The routes can't be compared yet: [Errno -2] Name or service not known" in proxy.told


def test_once_it_works_a_hub_is_told_that_redis_is_away(proxy: Any) -> None:
    """No routes would be taken for routes that are missing."""

    async def run() -> None:
        await proxy.check_routes()
        go_away(proxy, "Connection refused")
        with pytest.raises(RedisError):
            await proxy.get_all_routes()
        proxy._keeper.cancel()

    asyncio.run(run())


def test_the_proxies_read_once_for_many_changes_and_miss_none(proxy: Any) -> None:
    async def run() -> None:
        begun = asyncio.get_running_loop().time()
        for number in range(50):
            await proxy._kv_atomic_set({f"traefik/user/{number}/": "http://server"})
            await asyncio.sleep(0.001)
        async with asyncio.timeout(120):
            while "traefik/user/49/" not in proxy.redis.read[-1]:
                await asyncio.sleep(0.001)
        # At once, and then with a pause before each other one, for as long as it took.
        seconds = asyncio.get_running_loop().time() - begun
        assert 1 < len(proxy.redis.read) <= 1 + seconds / sys.modules["coursehub_hub.routes"].TELL_S

    asyncio.run(run())


def test_the_first_change_after_a_while_is_read_at_once(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.routes"], "TELL_S", 60)

    async def run() -> None:
        await proxy._kv_atomic_set({"traefik/user/eve/": "http://eve"})
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert "traefik/user/eve/" in proxy.redis.read[0]


def test_a_route_that_is_gone_is_told_of(proxy: Any) -> None:
    async def run() -> None:
        await proxy._kv_atomic_set({"traefik/user/eve/": "http://eve"})
        await asyncio.sleep(0.05)
        await proxy._kv_atomic_delete("traefik/user/eve/")
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert ["traefik/user/eve/" in there for there in proxy.redis.read] == [True, False]


def test_who_was_without_redis_for_a_moment_is_told_again(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.routes"], "COMPARE_S", 0.02)
    asyncio.run(kept(proxy, lambda: None, lambda: None))
    # Nothing has changed since the first time.
    assert len(proxy.redis.read) > 1
    assert len(proxy.redis.writes) == 1
