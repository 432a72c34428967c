"""What an export tells of itself: lines while it runs, one JSON object a student at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..result import MOST_NAMES, PROGRESS_S, say, shown
from .client import RefusedError
from .reasons import Treatment, next_day


class Report:
    """Counts of one student; threads may add to it."""

    def __init__(self, student: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.student = student
        self._clock = clock
        self._began = clock()
        self._next = self._began + PROGRESS_S
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        # Each once: what is planned again meets the same.
        self._problems: set[tuple[str, str]] = set()
        self.todo = 0
        self._done = 0

    def set(self, **counts: int) -> None:
        """Set counts."""
        self._counts.update(counts)

    def add(self, **counts: int) -> None:
        """Add to counts."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] = self._counts.get(name, 0) + count

    def problem(self, path: str, why: str) -> None:
        """Name something that is not in the export as it should be."""
        with self._lock:
            self._problems.add((path, why))

    @property
    def problems(self) -> list[str]:
        """Problems as sentences, those of the first names."""
        return [f"'{shown(path)}': {why}" for path, why in sorted(self._problems)]

    def step(self) -> None:
        """Count a step of the plan, and say now and then how far it is."""
        with self._lock:
            self._done += 1
            if self._clock() < self._next:
                return
            self._next = self._clock() + PROGRESS_S
            sent = self._counts.get("uploaded_bytes", 0)
        say(f"{shown(self.student)}: {self._done} of {self.todo} steps, {sent} bytes sent so far")

    def result(self, outcome: str, error: Exception | None = None) -> dict[str, Any]:
        """Return the result. ``outcome`` is what it came to; an error has a reason and what to do."""
        result: dict[str, Any] = {
            "student": self.student,
            "outcome": outcome,
            **self._counts,
            "seconds": round(self._clock() - self._began, 3),
            "problems": self.problems[:MOST_NAMES],
            "problems_count": len(self._problems),
            "failed": "",
        }
        if isinstance(error, RefusedError):
            result |= {
                "failed": f"{shown(self.student)}: {error}: {error.rule.remedy}",
                "reason": error.reason,
                "treatment": error.treatment.value,
                "remedy": error.rule.remedy,
            }
            if error.treatment is Treatment.DAY:
                result["until"] = next_day(time.time())
        elif error is not None:
            result["failed"] = str(error)
        return result


def outcome_of(error: RefusedError) -> str:
    """Return in one word what became of a student at whom Drive refused."""
    return "paused" if error.treatment is Treatment.DAY else "stopped"
