"""A student's whole disk as one archive, which is proven to be whole before it counts."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, cast

from . import records, streams, tree
from .records import Record
from .request import Archive, Check
from .result import FailedError, Progress, say, shown
from .target import Target, open_target
from .tree import Entry

# Students' disks are far smaller: a longer file is made of holes, which an archive writes out.
MOST_BYTES = 1 << 40
_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}


class DifferentError(FailedError):
    """An archive holds something else than a disk."""


def run(request: Archive, source: Path) -> dict[str, Any]:
    """Archive the disk, unless that has been done from this snapshot; prove the archive either way."""
    target = open_target(request.target, request.name)
    old = records.read(target, request.name)
    if old and old.student != request.student:
        raise FailedError(
            f"'{request.name}.json' in the target is of another student, {shown(old.student)}: choose another name"
        )
    if old and old.snapshot == request.snapshot:
        damage = _damage(target, old)
        if not damage:
            say(f"{old.file} is there, as it was written")
            _remove_replaced(target, old)
            return {**asdict(old), "changed": False}
        say(f"{old.file} is to be written anew: {damage}")
    with tree.top(source) as disk:
        record, left_out = _archive(request, target, old, disk)
    _remove_replaced(target, record)
    return {**asdict(record), "changed": True, "left_out": left_out}


def check(request: Check) -> dict[str, Any]:
    """Read an archive back, to its end."""
    target = open_target(request.target, request.name)
    record = records.existing(target, request.name)
    measure = records.prove(target, record)
    if measure.sha256 != request.sha256:
        raise FailedError(
            f"{record.file} is whole, but its SHA-256 is {measure.sha256} and not {shown(request.sha256)}: "
            "it is not the archive that is asked for; look who wrote it"
        )
    return {"sha256": measure.sha256, "archive_bytes": measure.bytes}


def _remove_replaced(target: Target, record: Record) -> None:
    """Remove the archive that one replaces, which a run that was killed may not have come to."""
    if record.replaces and not target.remove(record.replaces):
        say(f"{record.replaces} is replaced; if it is still there, it can't be removed: do that by hand")


def _damage(target: Target, record: Record) -> str:
    try:
        records.prove(target, record)
    except FailedError as error:
        return str(error)
    return ""


def _archive(request: Archive, target: Target, old: Record | None, disk: int) -> tuple[Record, int]:
    todo = tree.names_at_top(disk)
    # What a record names is never written over.
    file = next(name for name in records.files(request.name, request.taken) if not old or name != old.file)
    writer, written = _Writer(disk, todo), streams.Measure()
    try:
        with target.write(file) as write, streams.compressing(write, written) as stream:
            writer.run(stream)
        say(f"{file}: {writer.progress.files} files, {writer.progress.bytes} bytes in {written.bytes}; reading it back")
        _prove(target, file, written, disk, todo)
    except BaseException:
        target.remove(file)
        raise
    record = Record(
        student=request.student,
        snapshot=request.snapshot,
        taken=request.taken.isoformat(),
        archived_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=writer.progress.files,
        bytes=writer.progress.bytes,
        file=file,
        archive_bytes=written.bytes,
        sha256=written.sha256,
        replaces=old.file if old else "",
    )
    # From here on the archive may be the one that counts: whatever goes wrong, it stays.
    records.write(target, request.name, record)
    return record, writer.left_out


def _prove(target: Target, file: str, written: streams.Measure, disk: int, todo: Sequence[str]) -> None:
    read = streams.Measure()
    with target.read(file) as content, streams.decompressing(file, content, read) as stream:
        compare(file, stream, disk, todo)
    if read.sha256 != written.sha256:
        raise FailedError(
            f"{file} is not read back as it was written: look at the target's storage, then archive again"
        )


class _Writer:
    """Writes a disk as a tar stream, in an order that is always the same."""

    def __init__(self, disk: int, todo: Sequence[str]) -> None:
        self._disk = disk
        self._todo = todo
        self.progress = Progress("archived")
        self.left_out = 0

    def run(self, stream: IO[bytes]) -> None:
        tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], _Output(stream)),
            mode="w",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
            copybufsize=streams.CHUNK,
        )
        with closing(tree.walk(self._disk, self._todo, unlock=tree.READABLE)) as entries:
            for entry in entries:
                if entry.kind == "special":
                    self.left_out += 1
                elif not entry.leaving:
                    self._add(tar, entry)
                    # It would remember all of them.
                    tar.members.clear()  # type: ignore[attr-defined]
        tar.close()

    def _add(self, tar: tarfile.TarFile, entry: Entry) -> None:
        header = _header(entry)
        if entry.kind != "file":
            tar.addfile(header)
        elif entry.stat.st_size > MOST_BYTES:
            raise FailedError(
                f"'{shown(entry.path)}' says that it is {entry.stat.st_size} bytes long, more than can be archived: "
                "have it removed or made shorter, take a snapshot, and archive that"
            )
        else:
            try:
                with tree.open_file(entry, unlock=True) as file, open(file, "rb", closefd=False) as content:
                    tar.addfile(header, cast(IO[bytes], _Input(entry, content)))
            except BrokenPipeError:
                raise
            except OSError as error:
                tree.refuse(entry.path, error)
        if entry.kind != "folder":
            self.progress.add(entry.stat.st_size if entry.kind == "file" else 0)


class _Output:
    """A pipe that knows how much went into it, which is all that tarfile wants to know."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)

    def tell(self) -> int:
        return self._position


