"""What a run has done and is about to do, kept so that the next one goes on after a kill at any moment.

A folder a student: the list of the last export that came to its end, and a journal of what came after. Before anything
is made in Drive its id is in the journal, on the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from ..result import FailedError, because, shown
from . import manifest, names
from .journal import Journal
from .manifest import Header
from .rows import BUNDLE, FOLDER, Key, Row, pack, unpack

LIST = "manifest.jsonl.gz"
JOURNAL = "journal"


@dataclass(frozen=True)
class Session:
    """An upload that goes on over several requests: where, and of which content."""

    uri: str
    size: int
    mtime_ns: int
    md5: str = ""


@dataclass(frozen=True)
class Want:
    """What was about to be made or changed when the journal ended."""

    row: Row
    session: Session | None = None


class State:
    """One student's. ``rows`` is what is known to be in Drive, ``wants`` what may be, by Drive's ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header: Header | None = None
        self.rows: dict[Key, Row] = {}
        self.wants: dict[str, Want] = {}
        # Whether there is anything in the journal, so that the list is to be written anew.
        self.dirty = False
        self.md5 = ""
        # MD5s that the list in Drive may have where nobody else was at work: of the last one, of what was about to be
        # written since, and of what was found by a look.
        self.lists: set[str] = set()
        self._keys: dict[str, Key] = {}
        self._lock = threading.Lock()
        self._journal = Journal(folder / JOURNAL)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    @property
    def list(self) -> Path:
        return self.folder / LIST

    def close(self) -> None:
        self._journal.close()

    def by_id(self, file_id: str) -> Row | None:
        """Return what is known to be in Drive by this id."""
        key = self._keys.get(file_id)
        return None if key is None else self.rows[key]

    def _load(self) -> None:
        if self.list.exists():
            self.header, rows = manifest.read(self.list)
            self._know(rows)
            self.md5 = _md5(self.list)
            self.lists = {self.md5}
        for record in self._journal.records(self.md5):
            self.dirty = True
            try:
                self._replay(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self._journal.damaged(error) from None

    def _append(self, record: dict[str, Any], *, sync: bool = False) -> None:
        self._journal.append(record, sync=sync)
        self.dirty = True

    def _replay(self, record: dict[str, Any]) -> None:
        if "want" in record:
            row = unpack(record["want"])
            self.wants[row.id] = Want(row)
        elif "session" in record:
            self.wants[record["session"]] = replace(self.wants[record["session"]], session=Session(*record["of"]))
        elif "done" in record:
            self._done(unpack(record["done"]), [unpack(row) for row in record["members"]])
        elif "gone" in record:
            self._gone(record["gone"])
        elif "base" in record:
            self._rebase(Header(**record["base"]), [unpack(row) for row in record["rows"]], record["list"])
        elif "list_to_be" in record:
            self.lists.add(record["list_to_be"])
        else:
            raise ValueError("it is of no known kind")

    def want(self, row: Row) -> None:
        """Tell that this is about to be made or changed. On the disk when this returns."""
        with self._lock:
            self._append({"want": pack(row)}, sync=True)
            self.wants[row.id] = Want(row)

    def session(self, file_id: str, session: Session) -> None:
        """Keep where an upload goes on. On the disk when this returns."""
        with self._lock:
            self._append({"session": file_id, "of": astuple(session)}, sync=True)
            self.wants[file_id] = replace(self.wants[file_id], session=session)

    def done(self, row: Row, members: Sequence[Row] = ()) -> None:
        """Tell that this is in Drive. Where that is lost, the next run asks Drive."""
        with self._lock:
            self._append({"done": pack(row), "members": [pack(one) for one in members]})
            self._done(row, members)

    def gone(self, file_id: str) -> None:
        """Tell that this, and all that is in it, is not in Drive, or in the bin."""
        with self._lock:
            self._append({"gone": file_id})
            self._gone(file_id)

    def list_to_be(self, md5: str) -> None:
        """Tell of the list that is about to be written to Drive. On the disk when this returns."""
        with self._lock:
            self._append({"list_to_be": md5}, sync=True)
            self.lists.add(md5)

    def rebase(self, header: Header, rows: Sequence[Row], list_md5: str = "") -> None:
        """Tell what is in Drive now, whatever was known before: somebody has looked, and found this list, or none."""
        with self._lock:
            record = {"base": asdict(header), "rows": [pack(row) for row in rows], "list": list_md5}
            self._append(record, sync=True)
            self._rebase(header, rows, list_md5)

    def finish(self, new_list: Path, header: Header, rows: Iterable[Row]) -> None:
        """Let a list that is in Drive take the place of the last one and of the journal."""
        with new_list.open("rb") as file:
            os.fsync(file.fileno())
        new_list.replace(self.list)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.md5 = _md5(self.list)
        self._journal.clear(self.md5)
        self._rebase(header, rows, self.md5)
        self.dirty = False

    def _know(self, rows: Iterable[Row]) -> None:
        self.rows = {row.key: row for row in rows}
        self._keys = {row.id: row.key for row in self.rows.values() if row.id}

    def _rebase(self, header: Header, rows: Iterable[Row], list_md5: str) -> None:
        self.header = header
        self.lists = {list_md5} - {""}
        self._know(rows)
        self.wants.clear()

    def _put(self, row: Row) -> None:
        self.rows[row.key] = row
        if row.id:
            self._keys[row.id] = row.key

    def _done(self, row: Row, members: Iterable[Row]) -> None:
        self.wants.pop(row.id, None)
        before = self._keys.get(row.id)
        if before is not None:
            if row.kind == BUNDLE:
                self._drop(lambda one: one.bundle == before[0] != "")
            self._take(self.rows[before])
            if row.kind == FOLDER and before != row.key:
                self._carry(before[0], row.path)
        self._put(row)
        for member in members:
            self._put(member)

    def _carry(self, before: str, now: str) -> None:
        """Let all that is in a folder go with it."""
        moved = [row for row in self.rows.values() if _inside(row, before)]
        for row in moved:
            self._take(row)
        for row in moved:
            bundle = now + row.bundle[len(before) :] if row.bundle else ""
            self._put(replace(row, path=now + row.path[len(before) :], bundle=bundle))

    def _gone(self, file_id: str) -> None:
        self.wants.pop(file_id, None)
        found = self.by_id(file_id)
        if found is None:
            return
        if found.kind == FOLDER:
            self._drop(lambda row: _inside(row, found.path))
        if found.kind == BUNDLE:
            self._drop(lambda row: row.bundle == found.path)
        self._take(found)

    def _drop(self, what: Callable[[Row], bool]) -> None:
        for row in [row for row in self.rows.values() if what(row)]:
            self._take(row)

    def _take(self, row: Row) -> None:
        self.rows.pop(row.key, None)
        if self._keys.get(row.id) == row.key:
            del self._keys[row.id]


def _inside(row: Row, folder: str) -> bool:
    """Tell whether a thing is in this folder of Drive's. A bundle is beside the folder that it was made of."""
    return names.below(row.bundle or row.path, folder)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def opened(folder: Path, student: str) -> Iterator[State]:
    """Hold a student's state; nobody else has it meanwhile. Raises FailedError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FailedError(
            f"{shown(student)}: the state's folder '{shown(str(folder))}' can't be used ({because(error)}): "
            "give a folder that can be written"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FailedError(f"{shown(student)}: another export of theirs is at work: wait until it ends") from None
        state = State(folder)
        try:
            yield state
        finally:
            state.close()
    finally:
        os.close(lock)


def folder_name(student: str) -> str:
    """Return what a student's folder is called, whatever letters their name has."""
    return names.encode(student).replace("/", "%2F") if student not in (".", "..") else f"%2E{student[1:]}"
