"""What a run tells: progress as lines, the result as one small JSON object, a failure as one sentence."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

# Kubernetes cuts a termination message after this many bytes, and half an object is none.
MOST_BYTES = 4096
MOST_NAMES = 5
MOST_LETTERS = 80
PROGRESS_S = 10
# As a shell tells of SIGTERM: a Job runs such a pod again, and not one whose students did not end well (1).
TOLD_TO_END = 128 + signal.SIGTERM
_SAYING = threading.Lock()
FULL = (errno.ENOSPC, errno.EDQUOT)


class FailedError(Exception):
    """A run failed: the message says what, for which file, and what to do. ``details`` go into the result too."""

    def __init__(self, sentence: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.details = details or {}


def shown(name: str, most: int = MOST_LETTERS) -> str:
    """Return a file's name as a person can read it and JSON can hold it, whatever bytes it has."""
    text = _valid(name)
    text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def because(error: OSError) -> str:
    """Return why the system refused something."""
    return error.strerror or type(error).__name__


class Names:
    """Counts names, and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < MOST_NAMES:
            self.first.append(shown(name))


class Progress:
    """Counts files and bytes, and says so every now and then."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._next = time.monotonic() + PROGRESS_S
        self.files = 0
        self.bytes = 0

    def add(self, size: int) -> None:
        self.files += 1
        self.bytes += size
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_S
            say(f"{self._doing}: {self.files} files, {self.bytes} bytes so far")


def say(text: str) -> None:
    """Print a line: whole, whoever else prints one meanwhile. Results of students are told by such lines."""
    with _SAYING:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def write(path: Path, result: dict[str, Any]) -> None:
    """Write the result, shortened until it fits. Raises OSError."""
    path.write_bytes(encoded(result))


def encoded(result: dict[str, Any]) -> bytes:
    """Return the result as UTF-8 JSON: the longest list loses names first, its count beside it stays true."""
    result = {key: _clean(value) for key, value in result.items()}
    while len(data := json.dumps(result, ensure_ascii=False).encode()) > MOST_BYTES:
        longest = max((value for value in result.values() if isinstance(value, list)), key=_length, default=[])
        if longest:
            longest.pop()
        else:
            key = max(
                (key for key, value in result.items() if isinstance(value, str)), key=lambda key: len(result[key])
            )
            result[key] = f"{result[key][: len(result[key]) * 3 // 4]}…"
    return data


def _length(names: list[Any]) -> int:
    return len(json.dumps(names, ensure_ascii=False).encode())


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _valid(value)
    return [_clean(one) for one in value] if isinstance(value, list) else value


def _valid(text: str) -> str:
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
