"""Servers that come to be what they are to be, and those that don't; by a hub that is told what to say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _hub_servers
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._hub import HubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import Progress
from ansible_collections.coursehub.jupyterhub.plugins.modules.hub_server import Run
from hypothesis import given
from hypothesis import strategies as st

CHOICE: dict[str, Any] = {"students": None, "roster": None, "pattern": None, "group": None, "all_students": True}
RUNNING, STARTING, STOPPING, STOPPED = (
    _hub_servers.RUNNING,
    _hub_servers.STARTING,
    _hub_servers.STOPPING,
    _hub_servers.STOPPED,
)
SERVERS: dict[str, dict[str, Any]] = {
    RUNNING: {"ready": True, "pending": None},
    STARTING: {"ready": False, "pending": "spawn"},
    STOPPING: {"ready": False, "pending": "stop"},
}


class Hub:
    """What each server is, from one list to the next; the last one stays."""

    def __init__(self, course: dict[str, list[str]], refused: str = "") -> None:
        self._course = {name: list(phases) for name, phases in course.items()}
        self._refused = refused
        self.asked: list[str] = []
        self.lists = 0
        self.reason: str | None = None
        self.away = False

    def users(self, **query: str) -> list[dict[str, Any]]:
        if self.lists and self.away:
            raise CoursehubError("the hub does not answer")
        self.lists += 1
        found = {name: phases.pop(0) if len(phases) > 1 else phases[0] for name, phases in self._course.items()}
        return [
            {"name": name, "servers": {"": SERVERS[phase]} if phase in SERVERS else {}}
            for name, phase in found.items()
            if not query or phase in SERVERS
        ]

    def start(self, name: str) -> None:
        if name == self._refused:
            raise HubError(403, "missing scope")
        self.asked.append(f"start {name}")

    def stop(self, name: str) -> bool:
        self.asked.append(f"stop {name}")
        return False

    def why_not_started(self, _name: str) -> str | None:
        return self.reason


def run(hub: Hub, *, check_mode: bool = False, **more: Any) -> dict[str, dict[str, Any]]:
    parameters = {**CHOICE, "state": "started", "concurrency": 2, "wait": True, "wait_timeout": 60, **more}
    one: Any = hub
    result = Run(one, Progress(), parameters, check_mode, sleep=lambda _seconds: None)()
    return {outcome["student"]: outcome for outcome in result["students"]}


def test_all_are_waited_for_by_lists() -> None:
    hub = Hub({name: [STOPPED, STARTING, STARTING, RUNNING] for name in "abc"})
    told = run(hub)
    assert {one["server"] for one in told.values()} == {RUNNING}
    assert (sorted(hub.asked), hub.lists) == (["start a", "start b", "start c"], 4)


def test_one_on_its_way_is_waited_for_and_not_asked_again() -> None:
    hub = Hub({"a": [STARTING, RUNNING], "b": [RUNNING]})
    assert [one["changed"] for one in run(hub).values()] == [False, False]
    assert hub.asked == []
    hub = Hub({"a": [STOPPING, STOPPED]})
    assert run(hub, state="stopped")["a"]["server"] == STOPPED
    assert hub.asked == []


def test_one_that_stops_is_started_when_it_has() -> None:
    hub = Hub({"a": [STOPPING, STOPPING, STOPPED, STARTING, RUNNING]})
    told = run(hub)["a"]
    assert (told["changed"], told["server"], hub.asked) == (True, RUNNING, ["start a"])


def test_a_start_that_came_to_nothing_is_told_with_its_reason() -> None:
    hub = Hub({"a": [STOPPED, STARTING, STOPPED], "b": [STOPPED, RUNNING]})
    hub.reason = "Spawn failed: no room"
    told = run(hub)
    assert (told["a"]["failed"], told["b"]["failed"]) == ("Spawn failed: no room", "")


def test_a_refusal_stops_no_other() -> None:
    told = run(Hub({"a": [STOPPED], "b": [STOPPED, RUNNING]}, refused="a"))
    assert (told["a"]["changed"], told["a"]["failed"]) == (False, "missing scope")
    assert told["b"]["server"] == RUNNING


def test_what_is_not_done_in_time_has_failed() -> None:
    told = run(Hub({"a": [STOPPED, STARTING]}), wait_timeout=-1)
    assert "is not running after" in told["a"]["failed"]


def test_a_hub_that_is_away_for_good_is_told_for_each() -> None:
    hub = Hub({"a": [STOPPED], "b": [STOPPED]})
    hub.away = True
    assert {one["failed"] for one in run(hub).values()} == {"the hub does not answer"}


def test_without_waiting_it_is_said_what_they_are_on_the_way_to() -> None:
    hub = Hub({"a": [RUNNING], "b": [STOPPED]})
    told = run(hub, state="stopped", wait=False)
    assert (told["a"]["server"], told["b"]["server"], hub.lists) == (STOPPING, STOPPED, 1)


@pytest.mark.parametrize("state", ["started", "stopped"])
def test_check_mode_asks_for_nothing(state: str) -> None:
    hub = Hub({"a": [RUNNING], "b": [STOPPED], "c": [STARTING]})
    told = run(hub, state=state, check_mode=True)
    assert hub.asked == []
    assert {one["server"] for one in told.values()} == {_hub_servers.WANTED[state]}
    assert [one["changed"] for one in told.values()] == [state == "stopped", state == "started", state == "stopped"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([RUNNING, STARTING, STOPPING, STOPPED])),
    st.sampled_from([RUNNING, STOPPED]),
)
def test_who_is_asked_for_is_waited_for(found: dict[str, str], wanted: str) -> None:
    asked = _hub_servers.to_ask(found, "abcdef", wanted)
    awaited = _hub_servers.to_await(found, "abcdef", wanted)
    assert set(asked) <= set(awaited)
    assert {name for name in "abcdef" if found.get(name, STOPPED) == wanted} == set("abcdef") - set(awaited)
