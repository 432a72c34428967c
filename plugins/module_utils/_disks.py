# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Students' disks, and which of them a run is about; without I/O but for reading a roster."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

Object = dict[str, Any]

# What makes a claim a student's disk of this collection. The label's value may be shortened, the annotation's never is.
STUDENT_LABEL = "coursehub.jupyterhub/student"
STUDENT_ANNOTATION = "hub.jupyter.org/username"
# Written by the hub when it starts a student's server.
LAST_START_ANNOTATION = "coursehub.jupyterhub/last-start"
# Written by a restore in place: the snapshot, and when.
RESTORED_ANNOTATION = "coursehub.jupyterhub/restored-from"
RESTORED_AT_ANNOTATION = "coursehub.jupyterhub/restored-at"
# What the last start was then: while it says the same, nobody has had the disk since.
RESTORED_START_ANNOTATION = "coursehub.jupyterhub/restored-start"
# Written by the growth of disks: nearly full, and as large as it may be.
FULL_ANNOTATION = "coursehub.jupyterhub/full"
# Written when a disk was archived and the archive read back: what that was, as JSON.
ARCHIVE_ANNOTATION = "coursehub.jupyterhub/archive"
# Written when a disk's export to Google Drive had come to its end: what that was, as JSON.
DRIVE_EXPORT_ANNOTATION = "coursehub.jupyterhub/drive-export"
# Written before an archived disk is removed: the hub starts nothing on it any more.
REMOVAL_ANNOTATION = "coursehub.jupyterhub/removal"
ROSTER_COLUMN = "student"

SELECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "students": {"type": "list", "elements": "str"},
    "roster": {"type": "path"},
    "pattern": {"type": "str"},
    "selector": {"type": "str"},
    "all_students": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Disk:
    """A student's disk; ``size`` in bytes, ``volume`` is empty while it is not bound.

    ``label`` is what a label can say of the student: a name that is none of Kubernetes' is shortened there.
    """

    student: str
    label: str
    claim: str
    namespace: str
    volume: str
    size: int
    phase: str
    last_start: datetime | None
    storage_class: str
    restored_from: str = ""
    restored_at: datetime | None = None
    started_since_restore: bool = True
    full: bool = False
    archive: str = ""
    drive_export: str = ""
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)


def parse_time(text: str) -> datetime:
    """Return a moment as the API writes it. Raises ValueError for other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def is_disk(claim: Object) -> bool:
    """Tell whether a claim is a student's disk of this collection."""
    return STUDENT_LABEL in (claim["metadata"].get("labels") or {})


