# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print at the end of a run how long each phase took."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: aggregate
short_description: Print how long each phase of a run took
version_added: 0.1.0
author: The coursehub authors (@coursehub)
description:
  - A phase is a role, or the tasks of a playbook between two roles. The times are printed at the end of a run and,
    where E(COURSEHUB_PHASES_FILE) names a file, written there as JSON, in seconds.
requirements:
  - enabled in C(ansible.cfg) by C(callbacks_enabled)
"""

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Adds up the time from each task's start to the next one's."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "coursehub.jupyterhub.phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, float] = {}
        self._phase = ""
        self._since = time.monotonic()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        role = task._role
        self._turn(role.get_name(include_role_fqcn=False) if role else "playbook")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._turn("")
        total = sum(self._seconds.values())
        words = [f"{name} {seconds:.0f} s" for name, seconds in self._seconds.items() if seconds >= 0.5]
        self._display.display(f"Phases: {', '.join(words) or 'all under half a second'}; {total:.0f} s in all")
        file = os.environ.get("COURSEHUB_PHASES_FILE")
        if file:
            with open(file, "w", encoding="utf-8") as target:
                json.dump({"phases": self._seconds, "total": total, "changed": _changed(stats)}, target)

    def _turn(self, phase: str) -> None:
        now = time.monotonic()
        if self._phase:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now


def _changed(stats: Any) -> int:
    return sum(stats.summarize(host)["changed"] for host in stats.processed)
