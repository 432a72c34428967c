# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A roster file: who is in the course, in which groups and with which role; without I/O but for reading the file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _names, _people
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

STUDENT, GROUP, ROLE = "student", "group", "role"
# Between the groups in a cell. No comma: spreadsheets write those between cells.
SEPARATOR = ";"
Row = dict[str, str]


@dataclass(frozen=True)
class Roster:
    """What a roster says: the groups of each user, roles among them, and the groups that it is the list of."""

    people: Mapping[str, Set[str]] = field(default_factory=dict)
    groups: Set[str] = frozenset()


def read(path: str, roles: Sequence[str]) -> Roster:
    """Return what a CSV file says. Raises CoursehubError with the line and the value of what is wrong first."""
    try:
        # With or without the mark that spreadsheets put before UTF-8.
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            columns = _columns(path, rows.fieldnames or [])
            rows.fieldnames = columns
            return parse(path, columns, ((rows.line_num, row) for row in rows), roles)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CoursehubError(f"the roster {path} can't be read: {error}") from error


def _columns(path: str, headings: Sequence[str]) -> list[str]:
    columns = [heading.strip() for heading in headings]
    for wanted in (STUDENT, GROUP, ROLE):
        if columns.count(wanted) > 1:
            raise CoursehubError(f"the roster {path} has {columns.count(wanted)} columns '{wanted}': keep one")
        # Left out silently, it would take everyone's groups for none.
        near = [name for name in columns if name.lower().removesuffix("s") == wanted]
        if near and wanted not in columns:
            raise CoursehubError(f"the roster {path} has a column '{near[0]}' and none '{wanted}': call it '{wanted}'")
    if STUDENT not in columns:
        raise CoursehubError(
            f"the roster {path} has no column '{STUDENT}', its columns are: {', '.join(columns) or 'none'}"
        )
    return columns


def parse(path: str, columns: Iterable[str], rows: Iterable[tuple[int, Row]], roles: Sequence[str]) -> Roster:
    """Return what the lines of a roster say; each comes with its number. ``roles`` are those that the hub knows.

    Raises CoursehubError with the line and the value of what is wrong first.
    """
    known = [*dict.fromkeys([*roles, _people.ADMINISTRATOR])]
    people: dict[str, Set[str]] = {}
    names, disks, spelt = _Seen(), _Seen(), _Seen()
    for line, row in rows:
        here = f"line {line} of the roster {path}"
        if None in row:
            raise CoursehubError(f"{here} has more cells than the first line has headings: quote cells with commas")
        name = (row[STUDENT] or "").strip()
        if not name:
            raise CoursehubError(f"{here} has no student")
        try:
            _people.check_name(name)
            mine = set(_groups(row, known, spelt, line))
        except CoursehubError as error:
            raise CoursehubError(f"{here}: {error}") from error
        twin = names.twin(_people.looks_like(name), name, line)
        if twin is not None and twin[0] == name:
            raise CoursehubError(
                f"{here} has {name} again, who is in line {twin[1]}: keep one line; several groups go into one cell, as"
                f" 'lab1{SEPARATOR}lab2'"
            )
        twin = twin or disks.twin(_names.claim_name(name), name, line)
        if twin is not None:
            raise CoursehubError(
                f"{here} has '{name}', which can't be told from '{twin[0]}' in line {twin[1]}: write both as the login"
                " gives them"
            )
        people[name] = frozenset(mine)
    if not people:
        raise CoursehubError(f"the roster {path} has no students: nobody would be left in any group")
    named = set().union(*people.values())
    return Roster(people, frozenset(named | (set(known) if ROLE in set(columns) else set())))


def _groups(row: Row, known: Sequence[str], spelt: _Seen, line: int) -> Iterator[str]:
    """Yield the groups of one line, the role's among them. Raises CoursehubError for what is none."""
    role = (row.get(ROLE) or "").strip() or _people.STUDENT
    if role in known:
        yield role
    elif role != _people.STUDENT:
        raise CoursehubError(f"there is no role '{role}', the roles are: {', '.join([_people.STUDENT, *known])}")
    for word in (row.get(GROUP) or "").split(SEPARATOR):
        group = word.strip()
        if not group:
            continue
        if _people.looks_like(group) in map(_people.looks_like, known):
            raise CoursehubError(f"'{group}' is a role and no group: write it into a column '{ROLE}'")
        twin = spelt.twin(_people.looks_like(group), group, line)
        if twin is not None and twin[0] != group:
            raise CoursehubError(f"the group '{group}' is '{twin[0]}' in line {twin[1]}: write it the same way")
        yield _people.check_group(group)


class _Seen:
    """What was seen, by what it looks like, with the line."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int]] = {}

    def twin(self, looks: str, name: str, line: int) -> tuple[str, int] | None:
        """Return what was seen before of that look; the first time, note it."""
        before = self._seen.get(looks)
        if before is None:
            self._seen[looks] = (name, line)
        return before
