# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells the Jobs of a run at what pace each may go: faster when a slot has come to its end.

By a ConfigMap that their pods have as a file. The kubelet brings that up to date by itself, within its period (a
minute) and what its cache takes: https://kubernetes.io/docs/concepts/configuration/configmap/
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from types import TracebackType

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _applying,
    _course,
    _exporter,
    _exporting,
    _slots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


class Pace:
    """The pace of one run with so many slots. No run fails for it: without it each Job keeps its first share."""

    def __init__(
        self, course: _course.Course, exporter: _exporting.Exporter, shares: _slots.Shares, slots: int
    ) -> None:
        self._course = course
        self._exporter = exporter
        self._shares = shares
        self._left = slots
        self._told: _slots.Rates | None = None
        self._lock = threading.Lock()
        # Of this run alone: a kubelet, or a pod of a killed run, may still have what an earlier one has said.
        self.key = uuid.uuid4().hex[:6]
        self.first = shares.each(slots)

    def __enter__(self) -> Pace:
        self._try(self._tell)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exporter.forget_pace()

    def ended(self, slot: _slots.Slot) -> None:
        """Hand a slot's share on to the others, unless a Job of it is still there: its pod may still ask Drive."""
        with self._lock:
            self._try(lambda: self._hand_on(slot))

    def _hand_on(self, slot: _slots.Slot) -> None:
        if not any(name.startswith(f"{slot.claim}-") for name in self._exporter.jobs.names()):
            self._left -= 1
            self._tell()

    def _tell(self) -> None:
        rates = self._shares.each(self._left)
        if rates != self._told:
            # The next run has one of the same name.
            self._course.still_alone()
            item = _exporter.pace_map(self._course.namespace, self.key, rates)
            _applying.apply(self._course.kube, item, dry_run=False)
            self._told = rates

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CoursehubError as error:
            self._exporter.warnings.append(f"Jobs can't be told to go faster, and go on at the pace they have: {error}")
