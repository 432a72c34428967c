"""What becomes of starts that were under way when a hub died."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from coursehub_hub import unfinished

PENDING, RUNNING, FAILED = ({"status": {"phase": phase}} for phase in ("Pending", "Running", "Failed"))


def spawner(*, ip: str = "", check: bool = True, age_s: float = 60) -> Any:
    started = datetime.now(UTC) - timedelta(seconds=age_s)
    one = SimpleNamespace(
        user=SimpleNamespace(name="ann/of?class", spawners={}),
        name="",
        server=SimpleNamespace(ip=ip, port=54321, host="http://10.0.0.7:8888"),
        orm_spawner=SimpleNamespace(started=started.replace(tzinfo=None), state={}),
        proxy_spec="/user/ann/",
        start_timeout=300,
        pending="check" if check else None,
        active=check,
        _check_pending=check,
        _get_pod_url=lambda _pod: "http://10.0.0.7:8888",
        get_state=lambda: {"pod_name": "jupyter-ann"},
        is_pod_running=lambda pod: pod is RUNNING,
    )
    one.user.spawners[""] = one
    return one


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "LOOK_S", 0.001)
    monkeypatch.setattr(unfinished, "PAUSE_S", 0.001)
    monkeypatch.setattr(unfinished, "PATIENCE_S", 5)


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    written: list[tuple[Any, ...]] = []

    async def add_route(*words: Any) -> None:
        written.append(words)

    hub = SimpleNamespace(instance=lambda: SimpleNamespace(proxy=SimpleNamespace(add_route=add_route)))
    monkeypatch.setattr(unfinished, "JupyterHub", hub)
    return written


def test_a_server_that_runs_or_is_started_by_this_hub_is_none() -> None:
    assert unfinished.is_unfinished(spawner())
    assert not unfinished.is_unfinished(spawner(ip="10.0.0.7"))
    assert not unfinished.is_unfinished(spawner(check=False))


def test_who_asked_long_ago_or_never_does_not_wait() -> None:
    assert unfinished.is_fresh(spawner())
    assert not unfinished.is_fresh(spawner(age_s=unfinished.FRESH_S + 1))
    never = spawner()
    never.orm_spawner.started = None
    assert not unfinished.is_fresh(never)


def test_a_pod_on_its_way_is_waited_for_and_routed(routes: list[tuple[Any, ...]]) -> None:
    one = spawner()
    seen = iter([PENDING, PENDING, RUNNING])
    asyncio.run(unfinished.take_on(one, lambda: next(seen)))
    assert (one.server.ip, one.server.port) == ("10.0.0.7", 8888)
    assert one.orm_spawner.state == {"pod_name": "jupyter-ann"}
    assert routes == [("/user/ann/", "http://10.0.0.7:8888", {"user": "ann/of?class", "server_name": ""})]


@pytest.mark.parametrize("end", [None, FAILED])
def test_a_pod_that_comes_to_nothing_is_left_to_jupyterhub(routes: list[tuple[Any, ...]], end: Any) -> None:
    one = spawner()
    seen = iter([PENDING, end])
    asyncio.run(unfinished.take_on(one, lambda: next(seen)))
    assert (one.server.ip, routes) == ("", [])


def test_a_pod_that_never_runs_is_given_up_in_the_time_of_a_start(routes: list[tuple[Any, ...]]) -> None:
    one = spawner()
    one.start_timeout = 0.02
    asyncio.run(unfinished.take_on(one, lambda: PENDING))
    assert (one.server.ip, routes) == ("", [])


def test_a_route_that_can_not_be_written_ends_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    async def add_route(*_words: Any) -> None:
        raise ConnectionError("no Redis")

    hub = SimpleNamespace(instance=lambda: SimpleNamespace(proxy=SimpleNamespace(add_route=add_route)))
    monkeypatch.setattr(unfinished, "JupyterHub", hub)
    one = spawner()
    asyncio.run(unfinished.take_on(one, lambda: RUNNING))
    assert one.server.ip == "10.0.0.7"


def ask(one: Any, *statuses: int) -> list[str]:
    """Let a server be asked for of a hub that answers so; return what it was asked."""
    asked: list[str] = []
    left = list(statuses)

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.raw_path} {request.headers['Authorization']}")
        return web.Response(status=left.pop(0))

    async def run() -> None:
        application = web.Application()
        application.router.add_post("/hub/api/users/{name}/server", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            await unfinished.start_anew(one, f"http://127.0.0.1:{port}/hub/api", "word")
        finally:
            await runner.cleanup()

    asyncio.run(run())
    return asked


def test_who_waited_in_line_is_asked_for_again_until_the_hub_takes_it() -> None:
    one = spawner()
    # As JupyterHub leaves a server that it has stopped.
    one.pending, one.active = None, False
    one.user.spawners.clear()
    assert ask(one, 503, 400, 202) == ["/hub/api/users/ann%2Fof%3Fclass/server token word"] * 3


@pytest.mark.parametrize("pending", ["spawn", None])
def test_a_student_who_was_faster_is_not_started_twice(pending: str | None) -> None:
    one, hers = spawner(), spawner(check=False)
    one.pending, one.active = None, False
    # JupyterHub has forgotten the one that was stopped, and made another one when she asked: which starts, or runs.
    hers.pending, hers.active = pending, True
    one.user.spawners[""] = hers
    assert ask(one) == []


def test_what_is_left_of_the_start_is_removed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "PATIENCE_S", 0.05)
    assert ask(spawner()) == []
