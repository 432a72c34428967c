"""Two hubs, one of which works at any time, whatever fails: the cluster, the database, or one of them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from coursehub_hub.standby import election, lease


class ConflictError(Exception):
    """Of two who write at once, one is refused."""


class LostError(Exception):
    """The lock is gone."""


class World:
    """The cluster and the database that both hubs have."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.labels: dict[str, bool] = {}
        self.holder = ""
        self.cluster_away = False
        self.removed: set[str] = set()
        self.database_away = False
        self.silent: list[str] = []
        # Whether the cluster's DNS is gone, and who has a connection to the database.
        self.names_away = False
        self.connected: set[str] = set()

    def answer_to(self, name: str) -> None:
        """Be a database that is asked something, for which one must have found it by its name before."""
        if self.database_away or (self.names_away and name not in self.connected):
            self.connected.discard(name)
            raise OSError("the database is away")
        self.connected.add(name)

    async def listen(self, part: str) -> None:
        """Wait as long as this part of it says nothing."""
        while part in self.silent:
            await asyncio.sleep(0.001)


class Cluster:
    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    async def read(self) -> dict[str, Any] | None:
        await self._world.listen("cluster")
        self._reach()
        if self._name in self._world.removed:
            raise election.RefusedError("Unauthorized")
        return self._world.lease

    async def write(self, body: dict[str, Any]) -> None:
        self._reach()
        old = self._world.lease
        if (old or {}).get("metadata", {}).get("resourceVersion") != body["metadata"].get("resourceVersion"):
            raise ConflictError
        self._world.version += 1
        self._world.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._world.version)}}

    async def show(self, *, active: bool) -> None:
        self._reach()
        if active:
            self._world.labels.clear()
        self._world.labels[self._name] = active

    def _reach(self) -> None:
        if self._world.cluster_away:
            raise OSError("no route")


class Lock:
    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self.proofs = 0

    async def stand_by(self) -> None:
        self._world.answer_to(self._name)

    async def take(self) -> bool:
        self._world.answer_to(self._name)
        if self._world.holder in ("", self._name):
            self._world.holder = self._name
        return self._world.holder == self._name

    async def beat(self) -> None:
        await self._world.listen("database")
        self.proofs += 1
        if self._world.holder != self._name:
            raise LostError

    async def close(self) -> None:
        if self._world.holder == self._name:
            self._world.holder = ""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "POLL_S", 0.001)
    monkeypatch.setattr(lease, "DURATION_S", 0.05)


class Hub:
    def __init__(self, world: World, name: str) -> None:
        problems = (OSError, ConflictError)
        self.lock = Lock(world, name)
        self.election = election.Election(Cluster(world, name), self.lock, name, "coursehub", problems)
        self.active = False

    async def live(self) -> None:
        await self.election.win()
        self.active = True
        try:
            await self.election.keep(0.002)
        finally:
            self.active = False


