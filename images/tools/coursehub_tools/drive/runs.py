"""Students with a result of their own each, and what one of them meets that all will meet.

Those of one identity come one after the other, since Drive's pace is the identity's. Identities are side by side.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import result
from ..result import MOST_NAMES, FailedError, because, say, shown
from . import credentials, export, importing, look, parallel, verify
from .client import Client, LostError, RefusedError
from .lists import Lists
from .objects import Drive
from .pacer import Bucket, Pacer, project_bucket
from .reasons import Treatment
from .report import Report, outcome_of
from .request import Asked, by_identity
from .share import Share
from .state import folder_name


@dataclass(frozen=True)
class Where:
    """Which Drive, for tests another than Google's; how long to wait for one answer, and for any (seconds)."""

    address: str = ""
    timeout_s: float = 60.0
    patience_s: float = 900.0


# Students who each have an identity of their own, and the files of all of them at a time: each may have 16 MiB in
# memory, of the 512 that a pod has. Two at a time are enough for the pace of one identity.
SIDE_BY_SIDE = 8
FILES_AT_A_TIME = 16

GOOD = ("complete", "unchanged", "proven", "restored", "ready", "counted")
# https://support.google.com/a/answer/7338880, bin included.
MOST_ITEMS = 500_000


def all_of(command: str, asked: Sequence[Asked], where: Where, results: Path | None) -> dict[str, Any]:
    """Do what is asked for each student, whatever becomes of the others; return how many came to what."""
    if results is not None and not results.is_dir():
        raise FailedError(f"'{shown(str(results))}' is no folder for the results: make it first")
    rows = by_identity(asked)
    lanes = min(len(rows), SIDE_BY_SIDE)
    if lanes > 1:
        asked = [replace(one, threads=min(one.threads, FILES_AT_A_TIME // lanes)) for one in asked]
        rows = by_identity(asked)
    run = _Run(command, where, asked)
    outcome: dict[str, str] = {}

    def do(students: Sequence[Asked]) -> None:
        for one in students:
            done = run.one(one)
            _tell(done, results)
            outcome[one.student] = done["outcome"]

    parallel.each(do, rows, lanes)
    outcomes = Counter(outcome.values())
    failed = [one.student for one in asked if outcome[one.student] not in GOOD]
    summary: dict[str, Any] = {"students": len(asked), **outcomes, "failed_students": failed}
    if failed:
        named = ", ".join(shown(name) for name in failed[:MOST_NAMES])
        more = f" and {len(failed) - MOST_NAMES} more" if len(failed) > MOST_NAMES else ""
        summary["failed"] = f"{command} did not end well for {len(failed)} of {len(asked)} students: {named}{more}"
    return summary


def _tell(done: dict[str, Any], results: Path | None) -> None:
    data = result.encoded(done)
    say(data.decode())
    if results is not None:
        path = results / f"{folder_name(done['student'])}.json"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise FailedError(
                f"{shown(done['student'])}: the result can't be written to '{shown(str(results))}' ({because(error)}): "
                "give a folder that can be written"
            ) from None


@dataclass(frozen=True)
class _Identity:
    """What students with one identity share: one token for all, one pace, and one look at their lists."""

    credentials: Any
    pacer: Pacer
    lists: Lists | None


class _Run:
    def __init__(self, command: str, where: Where, asked: Sequence[Asked]) -> None:
        self._do = _COMMANDS[command]
        self._where = where
        self._project: Bucket = project_bucket(asked[0].rates)
        self._students = Counter(one.identity for one in asked)
        self._identities: dict[tuple[str, str], _Identity] = {}
        self._lock = threading.Lock()
        # What Drive has refused to all who go into a folder, or to all of an identity.
        self._closed: dict[object, RefusedError] = {}
        # That there is no way to Drive, where all that is asked is whether there is one.
        self._lost: LostError | None = None

    def one(self, asked: Asked) -> dict[str, Any]:
        report = Report(asked.student)
        closed = self._lost or self._closed.get(asked.folder) or self._closed.get(asked.identity)
        if closed is not None:
            return report.result(outcome_of(closed), closed) | {"calls": 0}
        client: Client | None = None
        try:
            shared = self._identity(asked)
            client = self._client(shared)
            outcome, more = self._do(Task(asked, client, report, shared.lists))
            done = report.result(outcome) | more
        except RefusedError as error:
            self._close(asked, error)
            done = report.result(outcome_of(error), error)
        except FailedError as error:
            done = report.result("failed", error) | error.details
        except OSError as error:
            place = f" at '{shown(str(error.filename))}'" if error.filename else ""
            why = f"the system refuses something{place} ({because(error)}): look at the disks, then run this again"
            done = report.result("failed", FailedError(f"{shown(asked.student)}: {why}"))
        except Exception as error:
            # A defect that one student's files bring to light is no reason to leave out the next.
            why = f"unexpected {type(error).__name__}: nothing more is known: report this with the pod's log"
            done = report.result("failed", FailedError(f"{shown(asked.student)}: {why}"))
        done["calls"] = client.calls if client else 0
        say(_sentence(done))
        return done

    def _close(self, asked: Asked, error: RefusedError) -> None:
        if isinstance(error, LostError) and self._do in (_check, _count):
            self._lost = error
        elif error.treatment is Treatment.DRIVE and asked.folder:
            self._closed[asked.folder] = error
        elif error.treatment is Treatment.DAY:
            self._closed[asked.identity] = error

    def _identity(self, asked: Asked) -> _Identity:
        with self._lock:
            if asked.identity not in self._identities:
                loaded = credentials.load(asked.credentials, asked.subject, asked.student)
                lists = Lists() if self._students[asked.identity] > 1 else None
                share = Share(asked.rates, asked.pace) if asked.pace else None
                pacer = Pacer(asked.rates, self._project, share=share)
                self._identities[asked.identity] = _Identity(loaded, pacer, lists)
            return self._identities[asked.identity]

    def _client(self, shared: _Identity) -> Client:
        return Client(
            shared.credentials,
            shared.pacer,
            address=self._where.address,
            timeout_s=self._where.timeout_s,
            patience_s=self._where.patience_s,
        )


def _sentence(done: dict[str, Any]) -> str:
    if done["failed"]:
        return str(done["failed"])
    sent = f"{done.get('uploaded_files', 0)} files with {done.get('uploaded_bytes', 0)} bytes sent"
    problems = f", {done['problems_count']} problems" if done["problems_count"] else ""
    return f"{shown(done['student'])}: {done['outcome']}, {sent}, {done['calls']} calls{problems}"


# What it came to, and what more there is to tell.
Done = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One student's part of a run. ``lists`` is there where others have the same identity."""

    asked: Asked
    client: Client
    report: Report
    lists: Lists | None


def _export(task: Task) -> Done:
    asked = task.asked
    assert asked.source is not None  # noqa: S101 - the request was checked
    assert asked.state is not None  # noqa: S101
    job = export.Job(
        asked.student,
        asked.source,
        asked.state,
        asked.folder,
        asked.name,
        asked.exclude,
        asked.bundle,
        asked.prune,
        asked.threads,
        asked.look,
        asked.writes_per_second,
        asked.new,
        asked.disk_uid,
        asked.checksum,
    )
    done = export.run(job, task.client, task.report, task.lists)
    return done.outcome, {"list_md5": done.list_md5}


def _verify(task: Task) -> Done:
    asked = task.asked
    job = verify.Job(asked.student, asked.folder, asked.sample, asked.seed, asked.state, asked.threads, asked.name)
    return "proven", verify.run(job, task.client, task.report)


def _import(task: Task) -> Done:
    asked = task.asked
    assert asked.disk is not None  # noqa: S101 - the request was checked
    job = importing.Job(
        asked.student,
        asked.disk,
        asked.folder,
        asked.threads,
        asked.partial,
        asked.name,
        asked.gone,
        asked.acknowledge_abuse,
    )
    return "restored", importing.run(job, task.client, task.report)


def _check(task: Task) -> Done:
    asked, drive = task.asked, Drive(task.client, task.asked.student)
    shared = look.shared_drive(drive, asked.student, asked.folder)
    if not asked.folder:
        # An id costs little, and nobody without a right to make files gets one.
        drive.new_id(1)
    else:
        look.see_writable(drive, asked.student, asked.folder)
    return "ready", {"shared_drive": shared}


def _count(task: Task) -> Done:
    asked, drive = task.asked, Drive(task.client, task.asked.student)
    shared = look.shared_drive(drive, asked.student, asked.folder)
    if not shared:
        raise FailedError(
            f"{shown(asked.student)}: '{shown(asked.folder)}' is in no shared drive: there is no such limit"
        )
    items = drive.count(shared)
    return "counted", {"shared_drive": shared, "items": items, "items_left": max(0, MOST_ITEMS - items)}


_COMMANDS: dict[str, Callable[[Task], Done]] = {
    "export": _export,
    "verify": _verify,
    "import": _import,
    "check": _check,
    "count": _count,
}
