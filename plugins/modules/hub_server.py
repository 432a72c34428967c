#!/usr/bin/python
# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hub_server
short_description: Start or stop students' servers, many at once
version_added: 0.4.0
author: The coursehub authors (@coursehub)
description:
  - Asks the hub for each server and waits for all of them by one list of the hub, not by one request for each.
  - A hub that has no time for a start is asked again; where many start at once they wait in the hub's line.
  - Every one is tried before the module fails, and those that failed are named.
extends_documentation_fragment:
  - coursehub.jupyterhub.kubernetes
  - coursehub.jupyterhub.kubernetes.attributes
  - coursehub.jupyterhub.hub
  - coursehub.jupyterhub.hub.users
  - coursehub.jupyterhub.progress
attributes:
  diff_mode:
    details: Shows what each server was and is.
options:
  state:
    description:
      - What the servers are to be. V(stopped) ends what runs in them, whatever that is; the disks stay.
    type: str
    choices: [started, stopped]
    default: started
  concurrency:
    description: Requests to the hub at a time. One hub takes about ten starts a second, however many ask.
    type: int
    default: 10
  wait:
    description: Whether the module ends only when each server is what it is to be.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Have the class's servers run before it begins
  coursehub.jupyterhub.hub_server:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    hub_url: https://hub.example.org
    hub_namespace: coursehub
    roster: class.csv

- name: Stop the servers of a group
  coursehub.jupyterhub.hub_server:
    kubeconfig: ~/.local/state/coursehub/coursehub/kubeconfig
    context: kind-coursehub
    hub_url: https://hub.example.org
    hub_namespace: coursehub
    group: lab1
    state: stopped
"""

RETURN = r"""
students:
  description: What was done, or would be, for each user.
  type: list
  elements: dict
  returned: success
  contains:
    student:
      description: The user.
      type: str
    was:
      description: What the server was, V(running), V(starting), V(stopping) or V(stopped).
      type: str
    server:
      description: What the server is, or would be.
      type: str
    seconds:
      description: How long that took.
      type: float
    changed:
      description: Whether the hub was asked, or would be.
      type: bool
    failed:
      description: What failed, empty where nothing did.
      type: str
  sample:
    - student: alice
      was: stopped
      server: running
      seconds: 8.3
      changed: true
      failed: ""
unknown:
  description: The students of the roster whom the hub does not know.
  type: list
  elements: str
  returned: success
  sample: []
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _bulk,
    _disks,
    _hub,
    _hub_module,
    _hub_servers,
    _people,
    _progress,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Between two lists. A hub that needs long for one is left alone four times as long.
PAUSE_S = 2.0
PAUSE_SHARE = 4


@dataclass
class Outcome:
    """What was done, or would be, for one user."""

    student: str
    was: str
    server: str
    seconds: float = 0.0
    changed: bool = False
    failed: str = ""


