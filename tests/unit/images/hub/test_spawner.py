"""What the page says while a server starts."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _samples, _warm
from traitlets import HasTraits

NUMBERS = itertools.count()


class KubeSpawner(HasTraits):
    """Stands in for the hub's own, which is in its image only."""

    start_timeout = 300

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.tries = 0
        self.problem = ""
        self.namespace, self.pod_name = "students", "jupyter-one"
        self.pod_reflector: Any = None
        self.watch: Any = None
        self.told = [{"progress": 50, "message": "pulling", "raw_event": {}}]
        self.user = SimpleNamespace(name=f"student-{next(NUMBERS)}")
        self.server: Any = None
        self.orm_spawner = SimpleNamespace(started=None)
        self._check_pending = False
        self.status: int | None = None
        self.log = SimpleNamespace(critical=lambda *_words: None, warning=lambda *_words: None)

    def run_pre_spawn_hook(self) -> Any:
        if self.problem == "hook":
            raise RuntimeError(self.problem)

    def start(self) -> Any:
        return asyncio.ensure_future(self._start())

    async def _start(self) -> str:
        self.tries += 1
        await asyncio.sleep(0.01)
        if self.problem == "start":
            raise RuntimeError(self.problem)
        if self.problem == "hangs":
            await asyncio.sleep(60)
        if self.problem == "waits":
            while not self.is_pod_running(self.pod_reflector.pods.get(f"{self.namespace}/{self.pod_name}")):
                await asyncio.sleep(0.01)
        return "http://server"

    def is_pod_running(self, pod: Any) -> bool:
        return pod is not None and pod["status"]["phase"] == "Running"

    @property
    def event_reflector(self) -> Any:
        return self.watch

    async def get_pod_manifest(self) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(labels={"component": "singleuser-server"}, annotations={}))

    async def stop(self, now: bool = False) -> None:
        """Stop nothing."""

    async def poll(self) -> int | None:
        return self.status

    async def get_url(self) -> str:
        return f"http://{self.server.ip}"

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        for event in self.told:
            yield event

    async def _start_reflector(self, kind: str, reflector_class: type, replace: bool = False, **more: Any) -> Any:
        self.asked_for = more
        return reflector_class()


class Reflector:
    """Stands in for KubeSpawner's watch, which gives up."""

    def __init__(self) -> None:
        self._stopping = False
        self.begun = 0
        self.log = SimpleNamespace(warning=lambda *_words: None)

    async def _watch_and_update(self) -> None:
        self.begun += 1
        await asyncio.sleep(0)

    async def _list_and_update(self, version: str | None = None) -> str:
        self.begun += 1
        if self.begun < 3:
            raise TimeoutError
        return f"after {version}"


@pytest.fixture
def spawner(monkeypatch: pytest.MonkeyPatch) -> Any:
    kubespawner = ModuleType("kubespawner")
    kubespawner.KubeSpawner = KubeSpawner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubespawner", kubespawner)
    monkeypatch.delitem(sys.modules, "coursehub_hub.spawner", raising=False)
    return importlib.import_module("coursehub_hub.spawner").CourseSpawner()


def said(spawner: Any) -> list[str]:
    async def collect() -> list[str]:
        return [event["message"] async for event in spawner.progress()]

    return asyncio.run(collect())


def test_a_disk_with_room_is_nothing_to_speak_of(spawner: Any) -> None:
    assert said(spawner) == ["pulling"]


def test_a_student_is_told_how_long_the_server_lasts(spawner: Any) -> None:
    spawner.cull = {"idle": 3600, "max_age": 0, "every": 600, "groups": {"staff": {"idle": 7200}}, "night": {}}
    spawner.user.groups = [SimpleNamespace(name="staff")]
    assert said(spawner)[0].startswith("Your server is stopped after 2 hours")
    spawner.cull = {**spawner.cull, "groups": {}, "idle": 0}
    assert said(spawner) == ["pulling"]


