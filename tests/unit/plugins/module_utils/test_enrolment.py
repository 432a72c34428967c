"""What a hub refuses for one is done for the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _enrolment, _people
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._hub import HubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import Progress


class Hub:
    """Has users and groups, and refuses ``odd``."""

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.members: dict[str, set[str]] = {}
        self.requests = 0
        self.stopping = 0

    def _ask(self, names: Iterable[str] = ()) -> None:
        self.requests += 1
        if "odd" in set(names):
            raise HubError(400, "Invalid username: odd")

    def add_users(self, names: Iterable[str]) -> None:
        self._ask(names)
        self.users |= set(names)

    def add_group(self, name: str) -> None:
        self._ask()
        self.members[name] = set()

    def join(self, group: str, names: Iterable[str]) -> None:
        self._ask(names)
        assert set(names) <= self.users
        self.members[group] |= set(names)

    def leave(self, group: str, names: Iterable[str]) -> None:
        self._ask(names)
        self.members[group] -= set(names)

    def stop(self, _name: str) -> bool:
        self.stopping -= 1
        return self.stopping < 0

    def remove_user(self, name: str) -> None:
        self._ask([name])
        self.users.discard(name)


def enrol(hub: Hub, plan: _people.Plan, deadline: float = float("inf")) -> dict[str, str]:
    one: Any = hub
    return _enrolment.Enrolment(one, Progress(), deadline, sleep=lambda _seconds: None)(plan)


def test_a_thousand_are_a_few_requests() -> None:
    hub = Hub()
    names = [f"s{number:04}" for number in range(1000)]
    plan = _people.plan(_people.State({}, frozenset()), dict.fromkeys(names, frozenset({"lab1"})), {})
    assert enrol(hub, plan) == {}
    assert (len(hub.users), len(hub.members["lab1"]), hub.requests) == (1000, 1000, 21)


def test_one_who_is_refused_is_named_and_no_other_suffers() -> None:
    hub = Hub()
    plan = _people.plan(_people.State({}, frozenset()), dict.fromkeys(["ann", "odd", "zoe"], frozenset({"lab1"})), {})
    failed = enrol(hub, plan)
    assert failed == {"odd": "Invalid username: odd"}
    assert (hub.users, hub.members) == ({"ann", "zoe"}, {"lab1": {"ann", "zoe"}})
    (told,) = (one for one in _enrolment.outcomes(plan, failed) if one["failed"])
    assert told["student"] == "odd"


def test_a_server_that_is_slow_to_end_is_waited_for() -> None:
    hub = Hub()
    hub.users, hub.stopping = {"ann"}, 3
    assert enrol(hub, _people.Plan(remove=["ann"])) == {}
    assert hub.users == set()


def test_a_server_that_does_not_end_keeps_its_user() -> None:
    hub = Hub()
    hub.users, hub.stopping = {"ann"}, 3
    assert "does not end" in enrol(hub, _people.Plan(remove=["ann"]), deadline=float("-inf"))["ann"]
    assert hub.users == {"ann"}
