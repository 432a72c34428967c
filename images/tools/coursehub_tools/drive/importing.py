"""The way back: an export from Drive onto an empty disk, and a bundle from its zip."""

from __future__ import annotations

import json
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .. import placing, tree
from ..result import FailedError, Progress, say, shown
from . import look, names, packing, partial
from .client import Client, RefusedError
from .manifest import Header
from .objects import Drive
from .reasons import Treatment
from .report import Report
from .restoring import Parts, restore
from .rows import BUNDLE, FILE, FOLDER, LINK, Row, unpack
from .scan import opened, scan, see_unchanged
from .upload import Content, digest

WORK = ".coursehub-import"
_CHUNK = 8 << 20
_MOST_INDEX = 256 << 20


@dataclass(frozen=True)
class Job:
    """Whose export comes back, onto which disk, from which folder of Drive (empty: the top of one's own),
    and what the student's folder in it is called (empty: as the student).

    ``partial`` takes what Drive has, where that is not what the last list says or there is no list.
    """

    student: str
    disk: Path
    folder: str = ""
    threads: int = 4
    partial: bool = False
    name: str = ""
    # Also what was no longer at home at the last export, as of a home that was lost before it.
    gone: bool = False
    # Also what Google takes for malware, where the account may have it.
    acknowledge_abuse: bool = False


def run(job: Job, client: Client, report: Report) -> dict[str, Any]:
    """Bring an export back. Raises RefusedError, FailedError; then nothing is on the disk that wasn't.

    A disk that has all of it already, and nothing else, is left as it is. A file that Drive does not give is named, and
    all others come.
    """
    drive = Drive(client, job.student, acknowledge_abuse=job.acknowledge_abuse)
    with tree.top(job.disk) as home:
        there = tree.names_at_top(home)
        header, listed, unlisted = _exported(drive, job)
        rows = with_gone(listed) if job.gone else [row for row in listed if not row.gone]
        with _Source(drive, rows) as source:
            rows = partial.with_members(rows, source.index)
            things = _things(rows)
            # What is there beside a hidden folder of ours comes from a run that was killed while it moved things.
            changed = not there or WORK in there
            withheld: dict[Row, RefusedError] = {}
            if changed:
                source.expect(things)
                with placing.writing(sum(row.size for row in things)), placing.work_folder(home, WORK) as work:
                    restore(work, things, source.content, withheld.__setitem__, threads=job.threads)
                    _publish(work, home, [row for row in things if row not in withheld])
            else:
                withheld = _withheld(home, things, source, _not_empty(job.student, there[0]))
            for path, error in [*source.refused.items(), *((row.path, error) for row, error in withheld.items())]:
                report.problem(path, f"it is in Drive, and did not come back: {error}: {error.rule.remedy}")
    files = [row for row in things if row.kind == FILE and row not in withheld]
    size = sum(row.size for row in files)
    for path in unlisted:
        report.problem(path, "it is not as the export's list says, and came as Drive has it")
    say(f"{shown(job.student)}: {len(files)} files with {size} bytes are on the disk")
    return {"files": len(files), "bytes": size, "taken": header.taken, "changed": changed}


def with_gone(listed: Sequence[Row]) -> list[Row]:
    """Return the rows of what was at home, and, where their places are free, of what was there before."""
    rows = [row for row in listed if not row.gone]
    taken = {row.path for row in rows if row.kind != BUNDLE}
    folders = {row.path for row in rows if row.kind == FOLDER} | {""}
    for row in sorted((row for row in listed if row.gone), key=lambda row: (row.path.count("/"), row.bundle)):
        if row.kind == BUNDLE:
            rows.append(row)
        elif row.path not in taken and names.parent(row.path) in folders:
            rows.append(row)
            taken.add(row.path)
            folders |= {row.path} if row.kind == FOLDER else set()
    return rows


def _exported(drive: Drive, job: Job) -> tuple[Header, list[Row], list[str]]:
    if job.partial:
        found = partial.find(drive, job.student, job.folder, job.name or job.student)
        return found.header, found.rows, found.unlisted
    there = look.exported(drive, job.student, job.folder, job.name or job.student)
    return there.header, there.rows, []


def _withheld(home: int, things: Iterable[Row], source: _Source, not_empty: FailedError) -> dict[Row, RefusedError]:
    """Return what a disk lacks of an export because Drive does not give it; raise the error for any other difference.

    The result of the Job that brought the rest may be lost with its node.
    """
    found = scan(home, None)
    # By path: what was in a bundle has another key than the same thing on a disk.
    wanted = {row.path: row for row in things}
    there = set(map(_outside, found.rows))
    if found.problems or found.special or not there <= set(map(_outside, wanted.values())):
        raise not_empty
    if not all(_same_content(home, row, wanted[row.path]) for row in found.rows if row.kind == FILE):
        raise not_empty
    withheld = {}
    for row in wanted.values():
        if _outside(row) not in there:
            error = source.refusal(row) if row.kind == FILE else None
            if error is None:
                raise not_empty
            withheld[row] = error
    return withheld


def _outside(row: Row) -> tuple[object, ...]:
    size = row.size if row.kind == FILE else 0
    return row.path, row.kind, size, row.mtime_ns, row.mode, row.target


