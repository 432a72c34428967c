"""Students at work: each computes in a kernel, has the files listed, and opens new tabs, all the time; one logs in.

What a browser does, they do: a request that found no connection is made once more a second later, and a websocket that
was cut is opened anew. All of it is counted, by when it was begun: what a fault has made to hang ends long after it.
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
from itertools import pairwise, product
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
LOGIN_S = 3
# Computing in a kernel, and the rest.
KINDS = ("kernel", "pages")
# Nothing takes longer than a login, both requests of which may hang for 30 s.
LONGEST_S = 90
# How long it goes on undisturbed before and after.
CALM_S = 4
STUDENTS = 6
VISITOR, VISITORS = "visitor", 20


@dataclass(frozen=True)
class Event:
    """One thing that a student did."""

    begun: float
    at: float
    student: str
    what: str
    ok: bool
    retried: bool = False
    error: str = ""

    @property
    def kind(self) -> str:
        return KINDS[self.what != "compute"]


@dataclass
class Outcome:
    """What students noticed of a fault. Gaps and times in seconds; no recovery where it was awaited in vain.

    Logins are counted apart: a hub that is away lets nobody in.
    """

    name: str
    requests: int = 0
    failed: int = 0
    retried: int = 0
    dropped: int = 0
    logins: int = 0
    logins_failed: int = 0
    longest_gap_s: float = 0.0
    recovery_s: float | None = 0.0
    errors: list[str] = field(default_factory=list)

    def went_unnoticed(self) -> bool:
        """Tell whether no student could see it: nothing failed, was made twice, or was cut."""
        return (self.failed, self.retried, self.dropped) == (0, 0, 0)

    def __str__(self) -> str:
        recovery = "none" if self.recovery_s is None else f"{self.recovery_s:.1f} s"
        return (
            f"{self.name}: {self.failed} of {self.requests} student requests failed, {self.retried} were made twice,"
            f" {self.dropped} websockets cut, {self.logins_failed} of {self.logins} logins failed; longest gap"
            f" {self.longest_gap_s:.1f} s, recovery {recovery}" + "".join(f"\n  {error}" for error in self.errors[:10])
        )


def outcome(name: str, students: Collection[str], events: Sequence[Event], begin: float, end: float) -> Outcome:
    """Return what became of all that was begun between two moments, or ended there.

    Raises AssertionError where a student did nothing in that time: nothing would be known of the fault.
    """
    within = [event for event in events if event.begun <= end and event.at >= begin]
    logins = [event for event in within if event.what == "login"]
    result = Outcome(name, logins=len(logins), logins_failed=sum(not event.ok for event in logins))
    within = [event for event in within if event.student in students]
    result.dropped = sum(event.what == "cut" for event in within)
    within = [event for event in within if event.what != "cut"]
    result.requests = len(within)
    result.failed = sum(not event.ok for event in within)
    result.retried = sum(event.retried for event in within)
    result.errors = [f"{text} ({count} times)" for text, count in Counter(e.error for e in within if e.error).items()]
    for student, kind in product(students, KINDS):
        done = [event for event in within if (event.student, event.kind) == (student, kind)]
        assert done, f"{name}: {student} did nothing ({kind}) while it was watched"
        moments = [begin, *(min(event.at, end) for event in done if event.ok), end]
        result.longest_gap_s = max(result.longest_gap_s, *(later - earlier for earlier, later in pairwise(moments)))
    return result


class Load:
    """Students at work in the background, until ``stop``."""

    def __init__(self, students: Sequence[Student]) -> None:
        self.students = list(students)
        self.outcomes: list[Outcome] = []
        self._events: list[Event] = []
        # Since when each of them does what it does now.
        self._begun: dict[tuple[str, str], float] = {}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, args=(student,), daemon=True)
            for student in self.students
            for work in (self._compute, self._browse)
        ]
        self._threads.append(threading.Thread(target=self._log_in, args=(self.students[0].url,), daemon=True))

    def start(self) -> Load:
        """Begin, and wait until all are at work."""
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 90
        # Each computes, lists and opens; and somebody has logged in.
        everything = 3 * len(self.students) + 1
        while len({(event.student, event.what) for event in list(self._events) if event.ok}) < everything:
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
        end = time.monotonic()
        recovery = result.recovery_s
        # What hangs just now counts with how it ends.
        while any(begun <= end for begun in list(self._begun.values())):
            assert time.monotonic() < end + LONGEST_S, f"{name}: something hangs for more than {LONGEST_S} s"
            time.sleep(0.2)
        assert all(thread.is_alive() for thread in self._threads), f"{name}: somebody has stopped working"
        watched = {student.name for student in self.students} - set(ignoring)
        vars(result).update(vars(outcome(name, watched, list(self._events), begin, end)))
        result.recovery_s = recovery
        self.outcomes.append(result)
        print(f"\n{result}", flush=True)

    def _compute(self, student: Student) -> None:
        kernel: Kernel | None = None
        number = 0
        while not self._ended.is_set():
            number += 1
            begun = self._begin(student.name, "kernel")
            try:
                kernel = kernel or student.kernel()
                ok = kernel.printed(kernel.send(f"print({number} * 2)"), TIMEOUT_S) == f"{number * 2}\n"
                self._note(student.name, "compute", ok, error="" if ok else "a wrong result")
            except (OSError, websocket.WebSocketException, requests.RequestException) as problem:
                # Who has no kernel, and gets none, has lost more than a connection.
                self._note(student.name, "cut" if kernel else "compute", False, error=_short(problem))
                kernel = self._connect_again(student, kernel)
            except (AssertionError, ValueError) as problem:
                # The kernel said that it failed, or what is no message.
                self._note(student.name, "compute", False, error=_short(problem))
                kernel = self._connect_again(student, kernel)
            self._ended.wait(max(0.0, COMPUTE_S - (time.monotonic() - begun)))
        if kernel is not None:
            kernel.close()

    def _connect_again(self, student: Student, kernel: Kernel | None) -> Kernel | None:
        """Open the websocket anew, as JupyterLab does; that it takes long is a failure."""
        if kernel is None:
            self._ended.wait(RETRY_S)
            return None
        begun = self._begin(student.name, "kernel")
        try:
            while not self._ended.is_set():
                try:
                    return student.connect(kernel.id)
                except (OSError, websocket.WebSocketException) as problem:
                    # The server was started anew, and has not this kernel: a student starts another one.
                    if isinstance(problem, websocket.WebSocketBadStatusException) and problem.status_code == 404:
                        return None
                    if time.monotonic() > begun + TIMEOUT_S:
                        self._note(student.name, "compute", False, error=f"no websocket: {_short(problem)}")
                        begun = self._begin(student.name, "kernel")
                self._ended.wait(RETRY_S)
            return None
        finally:
            self._begun.pop((student.name, "kernel"), None)

    def _log_in(self, url: str) -> None:
        """One after the other comes, logs in, and goes."""
        number = 0
        while not self._ended.is_set():
            number += 1
            self._begin(VISITOR, "pages")
            error = ""
            try:
                Student(url, f"{VISITOR}-{number % VISITORS}").login()
            except (requests.RequestException, AssertionError) as problem:
                error = _short(problem)
            self._note(VISITOR, "login", not error, error=error)
            self._ended.wait(LOGIN_S)

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
        self._begin(student.name, "pages")
        error = ask()
        retried = bool(error)
        if retried:
            self._ended.wait(RETRY_S)
            again = ask()
            error = f"{error}, then {again}" if again else ""
        self._note(student.name, what, not error, retried=retried, error=error)

    def _begin(self, student: str, kind: str) -> float:
        """Note since when somebody does something; return that moment."""
        begun = time.monotonic()
        self._begun[student, kind] = begun
        return begun

    def _note(self, student: str, what: str, ok: bool, *, retried: bool = False, error: str = "") -> None:
        """Note how it ended."""
        begun = self._begun.pop((student, KINDS[what not in ("compute", "cut")]))
        told = error and f"{what}: {error}"
        self._events.append(Event(begun, time.monotonic(), student, what, ok, retried, told))


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
