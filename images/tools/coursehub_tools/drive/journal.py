"""Lines of JSON that are only ever added, and survive a kill at any byte.

The first line says which list the others are about. A line without an end was being written when the power went, and is
none. It has addresses of upload sessions, which are secrets: it can be read by us alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..result import FailedError, because, shown


class Journal:
    """An open journal. Raises OSError when it can't be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._about = ""
        # Whether it has its first line.
        self._begun = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close it; a thread that is still at work when a run is told to end finds it closed."""
        with self._lock:
            os.close(self._file)
            self._file = -1

    def records(self, about: str) -> Iterator[dict[str, Any]]:
        """Yield the lines about this list; those about another one are removed, as a line without an end is."""
        self._cut_torn_line()
        self._about = about
        lines = self._lines()
        # A list takes the place of all lines before it. These were to be removed when a kill came.
        if next(lines, {}).get("list") != about:
            self.clear(about)
            return
        self._begun = True
        yield from lines

    def clear(self, about: str) -> None:
        """Remove all lines; those to come are about this list. Raises OSError."""
        os.ftruncate(self._file, 0)
        self._about = about
        self._begun = False

    def append(self, record: dict[str, Any], *, sync: bool = False) -> None:
        """Add a line; it is on the disk when this returns if it is to ``sync``. Raises FailedError."""
        with self._lock:
            data = _line(record) if self._begun else _line({"list": self._about}) + _line(record)
            try:
                while data:
                    data = data[os.write(self._file, data) :]
                if sync:
                    os.fdatasync(self._file)
            except OSError as error:
                raise FailedError(
                    f"the state in '{shown(str(self._path.parent))}' can't be written ({because(error)}): "
                    "give it more room or other storage, then run this again"
                ) from None
            self._begun = True

    def damaged(self, error: Exception) -> FailedError:
        """Return the sentence for a line that is none of ours."""
        return FailedError(
            f"the journal in '{shown(str(self._path.parent))}' has a line that is none of ours "
            f"({type(error).__name__}): move the folder away and run this again, which looks into Drive instead"
        )

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise self.damaged(error) from None
                if not isinstance(record, dict):
                    raise self.damaged(TypeError())
                yield record

    def _cut_torn_line(self) -> None:
        end = size = os.fstat(self._file).st_size
        while end:
            start = max(0, end - 4096)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._file, end)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
