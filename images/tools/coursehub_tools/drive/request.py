"""What is asked for: students with their files, folders and credentials, checked before anything is begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..result import FailedError, shown
from . import bundle, state
from .ignore import course_lines
from .pacer import Rates

_MOST_THREADS = 32


@dataclass(frozen=True)
class Asked:
    """One student's part of a request. Paths are this machine's; ``folder`` is Drive's id, empty for the top."""

    student: str
    credentials: Path
    subject: str = ""
    folder: str = ""
    name: str = ""
    source: Path | None = None
    disk: Path | None = None
    state: Path | None = None
    exclude: tuple[str, ...] = ()
    bundle: str = bundle.AUTO
    prune: bool = False
    look: bool = False
    partial: bool = False
    gone: bool = False
    acknowledge_abuse: bool = False
    new: bool = False
    disk_uid: str = ""
    checksum: bool = False
    sample: int = 10
    seed: str = ""
    threads: int = 4
    identity_units_per_minute: float = Rates.identity_units_per_minute
    project_units_per_minute: float = Rates.project_units_per_minute
    writes_per_second: float = Rates.writes_per_second
    bytes_per_day: float = Rates.bytes_per_day
    # A file with other rates, which somebody changes meanwhile.
    pace: Path | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What Drive takes for one: two students with the same have one pace."""
        return str(self.credentials), self.subject

    @property
    def rates(self) -> Rates:
        return Rates(
            self.identity_units_per_minute, self.project_units_per_minute, self.writes_per_second, self.bytes_per_day
        )


NEEDED: Mapping[str, tuple[str, ...]] = {
    "export": ("source", "state"),
    "verify": (),
    "import": ("disk",),
    "check": (),
    "count": ("folder",),
}


def read(text: str, command: str) -> list[Asked]:
    """Read a request: ``students`` is a list of objects, and what all have in common stands beside it.

    Raises FailedError for whatever can't be, with the student's name, before anything is touched.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise FailedError(f"the request is no JSON ({error}): correct what makes it") from None
    if not isinstance(values, dict) or not isinstance(values.get("students"), list) or not values["students"]:
        raise FailedError("the request has no list 'students', or an empty one: name at least one student")
    common = {name: value for name, value in values.items() if name != "students"}
    asked = [_student(common, one, number) for number, one in enumerate(values["students"], 1)]
    _check_together(asked)
    for one in asked:
        _check(one, command)
    return asked


def by_identity(asked: Sequence[Asked]) -> list[list[Asked]]:
    """Return the students of each identity, in the order in which they were asked for."""
    rows: dict[tuple[str, str], list[Asked]] = {}
    for one in asked:
        rows.setdefault(one.identity, []).append(one)
    return list(rows.values())


def _student(common: dict[str, Any], values: Any, number: int) -> Asked:
    if not isinstance(values, dict) or not isinstance(values.get("student"), str) or not values["student"]:
        raise FailedError(f"student {number} of the request has no name ('student'): give each one")
    values = common | values
    who = shown(values["student"])
    known = {field.name: field for field in fields(Asked)}
    given = {}
    for name, value in values.items():
        if name not in known:
            raise FailedError(f"{who}: the request has '{shown(name)}', which is not known: {', '.join(known)}")
        read, what = _KINDS[str(known[name].type)]
        given[name] = read(value)
        if given[name] is None:
            raise FailedError(f"{who}: the request's '{name}' is {shown(json.dumps(value))}, and it is to be {what}")
    if "credentials" not in given:
        raise FailedError(f"{who}: there are no credentials: name the file ('credentials') of their key or consent")
    return Asked(**given)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and "\0" not in value else None


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str) and value and "\0" not in value else None


def _texts(value: Any) -> tuple[str, ...] | None:
    good = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return tuple(value) if good else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _rate(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
    return float(value) if good else None


_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "str": (_text, "a text"),
    "Path": (_path, "a path"),
    "Path | None": (_path, "a path"),
    "tuple[str, ...]": (_texts, "a list of texts"),
    "bool": (_flag, "true or false"),
    "int": (_count, "a whole number from 0 on"),
    "float": (_rate, "a number above 0"),
}


def _check_together(asked: list[Asked]) -> None:
    students: set[str] = set()
    places: dict[tuple[str | tuple[str, str], str], str] = {}
    for one in asked:
        who = shown(one.student)
        if one.student in students:
            raise FailedError(f"{who}: the request names this student twice: name each one once")
        students.add(one.student)
        place = (one.folder or one.identity, one.name or one.student)
        if place in places:
            raise FailedError(
                f"{who}: the export would be called '{shown(place[1])}' as that of {shown(places[place])} is, "
                "in the same folder: make names that differ"
            )
        places[place] = one.student


def _check(one: Asked, command: str) -> None:
    who = shown(one.student)
    for name in NEEDED[command]:
        if getattr(one, name) in (None, ""):
            raise FailedError(f"{who}: the request has no '{name}', which {command} needs")
    if one.bundle not in bundle.MODES:
        raise FailedError(f"{who}: bundle is '{shown(one.bundle)}', and there are {', '.join(bundle.MODES)}")
    if not 1 <= one.threads <= _MOST_THREADS:
        raise FailedError(f"{who}: threads is {one.threads}, and it is to be from 1 to {_MOST_THREADS}")
    # Credentials and disks are looked at when it is their student's turn: a bad one is no other student's matter.
    course_lines(one.exclude)
    if len(state.folder_name(one.student).encode()) > 255:
        raise FailedError(f"{who}: the name is longer than 255 bytes: give a shorter one")