def _same_content(home: int, row: Row, wanted: Row) -> bool:
    with opened(home, row) as file:
        found = digest(Content(file, row, lambda: see_unchanged(file, row)))
    return found.sha256 == wanted.sha256 if wanted.sha256 else found.md5 == wanted.md5


def _things(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.kind in (FILE, FOLDER, LINK) and row.path]


def _not_empty(who: str, name: str) -> FailedError:
    return FailedError(
        f"{shown(who)}: the disk is not empty, '{shown(name)}' is on it, and nothing is overwritten: give an empty one"
    )


def _publish(work: int, home: int, rows: Iterable[Row]) -> None:
    there = set(tree.names_at_top(home))
    # By the rows, not by what the folder shows: what it did not show would be removed with it.
    for name in sorted({row.path.partition("/")[0] for row in rows if row.path}):
        if name not in there or not placing.identical(work, home, name):
            placing.publish(work, name, home, name)


class _Source:
    """Contents out of Drive, also those that are in bundles.

    A bundle is on the scratch disk while its files are written, and no longer. They are asked for in the order of their
    paths, so there are no more bundles at a time than threads.
    """

    def __init__(self, drive: Drive, rows: Iterable[Row]) -> None:
        self._drive = drive
        self._bundles = {row.path: row for row in rows if row.kind == BUNDLE}
        self._open: dict[str, Zipped] = {}
        self._left: Counter[str] = Counter()
        # The bundles that Drive does not give, of which a file was asked for.
        self.refused: dict[str, RefusedError] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_error: object) -> None:
        for zipped in self._open.values():
            zipped.close()

    def expect(self, things: Iterable[Row]) -> None:
        """Let it know which files each bundle will be asked for, once each."""
        self._left = Counter(row.bundle for row in things if row.kind == FILE and row.bundle)

    def content(self, row: Row) -> Parts:
        if not row.bundle:
            return self._parts(row)
        return self._member(row)

    def refusal(self, row: Row) -> RefusedError | None:
        """Return why Drive does not give a file, None where it does. Raises RefusedError for what strikes others."""
        try:
            for _part in self.content(row):
                break
        except RefusedError as error:
            if error.treatment is Treatment.FILE:
                return error
            raise
        return None

    def _parts(self, row: Row) -> Iterator[bytes]:
        for start in range(0, row.size, _CHUNK):
            yield self._drive.content(row.id, start, min(row.size, start + _CHUNK))

    def _member(self, row: Row) -> Iterator[bytes]:
        try:
            yield from self._held(row.bundle).content(row.path[len(row.bundle) + 1 :])
        finally:
            self._let_go(row.bundle)

    def index(self, path: str) -> list[Row]:
        """Return what a bundle itself says is in it, by paths in its folder; nothing where Drive does not give it."""
        try:
            with closing(self._fetched(path)) as zipped:
                return zipped.rows()
        except RefusedError as error:
            if error.treatment is not Treatment.FILE:
                raise
            return []

    def _held(self, path: str) -> Zipped:
        with self._lock:
            if path not in self._open:
                self._open[path] = self._fetched(path)
            return self._open[path]

    def _let_go(self, path: str) -> None:
        with self._lock:
            self._left[path] -= 1
            zipped = self._open.pop(path, None) if not self._left[path] else None
        if zipped is not None:
            zipped.close()

    def _fetched(self, path: str) -> Zipped:
        if path in self.refused:
            raise self.refused[path]
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the zip
        try:
            for part in self._parts(self._bundles[path]):
                file.write(part)
            return Zipped(file, path)
        except BaseException as error:
            file.close()
            if isinstance(error, RefusedError) and error.treatment is Treatment.FILE:
                # Each of its files would ask for it anew.
                self.refused[path] = error
            raise


class Zipped:
    """A bundle's zip, which threads may read. Raises FailedError for what is none."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        self._file.close()

    def content(self, path: str) -> Iterator[bytes]:
        """Yield what a file has, by its path in the folder that was packed."""
        try:
            with self._zip.open(packing.FILES + names.encode(path)) as member:
                while part := member.read(tree.BLOCK):
                    while len(part) < tree.BLOCK and (more := member.read(tree.BLOCK - len(part))):
                        part += more
                    yield part
        except (KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise self._damaged(error) from None

    def rows(self) -> list[Row]:
        """Return what the index says is in it."""
        try:
            with self._zip.open(packing.INDEX) as index:
                lines = index.read(_MOST_INDEX).splitlines()
            return [unpack(json.loads(line)) for line in lines]
        except (KeyError, zipfile.BadZipFile, EOFError, ValueError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> FailedError:
        return FailedError(
            f"the bundle '{shown(self._name)}' can't be read ({type(error).__name__}): it is damaged, or none of ours"
        )


def unbundle(file: Path, folder: Path, *, threads: int = 4) -> Progress:
    """Bring what a bundle's zip has into an empty folder. Raises FailedError."""
    with file.open("rb") as data, tree.top(folder) as top:
        there = tree.names_at_top(top)
        if there and WORK not in there:
            raise _not_empty(file.name, there[0])
        zipped = Zipped(data, file.name)
        rows = zipped.rows()
        size = sum(row.size for row in rows)
        with placing.writing(size), placing.work_folder(top, WORK) as work:
            progress = restore(work, rows, lambda row: zipped.content(row.path), threads=threads)
            _publish(work, top, rows)
    return progress
