"""A tree of students' files, walked and read. No name in it is followed: links are entries like any other.

Folders are held open and names are looked up in them alone, so that nobody who moves things about meanwhile leads the
walk out of the tree, and no path is too long.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from .result import FailedError, because, shown

BLOCK = 1 << 20
_ZEROS = bytes(BLOCK)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Should a pipe stand where a file was a moment ago, opening it doesn't wait for somebody to write.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# In the top folder of an ext4 disk, and the system's.
LOST_AND_FOUND = "lost+found"

# What the owner of a folder needs to read it, and to remove what is in it.
READABLE = 0o500
WRITABLE = 0o700

# Offset and content of what isn't zero in a file.
Blocks = Iterable[tuple[int, bytes]]


@dataclass(frozen=True)
class Entry:
    """One name of a tree: its path, the folder that holds it (a descriptor, good until the walk goes on), and its stat.

    A folder is told twice, before and after (``leaving``) what is in it.
    """

    path: str
    name: str
    folder: int
    stat: os.stat_result
    leaving: bool = False

    @property
    def kind(self) -> str:
        """Return ``file``, ``folder``, ``link``, or ``special`` for what is none of them."""
        return _KINDS.get(stat.S_IFMT(self.stat.st_mode), "special")

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.stat.st_mode)

    @property
    def link(self) -> str:
        """Return where a link leads. Raises OSError."""
        return os.readlink(self.name, dir_fd=self.folder)


_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


def look(folder: int, name: str, path: str) -> Entry:
    """Return the entry of a name in a folder. Raises OSError."""
    return Entry(path, name, folder, os.stat(name, dir_fd=folder, follow_symlinks=False))


@contextmanager
def top(path: Path) -> Iterator[int]:
    """Hold the top folder of a mounted tree open."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FailedError(f"no disk can be read at {path} ({because(error)}): it is to be mounted there") from None
    try:
        yield folder
    finally:
        os.close(folder)


def open_folder(folder: int, name: str) -> int:
    """Open a folder in a folder. Raises OSError, also for a link."""
    return os.open(name, _FOLDER, dir_fd=folder)


def names(folder: int) -> list[str]:
    """Return the names in a folder, in an order that is always the same. Raises OSError."""
    # It is opened anew: btrfs shows a descriptor what was there when it was opened. A home of 13 files that had just
    # been written below this one had none, and was removed with the folder it was written in.
    fresh = open_folder(folder, ".")
    try:
        return sorted(os.listdir(fresh), key=os.fsencode)  # noqa: PTH208 - a descriptor
    finally:
        os.close(fresh)


def names_at_top(folder: int) -> list[str]:
    """Return the names in the top folder of a disk, without what belongs to the system."""
    return [name for name in names(folder) if name != LOST_AND_FOUND or not _of_the_system(folder)]


def _of_the_system(folder: int) -> bool:
    found = look(folder, LOST_AND_FOUND, LOST_AND_FOUND)
    return found.kind == "folder" and found.stat.st_uid == 0


