# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does at the hub what ``_people`` planned, and tells of each user."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _hub, _people, _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Users in one request. Of a thousand in one, the hub would speak to nobody else for seconds.
CHUNK = 100
# A server that is removed with its user is stopped first, and that is asked for again after so long.
STOPPING_S = 2.0


class Enrolment:
    """Brings a hub from what it has to what a plan makes of it."""

    def __init__(
        self,
        hub: _hub.Hub,
        progress: _progress.Progress,
        deadline: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub = hub
        self._progress = progress
        self._deadline = deadline
        self._sleep = sleep
        self._failed: dict[str, str] = {}

    def __call__(self, plan: _people.Plan) -> dict[str, str]:
        """Do it; return what failed, by user. Who could not be made a user is put into no group."""
        with self._progress.phase("making users", len(plan.create)) as phase:
            for names in _chunks(plan.create):
                self._each_or_one("", names, self._hub.add_users, phase)
        for group in plan.new_groups:
            self._hub.add_group(group)
        for verb, act, groups in (
            ("joining groups", self._hub.join, plan.join),
            ("leaving groups", self._hub.leave, plan.leave),
        ):
            with self._progress.phase(verb, sum(map(len, groups.values()))) as phase:
                for group, members in groups.items():
                    for names in _chunks([name for name in members if name not in self._failed]):
                        self._each_or_one(group, names, functools.partial(act, group), phase)
        with self._progress.phase("removing users", len(plan.remove)) as phase:
            _done, errors = _bulk.each(plan.remove, self._remove, progress=phase)
        return {**self._failed, **{name: str(error) for name, error in errors.items()}}

    def _each_or_one(
        self, group: str, names: Sequence[str], act: Callable[[Sequence[str]], None], phase: _progress.Phase
    ) -> None:
        """Do it for some at once, or, where that is refused, for one after the other, to know for whom it is."""
        try:
            act(names)
        except _hub.HubError:
            for name in names:
                try:
                    act([name])
                except CoursehubError as error:
                    self._failed[name] = str(error)
                    phase.failed((name, group))
                else:
                    phase.done((name, group))
        else:
            for name in names:
                phase.done((name, group))

    def _remove(self, name: str) -> None:
        """Remove a user, and the server first: the hub refuses one whose server is still about to end."""
        while not self._hub.stop(name):
            if time.monotonic() > self._deadline:
                raise CoursehubError("the server does not end, so the user was not removed")
            self._sleep(STOPPING_S)
        self._hub.remove_user(name)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), CHUNK):
        yield names[begin : begin + CHUNK]


def outcomes(plan: _people.Plan, failed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was done, or would be, for each user for whom something was."""
    joined, left = _by_user(plan.join), _by_user(plan.leave)
    created, removed = set(plan.create), set(plan.remove)
    return [
        {
            "student": name,
            "created": name in created,
            "removed": name in removed,
            "joined": joined.get(name, []),
            "left": left.get(name, []),
            "failed": failed.get(name, ""),
        }
        for name in sorted({*created, *joined, *left, *removed})
    ]


def _by_user(groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, names in groups.items():
        for name in names:
            found.setdefault(name, []).append(group)
    return found


def result(now: _people.State, plan: _people.Plan, failed: Mapping[str, str]) -> dict[str, Any]:
    """Return a module's result."""
    return {
        "changed": not plan.empty,
        "students": outcomes(plan, failed),
        "diff": _people.diff(now, plan),
    }
