# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Exports of students' homes: what a disk says of its last good one, and which are to be made; without I/O."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._accounts import Account
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import DRIVE_EXPORT_ANNOTATION, Disk
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

LATEST, FRESH = "latest", "fresh"
# A new export is its folder and its list at least.
LEAST_ITEMS = 2
# Of the 500 000 items of a shared drive: when less is left somebody should look for another one.
FEW_ITEMS = 50_000
# What changes what an export has. Another value of one of them makes a new export of an unchanged disk.
_SHAPING = ("owner", "folder", "exclude", "bundle", "prune")


@dataclass(frozen=True)
class Record:
    """The last good export of a disk: of which snapshot, taken when, where to, and when it was last proven.

    ``snapshot`` is empty where the next run is to export the disk again, whether there is a newer snapshot or not.
    """

    snapshot: str
    taken: str
    exported_at: str
    account: str
    name: str
    folder: str
    files: int
    bytes: int
    problems: int
    # What stands for the parameters that it was made with.
    shape: str
    verified_at: str = ""
    # What stands for the list in Drive that is of this snapshot, empty where the exporter did not tell.
    list_md5: str = ""

    def annotation(self) -> Object:
        """Return what writes the record on the disk's claim."""
        text = json.dumps(asdict(self), sort_keys=True)
        return {"metadata": {"annotations": {DRIVE_EXPORT_ANNOTATION: text}}}


def record_of(disk: Disk) -> Record | None:
    """Return the record of a disk's last good export; None where there is none, or it can't be read."""
    try:
        return Record(**json.loads(disk.drive_export))
    except (ValueError, TypeError):
        return None


def may_pass(problems: int, taken: str, wanted_shape: str, before: Record | None) -> bool:
    """Tell whether an export of a snapshot, by when it was taken, is worth another try for its problems.

    A disk that could not be read, or a file that came to Drive as it was not sent, may do next time; a name that Drive
    does not take never does. What is there twice stays: such a home is exported once more, not each night.
    """
    told = before is not None and (before.taken, before.shape, before.problems) == (taken, wanted_shape, problems)
    return problems > 0 and not told