@pytest.mark.parametrize(
    ("groups", "course"),
    [(["lab2", "lab1", "a"], "data-8"), (["lab2"], "data-100"), (["a"], None), ([], None)],
)
def test_a_pod_has_the_course_of_its_students_first_group(spawner: Any, groups: list[str], course: str | None) -> None:
    assert sys.modules["coursehub_hub.spawner"].COURSE == _samples.COURSE
    spawner.courses = {"lab1": "data-8", "lab2": "data-100"}
    spawner.user.groups = [SimpleNamespace(name=name) for name in groups]
    labels = asyncio.run(spawner.get_pod_manifest()).metadata.labels
    assert labels.get(_samples.COURSE) == course
    assert labels["component"] == "singleuser-server"


def test_a_pod_tells_its_students_groups(spawner: Any) -> None:
    assert sys.modules["coursehub_hub.spawner"].GROUPS == _warm.GROUPS
    spawner.user.groups = [SimpleNamespace(name=name) for name in ("lab2", 'a "b"; c')]
    annotations = asyncio.run(spawner.get_pod_manifest()).metadata.annotations
    labels = {"app.kubernetes.io/component": "singleuser-server"}
    made = {"creationTimestamp": "2026-09-01T10:00:00Z", "annotations": annotations, "labels": labels}
    assert _warm.running([{"metadata": made}])[0].groups == {"lab2", 'a "b"; c'}
    spawner.user.groups = []
    assert _warm.GROUPS not in asyncio.run(spawner.get_pod_manifest()).metadata.annotations


def test_a_student_is_told_of_a_full_disk(spawner: Any) -> None:
    spawner.disk_is_full = True
    first, second = said(spawner)
    assert first.startswith("Your disk is nearly full")
    assert second == "pulling"


