"""What Drive really has, where what we know may not be so: the state was lost, or somebody was at work in Drive.

Drive's lists may be late, so of what a list lacks each is asked for by itself before it counts as gone.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..result import MOST_NAMES, FailedError, shown
from . import manifest, names, parallel
from .manifest import Header
from .objects import TOP, Drive, Fact
from .rows import BUNDLE, FILE, FOLDER, MANIFEST, UNKNOWN, Key, Row

_SUFFIX = ".bundle.zip"
_CHUNK = 8 << 20


def facts(drive: Drive, shared: str, known: Iterable[Row], threads: int) -> dict[str, Fact]:
    """Return all that Drive has of a student, by id. Raises RefusedError."""
    found = {fact.id: fact for fact in drive.all(shared)}

    def is_listed(row: Row) -> bool:
        there = found.get(row.id)
        return there is not None and (there.md5, there.name) == (row.md5, row.name)

    def ask(row: Row) -> None:
        now = drive.get(row.id)
        if now is not None and not now.trashed:
            found[row.id] = now
        else:
            found.pop(row.id, None)

    parallel.each(ask, [row for row in known if row.id and not is_listed(row)], threads)
    return found


def find_top(found: Mapping[str, Fact], folder: str, name: str, expected: str = "") -> Fact | None:
    """Return the folder of a student's export, of several the one that has a list.

    In a student's own Drive there may be exports of several courses: where it is not known by its id, it goes by the
    name that it was given.
    """
    tops = [
        fact
        for fact in found.values()
        if fact.role == TOP and (fact.id == expected or (folder in ("", fact.parent) and fact.name == name))
    ]
    listed = {fact.parent for fact in found.values() if fact.role == MANIFEST}
    tops.sort(key=lambda fact: (fact.id != expected, fact.id not in listed, fact.id))
    return tops[0] if tops else None


def see_names(student: str, found: Mapping[str, Fact], folder: str, name: str) -> None:
    """Raise FailedError where there are exports of a student in a folder of Drive's, and none is called so.

    An export knows its folder by the id, so a student may rename it, or the course its template; an import does not.
    """
    names_there = sorted({fact.name for fact in found.values() if fact.role == TOP and folder in ("", fact.parent)})
    if names_there:
        told = ", ".join(f"'{shown(one)}'" for one in names_there[:MOST_NAMES])
        raise FailedError(
            f"{shown(student)}: Drive has no folder '{shown(name)}' with an export of theirs, but {told}: give the one"
            " that is meant as name (coursehub_drive_export_folder_name)"
        )


def download(drive: Drive, fact: Fact, path: Path) -> None:
    """Bring a file from Drive. Raises RefusedError, OSError."""
    with path.open("wb") as file:
        for start in range(0, fact.size, _CHUNK):
            file.write(drive.content(fact.id, start, min(fact.size, start + _CHUNK)))


@dataclass(frozen=True)
class Listed:
    """A list of an export, as it is in Drive."""

    fact: Fact
    header: Header
    rows: list[Row]


def listed(drive: Drive, found: Mapping[str, Fact], top: str) -> Listed | None:
    """Return the list that is in Drive, of several the newest by when its export was taken.

    None where there is none, for then no export has come to its end. It is read on the scratch disk: what a kill leaves
    there goes with the pod.
    """
    lists = []
    for fact in found.values():
        if fact.role == MANIFEST and fact.parent == top:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "from-drive.jsonl.gz"
                download(drive, fact, path)
                header, rows = manifest.read(path)
                lists.append(Listed(fact, header, list(rows)))
    return max(lists, key=lambda one: (datetime.fromisoformat(one.header.taken), one.fact.id), default=None)


def adopt(found: Mapping[str, Fact], known: Iterable[Row], top: str, there: Listed | None) -> list[Row]:
    """Return the rows of what Drive has below a folder, of lists this one.

    What is known beside that is kept for what is as it was.
    """
    list_id = there.fact.id if there else ""
    by_id = {row.id: row for row in known if row.id}
    members: dict[str, list[Row]] = defaultdict(list)
    for one in known:
        if one.bundle:
            members[one.bundle].append(one)
    inside: dict[str, list[Fact]] = defaultdict(list)
    for fact in found.values():
        inside[fact.parent].append(fact)
    rows: dict[Key, Row] = {("", FOLDER): Row("", FOLDER, id=top)}
    todo = [("", top)]
    while todo:
        path, folder = todo.pop()
        # Of two with one name the one that we know is first, the other is left alone.
        for fact in sorted(inside[folder], key=lambda fact: (fact.id not in by_id, fact.id)):
            if fact.role == MANIFEST and fact.id != list_id:
                continue
            if (row := _row(fact, path, by_id.get(fact.id))) is None or row.key in rows:
                continue
            rows[row.key] = row
            if row.kind == FOLDER:
                todo.append((row.path, fact.id))
            if row.kind == BUNDLE and row.mtime_ns != UNKNOWN:
                before = by_id[fact.id].path
                for member in members[before]:
                    moved = replace(member, path=row.path + member.path[len(before) :], bundle=row.path)
                    rows[moved.key] = moved
    return list(rows.values())


def _row(fact: Fact, folder: str, known: Row | None) -> Row | None:
    if fact.role == MANIFEST:
        return Row("", MANIFEST, id=fact.id) if not folder else None
    name = fact.name
    kind = FOLDER if fact.folder else BUNDLE if fact.role == BUNDLE else FILE
    if kind == BUNDLE:
        name = name.removesuffix(_SUFFIX)
    name = names.decode(name)
    # What was given such a name in Drive is not ours any more.
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return None
    path = names.join(folder, name)
    if known is not None and known.kind == kind and (known.md5, known.size) == (fact.md5, fact.size):
        return replace(known, path=path)
    mtime_ns = 0 if kind == FOLDER else UNKNOWN
    return Row(path, kind, fact.size, mtime_ns, id=fact.id, md5=fact.md5, gone=known.gone if known else False)


def exported(drive: Drive, student: str, folder: str, name: str, known: Sequence[Row] = ()) -> Listed:
    """Return the list of a student's last complete export, from Drive. Raises FailedError, RefusedError.

    ``known`` are the rows of the export's own folder and list, where a state has them.
    """
    shared = shared_drive(drive, student, folder)
    # The folder and the list.
    found = facts(drive, shared, known, 1)
    top = find_top(found, folder, name, next((row.id for row in known if row.kind == FOLDER), ""))
    if top is None:
        see_names(student, found, folder, name)
    there = listed(drive, found, top.id) if top is not None else None
    if there is None:
        raise FailedError(
            f"{shown(student)}: there is no complete export in Drive that the account can see: "
            "look at the folder and the credentials, export first, or import what there is (partial)"
        )
    return there


def shared_drive(drive: Drive, student: str, folder: str) -> str:
    """Return the shared drive that a folder is in, empty for somebody's own. Raises FailedError where there is none."""
    if not folder:
        return ""
    fact = drive.get(folder)
    if fact is None or fact.trashed or not fact.folder:
        raise FailedError(
            f"{shown(student)}: Drive has no folder '{shown(folder)}' for the account of the credentials: "
            "give a folder's or shared drive's id, and let the account be a member there"
        )
    return fact.drive


def see_writable(drive: Drive, student: str, folder: str) -> None:
    """Raise FailedError where the account may look into a folder and not make files there."""
    if not drive.writable(folder):
        raise FailedError(
            f"{shown(student)}: the account of the credentials may not make files in Drive's folder '{shown(folder)}': "
            "make it content manager of the shared drive, or editor of the folder"
        )
