# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far bulk work has come: a module writes it to a file, its action plugin reads it and tells."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

ARGUMENTS: dict[str, dict[str, Any]] = {"progress_file": {"type": "path"}}

THREAD = "progress"
# Between two lines in the file.
WRITE_INTERVAL_S = 0.1
# When a line is printed where nothing can be rewritten: so much more is finished, or so long after the last one.
STEP = 0.05
PAUSE_S = 10.0
# Of a long phase the pause is a tenth of the time so far: a run of hours prints tens of lines, not thousands.
PAUSE_SHARE = 0.1
LEAST_PAUSE_S = 2.0
# Before it, a rate says nothing.
LEAST_TIME_S = 1.0


@dataclass(frozen=True)
class State:
    """How far a phase has come, so many ``seconds`` after its beginning."""

    phase: str
    total: int
    done: int = 0
    running: int = 0
    failed: int = 0
    seconds: float = 0.0
    ended: bool = False

    @property
    def finished(self) -> int:
        return self.done + self.failed


def written(state: State) -> str:
    """Return the line of the file that says it."""
    return json.dumps(asdict(state)) + "\n"


def read(line: str) -> State | None:
    """Return what a line of the file says, None for one that is no such line, as of a disk that was full."""
    try:
        return State(**json.loads(line))
    except (ValueError, TypeError):
        return None


def rate(state: State) -> float | None:
    """Return how many are finished in a second, None where that isn't known yet."""
    return state.finished / state.seconds if state.finished and state.seconds >= LEAST_TIME_S else None


def time_left(state: State) -> float | None:
    """Return the seconds that the rest will take at this rate, None where that isn't known yet."""
    speed = rate(state)
    return max(0, state.total - state.finished) / speed if speed else None


def text(state: State) -> str:
    """Return it for a person to read."""
    words = [f"{state.done} of {state.total} done"]
    if state.running:
        words.append(f"{state.running} running")
    if state.failed:
        words.append(f"{state.failed} failed")
    speed, left = rate(state), time_left(state)
    if state.ended:
        words.append(f"{_span(state.seconds)} in all")
    elif speed is None:
        words.append(f"{_span(state.seconds)} so far")
    if speed is not None and state.total > 1:
        words.append(_speed(speed))
    if left is not None and not state.ended:
        words.append(f"{_span(left)} left")
    return f"{state.phase}: {', '.join(words)}"


def due(told: State | None, state: State) -> bool:
    """Tell whether a state is worth a line of its own, after the one that was told last.

    The end of a phase always is. Before it, a state is where 5 % more is finished, or after 10 s with a change. Where
    5 % is less than one student only the time counts; a phase of one student has no line but its end.
    """
    if state.ended:
        return True
    if state.total <= 1 or state.finished >= state.total:
        return False
    if told is None or told.ended or told.phase != state.phase:
        told = State(state.phase, state.total)
    since, step = state.seconds - told.seconds, state.total * STEP
    if since < LEAST_PAUSE_S:
        return False
    if step >= 1 and state.finished - told.finished >= step:
        return True
    changed = (state.done, state.running, state.failed) != (told.done, told.running, told.failed)
    return changed and since >= max(PAUSE_S, state.seconds * PAUSE_SHARE)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _speed(per_second: float) -> str:
    for unit, factor in (("s", 1), ("min", 60)):
        speed = per_second * factor
        if speed >= 1:
            return f"{speed:.1f}/{unit}" if speed < 10 else f"{speed:.0f}/{unit}"
    return f"{per_second * 3600:.1f}/h"


class Progress:
    """What a module tells of its work. Without a path it tells nothing."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path

    def phase(self, name: str, total: int) -> Phase:
        """Return a phase, to be entered by ``with``; one without work is not told."""
        return Phase(self._path if total else None, name, total)


class Phase:
    """Counts items, each by where it was put last; any thread may do that.

    The file must be there: it is the reader's. Where it can't be written the work goes on all the same, untold.
    """

    def __init__(self, path: str | None, name: str, total: int) -> None:
        self._path = path
        self._name = name
        self._total = total
        self._file: int | None = None
        self._lock = threading.Lock()
        self._running: set[Hashable] = set()
        self._done: set[Hashable] = set()
        self._failed: set[Hashable] = set()
        self._changed = True
        self._begin = 0.0
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name=THREAD, daemon=True)

    def __enter__(self) -> Phase:
        self._begin = time.monotonic()
        if self._path is not None:
            try:
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            except OSError:
                return self
            self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._ended.set()
        self._writer.join()
        self._write()
        os.close(self._file)
        self._file = None

    def started(self, item: Hashable) -> None:
        self._put(item, self._running)

    def done(self, item: Hashable) -> None:
        self._put(item, self._done)

    def failed(self, item: Hashable) -> None:
        self._put(item, self._failed)

    def _put(self, item: Hashable, into: set[Hashable]) -> None:
        with self._lock:
            for one in (self._running, self._done, self._failed):
                one.discard(item)
            into.add(item)
            self._changed = True

    def _write_on(self) -> None:
        while not self._ended.wait(WRITE_INTERVAL_S):
            if self._changed:
                self._write()

    def _write(self) -> None:
        with self._lock:
            self._changed = False
            state = State(
                self._name,
                self._total,
                len(self._done),
                len(self._running),
                len(self._failed),
                round(time.monotonic() - self._begin, 2),
                self._ended.is_set(),
            )
        if self._file is not None:
            try:
                os.write(self._file, written(state).encode())
            except OSError:
                return
