"""Files written into a student's disk, which the student may have filled with traps and may be using.

All is written below descriptors of folders, nothing through a link, nothing over something that is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import zip_longest

from . import tree
from .result import FULL, FailedError, Progress, because, shown
from .tree import Blocks, Entry

_LIBC = ctypes.CDLL(None, use_errno=True)
_NO_REPLACE = 1
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_file(folder: int, name: str, content: Blocks, size: int, mode: int, mtime_ns: int) -> None:
    """Write a new file. Raises OSError."""
    file = os.open(name, _WRITE, 0o600, dir_fd=folder)
    try:
        for offset, block in content:
            written = 0
            while written < len(block):
                written += os.pwrite(file, block[written:], offset + written)
        os.ftruncate(file, size)
        os.fchmod(file, mode)
        os.utime(file, ns=(mtime_ns, mtime_ns))
    finally:
        os.close(file)


def make_link(folder: int, name: str, leads_to: str, mtime_ns: int) -> None:
    """Make a new symbolic link. Raises OSError."""
    os.symlink(leads_to, name, dir_fd=folder)
    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)


def make_folder(folder: int, name: str) -> int:
    """Make a new folder that only we can enter; return it open, for ``end_folder``. Raises OSError."""
    os.mkdir(name, 0o700, dir_fd=folder)
    return tree.open_folder(folder, name)


def end_folder(folder: int, mode: int, mtime_ns: int) -> None:
    """Give a new folder, with all in it, its mode and time; close it. Raises OSError."""
    try:
        os.fchmod(folder, mode)
        os.utime(folder, ns=(mtime_ns, mtime_ns))
    finally:
        os.close(folder)


def copy(source: int, name: str, folder: int, new_name: str, progress: Progress) -> None:
    """Copy a file or a folder with all in it, but no sockets, pipes, devices. Raises OSError where it can't write."""
    inside = [folder]
    try:
        with closing(tree.walk(source, [name], unlock=tree.READABLE)) as entries:
            for entry in entries:
                called = new_name if len(inside) == 1 else entry.name
                if entry.kind == "folder" and not entry.leaving:
                    inside.append(make_folder(inside[-1], called))
                elif entry.kind == "folder":
                    end_folder(inside.pop(), entry.mode, entry.stat.st_mtime_ns)
                elif entry.kind == "link":
                    make_link(inside[-1], called, entry.link, entry.stat.st_mtime_ns)
                    progress.add(0)
                elif entry.kind == "file":
                    _copy_file(entry, inside[-1], called)
                    progress.add(entry.stat.st_size)
    finally:
        for left in inside[1:]:
            os.close(left)


def _copy_file(entry: Entry, folder: int, name: str) -> None:
    with _reading(entry) as file:
        make_file(folder, name, _told(entry, file), entry.stat.st_size, entry.mode, entry.stat.st_mtime_ns)


