"""What Drive has of an export that has not come to its end, or that somebody has changed since.

A home may be lost while its export is half way from one list to the next. What is as the last list says keeps its mode
and time to the nanosecond; what isn't comes as Drive has it, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ..result import FailedError, shown
from . import look, names
from .manifest import Header
from .objects import Drive, Fact
from .rows import BUNDLE, FILE, FOLDER, LINK, MANIFEST, UNKNOWN, Row

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


@dataclass(frozen=True)
class Partial:
    """The rows of what there is, also of what is gone at home, and the paths of what is not as the list says, or is in
    none."""

    header: Header
    rows: list[Row]
    unlisted: list[str]


def find(drive: Drive, student: str, folder: str, name: str) -> Partial:
    """Return what Drive has of a student. Raises FailedError where there is nothing, RefusedError."""
    shared = look.shared_drive(drive, student, folder)
    found = {fact.id: fact for fact in drive.all(shared)}
    top = look.find_top(found, folder, name)
    if top is None:
        look.see_names(student, found, folder, name)
        raise FailedError(
            f"{shown(student)}: there is no export in Drive that the account can see: "
            "look at the folder and the credentials"
        )
    there = look.listed(drive, found, top.id)
    header = there.header if there else Header(student, "", top.id, folder, shared)
    known = there.rows if there else []
    adopted = look.adopt(found, known, top.id, there)
    all_rows = [_as_it_is(row, found) for row in adopted if row.kind != MANIFEST and row.path]
    rows = [row for row in all_rows if not row.gone]
    rows += _links(rows, known)
    same = {(row.path, row.kind, row.md5) for row in known if not row.gone}
    unlisted = sorted(row.path for row in rows if (row.path, row.kind, row.md5) not in same)
    return Partial(header, rows + [row for row in all_rows if row.gone], unlisted)


def _as_it_is(row: Row, found: Mapping[str, Fact]) -> Row:
    """Give what is in no list the time that Drive has, and a mode that does no harm."""
    if row.kind == FILE and row.mtime_ns == UNKNOWN:
        return replace(row, mtime_ns=found[row.id].modified_ms * 1_000_000, mode=_FILE_MODE)
    if row.kind == FOLDER and not row.mode and not row.bundle:
        return replace(row, mtime_ns=found[row.id].modified_ms * 1_000_000, mode=_FOLDER_MODE)
    return row


def _links(rows: Iterable[Row], known: Iterable[Row]) -> list[Row]:
    """Return the listed links whose folder is there, and whose name is not taken."""
    taken = {row.path for row in rows}
    folders = {row.path for row in rows if row.kind == FOLDER} | {""}
    links = (row for row in known if row.kind == LINK and not row.bundle)
    return [row for row in links if row.path not in taken and names.parent(row.path) in folders]


def with_members(rows: Iterable[Row], index: Callable[[str], Iterable[Row]]) -> list[Row]:
    """Return the rows with those of bundles that are in no list, from the bundles' own index."""
    complete: list[Row] = []
    for row in rows:
        complete.append(row)
        if row.kind == BUNDLE and row.mtime_ns == UNKNOWN:
            members = (
                replace(one, path=names.join(row.path, one.path).rstrip("/"), bundle=row.path)
                for one in index(row.path)
            )
            complete += members
    return complete
