# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Jobs of one run of exports are asked; without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _exporter, _slots


@dataclass(frozen=True)
class Tasks:
    """Makes the tasks. ``accounts`` is by claim, and so is ``new``, the ids of disks that say of no export."""

    parameters: Mapping[str, Any]
    accounts: Mapping[str, _accounts.Account]
    new: Mapping[str, str]
    rates: _slots.Rates
    # What in the run's ConfigMap says what the rates have become.
    pace: str = ""

    def task(
        self, name: str, command: str, claims: Sequence[str], state: str = "", clones: Mapping[str, str] | None = None
    ) -> _exporter.Task:
        """Return a task for some students. ``clones`` has the disk that each is exported from."""
        disks = clones or {}
        people = [_exporter.Person(self.accounts[one], disks.get(one, ""), self.new.get(one)) for one in claims]
        common = _exporter.common(self.parameters, self.rates)
        address, priority = self.parameters["api_address"], self.parameters["priority_class"]
        # What has no state asks before the slots are begun, and is no part of one.
        pace = self.pace if state else ""
        audience = self.parameters["workload_identity_audience"]
        return _exporter.Task(name, command, people, common, state, address, priority, pace, audience)
