"""Whose server is ended in a look, and in which order: against an API of a hub of which the test has each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from coursehub_hub.culler import asking
from coursehub_hub.culler.asking import Hub
from coursehub_hub.culler.looking import look
from coursehub_hub.culler.rules import Limit, Rules
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, HTTPError, RequestHandler

HOUR = 3600.0
# Far more than any of this takes: a look that waits for what never comes fails, and does not hang.
PATIENCE_S = 60


class World:
    """A hub's servers, by their users, and what was asked of it."""

    def __init__(self, *users: str) -> None:
        self.last = {user: datetime.now(UTC) - timedelta(hours=2) for user in users}
        self.pending: dict[str, str] = {}
        self.groups: dict[str, list[str]] = {}
        self.ended: list[str] = []
        # How many are being ended now, and the most at once.
        self.ending = self.most = 0

    def user(self, name: str) -> dict[str, Any]:
        servers = {}
        if name not in self.ended:
            servers[""] = {
                "name": "",
                "full_name": f"{name}/",
                "url": f"/user/{name}/",
                "started": (datetime.now(UTC) - timedelta(hours=3)).isoformat(),
                "last_activity": self.last[name].isoformat(),
                "ready": not self.pending.get(name),
                "pending": self.pending.get(name),
            }
        return {"name": name, "servers": servers}

    async def listed(self) -> None:
        """Nothing happens while the servers are listed."""

    async def end(self, name: str) -> None:
        """End at once."""
        self.ended.append(name)


class Api(RequestHandler):
    def initialize(self, world: World) -> None:
        self.world = world

    async def get(self, path: str) -> None:
        match path.split("/"):
            case [""]:
                self.write({"version": "6.1.1"})
            case ["users"]:
                items = [self.world.user(name) for name in self.world.last]
                await self.world.listed()
                self.write({"items": items, "_pagination": {"next": None}})
            case ["users", name]:
                self.write(self.world.user(name))
            case ["groups", name]:
                if name not in self.world.groups:
                    raise HTTPError(404)
                self.write({"users": self.world.groups[name]})

    async def delete(self, path: str) -> None:
        world, name = self.world, path.split("/")[1]
        world.ending += 1
        world.most = max(world.most, world.ending)
        try:
            await world.end(name)
        finally:
            world.ending -= 1
        self.set_status(204)


@contextmanager
def serving(world: World) -> Iterator[str]:
    socket, port = bind_unused_port()
    server = HTTPServer(Application([("/hub/api/?(.*)", Api, {"world": world})]))
    server.add_socket(socket)
    try:
        yield f"http://127.0.0.1:{port}/hub/api"
    finally:
        server.stop()


def looked(world: World, rules: Rules) -> None:
    async def run() -> None:
        with serving(world) as url:
            await asyncio.wait_for(look(Hub(url, "token"), rules), PATIENCE_S)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_many_are_ended_side_by_side_and_who_came_back_is_not(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"s{number:02}" for number in range(40)]

    class Slow(World):
        """Ends none before as many are being ended as may be: one after the other they would wait for ever."""

        def __init__(self) -> None:
            super().__init__(*names, "back")
            self.full = asyncio.Event()

        async def listed(self) -> None:
            # Comes back when all have been listed, before any is ended.
            self.last["back"] = datetime.now(UTC)

        async def end(self, name: str) -> None:
            if self.ending == asking.AT_ONCE:
                self.full.set()
            await self.full.wait()
            await super().end(name)

    world = Slow()
    looked(world, Rules(Limit(HOUR)))
    assert sorted(world.ended) == names
    assert world.most == asking.AT_ONCE, "the hub has others to serve"
    assert "could not be ended" not in caplog.text


def test_who_comes_back_while_others_are_ended_is_not_ended() -> None:
    class Waking(World):
        async def end(self, name: str) -> None:
            self.last["last"] = datetime.now(UTC)
            await super().end(name)

    # All places are taken before it is its turn.
    names = [f"s{number:02}" for number in range(asking.AT_ONCE)]
    world = Waking(*names, "last")
    looked(world, Rules(Limit(HOUR)))
    assert sorted(world.ended) == names


def test_one_that_never_ends_holds_none_of_the_others() -> None:
    class Hanging(World):
        def __init__(self, *users: str) -> None:
            super().__init__(*users)
            self.others = asyncio.Event()

        async def end(self, name: str) -> None:
            if name == "hangs":
                await self.others.wait()
            await super().end(name)
            if len(self.ended) == len(self.last) - 1:
                self.others.set()

    world = Hanging("hangs", *(f"s{number:02}" for number in range(3 * asking.AT_ONCE)))
    looked(world, Rules(Limit(HOUR)))
    assert world.ended[-1] == "hangs"
    assert len(world.ended) == len(world.last)


def test_one_that_cannot_be_ended_is_told_and_holds_none_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(World):
        async def end(self, name: str) -> None:
            if name == "ann":
                raise HTTPError(400, "is pending spawn")
            await super().end(name)

    world = Broken("ann", "tom")
    looked(world, Rules(Limit(HOUR)))
    assert world.ended == ["tom"]
    assert "The server of ann/ could not be ended: HTTP 400" in caplog.text


def test_who_is_in_a_group_has_its_limit_and_a_group_that_is_not_there_has_nobody() -> None:
    world = World("ann", "tom")
    world.groups["staff"] = ["tom"]
    looked(world, Rules(Limit(HOUR), {"staff": Limit(4 * HOUR), "gone": Limit(4 * HOUR)}))
    assert world.ended == ["ann"]


def test_one_that_is_stopped_or_started_meanwhile_is_left_alone() -> None:
    class Stopped(World):
        async def listed(self) -> None:
            self.pending["ann"] = "stop"
            self.ended.append("tom")

    world = Stopped("ann", "tom")
    looked(world, Rules(Limit(HOUR)))
    assert world.ended == ["tom"]
    assert world.most == 0
