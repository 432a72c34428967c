"""The command: ``python -m coursehub_tools <command>``.

The request is JSON in COURSEHUB_REQUEST, the result one JSON object in the file that COURSEHUB_RESULT names. Disks are
mounted at COURSEHUB_SOURCE and COURSEHUB_DISK.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from . import archiving, comparing, copying, extracting, request, result
from .result import FailedError, say

# A folder in a folder in a folder: a descriptor for each.
_MOST_DESCRIPTORS = 65536


class StoppedError(BaseException):
    """The run was told to end."""


def _source() -> Path:
    return Path(os.environ.get("COURSEHUB_SOURCE") or "/source")


def _disk() -> Path:
    return Path(os.environ.get("COURSEHUB_DISK") or "/disk")


def _live_disk() -> Path | None:
    return _disk() if _disk().is_dir() else None


COMMANDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "copy": lambda text: copying.run(request.copy(text), _source(), _disk()),
    "compare": lambda text: comparing.run(request.compare(text), _source(), _live_disk()),
    "archive": lambda text: archiving.run(request.archive(text), _source()),
    "check": lambda text: archiving.check(request.check(text)),
    "extract": lambda text: extracting.run(request.extract(text), _disk()),
}


def _stop(number: int, _frame: FrameType | None) -> None:
    # Being told twice must not disturb the clearing up.
    signal.signal(number, signal.SIG_IGN)
    raise StoppedError


def _run(words: list[str]) -> dict[str, Any]:
    command = COMMANDS.get(words[0]) if len(words) == 1 else None
    if command is None:
        raise FailedError(f"no such command: {' '.join(words) or 'none'}; there are {', '.join(COMMANDS)}")
    text = os.environ.get("COURSEHUB_REQUEST")
    if not text:
        raise FailedError("COURSEHUB_REQUEST is empty: this is to be set by what starts the pod")
    return command(text)


def main(words: list[str]) -> int:
    """Run a command, write its result, return the exit code."""
    outcome: dict[str, Any] = {}
    try:
        signal.signal(signal.SIGTERM, _stop)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MOST_DESCRIPTORS), hard))
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        outcome = _run(words)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        failed = ""
    except FailedError as error:
        outcome, failed = error.details, str(error)
    except (StoppedError, KeyboardInterrupt):
        failed = "it was told to end before it was done: run it again"
    except BaseException as error:
        failed = f"unexpected {type(error).__name__}: {error}; nothing more is known: report this with the pod's log"
    if failed:
        say(result.shown(failed, 2000))
    try:
        result.write(Path(os.environ.get("COURSEHUB_RESULT") or "/dev/termination-log"), {**outcome, "failed": failed})
    except OSError as error:
        say(f"the result can't be written: {error}")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