def disk(claim: Object) -> Disk:
    """Return the disk that a claim is."""
    metadata, spec, status = claim["metadata"], claim["spec"], claim.get("status", {})
    annotations = metadata.get("annotations") or {}
    capacity = status.get("capacity") or spec.get("resources", {}).get("requests", {})
    return Disk(
        student=annotations.get(STUDENT_ANNOTATION) or metadata["labels"][STUDENT_LABEL],
        label=metadata["labels"][STUDENT_LABEL],
        claim=metadata["name"],
        namespace=metadata["namespace"],
        volume=spec.get("volumeName") or "",
        size=int(parse_quantity(str(capacity.get("storage", "0")))),
        phase=status.get("phase", "Pending"),
        last_start=_moment(annotations.get(LAST_START_ANNOTATION)),
        storage_class=spec.get("storageClassName") or "",
        restored_from=annotations.get(RESTORED_ANNOTATION, ""),
        restored_at=_moment(annotations.get(RESTORED_AT_ANNOTATION)),
        started_since_restore=annotations.get(RESTORED_START_ANNOTATION) != annotations.get(LAST_START_ANNOTATION, ""),
        full=FULL_ANNOTATION in annotations,
        archive=annotations.get(ARCHIVE_ANNOTATION, ""),
        drive_export=annotations.get(DRIVE_EXPORT_ANNOTATION, ""),
        uid=metadata.get("uid", ""),
        labels=metadata["labels"],
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def read_roster(path: str) -> list[str]:
    """Return the students of a CSV file with a column ``student``, each once, in its order.

    Raises CoursehubError as `read_lines` does.
    """
    return list(read_lines(path))


def read_lines(path: str, columns: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Return a roster's line of each student, by column; of several lines of one student the first counts.

    Raises CoursehubError for a file that can't be read, has no column ``student`` or lacks one of ``columns``, or has
    a line without a student.
    """
    try:
        # With or without the mark that spreadsheets put before UTF-8.
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            names = [name.strip() for name in rows.fieldnames or []]
            for column in (ROSTER_COLUMN, *columns):
                if column not in names:
                    raise CoursehubError(
                        f"the roster {path} has no column '{column}', its columns are: {', '.join(names) or 'none'}"
                    )
            rows.fieldnames = names
            lines: dict[str, dict[str, str]] = {}
            for row in rows:
                student = (row[ROSTER_COLUMN] or "").strip()
                if not student:
                    raise CoursehubError(f"line {rows.line_num} of the roster {path} has no student")
                lines.setdefault(student, {name: row[name] or "" for name in names})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CoursehubError(f"the roster {path} can't be read: {error}") from error
    return lines


def check_selection(
    parameters: Mapping[str, Any], ways: Iterable[str] = tuple(SELECTION_ARGUMENTS), *, pick: bool = False
) -> None:
    """Raise CoursehubError unless exactly one of the ways of choosing students is given.

    With ``pick``, ``students`` may name some of a roster's: of a module that wants its columns.
    """
    ways = list(ways)
    given = [name for name in ways if parameters.get(name)]
    if len(given) != 1 and not (pick and given == ["students", "roster"]):
        raise CoursehubError(
            f"choose students by exactly one of {', '.join(ways)};"
            f" {' and '.join(given) if given else 'none of them'} is set"
        )


@dataclass(frozen=True)
class Choice:
    """The disks that a run is about, and the students of a roster who have none yet."""

    disks: tuple[Disk, ...]
    without_disk: tuple[str, ...] = ()


def choose(disks: Iterable[Disk], parameters: Mapping[str, Any], *, allow_new: bool = False) -> Choice:
    """Return what the parameters choose, by name. The selector was applied when the disks were listed.

    With ``allow_new``, ``students`` may name some who have no disk yet, as a roster always may. With both given, those
    named are some of the roster's.

    Raises CoursehubError for a student who is named and has no disk, or is not in the roster, and for a pattern that
    none has. A roster may name students who have never logged in.
    """
    by_student = {one.student: one for one in disks}
    if parameters.get("roster") or parameters.get("students"):
        listed = read_roster(parameters["roster"]) if parameters.get("roster") else None
        named = list(dict.fromkeys(parameters.get("students") or ()))
        strange = [student for student in named if listed is not None and student not in listed]
        if strange:
            raise CoursehubError(
                f"these students are not in the roster {parameters['roster']}: {', '.join(strange)}; check the"
                " spelling, or write them there"
            )
        wanted: Sequence[str] = named or listed or ()
        unknown = tuple(student for student in wanted if student not in by_student)
        if unknown and named and not allow_new:
            raise CoursehubError(
                f"these students have no disk: {', '.join(unknown)}; check the spelling, or list all by the module"
                " student_disk_info"
            )
        return Choice(tuple(by_student[student] for student in wanted if student in by_student), unknown)
    names = sorted(by_student)
    if parameters.get("pattern"):
        names = [name for name in names if fnmatchcase(name, parameters["pattern"])]
        if not names:
            raise CoursehubError(f"no student's name is like '{parameters['pattern']}'")
    return Choice(tuple(by_student[name] for name in names))


def claims_in_use(pods: Iterable[Object]) -> dict[str, str]:
    """Return claim -> pod, for the claims that a pod of the namespace has mounted or is about to."""
    return {claim: pod["metadata"]["name"] for claim, pod in _claims_of(pods)}


def nodes_of_claims(pods: Iterable[Object]) -> dict[str, str]:
    """Return claim -> node, for the claims that a pod on a node has: a second pod can have one on that node only."""
    return {claim: pod["spec"]["nodeName"] for claim, pod in _claims_of(pods) if pod["spec"].get("nodeName")}


def _claims_of(pods: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    for pod in pods:
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            for volume in pod["spec"].get("volumes") or []:
                if "persistentVolumeClaim" in volume:
                    yield volume["persistentVolumeClaim"]["claimName"], pod
