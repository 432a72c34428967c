"""Where archives go: a folder, or a remote of rclone."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from . import streams
from .result import FULL, FailedError, because, shown

# A remote by its name in rclone's configuration: one that is written out would have its secrets in it.
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@ -]*:[^\0]*")
# rclone's exit codes.
_ABSENT = (3, 4)
# rclone waits a minute for a connection, ten times, and tries all of that three times: half an hour until a remote that
# does not answer is called one. What it writes comes from a pipe, so it could not try the whole again anyway.
_RCLONE = ("rclone", "-q", "--contimeout=10s", "--retries=1")
_TIME = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")


class Target(Protocol):
    """Files by name. A remote may keep a part of what could not be written as a whole."""

    def write(self, name: str) -> AbstractContextManager[Callable[[bytes], object]]:
        """Give what to write the file's content with. Raises FailedError."""

    def read(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Give the file's content. Raises FailedError."""

    def small(self, name: str) -> bytes | None:
        """Return the content of a small file, None where there is no such file. Raises FailedError."""

    def remove(self, name: str) -> bool:
        """Remove the file, if it is there; tell whether it is gone."""


def open_target(text: str, stem: str) -> Target:
    """Return the target that a text stands for, for files of that stem. Raises FailedError for what is none."""
    if text.startswith("/"):
        return Folder(Path(text), f".{stem}.partial")
    if _REMOTE.fullmatch(text):
        return Remote(text)
    raise FailedError(
        "the target is neither a folder (it would begin with /) nor a remote by its name in rclone's configuration "
        "(bucket:folder): correct it"
    )


class Folder:
    """A folder, which is made if it isn't there."""

    def __init__(self, path: Path, partial: str) -> None:
        self._path = path
        # The same for all that is written under a stem: the next run writes over what a killed one left.
        self._partial = partial

    @contextmanager
    def write(self, name: str) -> Iterator[Callable[[bytes], object]]:
        partial = self._path / self._partial
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:

                    def put(chunk: bytes) -> None:
                        try:
                            file.write(chunk)
                        except OSError as error:
                            raise self._failed("written", name, error) from None

                    yield put
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(self._path / name)
                self._sync()
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise
        except OSError as error:
            raise self._failed("written", name, error) from None

    def _sync(self) -> None:
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        try:
            file = (self._path / name).open("rb")
        except OSError as error:
            raise self._failed("read", name, error) from None
        with file:
            yield file

    def small(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", name, error) from None

    def remove(self, name: str) -> bool:
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _failed(self, done: str, name: str, error: OSError) -> FailedError:
        what = f"'{shown(name)}' can't be {done} in {shown(str(self._path))}"
        if error.errno in FULL:
            return FailedError(
                f"{what}, which is full: make room there, then run this again; nothing that was there is lost"
            )
        return FailedError(
            f"{what} ({because(error)}): look at the folder, its rights and its storage, then run this again"
        )


class Remote:
    """A folder of a remote that rclone knows from its configuration."""

    def __init__(self, path: str) -> None:
        self._path = path if path.endswith((":", "/")) else f"{path}/"

    @contextmanager
    def write(self, name: str) -> Iterator[Callable[[bytes], object]]:
        with streams.program(*_RCLONE, "rcat", self._path + name, reads=True) as rclone:
            ended_early = False
            try:
                yield rclone.stdin.write
                rclone.stdin.close()
            except BrokenPipeError:
                ended_early = True
            if rclone.wait() != 0 or ended_early:
                raise self._failed("written", name, rclone)

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        with streams.program(*_RCLONE, "cat", self._path + name, writes=True) as rclone:
            try:
                yield rclone.stdout
            except Exception:
                if rclone.wait(timeout=1):
                    raise self._failed("read", name, rclone) from None
                raise
            if rclone.wait() != 0:
                raise self._failed("read", name, rclone)

    def small(self, name: str) -> bytes | None:
        with streams.program(*_RCLONE, "cat", self._path + name, writes=True) as rclone:
            content = rclone.stdout.read(1 << 20)
            code = rclone.wait()
            if code in _ABSENT:
                return None
            if code != 0:
                raise self._failed("read", name, rclone)
        # Where folders are but parts of names, one that isn't there is an empty one.
        return content or None

    def remove(self, name: str) -> bool:
        with streams.program(*_RCLONE, "deletefile", self._path + name) as rclone:
            return rclone.wait() in (0, *_ABSENT)

    def _failed(self, done: str, name: str, rclone: streams.Program) -> FailedError:
        said = _TIME.sub("", rclone.said())
        return FailedError(
            f"'{shown(name)}' can't be {done} at {shown(self._path)} (rclone: {said}): "
            "look at the remote, its space and its credentials, then run this again; nothing that was there is lost"
        )
