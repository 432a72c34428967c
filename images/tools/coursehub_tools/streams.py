"""An archive as a stream: through zstd, measured on its way, never in memory as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from .result import FailedError, shown

COMPRESS = ("zstd", "-T1", "-q", "-c")
DECOMPRESS = ("zstd", "-d", "-q", "-c")
CHUNK = 1 << 20
_PATIENCE_S = 5


class Measure:
    """Checksum and length of what goes by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.bytes += len(chunk)


class Program:
    """Another program with pipes. What it says is kept, for a sentence if it fails."""

    def __init__(self, *words: str, writes: bool = False, reads: bool = False) -> None:
        self._name = words[0]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                stdout=subprocess.PIPE if writes else subprocess.DEVNULL,
                stderr=self._said,
            )
        except OSError as error:
            self._said.close()
            raise FailedError(f"'{self._name}' can't be run ({error.strerror}): it is to be in the image") from None

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - as it was asked for
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - as it was asked for
        return self._process.stdout

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; return the exit code, None where it goes on."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        """Return the last line of what it said."""
        self._said.seek(0, 2)
        self._said.seek(max(0, self._said.tell() - 4096))
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return shown(lines[-1], 300) if lines else "it said nothing"

    def end(self) -> None:
        """End it, if it hasn't, and close all."""
        # First of all: rclone would take a pipe that is closed for the end of a file.
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()
        self._process.wait()
        self._said.close()


@contextmanager
def program(*words: str, writes: bool = False, reads: bool = False) -> Iterator[Program]:
    """Run a program beside us; it doesn't outlive this."""
    result = Program(*words, writes=writes, reads=reads)
    try:
        yield result
    finally:
        result.end()


class _Pump(threading.Thread):
    """Carries one stream into another, and closes what it was given to close, so that who waits there goes on."""

    def __init__(self, source: IO[bytes], write: Callable[[bytes], object], measure: Measure, end: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._write = write
        self._measure = measure
        self._end = end
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._end:
                while chunk := self._source.read(CHUNK):
                    self._measure.add(chunk)
                    self._write(chunk)
        except Exception as error:
            self.error = error


@contextmanager
def compressing(write: Callable[[bytes], object], measure: Measure) -> Iterator[IO[bytes]]:
    """Give a stream to write to; what comes out of it compressed is measured and handed on."""
    with program(*COMPRESS, writes=True, reads=True) as zstd:
        pump = _Pump(zstd.stdout, write, measure, zstd.stdout)
        try:
            yield zstd.stdin
            zstd.stdin.close()
            pump.join()
        except BrokenPipeError:
            pump.join()
        except BaseException:
            zstd.end()
            pump.join(_PATIENCE_S)
            raise
        if pump.error:
            raise pump.error
        if zstd.wait() != 0:
            raise FailedError(f"the archive can't be compressed ({zstd.said()}): run this again with more memory")


@contextmanager
def decompressing(name: str, source: IO[bytes], measure: Measure) -> Iterator[IO[bytes]]:
    """Give what an archive holds, decompressed; its stream is measured, and read to its end when this ends well."""
    with program(*DECOMPRESS, writes=True, reads=True) as zstd:
        pump = _Pump(source, zstd.stdin.write, measure, zstd.stdin)
        try:
            yield zstd.stdout
            while zstd.stdout.read(CHUNK):
                pass
        except Exception:
            # What came to its end too soon did so for a reason.
            if not zstd.stdout.read(1):
                _judge(name, zstd, pump)
            raise
        _judge(name, zstd, pump)


def _judge(name: str, zstd: Program, pump: _Pump) -> None:
    pump.join()
    # That zstd ended under it is no cause, but follows from one.
    if pump.error and not isinstance(pump.error, BrokenPipeError):
        raise FailedError(f"{name} can't be read ({pump.error}): look at the target, then run this again")
    if zstd.wait() != 0:
        raise FailedError(
            f"{name} is damaged ({zstd.said()}): look at the target's storage, and take another copy or archive again"
        )
