"""Is the export in Drive what its list says? Size and checksum of all of it, and the bytes of a sample."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..result import FailedError, Names, say, shown
from . import look, names, parallel, state
from .client import Client, RefusedError
from .look import Listed
from .objects import Drive, Fact
from .reasons import Treatment
from .report import Report
from .rows import BUNDLE, FILE, FOLDER, MANIFEST, Row

_CHUNK = 8 << 20
# A file that is larger is proven by the checksum that Drive tells, or a sample would be a download of all.
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Job:
    """Whose export is looked at, and how many of its files are read. ``seed`` chooses which; empty, it is the time,
    so that each run reads others. The result tells it, for a run that is to read the same ones.

    With ``state``, the folder of all students' states, what is found to be missing is exported again by the next run.
    """

    student: str
    folder: str = ""
    sample: int = 10
    seed: str = ""
    state: Path | None = None
    threads: int = 4
    name: str = ""


def run(job: Job, client: Client, report: Report) -> dict[str, Any]:
    """Verify an export. Raises RefusedError; FailedError with the result where it is not as it should be.

    A file of the sample that Drive does not give has the checksum that is listed all the same: it is named.
    """
    drive = Drive(client, job.student)
    there = look.exported(drive, job.student, job.folder, job.name or job.student, _known(job))
    header = there.header
    rows = [row for row in there.rows if row.in_drive and not row.gone and row.path]
    found = look.facts(drive, header.drive, rows, job.threads)
    checked = {"missing": Names(), "differing": Names(), "moved": Names(), "unreadable": Names()}
    ids = {row.path: row.id for row in rows if row.kind == FOLDER} | {"": header.top}
    for row in rows:
        verdict = _verdict(row, found.get(row.id), ids)
        if verdict:
            checked[verdict].add(row.path)
    good = [row for row in rows if row.kind in (FILE, BUNDLE) and not _verdict(row, found.get(row.id), ids)]
    seed = job.seed or datetime.now(UTC).isoformat()
    sample = _sample(good, job.sample, seed)
    withheld = _read(drive, sample, checked["unreadable"], job.threads)
    for row, error in withheld.items():
        report.problem(row.path, f"it is in Drive, and can't be read: {error}: {error.rule.remedy}")
    sample = [row for row in sample if row not in withheld]
    bad = {name: kept for name, kept in checked.items() if kept.count}
    result = {
        "taken": header.taken,
        "checked": len(rows),
        "bytes": sum(row.size for row in rows),
        "sampled": len(sample),
        "sampled_bytes": sum(row.size for row in sample),
        "seed": seed,
        **{name: kept.first for name, kept in checked.items()},
        **{f"{name}_count": kept.count for name, kept in checked.items()},
        "verdict": "failed" if bad else "proven",
    }
    say(f"{shown(job.student)}: {result['verdict']}, {len(rows)} files and folders checked, {len(sample)} of them read")
    if bad:
        _remember(job, found, there, rows)
        told = ", ".join(f"{kept.count} {name} (first '{kept.first[0]}')" for name, kept in bad.items())
        sentence = f"{shown(job.student)}: the export in Drive is not as its list says: {told}; export again"
        raise FailedError(sentence, result)
    return result


def _known(job: Job) -> list[Row]:
    """Return what the state has of the export's folder and list: right after an export Drive may not list them yet."""
    if job.state is None:
        return []
    with state.opened(job.state / state.folder_name(job.student), job.student) as kept:
        if kept.header is None or kept.header.folder != job.folder:
            return []
        return [kept.rows[key] for key in (("", FOLDER), ("", MANIFEST)) if key in kept.rows]


def _verdict(row: Row, fact: Fact | None, ids: dict[str, str]) -> str:
    if fact is None:
        return "missing"
    if fact.folder != (row.kind == FOLDER) or (row.kind != FOLDER and (fact.md5, fact.size) != (row.md5, row.size)):
        return "differing"
    return "" if (fact.parent, fact.name) == (ids.get(names.parent(row.path)), row.name) else "moved"


def _sample(rows: Sequence[Row], most: int, seed: str) -> list[Row]:
    small = sorted((row for row in rows if row.size <= _MOST_BYTES), key=lambda row: row.key)
    return random.Random(seed).sample(small, min(most, len(small)))  # noqa: S311 - not for a secret


def _read(drive: Drive, rows: Sequence[Row], unreadable: Names, threads: int) -> dict[Row, RefusedError]:
    """Read files, and note those that are not as listed; return those that Drive does not give."""
    lock = threading.Lock()
    withheld: dict[Row, RefusedError] = {}

    def read(row: Row) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for start in range(0, row.size, _CHUNK):
                digest.update(drive.content(row.id, start, min(row.size, start + _CHUNK)))
        except RefusedError as error:
            if error.treatment is not Treatment.FILE:
                raise
            with lock:
                withheld[row] = error
            return
        if digest.hexdigest() != row.md5:
            with lock:
                unreadable.add(row.path)

    parallel.each(read, rows, threads)
    return withheld


def _remember(job: Job, found: dict[str, Fact], there: Listed, rows: Sequence[Row]) -> None:
    """Let the next export know what Drive really has."""
    if job.state is None:
        return
    with state.opened(job.state / state.folder_name(job.student), job.student) as kept:
        known = list(kept.rows.values()) or list(rows)
        adopted = look.adopt(found, known, there.header.top, there)
        kept.rebase(replace(there.header, problems=[]), adopted, there.fact.md5)
