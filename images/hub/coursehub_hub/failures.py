"""Starts that fail one after another: a sign that it is the hub that is ill, and not a student's server."""

from __future__ import annotations

import time
from collections.abc import Callable

# So many different students in a row. One who tries again and again says nothing of the hub.
STUDENTS = 5
# A hub that has just begun and fails again has another reason than itself: it ends at most so often.
LEAST_S = 600


class Failures:
    """The students whose starts failed since one came through."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._students: set[str] = set()

    def succeeded(self) -> None:
        """Forget those that failed: the hub can start servers."""
        self._students.clear()

    def failed(self, student: str) -> bool:
        """Note a failure; tell whether the hub should end, for another one to try."""
        self._students.add(student)
        return len(self._students) >= STUDENTS and self._clock() - self._begun >= LEAST_S
