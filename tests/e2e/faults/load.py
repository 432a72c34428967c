"""Students at work: each computes in a kernel, has the files listed, and opens new tabs, all the time.

What a browser does, they do: a request that found no connection is made once more a second later, and a websocket that
was cut is opened anew. All of it is counted.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import requests
import websocket

from tests.e2e.student import Kernel, Student

TIMEOUT_S = 10
RETRY_S = 1
COMPUTE_S = 3
LIST_S = 2
# Every so many lists a new tab.
TAB = 5
# How long it goes on undisturbed before and after.
CALM_S = 4
STUDENTS = 6


@dataclass(frozen=True)
class Event:
    """One thing that a student did."""

    at: float
    student: str
    what: str
    ok: bool
    retried: bool = False
    error: str = ""


@dataclass
class Outcome:
    """What students noticed of a fault. Gaps and times in seconds; no recovery where it was awaited in vain."""

    name: str
    requests: int = 0
    failed: int = 0
    retried: int = 0
    dropped: int = 0
    longest_gap_s: float = 0.0
    recovery_s: float | None = 0.0
    errors: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        recovery = "none" if self.recovery_s is None else f"{self.recovery_s:.1f} s"
        return (
            f"{self.name}: {self.failed} of {self.requests} student requests failed, {self.retried} were made twice,"
            f" {self.dropped} websockets cut; longest gap {self.longest_gap_s:.1f} s, recovery {recovery}"
            + "".join(f"\n  {error}" for error in self.errors[:10])
        )


def outcome(name: str, events: Sequence[Event], begin: float, end: float) -> Outcome:
    """Return what happened between two moments."""
    within = [event for event in events if begin <= event.at <= end]
    result = Outcome(name)
    result.dropped = sum(event.what == "cut" for event in within)
    within = [event for event in within if event.what != "cut"]
    result.requests = len(within)
    result.failed = sum(not event.ok for event in within)
    result.retried = sum(event.retried for event in within)
    result.errors = [f"{text} ({count} times)" for text, count in Counter(e.error for e in within if e.error).items()]
    for student, kernel in {(event.student, event.what == "compute") for event in within}:
        good = [e.at for e in within if e.ok and (e.student, e.what == "compute") == (student, kernel)]
        moments = [begin, *good, end]
        gap = max(later - earlier for earlier, later in pairwise(moments))
        result.longest_gap_s = max(result.longest_gap_s, gap)
    return result


class Load:
    """Students at work in the background, until ``stop``."""

    def __init__(self, students: Sequence[Student]) -> None:
        self.students = list(students)
        self.outcomes: list[Outcome] = []
        self._events: list[Event] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, args=(student,), daemon=True)
            for student in self.students
            for work in (self._compute, self._browse)
        ]

    def start(self) -> Load:
        """Begin, and wait until all are at work."""
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 90
        while len({(event.student, event.what) for event in list(self._events) if event.ok}) < 3 * len(self.students):
            assert time.monotonic() < deadline, f"not all are at work: {self._events[-5:]}"
            time.sleep(0.2)
        return self

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(3 * TIMEOUT_S)

    @contextmanager
    def case(self, name: str, ignoring: Collection[str] = ()) -> Iterator[Outcome]:
        """Observe what is done in the block, but for some students; the outcome is filled when it ends."""
        time.sleep(CALM_S)
        begin = time.monotonic()
        result = Outcome(name)
        yield result
        time.sleep(CALM_S)
        recovery = result.recovery_s
        # Who waits for an answer just now must have got it or given up.
        time.sleep(TIMEOUT_S / 2)
        seen = [event for event in list(self._events) if event.student not in ignoring]
        vars(result).update(vars(outcome(name, seen, begin, time.monotonic())))
        result.recovery_s = recovery
        self.outcomes.append(result)
        print(f"\n{result}", flush=True)

    def _compute(self, student: Student) -> None:
        kernel: Kernel | None = None
        number = 0
        while not self._ended.is_set():
            number += 1
            begun = time.monotonic()
            try:
                kernel = kernel or student.kernel()
                ok = kernel.printed(kernel.send(f"print({number} * 2)"), TIMEOUT_S) == f"{number * 2}\n"
                self._note(student, "compute", ok, error="" if ok else "a wrong result")
            except (OSError, websocket.WebSocketException, requests.RequestException) as problem:
                self._note(student, "cut", False, error=_short(problem))
                kernel = self._connect_again(student, kernel)
            self._ended.wait(max(0.0, COMPUTE_S - (time.monotonic() - begun)))
        if kernel is not None:
            kernel.close()

    def _connect_again(self, student: Student, kernel: Kernel | None) -> Kernel | None:
        """Open the websocket anew, as JupyterLab does; that it takes long is a failure."""
        if kernel is None:
            self._ended.wait(RETRY_S)
            return None
        deadline = time.monotonic() + TIMEOUT_S
        while not self._ended.is_set():
            try:
                return student.connect(kernel.id)
            except websocket.WebSocketBadStatusException as answer:
                # The server was started anew, and has not this kernel: a student starts another one.
                if answer.status_code == 404:
                    return None
            except (OSError, websocket.WebSocketException) as problem:
                if time.monotonic() > deadline:
                    self._note(student, "compute", False, error=f"no websocket: {_short(problem)}")
                    deadline = time.monotonic() + TIMEOUT_S
            self._ended.wait(RETRY_S)
        return None

    def _browse(self, student: Student) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            if number % TAB == 0:
                self._request(student, "tab", lambda: _page(student, f"/user/{student.name}/lab"))
            else:
                self._request(student, "list", lambda: _page(student, f"/user/{student.name}/api/contents/"))
            self._ended.wait(LIST_S)

    def _request(self, student: Student, what: str, ask: Callable[[], str]) -> None:
        error = ask()
        retried = bool(error)
        if retried:
            self._ended.wait(RETRY_S)
            again = ask()
            error = f"{error}, then {again}" if again else ""
        self._note(student, what, not error, retried=retried, error=error)

    def _note(self, student: Student, what: str, ok: bool, *, retried: bool = False, error: str = "") -> None:
        self._events.append(Event(time.monotonic(), student.name, what, ok, retried, error and f"{what}: {error}"))


@contextmanager
def at_work(url: str, report: Path) -> Iterator[Load]:
    """Students at work until the block ends; then what they noticed is written to a JSON file."""
    students = [Student(url, f"at-work-{number}").login() for number in range(STUDENTS)]
    # Three at a time: the machine is small.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda student: student.start(240), students))
    working = Load(students).start()
    try:
        yield working
    finally:
        working.stop()
        report.parent.mkdir(parents=True, exist_ok=True)
        told = {one.name: asdict(one) for one in working.outcomes}
        report.write_text(json.dumps(told, indent=2), encoding="utf-8")
        for one in working.outcomes:
            print(one)
        for student in students:
            student.stop()


def _page(student: Student, path: str) -> str:
    """Ask for a page; return what is wrong with the answer."""
    try:
        answer = student.session.get(f"{student.url}{path}", timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as problem:
        return _short(problem)
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:100]!r}"


def _short(problem: Exception) -> str:
    return f"{type(problem).__name__} {problem}"[:160]