async def until(condition: Any, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def pair(world: World) -> tuple[Hub, Hub, asyncio.Task[None], asyncio.Task[None]]:
    """Return two hubs, the first of which works."""
    first, second = Hub(world, "a"), Hub(world, "b")
    works = asyncio.ensure_future(first.live())
    await until(lambda: first.active)
    waits = asyncio.ensure_future(second.live())
    await asyncio.sleep(0.02)
    assert not second.active
    return first, second, works, waits


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_one_works_and_the_service_finds_it() -> None:
    async def run() -> None:
        world = World()
        _first, _second, *tasks = await pair(world)
        assert world.labels == {"a": True, "b": False}
        await end(*tasks)

    asyncio.run(run())


def test_one_that_ends_lets_the_other_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # A Lease that was not given back would keep it waiting for longer than this does.
    monkeypatch.setattr(lease, "DURATION_S", 3600)

    async def run() -> None:
        world = World()
        first, second, works, waits = await pair(world)
        await end(works)
        await first.election.give_back()
        await until(lambda: second.active)
        assert world.labels == {"b": True}
        await end(waits)

    asyncio.run(run())


def test_one_that_was_killed_is_followed_when_its_lease_has_run_out() -> None:
    async def run() -> None:
        world = World()
        _first, second, works, waits = await pair(world)
        await end(works)
        # Its connection to the database ends with it, the lease does not.
        world.holder = ""
        await until(lambda: second.active)
        assert world.lease is not None
        assert world.lease["spec"]["holderIdentity"] == "b"
        assert world.lease["spec"]["leaseTransitions"] == 2
        await end(waits)

    asyncio.run(run())


def test_the_other_one_works_where_the_clusters_dns_went_with_the_first() -> None:
    async def run() -> None:
        world = World()
        _first, second, works, waits = await pair(world)
        world.names_away = True
        await end(works)
        world.holder = ""
        await until(lambda: second.active, 10)
        await end(waits)

    asyncio.run(run())


def test_with_the_api_server_away_the_one_that_works_goes_on() -> None:
    async def run() -> None:
        world = World()
        first, second, *tasks = await pair(world)
        world.cluster_away = True
        await asyncio.sleep(0.2)
        assert (first.active, second.active) == (True, False)
        # It is back, the lease has run out long ago, and the other one is quick: it has no lock.
        world.cluster_away = False
        await asyncio.sleep(0.2)
        assert (first.active, second.active) == (True, False)
        assert world.lease is not None
        assert world.lease["spec"]["holderIdentity"] == "a"
        await end(*tasks)

    asyncio.run(run())


def test_a_silent_api_server_makes_no_proof_come_late() -> None:
    async def run() -> None:
        world = World()
        first, _second, *tasks = await pair(world)
        world.silent = ["cluster"]
        before = first.lock.proofs
        await until(lambda: first.lock.proofs > before + 3)
        await end(*tasks)

    asyncio.run(run())


def test_the_one_that_stands_by_is_held_off_as_long_as_a_process_lives_that_has_no_proof() -> None:
    async def run() -> None:
        world = World()
        first, second, works, waits = await pair(world)
        world.silent = ["database"]
        # As the database does it, after its own patience.
        world.holder = ""
        await asyncio.sleep(0.2)
        assert (first.active, second.active) == (True, False)
        await end(works)
        world.silent = []
        await until(lambda: second.active)
        await end(waits)

    asyncio.run(run())


def test_one_whose_pod_was_removed_ends_and_the_other_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "GONE_S", 0.05)

    async def run() -> None:
        world = World()
        _first, second, works, waits = await pair(world)
        world.removed = {"a"}
        with pytest.raises(election.GoneError, match="its pod was removed"):
            await works
        world.holder = ""
        await until(lambda: second.active)
        await end(waits)

    asyncio.run(run())


def test_an_api_server_that_refuses_while_it_starts_ends_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(election, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def run() -> None:
        world = World()
        first, _second, *tasks = await pair(world)

        async def passes(seconds: float) -> None:
            """Let the hub meet what the cluster is now, and then so much time pass."""
            await asyncio.sleep(0.02)
            now[0] += seconds

        for _round in range(4):
            world.cluster_away = True
            await passes(10 * election.GONE_S)
            await passes(0)
            world.removed = {"a", "b"}
            world.cluster_away = False
            await passes(election.GONE_S - 1)
            await passes(0)
            world.removed = set()
            await passes(0)
        assert first.active
        await end(*tasks)

    asyncio.run(run())


def test_a_silent_database_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(election, "SILENT_S", 0.01)

    async def run() -> None:
        world = World()
        _first, _second, *tasks = await pair(world)
        assert "is silent" not in caplog.text
        world.silent = ["database"]
        await until(lambda: "The database is silent" in caplog.text)
        await end(*tasks)

    asyncio.run(run())


def test_one_that_lost_its_lock_does_not_work_any_more() -> None:
    async def run() -> None:
        world = World()
        first, second, works, waits = await pair(world)
        world.holder = ""
        await until(lambda: not first.active)
        with pytest.raises(LostError):
            await works
        await until(lambda: second.active)
        await end(waits)

    asyncio.run(run())


def test_a_database_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        world = World()
        world.database_away = True
        hub = Hub(world, "a")
        task = asyncio.ensure_future(hub.live())
        await asyncio.sleep(0.05)
        assert not hub.active
        world.database_away = False
        await until(lambda: hub.active)
        await end(task)

    asyncio.run(run())
    # Once, not at each try.
    assert sum("the database is away" in record.getMessage() for record in caplog.records) == 1


def test_never_two_of_them() -> None:
    async def run() -> None:
        world = World()
        hubs = [Hub(world, name) for name in "abcd"]
        tasks = {hub: asyncio.ensure_future(hub.live()) for hub in hubs}
        for _round in range(4):
            await until(lambda: any(hub.active for hub in hubs))
            for _look in range(20):
                assert sum(hub.active for hub in hubs) <= 1
                await asyncio.sleep(0.001)
            # The one that works is killed, and comes back as another process.
            dead = next(hub for hub in hubs if hub.active)
            await end(tasks.pop(dead))
            world.holder = ""
            hubs[hubs.index(dead)] = fresh = Hub(world, "abcd"[hubs.index(dead)])
            tasks[fresh] = asyncio.ensure_future(fresh.live())
        await end(*tasks.values())

    asyncio.run(run())
