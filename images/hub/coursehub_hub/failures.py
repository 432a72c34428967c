"""Starts that fail one after another: a sign that it is the hub that is ill, and not a student's server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from jupyterhub.spawner import SpawnException

# So many different students in a row. One who tries again and again says nothing of the hub.
STUDENTS = 5
# A hub that has just begun and fails again has another reason than itself: it ends at most so often.
LEAST_S = 600


class NoRoomError(SpawnException):
    """A start that was given up as no node had room for its server: no fault of the hub's, nor of the server's.

    The text is what the student reads.
    """

    jupyterhub_message = (
        "The course has no free room for another server just now, so yours was not started. Your files are safe. Try"
        " again in a few minutes; if it takes longer, tell the staff."
    )

    def __init__(self) -> None:
        super().__init__(self.jupyterhub_message, reason="no_room", status_code=503)


def has_no_room(pod: Mapping[str, Any] | None) -> bool:
    """Tell whether the scheduler has said of a pod that it finds no node for it. One that it has not seen yet, or that
    nobody knows, may be without one for other reasons.
    """
    conditions = (pod or {}).get("status", {}).get("conditions") or []
    return any((one["type"], one["status"]) == ("PodScheduled", "False") for one in conditions)


class Failures:
    """The students whose starts failed since one came through."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: float | None = None
        self._students: set[str] = set()

    def begin(self) -> None:
        """Note that somebody starts: by the first one this hub begins its work, which it may long have stood by for."""
        if self._begun is None:
            self._begun = self._clock()

    def succeeded(self) -> None:
        """Forget those that failed: the hub can start servers."""
        self._students.clear()

    def failed(self, student: str) -> bool:
        """Note a failure; tell whether the hub should end, for another one to try."""
        self._students.add(student)
        worked_s = 0.0 if self._begun is None else self._clock() - self._begun
        return len(self._students) >= STUDENTS and worked_s >= LEAST_S