@contextmanager
def _reading(entry: Entry) -> Iterator[int]:
    """Hold a file open, and tell apart what can't be read from what can't be written."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tree.open_file(entry, unlock=True))
        except OSError as error:
            tree.refuse(entry.path, error)
        yield file


def _told(entry: Entry, file: int) -> Iterator[tuple[int, bytes]]:
    try:
        yield from tree.blocks(file)
    except OSError as error:
        tree.refuse(entry.path, error)


class _UnlikeError(Exception):
    """What is there already is not what is to be there."""


def _unlike(_path: str, _error: OSError) -> None:
    raise _UnlikeError


def identical(source: int, folder: int, name: str) -> bool:
    """Tell whether a name stands for the same in both folders: type, mode, time, content, and all that is in it."""
    with (
        closing(tree.walk(source, [name], unlock=tree.READABLE)) as wanted,
        closing(tree.walk(folder, [name], unlock=tree.READABLE, on_error=_unlike)) as there,
    ):
        try:
            return all(
                one is not None and other is not None and _same(one, other)
                for one, other in zip_longest((entry for entry in wanted if entry.kind != "special"), there)
            )
        except (_UnlikeError, OSError):
            return False


def _same(one: Entry, other: Entry) -> bool:
    if (one.path, one.kind, one.leaving) != (other.path, other.kind, other.leaving):
        return False
    if one.leaving:
        return True
    if (one.mode, one.stat.st_mtime_ns) != (other.mode, other.stat.st_mtime_ns):
        return False
    if one.kind == "link":
        return one.link == other.link
    return one.kind == "folder" or (one.stat.st_size == other.stat.st_size and _same_content(one, other))


def _same_content(one: Entry, other: Entry) -> bool:
    try:
        with tree.open_file(other, unlock=True) as file:
            found = tree.digest(tree.blocks(file))
    except OSError:
        return False
    with _reading(one) as file:
        return tree.digest(_told(one, file)) == found


def publish(folder: int, name: str, into: int, new_name: str) -> None:
    """Move what has been written to its place, in one step, unless something is there. Raises OSError."""
    entry = tree.look(folder, name, name)
    # To move a folder is to write its '..'.
    with contextlib.ExitStack() as stack:
        if entry.kind == "folder" and not entry.mode & 0o200:
            tree.set_mode(folder, name, entry.mode | 0o200)
            stack.callback(tree.set_mode, into, new_name, entry.mode)
        try:
            _rename(folder, name, into, new_name)
        except BaseException:
            stack.pop_all()
            raise


def _rename(folder: int, name: str, into: int, new_name: str) -> None:
    if _LIBC.renameat2(folder, os.fsencode(name), into, os.fsencode(new_name), _NO_REPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), new_name)
    # Some file systems (NFS) can't refuse by themselves.
    with contextlib.suppress(FileNotFoundError):
        tree.look(into, new_name, new_name)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)
    os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=into)


def sync(folder: int) -> None:
    """Wait until a folder's file system has all that was written: one call, not one a file. Raises OSError."""
    if _LIBC.syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def remove(folder: int, name: str) -> None:
    """Remove a file, or a folder with all in it, if it is there; of a link never what it leads to. Raises OSError."""
    try:
        entry = tree.look(folder, name, name)
    except FileNotFoundError:
        return
    if entry.kind != "folder":
        os.unlink(name, dir_fd=folder)
        return
    with closing(tree.walk(folder, [name], unlock=tree.WRITABLE, on_error=_raise)) as entries:
        for entry in entries:
            if entry.kind != "folder":
                os.unlink(entry.name, dir_fd=entry.folder)
            elif entry.leaving:
                os.rmdir(entry.name, dir_fd=entry.folder)


def _raise(_path: str, error: OSError) -> None:
    raise error


@contextmanager
def writing(needed: int) -> Iterator[None]:
    """Make a sentence of it when the disk is full, or when the system refuses anything else."""
    try:
        yield
    except FileExistsError as error:
        raise FailedError(
            f"'{shown(str(error.filename))}' was made on the disk while this ran: nothing was overwritten; run it again"
        ) from None
    except OSError as error:
        if error.errno in FULL:
            raise FailedError(
                f"the disk has no room for the {needed} bytes that are to be written: "
                "remove files from it or make it larger, then run this again"
            ) from None
        at = f" at '{shown(str(error.filename))}'" if error.filename else ""
        raise FailedError(
            f"the disk can't be written{at} ({because(error)}): "
            "look at its rights, at how it is mounted and at its storage, then run this again"
        ) from None


@contextmanager
def work_folder(disk: int, name: str) -> Iterator[int]:
    """Give a hidden folder of the disk to write in, and remove it at the end, however that comes about.

    A run that was killed leaves it behind, and the next one removes it first. Raises OSError.
    """
    remove(disk, name)
    folder = make_folder(disk, name)
    try:
        yield folder
    finally:
        os.close(folder)
        with contextlib.suppress(OSError):
            remove(disk, name)
    sync(disk)