def test_a_watch_that_gives_up_is_begun_again_until_the_hub_ends(spawner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.spawner"], "REST_S", 0.001)

    async def run() -> None:
        watch = await spawner._start_reflector("pods", Reflector)
        assert isinstance(watch, Reflector)
        task = asyncio.ensure_future(watch._watch_and_update())
        while watch.begun < 3:
            await asyncio.sleep(0.001)
        watch._stopping = True
        await asyncio.wait_for(task, 120)

    asyncio.run(run())


def test_a_watch_waits_for_a_silent_api_server(spawner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.patience"], "PAUSE_S", 0.001)

    async def run() -> str:
        watch = await spawner._start_reflector("pods", Reflector)
        return str(await watch._list_and_update("0"))

    assert asyncio.run(run()) == "after 0"
    # Longer than the server's own end of a watch, which KubeSpawner sets to 10 s.
    assert 10 < spawner.asked_for["request_timeout"] <= 30


async def spawn(one: Any) -> str:
    await one.run_pre_spawn_hook()
    return str(await one.start())


def another(spawner: Any) -> Any:
    return type(spawner)()


def test_starts_wait_in_line_and_are_told_their_place(spawner: Any) -> None:
    async def run() -> None:
        spawner.concurrent_starts = 1
        spawner.line  # noqa: B018 - the first one makes it
        second, third = another(spawner), another(spawner)
        tasks = [asyncio.ensure_future(spawn(one)) for one in (spawner, second, third)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first_event = await anext(aiter(third.progress()))
        assert "number 2 in line" in first_event["message"]
        assert await asyncio.gather(*tasks) == ["http://server"] * 3

    asyncio.run(run())


@pytest.mark.parametrize("problem", ["hook", "start"])
def test_a_start_that_fails_makes_room(spawner: Any, problem: str) -> None:
    async def run() -> None:
        spawner.concurrent_starts = 1
        spawner.problem = problem
        with pytest.raises(RuntimeError):
            await spawn(spawner)
        assert await asyncio.wait_for(spawn(another(spawner)), 120) == "http://server"

    asyncio.run(run())


@pytest.fixture
def ended(spawner: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the hub has sent itself, ten minutes after it began."""
    sent: list[int] = []
    module = sys.modules["coursehub_hub.spawner"]
    monkeypatch.setattr(module.os, "kill", lambda process, number: sent.append(number))
    now = [0.0]
    failures = sys.modules["coursehub_hub.failures"].Failures(lambda: now[0])
    failures.begin()
    now[0] = 600.0
    monkeypatch.setattr(type(spawner), "failures", failures)
    return sent


def test_a_hub_that_starts_nobodys_server_ends(spawner: Any, ended: list[int]) -> None:
    async def run() -> None:
        students = [another(spawner) for _student in range(5)]
        for student in students:
            assert ended == []
            student.problem = "start"
            with pytest.raises(RuntimeError):
                await spawn(student)

    asyncio.run(run())
    assert ended == [signal.SIGTERM]


@pytest.mark.parametrize(("limit", "counts"), [(300, False), (0, True)])
def test_a_start_that_is_cancelled_counts_when_its_time_was_over(
    spawner: Any, ended: list[int], limit: int, counts: bool
) -> None:
    async def run() -> None:
        for _student in range(5):
            student = another(spawner)
            student.problem, student.start_timeout = "hangs", limit
            task = asyncio.ensure_future(spawn(student))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert bool(ended) == counts


def waits(scheduled: str, phase: str = "Pending") -> Any:
    """Return a watch that knows a student's pod, as the scheduler has left it."""
    conditions = [{"type": "PodScheduled", "status": scheduled, "reason": "Unschedulable"}]
    pod = {"metadata": {}, "status": {"phase": phase, "conditions": conditions}}
    return SimpleNamespace(pods={"students/jupyter-one": pod})


async def in_time(student: Any) -> None:
    """Start a student's server as JupyterHub does, whose time is over at once."""
    student.problem, student.start_timeout = "hangs", 0.05
    await asyncio.wait_for(asyncio.ensure_future(spawn(student)), student.start_timeout)


def test_who_finds_no_room_is_told_so_and_ends_no_hub(spawner: Any, ended: list[int]) -> None:
    async def run() -> None:
        for _student in range(10):
            student = another(spawner)
            student.pod_reflector = waits("False")
            with pytest.raises(sys.modules["coursehub_hub.failures"].NoRoomError) as told:
                await in_time(student)
            # What JupyterHub's pages read.
            assert "no free room" in told.value.jupyterhub_message
            assert "Try again" in told.value.message

    asyncio.run(run())
    assert ended == []


@pytest.mark.parametrize("watch", [waits("True"), SimpleNamespace(pods={}), None], ids=["node", "no pod", "no watch"])
def test_a_start_that_has_a_node_or_no_pod_counts(spawner: Any, ended: list[int], watch: Any) -> None:
    async def run() -> None:
        for _student in range(5):
            student = another(spawner)
            student.pod_reflector = watch
            with pytest.raises(TimeoutError):
                await in_time(student)

    asyncio.run(run())
    assert ended == [signal.SIGTERM]


def test_who_finds_no_room_does_not_say_that_the_hub_is_well(spawner: Any, ended: list[int]) -> None:
    async def run() -> None:
        for _student in range(5):
            other, student = another(spawner), another(spawner)
            other.pod_reflector, student.pod_reflector = waits("False"), waits("True")
            for one in (other, student):
                with pytest.raises((TimeoutError, sys.modules["coursehub_hub.failures"].NoRoomError)):
                    await in_time(one)

    asyncio.run(run())
    assert ended == [signal.SIGTERM]


def test_an_api_server_that_was_away_is_no_fault_of_the_hubs(
    spawner: Any, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["coursehub_hub.patience"], "_last_wait", float("inf"))

    async def run() -> None:
        for _student in range(10):
            student = another(spawner)
            student.problem = "start"
            with pytest.raises(RuntimeError):
                await spawn(student)

    asyncio.run(run())
    assert ended == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.001)


async def settle() -> None:
    for _turn in range(5):
        await asyncio.sleep(0.01)


def test_all_that_wait_for_nodes_are_seen_at_once_and_do_not_hold_who_has_room(spawner: Any) -> None:
    async def run() -> None:
        spawner.concurrent_starts = 2
        spawner.line  # noqa: B018 - the first one makes it
        without = [another(spawner) for _student in range(100)]
        for student in without:
            student.problem, student.pod_reflector = "waits", waits("False")
        tasks = [asyncio.ensure_future(spawn(student)) for student in without]
        assert await asyncio.wait_for(spawn(spawner), 120) == "http://server"
        # All have asked for their pods, and are on their way still.
        assert not any(spawner.line.place(student) for student in without)
        assert not any(task.done() for task in tasks)
        for student in without:
            student.pod_reflector = waits("True", "Running")
        assert await asyncio.gather(*tasks) == ["http://server"] * 100

    asyncio.run(run())


@pytest.mark.parametrize("watch", [waits("True"), SimpleNamespace(pods={})], ids=["node", "not seen yet"])
def test_a_start_that_has_a_node_or_no_word_of_it_keeps_its_place(spawner: Any, watch: Any) -> None:
    async def run() -> None:
        spawner.concurrent_starts = 1
        spawner.problem, spawner.pod_reflector = "waits", watch
        second = another(spawner)
        tasks = [asyncio.ensure_future(spawn(one)) for one in (spawner, second)]
        await settle()
        assert second.line.place(second) == 1
        spawner.pod_reflector = waits("True", "Running")
        assert await asyncio.gather(*tasks) == ["http://server"] * 2

    asyncio.run(run())


def test_a_pod_that_is_taken_away_with_its_node_while_it_starts_is_made_again(spawner: Any) -> None:
    async def run() -> None:
        spawner.problem, spawner.pod_reflector = "waits", waits("True")
        start = asyncio.ensure_future(spawn(spawner))
        await until(lambda: spawner._pod_seen)
        spawner.pod_reflector = SimpleNamespace(pods={})
        await until(lambda: spawner.tries == 2)
        # Not there yet is no reason.
        await settle()
        assert spawner.tries == 2
        spawner.pod_reflector = waits("True", "Running")
        assert await asyncio.wait_for(start, 120) == "http://server"
        # Who asks when none is under way is told.
        assert spawner.is_pod_running(None) is False

    asyncio.run(run())


def test_the_last_pod_of_a_student_on_its_way_out_is_none_that_is_taken_away(spawner: Any) -> None:
    async def run() -> None:
        spawner.problem, spawner.pod_reflector = "waits", waits("True")
        for pod in spawner.pod_reflector.pods.values():
            pod["metadata"]["deletionTimestamp"] = "2026-11-27T02:03:43Z"
        start = asyncio.ensure_future(spawn(spawner))
        await until(lambda: spawner._pod_seen is False)
        await settle()
        spawner.pod_reflector = SimpleNamespace(pods={})
        await settle()
        spawner.pod_reflector = waits("True", "Running")
        assert await asyncio.wait_for(start, 120) == "http://server"
        assert spawner.tries == 1

    asyncio.run(run())


def test_a_start_that_gave_its_place_back_takes_no_other_ones_at_its_end(spawner: Any, ended: list[int]) -> None:
    async def run() -> None:
        spawner.concurrent_starts = 1
        spawner.problem, spawner.pod_reflector, spawner.start_timeout = "waits", waits("False"), 0.5
        second, third = another(spawner), another(spawner)
        second.problem, second.pod_reflector = "waits", waits("True")
        first = asyncio.ensure_future(spawn(spawner))
        tasks = [asyncio.ensure_future(spawn(one)) for one in (second, third)]
        await settle()
        assert (second.line.place(second), third.line.place(third)) == (0, 1)
        # Its time counts all along, and its student is told why.
        with pytest.raises(sys.modules["coursehub_hub.failures"].NoRoomError):
            await asyncio.wait_for(first, spawner.start_timeout)
        await settle()
        assert third.line.place(third) == 1
        second.pod_reflector = waits("True", "Running")
        assert await asyncio.gather(*tasks) == ["http://server"] * 2

    asyncio.run(run())
    assert ended == []


@pytest.fixture
def left_behind(spawner: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server whose start was under way when another hub died; of what is done with it is noted what."""
    spawner._check_pending, spawner.server = True, SimpleNamespace(ip="")
    spawner.orm_spawner.started = datetime.now(UTC).replace(tzinfo=None)
    module = sys.modules["coursehub_hub.unfinished"]

    async def take_on(one: Any, _pod: Any) -> None:
        one.server.ip = "10.0.0.7"

    async def start_anew(one: Any, api: str, token: str) -> None:
        one.done.append(f"{api} {token}")

    monkeypatch.setattr(module, "take_on", take_on)
    monkeypatch.setattr(module, "start_anew", start_anew)
    spawner.hub_api, spawner.people_token = "http://hub", "word"
    return spawner


def looked_at(one: Any) -> tuple[int | None, str]:
    async def run() -> tuple[int | None, str]:
        status = await one.poll()
        address = await one.get_url()
        await asyncio.sleep(0.01)
        return status, address

    return asyncio.run(run())


def test_a_pod_on_its_way_when_a_hub_died_is_waited_for(left_behind: Any) -> None:
    assert looked_at(left_behind) == (None, "http://10.0.0.7")
    assert left_behind.done == []


def test_who_waited_in_line_when_a_hub_died_is_started_anew(left_behind: Any) -> None:
    left_behind.status = 1
    asyncio.run(asyncio.wait_for(poll_and_wait(left_behind), 120))
    assert left_behind.done == ["http://hub word"]


def test_who_is_started_anew_is_not_waited_for_too(left_behind: Any) -> None:
    left_behind.status = 1
    asyncio.run(poll_and_wait(left_behind))
    # Should this one ever run, it has an address.
    left_behind.status, left_behind.server.ip = None, "10.0.0.8"
    assert looked_at(left_behind) == (None, "http://10.0.0.8")
    assert left_behind.done == ["http://hub word"]


async def poll_and_wait(one: Any) -> None:
    assert await one.poll() == 1
    await asyncio.sleep(0.01)


def test_a_server_that_ran_and_has_ended_is_not(left_behind: Any) -> None:
    left_behind.status, left_behind.server.ip = 1, "10.0.0.7"
    asyncio.run(poll_and_wait(left_behind))
    assert left_behind.done == []


def test_who_waits_for_a_node_is_told_so_in_plain_words(spawner: Any) -> None:
    full = {"progress": 30, "message": "0/3 nodes are available: 3 Insufficient memory", "raw_event": {}}
    spawner.told = [full, {"message": "longer than expected"}]
    spawner.pod_reflector = waits("False")
    first, *others = said(spawner)
    assert first == full["message"]
    assert len(others) == 2
    assert all(text.startswith("Your server waits for a machine") for text in others)
    spawner.pod_reflector = waits("True")
    assert said(spawner) == [full["message"], "longer than expected"]


def test_a_page_has_the_events_of_its_own_pod(spawner: Any) -> None:
    assert spawner.event_reflector is None
    names = ["jupyter-two", "jupyter-one"]
    spawner.watch = SimpleNamespace(events=[{"involvedObject": {"name": name}} for name in names])
    assert spawner.event_reflector.events == spawner.watch.events[1:]


def test_a_pod_says_when_its_student_asked_and_not_when_it_was_her_turn(spawner: Any) -> None:
    assert sys.modules["coursehub_hub.spawner"].ASKED == _samples.ASKED

    async def run() -> None:
        spawner.concurrent_starts = 1
        await spawner.line.enter("somebody else")
        begun = datetime.now(UTC)
        turn = asyncio.ensure_future(spawner.run_pre_spawn_hook())
        await settle()
        assert not turn.done()
        noted = spawner._asked
        spawner.line.leave("somebody else")
        await turn
        spawner.user.groups = []
        annotations = (await spawner.get_pod_manifest()).metadata.annotations
        assert annotations == {_samples.ASKED: noted}
        assert abs(datetime.fromisoformat(noted) - begun) < timedelta(minutes=1)

    asyncio.run(run())
