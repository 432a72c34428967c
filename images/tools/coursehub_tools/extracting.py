"""An archive brought back onto an empty disk, for a student who returns.

Not by tarfile's own extraction: the Python of Debian 12 has none that is safe, and the safe ones of later Pythons
change modes, and refuse links that students have every right to.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import archiving, placing, records, streams, tree
from .archiving import Member
from .records import Record
from .request import Extract
from .result import FailedError, Progress, say, shown
from .target import Target, open_target
from .tree import Blocks

WORK = ".coursehub-extract"


def run(request: Extract, disk: Path) -> dict[str, Any]:
    """Unpack into a hidden folder, and move that to its place when it is whole. A killed run is begun again."""
    target = open_target(request.target, request.name)
    with tree.top(disk) as home:
        there = tree.names_at_top(home)
        record = records.existing(target, request.name)
        # What else is there beside a hidden folder of ours comes from a run that was killed while it moved things.
        if there and WORK not in there:
            _see_that_it_is_there(target, record, home, there)
            changed = False
        else:
            records.prove(target, record)
            changed = _unpack(target, record, home)
    say(f"{record.files} files, {record.bytes} bytes are on the disk")
    return {"files": record.files, "bytes": record.bytes, "changed": changed}


def _see_that_it_is_there(target: Target, record: Record, home: int, there: Sequence[str]) -> None:
    """Let a disk pass that has all of the archive and nothing else: a run before this one has been to its end."""
    with target.read(record.file) as content, streams.decompressing(record.file, content, streams.Measure()) as stream:
        try:
            archiving.compare(record.file, stream, home, there)
        except archiving.DifferentError:
            raise FailedError(f"the disk is not empty, '{shown(there[0])}' is on it: give an empty one") from None


def _unpack(target: Target, record: Record, home: int) -> bool:
    with placing.writing(record.bytes), placing.work_folder(home, WORK) as work:
        unpacking = _Unpacking(work)
        measure = streams.Measure()
        try:
            with target.read(record.file) as content, streams.decompressing(record.file, content, measure) as stream:
                for member in archiving.members(record.file, stream):
                    unpacking.add(member)
        finally:
            unpacking.end()
        _judge(record, measure, unpacking.progress)
        placing.sync(work)
        return _publish(work, home)


def _judge(record: Record, measure: streams.Measure, progress: Progress) -> None:
    if measure.sha256 != record.sha256 or (progress.files, progress.bytes) != (record.files, record.bytes):
        raise FailedError(
            f"{record.file} was not read the second time as it was the first: "
            "look at the target's storage, then run this again"
        )


def _publish(work: int, home: int) -> bool:
    changed = False
    for name in tree.names(work):
        if name == WORK:
            # Left on the disk that was archived, by a run that was killed.
            continue
        try:
            tree.look(home, name, name)
        except FileNotFoundError:
            placing.publish(work, name, home, name)
            changed = True
        else:
            if not placing.identical(work, home, name):
                raise FailedError(f"'{shown(name)}' on the disk is not what the archive has there: give an empty disk")
    return changed


@dataclass(frozen=True)
class _Folder:
    """A folder that is being filled, and what it gets when it is full."""

    parts: tuple[str, ...]
    folder: int
    mode: int
    mtime_ns: int


class _Unpacking:
    """Makes what an archive's members say, below one folder, each in a folder that came before it."""

    def __init__(self, folder: int) -> None:
        self._inside: list[_Folder] = [_Folder((), folder, 0, 0)]
        self.progress = Progress("unpacked")

    def add(self, member: Member) -> None:
        header = member.header
        parts = tuple(header.name.split("/"))
        if any(part in ("", ".", "..") for part in parts):
            raise self._refused(header)
        while self._inside[-1].parts != parts[:-1]:
            if len(self._inside) == 1:
                raise self._refused(header)
            self._leave()
        folder, name = self._inside[-1].folder, parts[-1]
        try:
            if header.isdir():
                self._inside.append(_Folder(parts, placing.make_folder(folder, name), header.mode, member.mtime_ns))
            elif header.issym():
                placing.make_link(folder, name, header.linkname, member.mtime_ns)
                self.progress.add(0)
            elif member.content is not None:
                placing.make_file(folder, name, _read(member.content), header.size, header.mode, member.mtime_ns)
                self.progress.add(header.size)
            else:
                raise self._refused(header)
        except FileExistsError:
            raise self._refused(header) from None

    def end(self) -> None:
        while len(self._inside) > 1:
            self._leave()

    def _leave(self) -> None:
        left = self._inside.pop()
        placing.end_folder(left.folder, left.mode, left.mtime_ns)

    def _refused(self, header: tarfile.TarInfo) -> FailedError:
        return FailedError(
            f"the archive has '{shown(header.name)}', which this program doesn't write: "
            "nothing was unpacked; look who wrote the archive"
        )


def _read(data: IO[bytes]) -> Blocks:
    try:
        yield from tree.blocks_of_stream(data.read)
    except tarfile.TarError as error:
        raise FailedError(
            f"the archive is damaged ({error}): look at the target's storage, and take another copy"
        ) from None