class _Input:
    """A file that is as long as it was."""

    def __init__(self, entry: Entry, content: IO[bytes]) -> None:
        self._entry = entry
        self._content = content

    def read(self, size: int) -> bytes:
        data = self._content.read(size)
        if len(data) < size:
            raise FailedError(
                f"'{shown(self._entry.path)}' became shorter while it was read: "
                "archive from a clone that nothing else uses"
            )
        return data


def _header(entry: Entry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(entry.path)
    header.type = _TYPES[entry.kind]
    header.mode = stat.S_IMODE(entry.stat.st_mode)
    header.uid, header.gid = entry.stat.st_uid, entry.stat.st_gid
    header.size = entry.stat.st_size if entry.kind == "file" else 0
    # All digits of it. (As a number it would be a float.)
    header.pax_headers = {"mtime": format(Decimal(entry.stat.st_mtime_ns).scaleb(-9), "f")}
    if entry.kind == "link":
        try:
            header.linkname = entry.link
        except OSError as error:
            tree.refuse(entry.path, error)
    return header


@dataclass(frozen=True)
class Member:
    """A member of an archive, its time with all digits, and a file's content, to be read before the next member."""

    header: tarfile.TarInfo
    mtime_ns: int
    content: IO[bytes] | None


def members(file: str, stream: IO[bytes]) -> Iterator[Member]:
    """Read an archive's members one after the other. Raises FailedError for what is no archive."""
    try:
        with tarfile.open(
            fileobj=stream, mode="r|", bufsize=streams.CHUNK, encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while (header := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]
                mtime = Decimal(header.pax_headers.get("mtime", str(header.mtime)))
                yield Member(header, int(mtime.scaleb(9)), tar.extractfile(header) if header.isreg() else None)
    except (tarfile.TarError, ValueError, ArithmeticError) as error:
        raise FailedError(
            f"{file} is damaged ({error}): look at the target's storage, and take another copy or archive again"
        ) from None


def compare(file: str, stream: IO[bytes], disk: int, todo: Sequence[str]) -> None:
    """See that an archive holds what the disk does. Raises FailedError for the first difference."""
    with closing(tree.walk(disk, todo, unlock=tree.READABLE)) as entries:
        wanted = (entry for entry in entries if not entry.leaving and entry.kind != "special")
        for found, entry in zip_longest(members(file, stream), wanted):
            if entry is None or found is None or not _same(found, entry):
                path = entry.path if entry else found.header.name if found else ""
                raise DifferentError(
                    f"{file} differs from the disk at '{shown(path)}': look at the target's storage, then archive again"
                )


def _same(member: Member, entry: Entry) -> bool:
    wanted = _header(entry)
    for name in ("name", "type", "mode", "size", "linkname"):
        if getattr(member.header, name) != getattr(wanted, name):
            return False
    if member.mtime_ns != entry.stat.st_mtime_ns:
        return False
    if member.content is None:
        return True
    try:
        with tree.open_file(entry, unlock=True) as file:
            return tree.digest(tree.blocks(file)) == tree.digest(tree.blocks_of_stream(member.content.read))
    except tarfile.TarError:
        return False
    except OSError as error:
        tree.refuse(entry.path, error)