def set_mode(folder: int, name: str, mode: int) -> None:
    """Change the mode of what a name stands for, never of what a link leads to. Raises OSError."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod(f"/proc/self/fd/{found}", mode)  # noqa: PTH101 - a descriptor
    finally:
        os.close(found)


@contextmanager
def unlocked(entry: Entry, bits: int) -> Iterator[None]:
    """Give the owner these rights for a while, where the file belongs to us and its disk may be written."""
    lacking = entry.mode & bits != bits
    if lacking:
        with contextlib.suppress(OSError):
            set_mode(entry.folder, entry.name, entry.mode | bits)
    try:
        yield
    finally:
        if lacking:
            with contextlib.suppress(OSError):
                set_mode(entry.folder, entry.name, entry.mode)


@contextmanager
def open_file(entry: Entry, *, unlock: bool = False) -> Iterator[int]:
    """Hold a regular file open for reading. Raises OSError.

    ``unlock`` reads files that their owner can't (mode 000) by changing their mode for the moment of opening.
    """
    with unlocked(entry, 0o400) if unlock else contextlib.nullcontext():
        file = os.open(entry.name, _FILE, dir_fd=entry.folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.ESTALE, "it is no longer a file")
        yield file
    finally:
        os.close(file)


def blocks(file: int) -> Iterator[tuple[int, bytes]]:
    """Read a file to its end; holes and blocks of zeros are left out. Raises OSError.

    A file says of itself how long it is: with 8 EiB of nothing a student could keep us for years.
    """
    offset = 0
    while True:
        try:
            offset = os.lseek(file, offset, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        block = _read(file, offset)
        if block != _ZEROS[: len(block)]:
            yield offset, block
        offset += len(block)
        if len(block) < BLOCK:
            return


def _read(file: int, offset: int) -> bytes:
    block = os.pread(file, BLOCK, offset)
    while 0 < len(block) < BLOCK and (more := os.pread(file, BLOCK - len(block), offset + len(block))):
        block += more
    return block


def blocks_of_stream(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Read a stream to its end as ``blocks`` reads a file."""
    offset = 0
    while block := read(BLOCK):
        while len(block) < BLOCK and (more := read(BLOCK - len(block))):
            block += more
        if block != _ZEROS[: len(block)]:
            yield offset, block
        offset += len(block)


def digest(content: Blocks) -> bytes:
    """Return the SHA-256 of a content and where it lies; equal for files of one size if these are equal."""
    result = hashlib.sha256()
    for offset, block in content:
        result.update(offset.to_bytes(8, "big"))
        result.update(block)
    return result.digest()


def refuse(path: str, error: OSError) -> NoReturn:
    """Fail at what can't be read."""
    raise FailedError(
        f"'{shown(path)}' can't be read ({because(error)}): try again with another snapshot, and look at the storage"
    )


def _fail_at(path: str, error: OSError) -> None:
    refuse(path, error)


class _Frame:
    """A folder in which a walk is, with what is to be undone when it leaves."""

    def __init__(self, entry: Entry | None, folder: int, todo: Sequence[str], undo: contextlib.ExitStack) -> None:
        self.entry = entry
        self.folder = folder
        self.todo = iter(todo)
        self.undo = undo


def walk(
    folder: int,
    todo: Sequence[str],
    *,
    unlock: int = 0,
    on_error: Callable[[str, OSError], None] = _fail_at,
    leave_out: Callable[[Entry], bool] = lambda _entry: False,
) -> Generator[Entry, None, None]:
    """Walk through these names of a folder and all that is in them, in an order that is always the same.

    ``unlock`` are rights that the owner of a folder gets, where it lacks them, until the walk leaves it again.
    ``on_error`` is told what can't be read; when it returns, the walk goes on with the next.
    ``leave_out`` tells which entries are passed over, folders with all that is in them.
    """
    frames = [_Frame(None, folder, todo, contextlib.ExitStack())]
    try:
        while frames:
            frame = frames[-1]
            name = next(frame.todo, None)
            if name is None:
                frames.pop().undo.close()
                if frame.entry is not None:
                    yield _leaving(frame.entry)
                continue
            path = f"{frame.entry.path}/{name}" if frame.entry else name
            try:
                entry = look(frame.folder, name, path)
            except OSError as error:
                on_error(path, error)
                continue
            if leave_out(entry):
                continue
            yield entry
            if entry.kind == "folder":
                try:
                    frames.append(_enter(entry, unlock))
                except OSError as error:
                    on_error(path, error)
                    yield _leaving(entry)
    finally:
        for frame in reversed(frames):
            frame.undo.close()


def _enter(entry: Entry, unlock: int) -> _Frame:
    undo = contextlib.ExitStack()
    try:
        undo.enter_context(unlocked(entry, unlock))
        inner = open_folder(entry.folder, entry.name)
        undo.callback(os.close, inner)
        return _Frame(entry, inner, names(inner), undo)
    except BaseException:
        undo.close()
        raise


def _leaving(entry: Entry) -> Entry:
    return Entry(entry.path, entry.name, entry.folder, entry.stat, leaving=True)