def shape(parameters: Mapping[str, Any], account: Account) -> str:
    """Return what stands for the parameters that an export of a student is made with."""
    told = {name: parameters[name] for name in _SHAPING}
    text = json.dumps([told, account.secret, account.subject, account.name], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Outcome:
    """What was done, or would be, for one student."""

    student: str
    disk: str
    account: str = ""
    name: str = ""
    snapshot: str = ""
    done: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    uploaded_files: int = 0
    uploaded_bytes: int = 0
    calls: int = 0
    problems: list[str] = field(default_factory=list)
    problems_count: int = 0
    # Where Drive takes no more today: when this may go on.
    until: str = ""
    failed: str = ""
    # Whether the snapshot was taken for this.
    took: bool = False


def choose(
    disks: Iterable[Disk], shots: Mapping[str, Sequence[_snapshots.Shot]], in_use: Mapping[str, str], snapshot: str
) -> tuple[dict[str, _snapshots.Shot], list[Disk], dict[str, str]]:
    """Return the snapshot that each disk is exported from, the disks that one is to be taken of, and why there is
    nothing to export of others; the first and the last by claim.

    ``snapshot`` is ``latest``, ``fresh``, or a name, which only one student's disk can have.
    """
    chosen: dict[str, _snapshots.Shot] = {}
    fresh: list[Disk] = []
    problems: dict[str, str] = {}
    for disk in disks:
        there = shots.get(disk.claim, ())
        newest = _snapshots.newest_good(one for one in there if not one.safety)
        if disk.phase != "Bound":
            problems[disk.claim] = f"the disk is {disk.phase.lower()}, there is nothing on it to export"
        elif snapshot == FRESH:
            if newest is not None and disk.claim not in in_use and _snapshots.unchanged(disk, newest):
                chosen[disk.claim] = newest
            else:
                fresh.append(disk)
        else:
            try:
                chosen[disk.claim] = _snapshots.choose(there, snapshot, None)
            except CoursehubError as error:
                problems[disk.claim] = f"{error}: take one by the playbook snapshot, or set snapshot: {FRESH}"
    return chosen, fresh, problems


def steps(disk: Disk, snapshot: str, wanted_shape: str, *, again: bool, verify: bool) -> list[str]:
    """Return what is to be done for a disk: ``exported``, ``verified``, both or nothing.

    ``snapshot`` is empty where it is still to be taken. An export of the same snapshot, made with the same
    parameters, has all that there is, unless Drive or the disk is to be looked at ``again``.
    """
    record = record_of(disk)
    # A snapshot that is still to be taken has no name, and neither has that of a record whose proof failed.
    same = record is not None and snapshot != "" and record.snapshot == snapshot and record.shape == wanted_shape
    exported = [] if same and not again else ["exported"]
    proven = same and record is not None and bool(record.verified_at) and not again
    return exported + (["verified"] if verify and not proven else [])


def result(outcomes: Iterable[Outcome]) -> Object:
    """Return what the module tells: counts of all, and the students who are not as they should be.

    Two thousand students' results are half a megabyte, which AWX keeps for each run; they go into the report.
    """
    listed = list(outcomes)
    counts = Counter({"exported": 0, "verified": 0, "unchanged": 0})
    for one in listed:
        counts.update([] if one.failed else one.done or ["unchanged"])
    sums = {name: sum(getattr(one, name) for one in listed) for name in ("uploaded_files", "uploaded_bytes", "calls")}
    with_problems = [one for one in listed if one.problems_count and not one.failed]
    return {
        # Also where it failed afterwards: a snapshot that was taken stays, and so do files that were sent.
        "changed": any(one.done or one.took or one.uploaded_files for one in listed),
        "total": len(listed),
        **counts,
        **sums,
        "failures": [
            {"student": one.student, "failed": one.failed, "until": one.until} for one in listed if one.failed
        ],
        "problems": [
            {"student": one.student, "count": one.problems_count, "problems": one.problems[:1]}
            for one in with_problems[:_NAMED]
        ],
        "students_with_problems": len(with_problems),
        "diff": {
            "before": "",
            "after": "".join(f"{one.student} {' '.join(one.done)} {one.snapshot}\n" for one in listed if one.done),
        },
    }


_NAMED = 20


def failure(told: Object) -> str:
    """Return the sentence with which the module fails, given its result, empty where nothing failed."""
    failed = {one["student"]: one["failed"] for one in told.get("failures", [])}
    return _bulk.summary(failed, told["total"]) if failed else ""


def see_room(items_left: int, new: int) -> None:
    """Raise CoursehubError where a shared drive has no room for so many new exports."""
    if items_left < LEAST_ITEMS * new:
        raise CoursehubError(
            f"the shared drive has room for {items_left} items, and {new} students have no export in it yet: it takes"
            " 500 000 with its bin; set folder to another shared drive, or empty its bin"
        )


def few(items_left: int | None) -> list[str]:
    """Return what is to be said of a shared drive that takes few more items, nothing where it takes many."""
    if items_left is None or items_left >= FEW_ITEMS:
        return []
    return [f"the shared drive takes only {items_left} more items of 500 000: have another one made, or empty its bin"]


def row(disk: Disk, now: datetime) -> Object:
    """Return what there is to tell of one disk's last good export. What isn't known is None."""
    record = record_of(disk)
    told: Object = {"student": disk.student, "claim": disk.claim, "exported": record is not None}
    names = (
        "exported_at",
        "taken",
        "snapshot",
        "account",
        "name",
        "folder",
        "files",
        "bytes",
        "problems",
        "verified_at",
    )
    told |= {name: (getattr(record, name) or None) if record else None for name in names}
    age = None
    if record is not None:
        told |= {"files": record.files, "bytes": record.bytes, "problems": record.problems}
        age = int((now - datetime.fromisoformat(record.taken)).total_seconds())
    # Of what is in Drive, not of the run: an export of an old snapshot is old.
    return told | {"age_s": age}