class Run:
    """One run over the chosen users."""

    def __init__(
        self,
        hub: _hub.Hub,
        progress: _progress.Progress,
        parameters: dict[str, Any],
        check_mode: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub = hub
        self._progress = progress
        self._parameters = parameters
        self._check_mode = check_mode
        self._sleep = sleep
        self._wanted = _hub_servers.WANTED[parameters["state"]]
        self._outcomes: dict[str, Outcome] = {}
        self._begun = time.monotonic()

    def __call__(self) -> dict[str, Any]:
        users = self._hub.users()
        groups = self._hub.groups() if self._parameters["group"] else {}
        chosen, unknown = _people.choose(_people.state(users, groups).users, groups.keys(), self._parameters)
        found = _hub_servers.phases(users)
        self._outcomes = {name: Outcome(name, found[name], found[name]) for name in chosen}
        if self._check_mode:
            for name in _hub_servers.to_await(found, chosen, self._wanted):
                self._outcomes[name].server = self._wanted
            for name in _hub_servers.to_ask(found, chosen, self._wanted):
                self._outcomes[name].changed = True
        else:
            self._bring(found)
        return self._result(unknown)

    def _bring(self, found: dict[str, str]) -> None:
        """Bring every server to what is wanted, or note why not."""
        waiting = _hub_servers.to_await(found, self._outcomes, self._wanted)
        asked: set[str] = set()
        deadline = self._begun + self._parameters["wait_timeout"]
        verb = {_hub_servers.RUNNING: "starting", _hub_servers.STOPPED: "stopping"}[self._wanted]
        with self._progress.phase(f"{verb} servers", len(waiting)) as phase:
            while waiting:
                now = [name for name in _hub_servers.to_ask(found, waiting, self._wanted) if name not in asked]
                # The hub refuses a start while it still stops the one before.
                now = [name for name in now if found.get(name) != _hub_servers.STOPPING]
                self._ask(now, phase)
                asked |= set(now)
                waiting = [name for name in waiting if not self._outcomes[name].failed]
                if not waiting or not self._parameters["wait"]:
                    break
                if time.monotonic() > deadline:
                    self._fail(waiting, f"the server is not {self._wanted} after {self._parameters['wait_timeout']} s")
                    break
                try:
                    found = self._look_again()
                except CoursehubError as error:
                    self._fail(waiting, str(error))
                    break
                waiting = self._sort(found, waiting, asked, phase)
            for name in waiting:
                phase.failed(name) if self._outcomes[name].failed else phase.done(name)

    def _ask(self, names: list[str], phase: _progress.Phase) -> None:
        """Ask the hub for each server; note what it refused."""

        def ask(name: str) -> None:
            phase.started(name)
            if self._wanted == _hub_servers.RUNNING:
                self._hub.start(name)
            else:
                self._hub.stop(name)

        _done, errors = _bulk.each(names, ask, self._parameters["concurrency"])
        way = _hub_servers.WAY[self._wanted]
        for name in names:
            if name not in errors:
                self._outcomes[name].changed, self._outcomes[name].server = True, way
        for name, error in errors.items():
            self._fail([name], str(error))
            phase.failed(name)

    def _look_again(self) -> dict[str, str]:
        """Return what the servers are, some time later."""
        self._sleep(PAUSE_S)
        begun = time.monotonic()
        found = _hub_servers.phases(self._hub.users(state="active"))
        self._sleep(max(0.0, PAUSE_SHARE * (time.monotonic() - begun) - PAUSE_S))
        return found

    def _sort(self, found: dict[str, str], waiting: list[str], asked: set[str], phase: _progress.Phase) -> list[str]:
        """Note what has come to its end, return what has not."""
        left = []
        for name in waiting:
            outcome = self._outcomes[name]
            outcome.server = found.get(name, _hub_servers.STOPPED)
            outcome.seconds = round(time.monotonic() - self._begun, 1)
            if outcome.server == self._wanted:
                phase.done(name)
                continue
            # It is on no list any more: that start has ended, and not well.
            reason = (
                self._hub.why_not_started(name) if outcome.server == _hub_servers.STOPPED and name in asked else None
            )
            if reason is None:
                left.append(name)
            else:
                self._fail([name], reason)
                phase.failed(name)
        return left

    def _fail(self, names: list[str], reason: str) -> None:
        for name in names:
            self._outcomes[name].failed = reason

    def _result(self, unknown: list[str]) -> dict[str, Any]:
        outcomes = list(self._outcomes.values())
        changed = [one for one in outcomes if one.changed]
        return {
            "changed": bool(changed),
            "students": [vars(one) for one in outcomes],
            "unknown": unknown,
            "diff": {
                "before": "".join(f"{one.student} {one.was}\n" for one in changed),
                "after": "".join(f"{one.student} {one.server}\n" for one in changed),
            },
        }


def check(parameters: dict[str, Any]) -> None:
    """Raise CoursehubError for parameters that make no sense."""
    _disks.check_selection(parameters, _people.SELECTION_ARGUMENTS)
    if parameters["concurrency"] < 1:
        raise CoursehubError(f"concurrency is {parameters['concurrency']}: nobody would ever be asked; set 1 or more")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **_hub_module.ARGUMENTS,
            **_people.SELECTION_ARGUMENTS,
            "state": {"type": "str", "choices": list(_hub_servers.WANTED), "default": "started"},
            "concurrency": {"type": "int", "default": 10},
            "wait": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    _hub_module.run(
        module,
        lambda: check(module.params),
        lambda hub, progress, _checked: Run(hub, progress, module.params, module.check_mode)(),
    )


if __name__ == "__main__":
    main()
