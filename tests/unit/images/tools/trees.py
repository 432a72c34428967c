"""Trees of files for the tests: made, described, and worked on by somebody who is not root."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

# A name that is no UTF-8, one with a line break, one that looks like an option.
ODD_NAMES = (b"\xff\xfe odd", b"two\nlines", b"-rf", "späße 🐍".encode(), b"\x1b[31m", b"x" * 255)
NOBODY = 65534


def fill(folder: Path) -> None:
    """Put one of everything into a folder that a student may have there."""
    (folder / "course/week 1").mkdir(parents=True)
    (folder / "course/week 1/notes.ipynb").write_text('{"cells": []}', encoding="utf-8")
    (folder / "course/empty").touch()
    (folder / "course/run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "course/run.sh").chmod(0o4755)
    (folder / "course/link").symlink_to("/etc/passwd")
    (folder / "course/nowhere").symlink_to("../..//gone/")
    os.link(folder / "course/run.sh", folder / "course/hard")
    (folder / "nothing in it").mkdir(mode=0o710)
    for name in ODD_NAMES:
        path = os.path.join(os.fsencode(folder), b"course", name)
        with open(path, "wb") as file:
            file.write(name * 3)
        os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    with (folder / "holes").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"data")
        file.truncate((5 << 20) + 7)
    os.utime(folder / "course/link", ns=(0, -1_500_000_001), follow_symlinks=False)
    os.utime(folder / "course/week 1", ns=(0, 999_999_999))
    os.utime(folder / "course", ns=(0, 7))


def describe(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return all that there is in a folder, and all that is to be kept of it."""
    found: dict[bytes, tuple[object, ...]] = {}
    top = os.fsencode(folder)

    def visit(inner: bytes) -> None:
        for name in os.listdir(inner):
            path = os.path.join(inner, name)
            status = os.lstat(path)
            content: object = None
            with opened(path, status.st_mode):
                if stat.S_ISLNK(status.st_mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(status.st_mode):
                    content = Path(os.fsdecode(path)).read_bytes()
                found[os.path.relpath(path, top)] = (oct(status.st_mode), status.st_mtime_ns, content)
                if stat.S_ISDIR(status.st_mode):
                    visit(path)

    visit(top)
    return found


@contextmanager
def opened(path: bytes, mode: int) -> Iterator[None]:
    """Let us read a file or a folder that its mode keeps us out of."""
    locked = not stat.S_ISLNK(mode) and mode & 0o700 != 0o700
    if locked:
        os.chmod(path, stat.S_IMODE(mode) | 0o700)
    yield
    if locked:
        os.chmod(path, stat.S_IMODE(mode))


@contextmanager
def place_for_all() -> Iterator[Path]:
    """Give a folder that somebody else can get to; the tests' own ones are below a folder that only we can enter."""
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=True)
        shutil.rmtree(folder)


def in_child(work: Callable[[], None], *, as_nobody: bool = False) -> int:
    """Do something in a process of its own, if need be as somebody whom modes keep out; return how that ended."""
    child = os.fork()
    if child == 0:
        try:
            if as_nobody and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_each_step(patch: Callable[[Callable[[], None]], None], work: Callable[[], None]) -> Iterator[None]:
    """Do the work again and again, each time killed one step later, until it gets to its end.

    ``patch`` is given what every step is to call first. Yields each time after it was killed.
    """
    for steps in range(10_000):
        code = in_child(partial(_killed_after, steps, patch, work))
        if code == 0:
            return
        assert code == -signal.SIGKILL, code
        yield
    raise AssertionError("it never ends")


def _killed_after(steps: int, patch: Callable[[Callable[[], None]], None], work: Callable[[], None]) -> None:
    numbers = count()

    def step() -> None:
        if next(numbers) == steps:
            os.kill(os.getpid(), signal.SIGKILL)

    patch(step)
    work()


def before(module: object, names: tuple[str, ...], step: Callable[[], None]) -> None:
    """Let functions of a module call ``step`` first."""
    for name in names:
        function = getattr(module, name)

        def stepping(*arguments: object, function: Callable[..., object] = function, **more: object) -> object:
            step()
            return function(*arguments, **more)

        setattr(module, name, stepping)
